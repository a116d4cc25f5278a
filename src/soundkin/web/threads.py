"""Which work has which threads, so that one kind of it does not wait for another."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar

Result = TypeVar("Result")

ANSWERS = 3
"""Answers that are worked out at the same time: more only take Python's lock from one another, and all take longer."""


class Threads(Enum):
    """Threads beside those that answer; the value is how many there are."""

    FILES = 16
    """What looks at music files: their disk may be asleep, or dead."""
    MAKING = 2
    """What encodes sound, for as long as somebody listens."""


_LIMITERS: dict[Threads, RunVar[CapacityLimiter]] = {one: RunVar(one.name) for one in Threads}


def limit_answers() -> None:
    """Let this event loop work out ANSWERS at the same time, and no more."""
    to_thread.current_default_thread_limiter().total_tokens = ANSWERS


async def run_in(threads: Threads, function: Callable[..., Result], *args: object) -> Result:
    """What `function(*args)` gives in one of those threads."""
    limiter = _LIMITERS[threads].get(None)
    if limiter is None:
        limiter = CapacityLimiter(threads.value)
        _LIMITERS[threads].set(limiter)
    return await to_thread.run_sync(function, *args, limiter=limiter)
