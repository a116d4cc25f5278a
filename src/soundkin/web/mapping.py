"""Making the map behind the answers, in a process of its own: it takes minutes, and would hold Python's lock."""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from soundkin.errors import SoundkinError
from soundkin.library import Library
from soundkin.web.events import Broadcast
from soundkin.web.failures import INTERNAL
from soundkin.workers import end_with_parent, inherited

_log = logging.getLogger(__name__)

MapState = Literal["none", "computing", "ready"]
_NICENESS = 10  # the process steps back for answers
_GLANCE = 0.2  # s between two looks at whether to stop


class MapJob:
    """The map of the model that answers: whether it is there, and its making. Threads share it."""

    def __init__(self, library: Library, events: Broadcast, *, stopping: threading.Event) -> None:
        self.error: str | None = None
        """Why the last making failed."""
        self._library, self._events, self._stopping = library, events, stopping
        self._progress: float | None = None  # None: none is being made
        self._closed = False
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def state(self) -> MapState:
        """Is there a map, or is one being made?"""
        if self._progress is not None:
            return "computing"
        return "none" if self._library.map_outline() is None else "ready"

    def told(self) -> dict[str, Any]:
        """The event `map`, as things are now."""
        computing = self._progress
        return {"state": self.state, "progress": 0.0 if computing is None else computing, "error": self.error}

    def start(self) -> None:
        """Make the map, if it is not being made already. Raises EmptyLibraryError where nothing has been heard."""
        self._library.index()
        with self._lock:
            if self._progress is None and not self._closed:
                self._progress, self.error = 0.0, None
                self._thread = threading.Thread(target=self._make, name="soundkin map", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End the making; the map that was there stays."""
        self._closed = True
        if self._thread is not None:
            self._thread.join(2.0)

    def _make(self) -> None:
        try:
            self._library.refresh()  # kept in files, which the process reads
            self.error = self._watch()
        except SoundkinError as error:
            self.error = str(error)
        except Exception:
            _log.exception("the map could not be made")
            self.error = INTERNAL
        self._progress = None
        self._events.tell("map", self.told())

    def _watch(self) -> str | None:
        """Let the process make the map, and tell how far it is; why it failed, or None."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        orders = (theirs, self._library.catalogue.path, self._library.model.id, _NICENESS)
        process = context.Process(target=_work, args=orders, name="soundkin map", daemon=True)
        with inherited():
            process.start()
        theirs.close()
        try:
            while not self._closed and not self._stopping.is_set():
                if not ours.poll(_GLANCE):
                    continue
                message, content = ours.recv()
                if message != "progress":
                    return None if message == "done" else str(content)
                self._progress = round(float(content), 3)
                self._events.tell("map", self.told())
            return "it was ended with the service"
        except EOFError:
            process.join(1.0)
            raise RuntimeError(f"the process that makes the map ended with {process.exitcode}") from None
        finally:
            process.kill()
            process.join(1.0)
            ours.close()


def _work(pipe: Connection, path: Path, model_id: str, niceness: int) -> None:
    """In the process: make the map, keep it in the library, and say so."""
    from soundkin.songmap import make_map

    threading.Thread(target=end_with_parent, daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(niceness)
    told = 0.0

    def tell(share: float) -> None:
        nonlocal told
        if share >= told + 0.005:
            told = share
            pipe.send(("progress", share))

    try:
        with Library.open(path, model=model_id, create=False) as library:
            make_map(library.catalogue, library.index(), on_progress=tell)
        pipe.send(("done", None))
    except SoundkinError as error:
        pipe.send(("failed", str(error)))
