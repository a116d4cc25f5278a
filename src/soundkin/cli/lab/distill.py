"""`soundkin lab distill`: teach a small network what several published ones know."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from soundkin.cli.lab.options import Workers
from soundkin.cli.output import plain
from soundkin.errors import InputError

_LINE_EVERY = 30.0  # s between two lines that say how far it is


def run(
    recipe: Annotated[str, typer.Argument(help="`soundkin`, `quick`, or a TOML file; docs/model.md explains them.")],
    material: Annotated[
        list[str],
        typer.Option("--material", metavar="NAME=DIR", help="The folder of one of the recipe's materials. Repeatable."),
    ],
    teachers: Annotated[
        Path, typer.Option("--teachers", metavar="DIR", help="Where the teachers' weights lie: NAME.pth for each.")
    ],
    hold_out: Annotated[
        list[str] | None,
        typer.Option(
            "--hold-out",
            metavar="NAME",
            help="An album's folder, or a file without suffix, that is not learned from, though the teachers have "
            "heard it. Repeatable.",
        ),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--start",
            metavar="FILE",
            help="A model file of an earlier run whose weights the student begins with.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The run folder; a run that was stopped goes on in it. Default: runs/distil-NAME."),
    ] = None,
    targets: Annotated[
        Path | None,
        typer.Option(
            help="Where the teachers' answers are kept, for several runs on the same material. Default: in the run "
            "folder.",
            show_default=False,
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Where spectrograms are kept, likewise. Default: in the run folder.", show_default=False),
    ] = None,
    device: Annotated[str, typer.Option(help="auto (CUDA where there is one), cpu, cuda, cuda:1, …")] = "auto",
    exact: Annotated[
        bool,
        typer.Option(
            "--exact", help="Ask the teachers in single precision and without compiling them: slower, and 1 % nearer."
        ),
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change the recipe: student.epochs=3, passages=512. Repeatable."
        ),
    ] = None,
    workers: Workers = None,
) -> None:
    """Distil published taggers into one small model file, from audio without labels.

    Stopped and started again, it goes on where it was.
    """
    from soundkin.lab.distill.distillation import Listener, distil
    from soundkin.lab.distill.recipe import load_recipe
    from soundkin.lab.training import find_device

    folders: dict[str, Path] = {}
    for one in material:
        name, separator, folder = one.partition("=")
        if not separator or not folder:
            raise InputError(f"--material takes NAME=DIR, not {one!r}")
        if name in folders:
            raise InputError(f"--material {name}: given twice, as {folders[name]} and {folder}")
        folders[name] = Path(folder).expanduser()  # which not every shell does after an equals sign
    chosen = load_recipe(recipe, overrides=settings or ())
    said = 0.0

    def say(line: str) -> None:
        print(plain(line), file=sys.stderr, flush=True)

    def count(what: str, done: int, total: int) -> None:
        nonlocal said
        if done == total or time.monotonic() - said > _LINE_EVERY:
            said = time.monotonic()
            say(f"{what}: {done} of {total}")

    done = distil(
        chosen,
        material=folders,
        teachers=teachers,
        hold_out=hold_out or (),
        start=start,
        out=out or Path("runs") / f"distil-{chosen.name}",
        targets=targets,
        cache=cache,
        device=str(find_device(device)),
        exact=exact,
        workers=workers,
        listener=Listener(say, count),
    )
    print(f"wrote {plain(done.path)}: {plain(done.model_id)}, {done.megabytes:.2f} MB")
    print(f"next: soundkin --model {plain(done.path)} scan ~/Music")
