"""soundkin finds songs akin to the one you love, by listening to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from soundkin.library import Library

__version__ = "0.1.0.dev0"
__all__ = ["Library", "__version__"]


def __getattr__(name: str) -> Any:
    # loaded when asked for, so that `import soundkin` and `soundkin --help` load nothing heavy
    if name == "Library":
        from soundkin.library import Library

        return Library
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
