"""Values that are costly to make and belong to one state of the library: kept, and made anew when it changes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")

_log = logging.getLogger(__name__)


class Fresh(Generic[Value]):
    """One such value; threads share it, and it is made once however many of them ask."""

    def __init__(self) -> None:
        self._kept: tuple[Hashable, Value] | None = None
        self._tried = 0.0  # when it was last made, or that was tried …
        self._took = 0.0  # … and the seconds that it took
        self._making = threading.RLock()
        self._behind: threading.Thread | None = None

    @property
    def made(self) -> bool:
        """Was it ever asked for?"""
        return self._kept is not None

    @property
    def last(self) -> Value | None:
        """As it was made last, in whatever state; None before the first time."""
        return None if self._kept is None else self._kept[1]

    def get(
        self,
        state: Hashable,
        make: Callable[[], Value],
        *,
        patience: float = 0.0,
        usable: Callable[[Value], bool] = lambda _: True,
    ) -> Value:
        """The value as `make()` gives it in `state`, which is kept until another state is asked for.

        With `patience`, one of an earlier state that is still `usable` answers meanwhile, and a thread makes the new
        one: at most every `patience` seconds, and for a tenth of the time, since a scan changes the state with every
        file.
        """
        kept = self._kept
        if kept is not None and kept[0] == state:
            return kept[1]
        if kept is not None and patience > 0 and usable(kept[1]):
            self._make_behind(state, make, patience)
            return kept[1]
        return self._make(state, make)

    def _make(self, state: Hashable, make: Callable[[], Value]) -> Value:
        with self._making:
            kept = self._kept
            if kept is None or kept[0] != state:
                began = time.monotonic()
                try:
                    kept = self._kept = (state, make())
                finally:
                    self._tried = time.monotonic()
                    self._took = self._tried - began
        return kept[1]

    def _make_behind(self, state: Hashable, make: Callable[[], Value], patience: float) -> None:
        if time.monotonic() - self._tried < max(patience, 9 * self._took) or not self._making.acquire(blocking=False):
            return
        try:
            if self._behind is None or not self._behind.is_alive():
                self._behind = threading.Thread(target=self._try, args=(state, make), name="fresh", daemon=True)
                self._behind.start()
        finally:
            self._making.release()

    def _try(self, state: Hashable, make: Callable[[], Value]) -> None:
        try:
            self._make(state, make)
        except Exception:  # the old value goes on answering, and the next question tries again
            _log.warning("what answers could not be brought up to date", exc_info=True)
