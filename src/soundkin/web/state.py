"""What the routes share: the library, the settings, and the parts that live as long as the application."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends, Request

from soundkin.errors import SeedError
from soundkin.library import Library
from soundkin.seeds import Seed
from soundkin.web.settings import Settings

Part = TypeVar("Part")


class State:
    """One for each application; threads share it."""

    def __init__(self, library: Library, settings: Settings) -> None:
        self.library = library
        self.settings = settings
        self.asked = Asked()
        self.stopping = threading.Event()
        """Set when the service is to end: whatever waits or streams without end looks at it."""
        self.scanning = False
        """Does a scan run? Set by whoever runs it."""
        self._parts: dict[object, Any] = {}
        self._lock = threading.RLock()

    def part(self, make: Callable[[State], Part]) -> Part:
        """The one `make(state)` of this application, made when it is first asked for.

        If it has a method `close()`, that is called when the application ends.
        """
        with self._lock:
            if make not in self._parts:
                self._parts[make] = make(self)
            return cast(Part, self._parts[make])

    def close(self) -> None:
        """Close the parts, the last made first; the library stays open, for it belongs to whoever opened it."""
        self.stopping.set()
        with self._lock:
            parts, self._parts = list(self._parts.values()), {}
        for part in reversed(parts):
            close = getattr(part, "close", None)
            if close is not None:
                close()


class Asked:
    """Songs from outside the library that were asked about: seeds by token, in memory, a few and for a while."""

    def __init__(self, *, most: int = 64, seconds: float = 30 * 60) -> None:
        self._most, self._seconds = most, seconds
        self._seeds: OrderedDict[str, tuple[float, Seed]] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, seed: Seed) -> str:
        """Keep `seed`; the token that it can be named by, as the seed `ask:TOKEN`."""
        token = secrets.token_urlsafe(16)
        with self._lock:
            self._forget_old()
            while len(self._seeds) >= self._most:
                self._seeds.popitem(last=False)
            self._seeds[token] = (time.monotonic() + self._seconds, seed)
        return token

    def get(self, token: str) -> Seed:
        """The seed of `token`, which is kept anew. Raises SeedError when it is not known, or no longer."""
        with self._lock:
            self._forget_old()
            kept = self._seeds.pop(token, None)
            if kept is None:
                raise SeedError("that file is no longer remembered; ask about it again")
            self._seeds[token] = (time.monotonic() + self._seconds, kept[1])
        return kept[1]

    def _forget_old(self) -> None:
        now = time.monotonic()
        while self._seeds and next(iter(self._seeds.values()))[0] < now:
            self._seeds.popitem(last=False)


def get_state(request: Request) -> State:
    """The state of the application that a request came to; for routes, as `StateOf`."""
    return cast(State, request.app.state.soundkin)


StateOf = Annotated[State, Depends(get_state)]
