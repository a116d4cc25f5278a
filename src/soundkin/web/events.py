"""What happens while the page is open, told to any number of listeners: Server-Sent Events.

A listener that is slow misses what has been overtaken, never what is newest, and costs no more memory than one message
of each kind.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool

MOST_LISTENERS = 100
"""Pages that may listen at once; browsers hold at most six connections to one address."""
_COMMENT_EVERY = 15.0  # s: proxies close a connection that says nothing for a minute
_GLANCE = 0.25  # s between two looks at whether the service ends


class Broadcast:
    """Tells what happens; any thread may tell, and each listener is in the event loop that it came from."""

    def __init__(self) -> None:
        self._listeners: set[_Listener] = set()
        self._lock = threading.Lock()

    def tell(self, event: str, data: Mapping[str, Any]) -> None:
        """Send `data` as the event of that name to whoever listens now."""
        message = f"event: {event}\ndata: {json.dumps(data, ensure_ascii=True)}\n\n"
        with self._lock:
            for listener in self._listeners:
                listener.put(event, message)

    def __len__(self) -> int:
        return len(self._listeners)

    async def listen(
        self, *, first: Callable[[], Mapping[str, Mapping[str, Any]]], stop: Callable[[], bool]
    ) -> AsyncIterator[str]:
        """The stream of a new listener, until `stop` says yes; `first` gives the events that it begins with."""
        listener = _Listener(asyncio.get_running_loop())
        with self._lock:
            self._listeners.add(listener)
        try:
            yield ": welcome\n\n"  # whatever stands between must pass the headers on
            for event, data in (await run_in_threadpool(first)).items():
                yield f"event: {event}\ndata: {json.dumps(data)}\n\n"
            quiet = 0.0
            while not stop():
                messages = await listener.take(_GLANCE)
                quiet = 0.0 if messages else quiet + _GLANCE
                if quiet >= _COMMENT_EVERY:
                    messages, quiet = [": still here\n\n"], 0.0
                for message in messages:
                    yield message
        finally:
            with self._lock:
                self._listeners.discard(listener)


class _Listener:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[str, str] = {}  # the newest message of each event
        self._something = asyncio.Event()
        self._lock = threading.Lock()

    def put(self, event: str, message: str) -> None:
        with self._lock:
            self._waiting.pop(event, None)
            self._waiting[event] = message
        with contextlib.suppress(RuntimeError):  # the loop has ended, and the listener with it
            self._loop.call_soon_threadsafe(self._something.set)

    async def take(self, seconds: float) -> list[str]:
        """What has come, waiting so long for something to come."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._something.wait(), seconds)
        self._something.clear()
        with self._lock:
            messages, self._waiting = list(self._waiting.values()), {}
        return messages
