"""`soundkin list`: the songs of the library, or those that words match."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from soundkin.cli.options import Json, Shared
from soundkin.cli.output import album_or_folder, clock, print_json, print_table, track_as_json


class Order(StrEnum):
    """What `--order` takes."""

    ID = "id"
    TITLE = "title"
    ARTIST = "artist"
    PATH = "path"
    DURATION = "duration"
    ADDED = "added"


def run(
    context: typer.Context,
    words: Annotated[
        list[str] | None, typer.Argument(help="Words of title, artist, album or file name.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="At most so many.")] = 50,
    offset: Annotated[int, typer.Option(min=0, help="Leave out the first so many; not with words.")] = 0,
    order: Annotated[Order, typer.Option(help="Not with words: best matches come first then.")] = Order.ARTIST,
    as_json: Json = False,
) -> None:
    """The songs of the library, or those that WORDS match."""
    shared: Shared = context.obj
    with shared.open() as library:
        catalogue = library.catalogue
        if words:
            tracks = catalogue.search(" ".join(words), limit=limit)
        else:
            tracks = catalogue.list_tracks(limit=limit, offset=offset, order=order)
        if len(tracks) == limit and limit < (total := catalogue.statistics().tracks):
            print(f"the first {limit:,}; the library has {total:,} songs (-n, --offset)", file=sys.stderr)
        elif words and not tracks:
            print(f"no song matches {' '.join(words)!r}", file=sys.stderr)
        if as_json:
            print_json([track_as_json(track) for track in tracks])
            return
        print_table(
            ("id", "title", "artist", "album", "genre", "length"),
            ((t.id, t.title, t.artist, album_or_folder(t), t.tags.genre, clock(t.duration)) for t in tracks),
            right=("id", "length"),
        )
