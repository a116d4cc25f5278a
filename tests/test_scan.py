"""The scan against the library: what is heard, what is not heard again, and what the report says."""

from __future__ import annotations

import importlib
import io
import math
import os
import struct
import sys
import tempfile
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fake_analysis
from soundkin.catalogue import Catalogue
from soundkin.errors import DamagedError, InputError, LibraryFullError, ModelError
from soundkin.progress import ScanProgress
from soundkin.scan import ScanReport, scan

scan_module = importlib.import_module("soundkin.scan")


class Bench:
    """A library, a folder of fake music, and a scan in this process that hears with `fake_analysis`."""

    def __init__(self, place: Path, *, log: Path) -> None:
        self.music = place / "music"
        self.music.mkdir()
        self.log = log
        self.catalogue = Catalogue.open(place / "library.db")

    def put(self, name: str, content: str | None = None, *, title: str = "") -> Path:
        path = self.music / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content or name}\n{title}")
        return path

    def scan_unchecked(self, *folders: Path, **options: Any) -> ScanReport:
        self.log.unlink(missing_ok=True)
        options = {"model_name_or_path": "fake", "workers": 0, **options}
        return scan(self.catalogue, folders or [self.music], **options)

    def scan(self, *folders: Path, **options: Any) -> ScanReport:
        report = self.scan_unchecked(*folders, **options)
        counts = (report.analysed, report.unchanged, report.retagged, report.moved, report.copied, report.returned)
        assert report.found == sum(counts) + len(report.failures)  # every file counts once
        assert self.catalogue.check() == []
        return report

    @property
    def heard(self) -> list[str]:
        """Names of the files that the last scan decoded, in order."""
        lines = self.log.read_text(errors="surrogateescape").splitlines() if self.log.exists() else []
        return [line.split(" ", 1)[1] for line in lines]

    def id_of(self, path: Path) -> int:
        track = self.catalogue.track_by_path(path)
        assert track is not None
        return track.id

    def names(self) -> list[str]:
        """Files that the library answers with."""
        return [Path(path).name for path in self.catalogue.columns().paths]


@pytest.fixture
def bench(tmp_path: Path, fake_hearing: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path, log=fake_hearing)
    with bench.catalogue:
        yield bench


def test_new_files_are_heard_once_and_then_not_opened(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b/2.mp3", "a/1.mp3", "3.mp3"):
        bench.put(name)
    report = bench.scan()
    assert (report.found, report.analysed, report.model_id) == (3, 3, "fake-1")
    assert bench.heard == ["3.mp3", "1.mp3", "2.mp3"]
    assert bench.catalogue.folders() == [bench.music]
    monkeypatch.setattr(scan_module, "analyse", None)  # would fail if it were called
    assert bench.scan().unchanged == 3


def test_a_moved_file_keeps_its_id_and_its_analysis(bench: Bench) -> None:
    old = bench.put("old/song.mp3")
    bench.scan()
    track = bench.id_of(old)
    new = bench.music / "new" / "renamed.mp3"
    new.parent.mkdir()
    old.rename(new)
    report = bench.scan()
    assert (report.moved, report.missing, bench.heard) == (1, 0, [])
    assert bench.id_of(new) == track
    assert bench.names() == ["renamed.mp3"]


def test_a_retagged_file_keeps_its_id_and_its_analysis(bench: Bench) -> None:
    path = bench.put("song.mp3", title="old")
    bench.scan()
    track = bench.id_of(path)
    bench.put("song.mp3", title="a new title")
    report = bench.scan()
    assert (report.retagged, bench.heard) == (1, [])
    assert bench.catalogue.track(track).title == "a new title"


def test_a_copy_costs_no_analysis(bench: Bench) -> None:
    bench.put("song.mp3", "same")
    bench.scan()
    bench.put("copy.mp3", "same")
    report = bench.scan()
    assert (report.copied, report.unchanged, bench.heard) == (1, 1, [])
    assert sorted(bench.names()) == ["copy.mp3", "song.mp3"]


def test_a_touched_file_is_unchanged(bench: Bench) -> None:
    path = bench.put("song.mp3")
    bench.scan()
    os.utime(path, ns=(10**18, 10**18))
    assert bench.scan().unchanged == 1
    assert bench.heard == []


def test_a_replaced_file_is_heard_again(bench: Bench) -> None:
    path = bench.put("song.mp3", "old content")
    bench.scan()
    track, before = bench.id_of(path), bench.catalogue.vector(bench.id_of(path), "fake-1")
    bench.put("song.mp3", "content that is new")
    assert bench.scan().analysed == 1
    assert bench.heard == ["song.mp3"]
    after = bench.catalogue.vector(track, "fake-1")
    assert before is not None
    assert after is not None
    assert not np.array_equal(before, after)


def test_missing_files_leave_the_answers_and_come_back_for_nothing(bench: Bench) -> None:
    path = bench.put("a/song.mp3")
    bench.put("b/other.mp3")
    bench.scan()
    track = bench.id_of(path)
    (bench.music / "a").rename(bench.music.parent / "elsewhere")
    report = bench.scan()
    assert (report.missing, report.unchanged) == (1, 1)
    assert bench.names() == ["other.mp3"]
    assert bench.scan().missing == 0  # news once
    (bench.music.parent / "elsewhere").rename(bench.music / "a")
    report = bench.scan()
    assert (report.returned, report.unchanged, bench.heard) == (1, 1, [])
    assert bench.id_of(path) == track
    assert sorted(bench.names()) == ["other.mp3", "song.mp3"]


def test_only_what_was_asked_for_can_be_missing(bench: Bench) -> None:
    one, two = bench.put("a/1.mp3"), bench.put("a/2.mp3")
    other = bench.put("ab/3.mp3")
    bench.scan()
    two.unlink()
    other.unlink()
    assert bench.scan(one).missing == 0
    assert bench.scan(bench.music / "a").missing == 1
    assert sorted(bench.names()) == ["1.mp3", "3.mp3"]
    assert scan(bench.catalogue, bench.music / "a", model_name_or_path="fake", workers=0).found == 1


def test_an_empty_folder_is_pointed_out(bench: Bench) -> None:
    path = bench.put("song.mp3")
    report = bench.scan()
    assert report.empty_folders == ()
    path.unlink()  # as when the disk is not mounted
    report = bench.scan()
    assert (report.empty_folders, report.missing, report.found) == ((bench.music,), 1, 0)


def test_nothing_in_an_unreadable_folder_counts_as_missing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.put("locked/1.mp3")
    bench.put("locked/below/2.mp3")
    bench.put("open/3.mp3")
    bench.scan()
    scandir = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    report = bench.scan()
    assert [(note.path.name, note.reason) for note in report.unreadable_folders] == [("locked", "Permission denied")]
    assert (report.missing, report.unchanged) == (0, 1)
    assert len(bench.names()) == 3
    report = bench.scan(bench.music / "locked")
    assert report.empty_folders == ()


# --- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [
        ("damaged.mp3", "damaged", "only 1.0 s of it could be decoded"),
        ("bug.mp3", "audio", "the analysis failed with ZeroDivisionError: division by zero"),
        ("memory.mp3", "audio", "the analysis failed with MemoryError"),
        ("nan.mp3", "audio", "finite"),
    ],
)
def test_a_failure_costs_one_file_and_keeps_its_reason(bench: Bench, name: str, kind: str, reason: str) -> None:
    bench.put(name)
    bench.put("fine.mp3")
    report = bench.scan()
    assert report.analysed == 1
    (note,) = report.failures
    assert (note.path, note.kind) == (bench.music / name, kind)
    assert reason in note.reason
    (failure,) = bench.catalogue.failures()
    assert (failure.path, failure.kind, failure.reason) == (note.path, note.kind, note.reason)


def test_a_failure_is_not_tried_again_before_something_changes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.put("damaged.mp3")
    first = bench.scan()
    again = bench.scan()
    assert bench.heard == []
    assert again.failures == first.failures
    bench.scan(retry_failed=True)
    assert bench.heard == ["damaged.mp3"]
    monkeypatch.setattr(scan_module, "__version__", "9999")
    bench.scan()
    assert bench.heard == ["damaged.mp3"]


def test_a_failure_is_tried_again_when_the_file_changes(bench: Bench) -> None:
    path = bench.put("song.mp3", "damaged")
    bench.scan()
    bench.put("song.mp3", "mended")
    assert bench.scan().analysed == 1
    assert bench.heard == ["song.mp3"]
    assert bench.catalogue.failures() == []
    assert bench.names() == [path.name]


def test_failures_of_files_that_are_gone_are_forgotten(bench: Bench) -> None:
    bench.put("a/damaged.mp3")
    bench.put("damaged.mp3")
    bench.scan()
    (bench.music / "damaged.mp3").unlink()
    (bench.music / "a" / "damaged.mp3").unlink()
    (bench.music / "a").rmdir()
    assert bench.scan().failures == ()
    assert bench.catalogue.failures() == []


def test_a_link_to_nothing_fails_until_it_leads_somewhere(bench: Bench, tmp_path: Path) -> None:
    link = bench.music / "song.mp3"
    try:
        link.symlink_to(tmp_path / "disk.mp3")
    except OSError as error:
        pytest.skip(f"links cannot be made here: {error}")
    (note,) = bench.scan().failures
    assert (note.kind, note.reason) == ("unreadable", "it is a link to nothing")
    (tmp_path / "disk.mp3").write_text("music")
    assert bench.scan().analysed == 1
    assert bench.catalogue.failures() == []
    (tmp_path / "disk.mp3").unlink()
    assert len(bench.scan().failures) == 1
    assert bench.names() == []


def test_a_file_that_vanishes_during_the_scan(bench: Bench) -> None:
    paths = [bench.put(f"{i}.mp3") for i in range(3)]
    report = bench.scan(on_progress=when_listening(lambda: paths[1].unlink()))
    assert report.analysed == 2
    assert [(note.path, note.kind) for note in report.failures] == [(paths[1], "vanished")]
    assert bench.scan().failures == ()


def test_partial_tracks_are_named(bench: Bench) -> None:
    path = bench.put("partial.mp3")
    report = bench.scan()
    assert report.analysed == 1
    assert [(note.path, note.kind, note.reason) for note in report.partial] == [
        (path, "partial", "it ends at 0:30 of 1:00")
    ]


# --- models, other scans, the library itself -------------------------------------------------------------------------


def when_listening(action: Callable[[], object]) -> Callable[[ScanProgress], None]:
    """Do it once, between looking and listening."""
    done = []

    def on_progress(progress: ScanProgress) -> None:
        if progress.phase == "listening" and not done:
            done.append(action())

    return on_progress


def test_another_model_hears_everything_again_and_the_old_vectors_stay(bench: Bench) -> None:
    path = bench.put("song.mp3")
    bench.scan()
    report = bench.scan(model_name_or_path="other")
    assert (report.reheard, report.unchanged, report.model_id, bench.heard) == (1, 1, "other-1", ["song.mp3"])
    assert bench.scan().unchanged == bench.scan(model_name_or_path="other").unchanged == 1
    for model in ("fake-1", "other-1"):
        assert bench.catalogue.vector(bench.id_of(path), model) is not None


def test_another_model_hears_what_is_new_first_and_then_the_whole_library(bench: Bench) -> None:
    for name in ("a/1.mp3", "a/2.mp3", "b/3.mp3"):
        bench.put(name)
    bench.put("b/copy of 3.mp3", "b/3.mp3")
    bench.scan()
    bench.put("b/new.mp3")
    phases: list[tuple[str, int, int]] = []
    report = bench.scan(
        bench.music / "b",
        model_name_or_path="other",
        on_progress=lambda now: phases.append((now.phase, now.done, now.total)),
    )
    assert bench.heard == ["new.mp3", "1.mp3", "2.mp3", "3.mp3"]
    assert (report.found, report.analysed, report.unchanged, report.reheard) == (3, 1, 2, 3)
    assert ("listening", 1, 1) in phases and ("listening again", 0, 3) in phases
    assert phases[-1] == ("listening again", 3, 3)
    assert bench.catalogue.tracks_heard() == {"fake-1": 4, "other-1": 5}
    assert bench.scan(model_name_or_path="other").reheard == 0 and bench.heard == []


def test_hearing_again_goes_on_where_it_was_stopped(bench: Bench) -> None:
    for i in range(5):
        bench.put(f"{i}.mp3")
    bench.scan()

    def stop(now: ScanProgress) -> None:
        if now.phase == "listening again" and len(bench.heard) == 3:
            raise KeyboardInterrupt

    monkey = pytest.MonkeyPatch()
    monkey.setattr("soundkin.progress._INTERVAL", 0.0)
    with monkey.context(), pytest.raises(KeyboardInterrupt):
        bench.scan(model_name_or_path="other", on_progress=stop)
    monkey.undo()
    assert bench.catalogue.tracks_heard() == {"fake-1": 5, "other-1": 3}
    assert bench.scan(model_name_or_path="other").reheard == 2
    assert bench.heard == ["3.mp3", "4.mp3"]


def test_what_fails_with_the_new_model_stays_with_the_old_one(bench: Bench) -> None:
    good, bad = bench.put("good.mp3"), bench.put("bad.mp3")
    bench.scan()
    analyse = fake_analysis.analyse

    def fail(path: Path, **options: Any) -> Any:
        if path.name == "bad.mp3":
            raise DamagedError(path, "the model other-1 gives numbers for it that are not finite")
        return analyse(path, **options)

    monkey = pytest.MonkeyPatch()
    monkey.setattr(scan_module, "analyse", fail)
    report = bench.scan_unchecked(model_name_or_path="other")
    again = bench.scan(model_name_or_path="other")
    monkey.undo()
    assert (report.found, report.unchanged, report.reheard, len(report.failures)) == (2, 2, 1, 1)
    assert report.in_library == 2  # what failed is known through the old model
    assert (again.found, again.unchanged, again.reheard, len(again.failures)) == (2, 1, 0, 1)
    assert not bench.catalogue.is_behind("other-1")
    for path, model in ((good, "fake-1"), (good, "other-1"), (bad, "fake-1")):
        assert bench.catalogue.vector(bench.id_of(path), model) is not None
    assert sorted(bench.names()) == ["bad.mp3", "good.mp3"]


def test_hearing_again_meets_files_that_are_gone_or_changed(bench: Bench) -> None:
    gone, changed, elsewhere = bench.put("a/gone.mp3"), bench.put("a/new.mp3"), bench.put("b/3.mp3")
    bench.put("c/4.mp3")
    bench.scan()
    gone.unlink()
    bench.put("a/new.mp3", "something else")
    elsewhere.parent.rename(bench.music.parent / "not mounted")
    report = bench.scan(bench.music / "c", model_name_or_path="other")
    assert bench.heard == ["new.mp3", "4.mp3"]
    assert (report.found, report.reheard, report.missing, report.failures) == (1, 2, 1, ())
    assert sorted(bench.names()) == ["3.mp3", "4.mp3", "new.mp3"]  # what is not mounted is not gone for certain
    assert bench.catalogue.is_behind("other-1")
    vector = bench.catalogue.vector(bench.id_of(changed), "other-1")
    assert vector is not None
    assert bench.scan(model_name_or_path="other").missing == 1
    assert not bench.catalogue.is_behind("other-1")


def test_a_model_that_cannot_be_loaded_stops_everything_at_once(bench: Bench) -> None:
    bench.put("song.mp3")
    with pytest.raises(ModelError, match="not a model file"):
        bench.scan(model_name_or_path="broken")
    assert bench.catalogue.failures() == []


def test_what_another_scan_has_done_meanwhile_is_not_done_again(bench: Bench) -> None:
    for i in range(4):
        bench.put(f"{i}.mp3")
    bench.put("damaged.mp3")

    def other_scan() -> None:
        with Catalogue.open(bench.catalogue.path) as other:
            assert scan(other, [bench.music], model_name_or_path="fake", workers=0).analysed == 4

    report = bench.scan(on_progress=when_listening(other_scan))
    assert len(bench.heard) == 5  # all of them by the other one
    assert report.unchanged == 4
    assert [note.reason for note in report.failures] == ["only 1.0 s of it could be decoded"]


def test_known_content_that_is_pruned_during_the_scan_is_heard_again(bench: Bench) -> None:
    old = bench.put("old.mp3", "same")
    bench.scan()
    old.rename(bench.music / "new.mp3")
    report = bench.scan(on_progress=when_listening(bench.catalogue.prune))
    assert (report.analysed, bench.heard) == (1, ["new.mp3"])


def test_a_full_disk_stops_the_scan_and_loses_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(6):
        bench.put(f"{i}.mp3")
    record, stored = Catalogue.record, []

    def fill_up(self: Catalogue, analysis: Any, **rest: Any) -> Any:
        if len(stored) == 3:
            raise LibraryFullError("the disk is full")
        stored.append(analysis)
        return record(self, analysis, **rest)

    with monkeypatch.context() as patch:
        patch.setattr(Catalogue, "record", fill_up)
        with pytest.raises(LibraryFullError):
            bench.scan()
    assert len(bench.names()) == 3
    report = bench.scan()
    assert (report.unchanged, report.analysed, len(bench.heard)) == (3, 3, 3)


def test_no_room_for_the_plan_is_said(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.put("song.mp3")

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", lambda *_, **__: Full())
    with pytest.raises(LibraryFullError, match=r"cannot be written to .*: No space left on device"):
        bench.scan()


@pytest.mark.parametrize("options", [{"workers": -1}, {"time_limit": 0.0}, {"time_limit": math.nan}])
def test_impossible_options_are_refused(bench: Bench, options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="not"):
        bench.scan(**options)


def test_a_folder_that_does_not_exist_is_an_error(bench: Bench) -> None:
    with pytest.raises(InputError, match="must exist"):
        bench.scan(bench.music / "nowhere")


def test_progress_is_told_at_both_ends_and_not_too_often(bench: Bench) -> None:
    for i in range(60):
        bench.put(f"{i:02}/song.mp3")
    bench.put("damaged.mp3")
    told: list[ScanProgress] = []
    report = bench.scan(on_progress=told.append)
    looking = [p for p in told if p.phase == "looking"]
    listening = [p for p in told if p.phase == "listening"]
    assert looking[0].done == looking[0].total == 0
    assert looking[0].seconds_left is None
    assert (listening[0].done, listening[0].total) == (0, 61)
    assert (listening[-1].done, listening[-1].total, listening[-1].failures) == (61, 61, 1)
    assert listening[-1].seconds_left == 0
    assert [p.done for p in listening] == sorted(p.done for p in listening)
    assert len(told) <= 4 + report.seconds / 0.1


@pytest.mark.skipif(sys.platform != "linux", reason="only here may names be any bytes")
def test_names_that_are_not_utf8(bench: Bench) -> None:
    name = os.fsencode(bench.music) + b"/caf\xe9.mp3"
    with open(name, "wb") as file:  # noqa: PTH123 - the name is bytes
        file.write(b"music")
    assert bench.scan().analysed == 1
    assert bench.scan().unchanged == 1
    assert [os.fsencode(path) for path in bench.catalogue.columns().paths] == [name]


# --- with the real analysis, in real workers -------------------------------------------------------------------------


def write_wav(path: Path, *, frequency: float, seconds: float = 3.0, sr: int = 16000) -> None:
    time = np.arange(int(seconds * sr)) / sr
    y = np.sin(2 * np.pi * frequency * time) * (0.5 + 0.4 * np.sign(np.sin(2 * np.pi * 2 * time)))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sr)
        file.writeframes((y * 20000).astype("<i2").tobytes())


def add_title(path: Path, title: bytes) -> None:
    """Append a RIFF LIST INFO chunk, as taggers do."""
    info = b"INFOINAM" + struct.pack("<I", len(title)) + title
    content = bytearray(path.read_bytes() + b"LIST" + struct.pack("<I", len(info)) + info)
    content[4:8] = struct.pack("<I", len(content) - 8)
    path.write_bytes(content)


def test_real_files_through_real_workers(tmp_path: Path) -> None:
    music = tmp_path / "music"
    music.mkdir()
    for i in range(4):
        write_wav(music / f"{i}.wav", frequency=220.0 * (i + 1))
    (music / "empty.wav").write_bytes(b"")
    (music / "text.mp3").write_text("no music")
    with Catalogue.open(tmp_path / "library.db") as catalogue:
        report = scan(catalogue, [music], workers=2)
        assert report.analysed == 4
        assert {(note.path.name, note.kind) for note in report.failures} == {
            ("empty.wav", "empty"),
            ("text.mp3", "not-audio"),
        }
        before, vectors = catalogue.vectors(report.model_id)
        assert np.isfinite(vectors).all()
        generation = catalogue.generation()
        assert scan(catalogue, [music], workers=2).unchanged == 4
        assert catalogue.generation() == generation

        (music / "0.wav").rename(music / "moved.wav")
        add_title(music / "1.wav", b"Title\0")
        (music / "copy.wav").write_bytes((music / "2.wav").read_bytes())
        report = scan(catalogue, [music], workers=2)
        assert (report.moved, report.retagged, report.copied, report.unchanged) == (1, 1, 1, 2)
        assert report.analysed == 0
        after, same = catalogue.vectors(report.model_id)
        assert after.tolist()[:4] == before.tolist()
        np.testing.assert_array_equal(same[:4], vectors)
        (track,) = catalogue.search("Title")
        assert track.path == music / "1.wav"
