"""Options that several commands of the lab have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path | None,
    typer.Option("--data", envvar="SOUNDKIN_DATA", help="Where the dataset lies.", show_default=False),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        envvar="SOUNDKIN_CACHE",
        help="Where representations are kept between runs. Default: in your cache folder.",
        show_default=False,
    ),
]
Workers = Annotated[int | None, typer.Option("--workers", "-j", min=0, help="Worker processes. Default: one a core.")]


def cache_folder(chosen: Path | None) -> Path:
    """The folder of representations."""
    import platformdirs

    return chosen or platformdirs.user_cache_path("soundkin", appauthor=False) / "lab"
