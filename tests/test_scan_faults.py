"""Faults during a scan: decoders that hang or crash, a scan that is killed or interrupted, two scans at once.

These run the scan in a process of its own, through `SCRIPT`, with `fake_analysis` in real worker processes.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from soundkin.catalogue import Catalogue
from soundkin.errors import SoundkinError
from soundkin.scan import ScanReport, scan

scan_module = importlib.import_module("soundkin.scan")

SCRIPT = """
import importlib, sys
import fake_analysis
from soundkin.catalogue import Catalogue

module = importlib.import_module("soundkin.scan")
module.analyse, module.load_model = fake_analysis.analyse, fake_analysis.load_model

if __name__ == "__main__":
    with Catalogue.open(sys.argv[1]) as catalogue:
        report = module.scan(catalogue, sys.argv[2], model_name_or_path="fake", workers=2)
    print(report.found, report.analysed, report.unchanged, len(report.failures))
"""
posix = pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals there")


@pytest.fixture
def music(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    folder.mkdir()
    (tmp_path / "script.py").write_text(SCRIPT)
    return folder


@pytest.fixture
def library(tmp_path: Path, fake_hearing: Path) -> Iterator[Catalogue]:
    with Catalogue.open(tmp_path / "library.db") as catalogue:
        yield catalogue


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text(name)


def heard(folder: Path) -> list[tuple[int, str]]:
    """(process, name) of every file that was heard so far."""
    log = folder.parent / "heard.log"
    lines = log.read_text().splitlines() if log.exists() else []
    return [(int(line.split()[0]), line.split(" ", 1)[1]) for line in lines]


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, folder.parent / "script.py", folder.parent / "library.db", folder],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that Ctrl-C can be sent to the scan and its workers, and not to the tests
    )


def wait_until_heard(folder: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while len(heard(folder)) < count:
        assert time.monotonic() < deadline, "the scan does not get on"
        time.sleep(0.01)


def wait_until_stored(library: Catalogue, count: int) -> None:
    """A track that a worker has finished may still be on its way to the library: it counts as in flight."""
    deadline = time.monotonic() + 60
    while library.statistics().tracks < count:
        assert time.monotonic() < deadline, "what was heard is not stored"
        time.sleep(0.01)


def still_running(pids: set[int]) -> set[int]:
    running = set()
    for pid in pids:
        with contextlib.suppress(FileNotFoundError):
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                continue  # dead, and not yet collected by whoever inherited it
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 0)
            running.add(pid)
    return running


def run_scan(catalogue: Catalogue, folder: Path, *, time_limit: float = 60.0) -> ScanReport:
    return scan(catalogue, folder, model_name_or_path="fake", workers=2, time_limit=time_limit)


def test_a_decoder_that_hangs_or_crashes_costs_one_track(music: Path, library: Catalogue) -> None:
    bad = ("2 hang.mp3", "3 crash.mp3", "5 spin.mp3", "6 bug.mp3", "7 crash.mp3")
    fine = ("1.mp3", "4.mp3", "8.mp3", "9.mp3")
    put(music, *bad, *fine)
    report = run_scan(library, music, time_limit=2.0)
    assert {note.path.name: note.kind for note in report.failures} == {
        "2 hang.mp3": "timeout",
        "3 crash.mp3": "crash",
        "5 spin.mp3": "timeout",
        "6 bug.mp3": "audio",
        "7 crash.mp3": "crash",
    }
    assert report.analysed == len(fine)
    reasons = {note.kind: note.reason for note in report.failures}
    assert reasons["timeout"] == "it was not done after 2 s, and was stopped"
    assert reasons["crash"] == "the decoder crashed (exit code 7)"
    again = run_scan(library, music, time_limit=2.0)
    assert (again.unchanged, sorted(again.failures, key=str)) == (4, sorted(report.failures, key=str))
    assert len(heard(music)) == 9  # the bad ones are not tried again


@posix
def test_a_killed_scan_loses_only_the_tracks_in_flight_and_leaves_no_process(music: Path, library: Catalogue) -> None:
    put(music, *(f"slow {i:02}.mp3" for i in range(16)))
    running = start(music)
    wait_until_heard(music, 7)
    workers = {pid for pid, _ in heard(music)}
    running.send_signal(signal.SIGKILL)
    running.communicate(timeout=10)
    deadline = time.monotonic() + 5
    while still_running(workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert still_running(workers) == set()

    stored = library.statistics().tracks
    first = len(heard(music))
    assert 1 <= stored < 16
    assert first - stored <= 2 * 2  # in flight, or done and on their way
    assert library.check() == []
    report = run_scan(library, music)
    assert (report.unchanged, report.analysed) == (stored, 16 - stored)
    assert len(heard(music)) - first == 16 - stored


@posix
def test_a_hanging_decoder_does_not_outlive_a_killed_scan(music: Path, library: Catalogue) -> None:
    put(music, "1 hang.mp3", "2 spin.mp3")
    running = start(music)
    wait_until_heard(music, 2)
    running.send_signal(signal.SIGKILL)
    running.communicate(timeout=10)
    deadline = time.monotonic() + 10
    while (left := still_running({pid for pid, _ in heard(music)})) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == set()


@posix
@pytest.mark.parametrize("busy_with", ["slow", "hang"])
def test_ctrl_c_ends_the_scan_in_the_midst_of_a_track(music: Path, library: Catalogue, busy_with: str) -> None:
    put(music, "0.mp3", "1.mp3", *(f"{i} {busy_with}.mp3" for i in range(2, 20)))
    running = start(music)
    wait_until_heard(music, 4)
    wait_until_stored(library, 2)
    workers = {pid for pid, _ in heard(music)}
    os.killpg(running.pid, signal.SIGINT)
    _, errors = running.communicate(timeout=30)
    assert running.returncode in (-signal.SIGINT, 130)
    assert len(heard(music)) < 20  # it did not go on to the end
    assert errors.count("KeyboardInterrupt\n") == errors.count("Traceback") == 1  # the scan's own, none of a worker
    assert still_running(workers) == set()
    assert library.check() == []
    assert library.statistics().tracks >= 2  # what was stored stays


@posix
@pytest.mark.parametrize("delay", [0.05, 0.3, 0.6, 0.9])
def test_ctrl_c_while_starting_is_as_clean(music: Path, library: Catalogue, delay: float) -> None:
    put(music, *(f"slow {i:02}.mp3" for i in range(40)))
    running = start(music)
    time.sleep(delay)
    os.killpg(running.pid, signal.SIGINT)
    _, errors = running.communicate(timeout=30)
    assert running.returncode in (-signal.SIGINT, 130, 1)
    assert "soundkin worker" not in errors
    assert "spawn_main" not in errors  # no worker complains
    assert library.check() == []


def test_two_scans_at_once_store_every_track_once(music: Path, library: Catalogue) -> None:
    names = [f"{i:02}{' slow' if i % 4 == 0 else ''}.mp3" for i in range(24)]
    put(music, *names, "damaged.mp3")
    both = [start(music) for _ in range(2)]
    for running in both:
        output, errors = running.communicate(timeout=90)
        assert running.returncode == 0, errors
        found, analysed, unchanged, failures = map(int, output.split())
        assert (found, failures) == (25, 1)
        assert analysed + unchanged == 24
    statistics = library.statistics()
    assert (statistics.tracks, statistics.recordings, statistics.failed) == (24, 24, 1)
    assert statistics.vectors == {"fake-1": 24}
    assert library.check() == []
    assert run_scan(library, music).unchanged == 24


def test_a_model_that_only_fails_in_workers_stops_the_scan(
    music: Path, library: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(music, "1.mp3", "2.mp3")
    monkeypatch.setenv("FAKE_PARENT", str(os.getpid()))
    with pytest.raises(SoundkinError, match="ModelError: the model file is gone"):
        scan(library, music, model_name_or_path="broken-in-workers", workers=2)
    assert library.failures() == []


def test_a_script_without_a_guard_is_told_what_to_do(music: Path, library: Catalogue) -> None:
    put(music, "1.mp3")
    script = music.parent / "script.py"
    script.write_text(SCRIPT.replace('if __name__ == "__main__":', "if True:"))
    running = start(music)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 1
    assert "put what it does under if __name__ == '__main__'" in errors
    assert "A script must start the work under" in errors.splitlines()[-1]
