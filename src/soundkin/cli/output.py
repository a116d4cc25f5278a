"""What commands print: tables for people, tab-separated lines for pipes, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from soundkin.catalogue import Track
    from soundkin.recommend import Recommendation


def plain(value: object) -> str:
    """Text of a tag or file name that is safe on a terminal: one line, control characters as escapes."""
    text = "" if value is None else str(value)
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def clock(seconds: float) -> str:
    """'3:07', '1:02:03'."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def counted(number: int, noun: str) -> str:
    """'1 file', '1,234 files'."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def print_json(value: object) -> None:
    """One JSON document on one or more lines; file names that are not UTF-8 keep their odd bytes as escapes."""
    print(json.dumps(value, indent=2, ensure_ascii=True))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> None:
    """A table on a terminal; in a pipe one line a row, fields separated by tabs, without a heading."""
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(plain(value) for value in row))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="ellipsis", no_wrap=name in right)
    for row in rows:
        table.add_row(*(Text(plain(value)) for value in row))  # Text: tags are not markup
    Console().print(table)


def album_or_folder(track: Track) -> str:
    """The album, or the folder in brackets for a file that names none: something must tell `track01` from `track01`."""
    return track.album or f"[{track.path.parent.name}]"


def track_as_json(track: Track) -> dict[str, Any]:
    """A track as the JSON outputs show it."""
    return {
        "id": track.id,
        "path": str(track.path),
        "title": track.title,
        "artist": track.artist,
        "album": track.album,
        "genre": track.tags.genre,
        "year": track.tags.year,
        "duration": round(track.duration, 2),
        "partial": track.partial,
    }


def print_recommendations(found: Sequence[Recommendation], *, n: int, as_json: bool, similarity: str = "match") -> None:
    """Rank, similarity, song and reason of each; on stderr, when there are fewer than the `n` asked for.

    `similarity` heads the column: to what it is depends on the question.
    """
    if len(found) < n:
        print(f"only {counted(len(found), 'song')} of {n}: the library has no more that fit", file=sys.stderr)
    if as_json:
        rows = [
            {
                "rank": one.rank,
                "similarity": round(one.similarity, 4),
                "reason": one.reason,
                "passages": one.passages and [round(start, 2) for start in one.passages],
                "track": track_as_json(one.track),
            }
            for one in found
        ]
        print_json(rows)
        return
    names = ("#", similarity, "title", "artist", "album", "why", "id")
    print_table(
        names,
        (
            (
                one.rank,
                f"{one.similarity:.2f}",
                one.track.title,
                one.track.artist,
                album_or_folder(one.track),
                one.reason,
                one.track.id,
            )
            for one in found
        ),
        right=("#", similarity, "id"),
    )


def write_playlists(
    found: Sequence[Recommendation],
    *,
    title: str,
    m3u: Path | None,
    xspf: Path | None,
    jspf: Path | None,
    relative: bool,
) -> None:
    """Write the playlist files that were asked for, and say so on stderr."""
    from soundkin.playlist import write_playlist

    tracks = [one.track for one in found]
    for path, kind in ((m3u, "m3u8"), (xspf, "xspf"), (jspf, "jspf")):
        if path is not None:
            path = path.expanduser()
            write_playlist(path, tracks, title=title, relative=relative, format=kind)
            print(f"wrote {counted(len(tracks), 'song')} to {plain(path)}", file=sys.stderr)
