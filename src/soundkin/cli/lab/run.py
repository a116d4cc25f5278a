"""`soundkin lab run`: run an experiment into a folder with a report."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soundkin.cli.lab.options import Cache, Data, Workers, cache_folder
from soundkin.cli.output import plain

if TYPE_CHECKING:
    from soundkin.lab.fitting import Listener

_LINE_EVERY = 30.0  # s between two lines of detail where there is no terminal


def run(
    experiment: Annotated[str, typer.Argument(help="A name of `soundkin lab list`, or a TOML file.")],
    data: Data = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The run folder; a run that was stopped goes on in it. Default: runs/NAME."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto (CUDA where there is one), cpu, cuda, cuda:1, …")] = "auto",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change the experiment: epochs=3, seeds=[0], sizes.hidden=32, protocol=filtered, … Repeatable.",
        ),
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Another dataset than the experiment's.")] = None,
    protocol: Annotated[str | None, typer.Option(help="Another split protocol.")] = None,
    folds: Annotated[int | None, typer.Option(min=2, help="How many folds, for protocols that have folds.")] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="METHOD", help="Only this line of the table. Repeatable.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="One seed, fold and epoch: does it run?")] = False,
    cache: Cache = None,
    workers: Workers = None,
) -> None:
    """Run an experiment: every method, seed and fold, then a report. Stopped, it goes on where it was."""
    from soundkin.lab.experiment import load_experiment
    from soundkin.lab.runner import run_experiment

    overrides = list(settings or ())
    overrides += [f'{name}="{value}"' for name, value in (("dataset", dataset), ("protocol", protocol)) if value]
    overrides += [f"folds={folds}"] if folds else []
    chosen = load_experiment(experiment, overrides=overrides)
    folder = out or Path("runs") / (f"{chosen.name}-quick" if quick else chosen.name)
    with _listener() as listener:
        run_experiment(
            chosen,
            data=data,
            out=folder,
            device=device,
            only=only or (),
            quick=quick,
            cache=cache_folder(cache),
            workers=workers,
            listener=listener,
        )
    print(f"the report is {plain(folder / 'report.html')}")


@contextmanager
def _listener() -> Iterator[Listener]:
    """A progress bar on a terminal, a line a step elsewhere."""
    from soundkin.lab.fitting import Silence

    if not sys.stderr.isatty():
        said = time.monotonic()

        class Lines(Silence):
            def stage(self, text: str, *, total: int) -> None:
                print(plain(text), file=sys.stderr, flush=True)

            def step(self, text: str) -> None:
                print(plain(text), file=sys.stderr, flush=True)

            def detail(self, text: str) -> None:
                nonlocal said
                if time.monotonic() - said > _LINE_EVERY:
                    said = time.monotonic()
                    print(f"  {plain(text)}", file=sys.stderr, flush=True)

        yield Lines()
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[detail]}"), console=console, transient=True) as bar:
        task = bar.add_task("", total=None, detail="")

        class Bar(Silence):
            def stage(self, text: str, *, total: int) -> None:
                bar.reset(task, description=escape(plain(text)), total=total, detail="")

            def step(self, text: str) -> None:
                bar.advance(task)
                console.print(escape(plain(text)), highlight=False)

            def detail(self, text: str) -> None:
                bar.update(task, detail=escape(plain(text)))

        yield Bar()
