"""`soundkin similar`: songs that sound like one or more songs."""

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
    NoDuplicates,
    Only,
    PerAlbum,
    PerArtist,
    Relative,
    Shared,
    Xspf,
)
from soundkin.cli.output import print_recommendations, write_playlists
from soundkin.errors import SeedError


def run(
    context: typer.Context,
    seeds: Annotated[list[str], typer.Argument(metavar="SEED…", help=SEED_HELP)],
    n: Count = 10,
    max_per_artist: PerArtist = None,
    max_per_album: PerAlbum = None,
    only: Only = None,
    exclude: Exclude = None,
    no_duplicates: NoDuplicates = True,
    as_json: Json = False,
    m3u: M3u = None,
    xspf: Xspf = None,
    jspf: Jspf = None,
    relative: Relative = True,
) -> None:
    """Songs that sound like SEED. With several seeds, songs that are like every one of them."""
    shared: Shared = context.obj
    with shared.ask() as library:
        try:
            songs = [library.seed(seed) for seed in seeds]
        except SeedError as error:
            if len(seeds) == 1:
                raise
            hint = f'each word was taken for a song; several words of one go in quotes: "{" ".join(seeds)}"'
            raise SeedError(f"{error}\n{hint}", candidates=error.candidates) from error
        found = library.similar(
            *songs,
            n=n,
            max_per_artist=max_per_artist,
            max_per_album=max_per_album,
            only=only or (),
            exclude=exclude or (),
            no_duplicates=no_duplicates,
        )
        print_recommendations(found, n=n, as_json=as_json)
        title = f"Like {', '.join(song.track.title for song in songs)}"
        write_playlists(found, title=title, m3u=m3u, xspf=xspf, jspf=jspf, relative=relative)
