"""A scan that is told to stop: it ends at once, what it stored stays, and nothing counts as gone."""

from __future__ import annotations

import importlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import fake_analysis
from soundkin.catalogue import Catalogue
from soundkin.progress import ScanProgress
from soundkin.scan import scan
from soundkin.workers import run_in_workers
from worker_tasks import do, make_context

scan_module = importlib.import_module("soundkin.scan")


@pytest.fixture
def music(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    for name in ("a/1.mp3", "b/2.mp3", "c/3.mp3"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def library(tmp_path: Path, fake_hearing: Path) -> Iterator[Catalogue]:
    with Catalogue.open(tmp_path / "library.db") as catalogue:
        yield catalogue


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stopped_scan_keeps_what_it_has_and_the_next_goes_on(library: Catalogue, music: Path, workers: int) -> None:
    def stored_one() -> bool:
        return library.statistics().tracks >= 1

    report = scan(library, music, model_name_or_path="fake", workers=workers, stop=stored_one)
    assert report.stopped and report.found == 3
    assert 1 <= report.analysed < 3 and library.statistics().tracks == report.analysed
    again = scan(library, music, model_name_or_path="fake", workers=workers)
    assert not again.stopped and again.analysed == 3 - report.analysed
    assert library.statistics().tracks == 3 and library.check() == []


def test_a_scan_stopped_while_it_looks_takes_nothing_for_gone(library: Catalogue, music: Path) -> None:
    scan(library, music, model_name_or_path="fake", workers=0)
    looked: list[ScanProgress] = []
    report = scan(
        library, music, model_name_or_path="fake", workers=0, on_progress=looked.append, stop=lambda: len(looked) > 0
    )
    assert report.stopped and report.missing == 0
    assert library.statistics().tracks == 3 and library.statistics().missing == 0


def test_a_decoder_that_hangs_does_not_hold_up_the_end(library: Catalogue, music: Path, tmp_path: Path) -> None:
    (music / "hang.mp3").write_text("hang")
    log = tmp_path / "heard.log"
    began: list[float] = []

    def hangs() -> bool:
        if not began and log.exists() and "hang.mp3" in log.read_text():
            began.append(time.monotonic())
        return bool(began)

    report = scan(library, music, model_name_or_path="fake", workers=1, stop=hangs)
    assert time.monotonic() - began[0] < 5
    assert report.stopped and report.failures == ()
    pids = {int(line.split()[0]) for line in log.read_text().splitlines()}
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_hearing_again_is_stopped_too(library: Catalogue, music: Path) -> None:
    scan(library, music, model_name_or_path="fake", workers=0)
    phases: list[str] = []
    report = scan(
        library,
        music,
        model_name_or_path="other",
        workers=0,
        on_progress=lambda now: phases.append(now.phase),
        stop=lambda: "listening again" in phases,
    )
    assert report.stopped and report.reheard == 0
    assert scan(library, music, model_name_or_path="other", workers=0).reheard == 3


@pytest.mark.skipif(not hasattr(os, "nice"), reason="processes have no niceness there")
def test_workers_step_back(library: Catalogue, music: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.nice(0)
    scan(library, music, model_name_or_path="fake", workers=0, niceness=3)
    assert os.nice(0) == before  # that would be everything this process does
    library.mark_missing([1])
    assert list(run_in_workers(niceness_of, [1], workers=1, time_limit=60, setup=nicer)) == [(1, min(19, before + 3))]


def nicer() -> None:
    scan_module._make_listener(fake_analysis.analyse, fake_analysis.load_model, "fake", None, 3, ())


def niceness_of(context: None, task: int) -> int:
    return os.nice(0)


def test_workers_that_are_told_to_stop_end_within_a_glance() -> None:
    stop = threading.Event()
    threading.Timer(2.0, stop.set).start()
    began = time.monotonic()
    found = run_in_workers(do, ["hang"], workers=1, time_limit=60, setup=make_context, stop=stop.is_set)
    assert list(found) == [] and time.monotonic() - began < 20
