"""`soundkin radio`: a programme that begins near a song and drifts, artists spaced."""

from __future__ import annotations

from typing import Annotated

import typer

from soundkin.cli.options import (
    SEED_HELP,
    Count,
    Exclude,
    Json,
    Jspf,
    M3u,
    Only,
    Relative,
    Shared,
    Xspf,
)
from soundkin.cli.output import print_recommendations, write_playlists


def run(
    context: typer.Context,
    seed: Annotated[str, typer.Argument(metavar="SEED", help=SEED_HELP)],
    n: Count = 25,
    only: Only = None,
    exclude: Exclude = None,
    random_seed: Annotated[
        int | None, typer.Option("--random-seed", help="The same number gives the same programme again.")
    ] = None,
    as_json: Json = False,
    m3u: M3u = None,
    xspf: Xspf = None,
    jspf: Jspf = None,
    relative: Relative = True,
) -> None:
    """A programme of N songs that begins near SEED and drifts, with artists spaced; another one every time."""
    shared: Shared = context.obj
    with shared.ask() as library:
        song = library.seed(seed)
        found = library.radio(song, n=n, only=only or (), exclude=exclude or (), random_seed=random_seed)
        print_recommendations(found, n=n, as_json=as_json)
        write_playlists(found, title=f"Radio {song.track.title}", m3u=m3u, xspf=xspf, jspf=jspf, relative=relative)
