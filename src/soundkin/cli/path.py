"""`soundkin path`: a playlist that leads from one song to another."""

from __future__ import annotations

from typing import Annotated

import typer

from soundkin.cli.options import (
    SEED_HELP,
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
    start: Annotated[str, typer.Argument(metavar="A", help=SEED_HELP)],
    end: Annotated[str, typer.Argument(metavar="B", help="Likewise, where it leads to.")],
    n: Annotated[int, typer.Option("-n", "--count", min=2, max=10_000, help="How many songs, A and B included.")] = 12,
    only: Only = None,
    exclude: Exclude = None,
    as_json: Json = False,
    m3u: M3u = None,
    xspf: Xspf = None,
    jspf: Jspf = None,
    relative: Relative = True,
) -> None:
    """A playlist of N songs that leads from A to B, in steps as even as the library allows.

    The figure in each row is its similarity to the row before.
    """
    shared: Shared = context.obj
    with shared.ask() as library:
        a, b = library.seed(start), library.seed(end)
        found = library.path(a, b, n=n, only=only or (), exclude=exclude or ())
        print_recommendations(found, n=n, as_json=as_json, similarity="to last")
        write_playlists(
            found, title=f"From {a.track.title} to {b.track.title}", m3u=m3u, xspf=xspf, jspf=jspf, relative=relative
        )
