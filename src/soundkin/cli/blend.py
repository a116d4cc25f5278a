"""`soundkin blend`: songs like some songs and unlike others."""

from __future__ import annotations

from typing import Annotated

import typer

from soundkin.cli.options import (
    Count,
    Exclude,
    Json,
    Jspf,
    M3u,
    Only,
    PerAlbum,
    PerArtist,
    Relative,
    Shared,
    Xspf,
)
from soundkin.cli.output import print_recommendations, write_playlists


def run(
    context: typer.Context,
    like: Annotated[list[str], typer.Option("--like", metavar="SEED", help="A song they should be like. Repeatable.")],
    unlike: Annotated[
        list[str] | None, typer.Option("--unlike", metavar="SEED", help="A song they should be unlike. Repeatable.")
    ] = None,
    n: Count = 10,
    max_per_artist: PerArtist = None,
    max_per_album: PerAlbum = None,
    only: Only = None,
    exclude: Exclude = None,
    as_json: Json = False,
    m3u: M3u = None,
    xspf: Xspf = None,
    jspf: Jspf = None,
    relative: Relative = True,
) -> None:
    """Songs like every song of --like and unlike those of --unlike."""
    shared: Shared = context.obj
    with shared.ask() as library:
        likes = [library.seed(seed) for seed in like]
        unlikes = [library.seed(seed) for seed in unlike or ()]
        found = library.blend(
            likes,
            unlike=unlikes,
            n=n,
            max_per_artist=max_per_artist,
            max_per_album=max_per_album,
            only=only or (),
            exclude=exclude or (),
        )
        print_recommendations(found, n=n, as_json=as_json)
        title = f"Like {', '.join(song.track.title for song in likes)}"
        if unlikes:
            title += f", unlike {', '.join(song.track.title for song in unlikes)}"
        write_playlists(found, title=title, m3u=m3u, xspf=xspf, jspf=jspf, relative=relative)
