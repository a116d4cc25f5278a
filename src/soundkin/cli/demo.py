"""`soundkin demo`: compose a small library of music, for those without any at hand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from soundkin.cli.output import counted, plain


def run(
    folder: Annotated[Path, typer.Argument(help="Where the files go; it is made if it is not there.")],
    seed: Annotated[int, typer.Option(help="Another number gives other pieces.")] = 7,
) -> None:
    """Compose a demo library: 60 short pieces in ten styles, tagged, in mixed formats."""
    from soundkin.demo import compose

    def show(done: int, total: int) -> None:
        if sys.stderr.isatty():
            print(f"\rcomposing {done} of {total}", end="\n" if done == total else "", file=sys.stderr, flush=True)

    files = compose(folder, seed=seed, on_progress=show)
    print(f"composed {counted(len(files), 'piece')} in {plain(folder)}; next: soundkin scan {plain(folder)}")
