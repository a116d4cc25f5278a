"""`soundkin scan`: bring the library up to date with folders of music."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from soundkin.cli.options import MODEL_HELP, Shared
from soundkin.cli.output import clock, counted, plain

if TYPE_CHECKING:
    from soundkin.progress import ScanProgress
    from soundkin.scan import FileNote, ScanReport

_SHOWN = 20  # failures printed at the end; `soundkin failures` shows all
_LINE_EVERY = 10.0  # s between two lines of progress where there is no terminal


def run(
    context: typer.Context,
    folders: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders of music, or single files. Default: those of earlier scans.", show_default=False),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", "-j", min=0, help="Worker processes. Default: one a core.")
    ] = None,
    excerpts: Annotated[
        str | None,
        typer.Option(
            help="How much of each new track is heard: COUNTxSECONDS, or 'whole'. Default: the model's choice. "
            "Tracks heard before are not heard again."
        ),
    ] = None,
    time_limit: Annotated[float, typer.Option(min=1, help="Seconds one track may take before it is given up.")] = 120.0,
    retry_failed: Annotated[bool, typer.Option(help="Try files again that failed before.")] = False,
    model: Annotated[str | None, typer.Option("--model", help=MODEL_HELP, show_default=False)] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object a line: progress, then a report.")
    ] = False,
) -> int:
    """Listen to what is new in folders of music, and remember it.

    Unchanged files are skipped; moved, renamed and retagged ones keep their analysis. With a model that has not heard
    the whole library yet, it hears what is new first, then the rest. It may be stopped at any time: the next scan goes
    on from there. Exit code: 0 all well, 3 some files failed, 1 nothing could be analysed.
    """
    from soundkin.errors import InputError
    from soundkin.excerpts import ExcerptPlan

    shared: Shared = context.obj.with_model(model)
    plan = ExcerptPlan.parse(excerpts) if excerpts is not None else None
    with shared.open(create=True) as library:
        places = folders or library.catalogue.folders()
        if not places:
            raise InputError("which folder? Nothing was scanned before: soundkin scan ~/Music")
        with _progress(as_json=as_json) as on_progress:
            report = library.scan(
                *places,
                workers=workers,
                excerpts=plan,
                time_limit=time_limit,
                retry_failed=retry_failed,
                on_progress=on_progress,
            )
        _print_report(report, as_json=as_json)
        if report.found and (note := library.answering.note):
            print(note, file=sys.stderr)
    if report.failures or report.unreadable_folders:
        return 3 if report.in_library else 1
    return 0 if report.found else 1


@contextmanager
def _progress(*, as_json: bool) -> Iterator[Callable[[ScanProgress], None]]:
    if as_json:
        yield lambda now: print(json.dumps({"event": "progress", **_as_json(now)}), flush=True)
    elif sys.stderr.isatty():
        with _bar() as show:
            yield show
    else:
        yield _lines()


def _as_json(now: ScanProgress) -> dict[str, Any]:
    return {
        "phase": now.phase,
        "done": now.done,
        "total": now.total,
        "failures": now.failures,
        "seconds": round(now.seconds, 1),
        "seconds_left": None if now.seconds_left is None else round(now.seconds_left, 1),
        "current": None if now.current is None else str(now.current),
    }


def _lines() -> Callable[[ScanProgress], None]:
    """Plain lines: at both ends, and now and then between."""
    told_at, told = 0.0, ("", 0)

    def show(now: ScanProgress) -> None:
        nonlocal told_at, told
        here = (now.phase, now.done)
        finished = now.phase != "looking" and now.done >= now.total
        begun = not told[0] or (now.phase != told[0] and now.phase == "listening again")
        if here != told and now.total and (finished or begun or time.monotonic() - told_at >= _LINE_EVERY):
            told_at, told = time.monotonic(), here
            print(_sentence(now), file=sys.stderr, flush=True)

    return show


def _sentence(now: ScanProgress) -> str:
    if now.phase == "looking":
        return f"looking: {counted(now.done, 'file')} found, {now.total:,} to listen to"
    left = "" if now.seconds_left is None else f", {clock(now.seconds_left)} left"
    failed = f", {now.failures:,} failed" if now.failures else ""
    what = "listening" if now.phase == "listening" else "listening again, with the new model"
    return f"{what}: {now.done:,} of {now.total:,}, {60 * now.rate:,.0f} a minute{left}{failed}"


@contextmanager
def _bar() -> Iterator[Callable[[ScanProgress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task("looking", total=None)

        def show(now: ScanProgress) -> None:
            total = None if now.phase == "looking" else now.total
            bar.update(task, description=_sentence(now), total=total, completed=now.done if total else 0)

        yield show


def _print_report(report: ScanReport, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"event": "report", **report_as_json(report)}), flush=True)
        return
    counts = {
        "analysed": report.analysed,
        "heard again": report.reheard,
        "unchanged": report.unchanged + report.returned,
        "moved": report.moved,
        "retagged": report.retagged,
        "exact copies" if report.copied != 1 else "exact copy": report.copied,
        "partial": len(report.partial),
        "missing": report.missing,
        "failed": len(report.failures),
    }
    always = ("analysed", "unchanged", "moved", "partial", "failed")
    told = ", ".join(f"{number:,} {name}" for name, number in counts.items() if number or name in always)
    print(f"{counted(report.found, 'file')} in {clock(report.seconds)}: {told}")
    _print_notes("only a part could be used", report.partial)
    _print_notes("failed", report.failures)
    _print_notes("folders that cannot be read", report.unreadable_folders)
    for folder in report.empty_folders:
        print(
            f"no audio files in {plain(folder)}: is it still there, and the disk mounted? `soundkin prune` forgets it"
        )
    if report.missing:
        print("missing files no longer appear in answers; `soundkin prune` forgets them")


def _print_notes(heading: str, notes: tuple[FileNote, ...]) -> None:
    if not notes:
        return
    print(f"{heading}:")
    for note in notes[:_SHOWN]:
        print(f"  {plain(note.path)}: {plain(note.reason)}")
    if len(notes) > _SHOWN:
        print(f"  … and {len(notes) - _SHOWN:,} more (`soundkin failures` lists what failed)")


def report_as_json(report: ScanReport) -> dict[str, Any]:
    """A ScanReport as plain values."""

    def notes(some: tuple[FileNote, ...]) -> list[dict[str, str]]:
        return [{"path": str(note.path), "kind": note.kind, "reason": note.reason} for note in some]

    return {
        "model": report.model_id,
        "found": report.found,
        "analysed": report.analysed,
        "unchanged": report.unchanged,
        "retagged": report.retagged,
        "moved": report.moved,
        "copied": report.copied,
        "returned": report.returned,
        "reheard": report.reheard,
        "missing": report.missing,
        "partial": notes(report.partial),
        "failures": notes(report.failures),
        "unreadable_folders": notes(report.unreadable_folders),
        "empty_folders": [str(folder) for folder in report.empty_folders],
        "seconds": round(report.seconds, 2),
    }
