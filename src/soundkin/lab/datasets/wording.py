"""How a check words what it found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path


def some(items: Iterable[object], *, limit: int = 5) -> str:
    """The first few of many: 'a, b, c and 4 more'."""
    shown = [str(item) for item in items]
    more = len(shown) - limit
    # one more name is shorter than the words that leave it out
    return f"{', '.join(shown[:limit])} and {more} more" if more > 1 else ", ".join(shown)


def count(number: int, one: str, many: str | None = None) -> str:
    """'1 clip', '2 clips', '1,000 clips'."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def printable(path: Path | str) -> str:
    """A path with forward slashes that can be printed and stored: bytes that are no UTF-8 stand as escapes."""
    text = path.as_posix() if isinstance(path, Path) else path
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def listing(folder: Path, *, limit: int = 8) -> str:
    """What lies in a folder, for a message that says what was looked for there."""
    try:
        names: Sequence[str] = sorted(printable(path.name) for path in folder.iterdir() if path.name[0] != ".")
    except OSError as error:
        return f"it cannot be listed: {error.strerror or error}"
    return f"it holds {some(names, limit=limit)}" if names else "it is empty"
