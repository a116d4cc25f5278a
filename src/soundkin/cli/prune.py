"""`soundkin prune`: forget songs whose files are gone."""

from __future__ import annotations

from typing import Annotated

import typer

from soundkin.cli.options import Shared
from soundkin.cli.output import counted, plain

_SHOWN = 10


def run(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Forget songs whose files were gone at the last scan, after showing how many there are.

    Until then they are only left out of answers, and a file that comes back keeps its analysis.
    """
    shared: Shared = context.obj
    with shared.open() as library:
        missing = library.catalogue.missing_tracks()
        if not missing:
            print("no file is missing: nothing to forget")
            return
        for track in missing[:_SHOWN]:
            print(f"  {plain(track.path)}")
        if len(missing) > _SHOWN:
            print(f"  … and {len(missing) - _SHOWN:,} more")
        if not yes:
            typer.confirm(f"Forget {counted(len(missing), 'missing song')} and what was heard of them?", abort=True)
        print(f"forgot {counted(library.catalogue.prune(), 'song')}")
