"""Options that several commands have, declared once, and the library they lead to."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soundkin.errors import InputError

if TYPE_CHECKING:
    from soundkin.library import Library


@dataclass(frozen=True, slots=True)
class Shared:
    """What was said before the command's name."""

    library: Path | None
    model: str | None
    model_from_environment: bool = False

    @property
    def hearing_model(self) -> str:
        """The model that hears what is new: the one that was named, or the default."""
        from soundkin.model import DEFAULT_MODEL

        return DEFAULT_MODEL if self.model is None else self.model

    def open(self, *, create: bool = False) -> Library:
        """Open the library that was named."""
        from soundkin.library import Library

        return Library.open(self.library, model=self.model, create=create)

    def ask(self) -> Library:
        """Open it to answer; says on stderr when another model than the default one still does."""
        library = self.open()
        try:
            if note := library.answering.note:
                print(note, file=sys.stderr)
        except BaseException:
            library.close()
            raise
        return library

    def with_model(self, model: str | None) -> Shared:
        """The same with the model that was named after the command. Raises InputError for two that differ."""
        if model is None:
            return self
        if self.model not in (None, model) and not self.model_from_environment:
            raise InputError(f"--model was given twice, {self.model} and {model}: which one?")
        return dataclasses.replace(self, model=model, model_from_environment=False)


MODEL_HELP = (
    "A built-in model, the path of an .onnx model file, or the id of a model that the library knows. Default: "
    "soundkin's own; `soundkin models` shows what there is."
)
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
        "duration:2:00-6:00, tag:jazz, 'tag:piano>0.3' (in quotes; also >= < <=). Repeatable: one field twice is "
        "either, two fields are both, and each tag is a field.",
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
