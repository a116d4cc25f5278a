"""Options that several commands have, declared once, and the library they lead to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from soundkin.library import Library


@dataclass(frozen=True, slots=True)
class Shared:
    """What was said before the command's name."""

    library: Path | None
    model: str

    def open(self, *, create: bool = False) -> Library:
        """Open the library that was named."""
        from soundkin.library import Library

        return Library.open(self.library, model=self.model, create=create)


SEED_HELP = "A song: its id, a file in or outside the library, or words of its title, artist or album."

Count = Annotated[int, typer.Option("-n", "--count", min=1, max=10_000, help="How many songs.")]
PerArtist = Annotated[int | None, typer.Option("--max-per-artist", min=1, help="At most so many songs of an artist.")]
PerAlbum = Annotated[int | None, typer.Option("--max-per-album", min=1, help="At most so many songs of an album.")]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="FIELD:VALUE",
        help="Only songs like this: genre:rock, artist:…, album:…, title:…, path:…, year:1970-1979, "
        "duration:2:00-6:00. Repeatable: one field twice is either, two fields are both.",
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="FIELD:VALUE", help="No songs like this, as for --only. Repeatable."),
]
NoDuplicates = Annotated[
    bool, typer.Option("--no-duplicates/--duplicates", help="Show a recording and its re-encodings once.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
M3u = Annotated[Path | None, typer.Option("--m3u", metavar="FILE", help="Also write an M3U8 playlist.")]
Xspf = Annotated[Path | None, typer.Option("--xspf", metavar="FILE", help="Also write an XSPF playlist.")]
Jspf = Annotated[Path | None, typer.Option("--jspf", metavar="FILE", help="Also write a JSPF playlist.")]
Relative = Annotated[
    bool, typer.Option("--relative/--absolute", help="Paths in M3U8: relative to the playlist, or absolute.")
]
