"""What runs behind the answers: one scan and one map at a time."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from soundkin.catalogue import absolute
from soundkin.errors import SoundkinError
from soundkin.progress import ScanProgress
from soundkin.scan import ScanReport
from soundkin.web.events import Broadcast
from soundkin.web.failures import INTERNAL, Refusal
from soundkin.web.mapping import MapJob
from soundkin.web.settings import is_loopback
from soundkin.web.state import State
from soundkin.workers import cores

_log = logging.getLogger(__name__)

END = 3.0
"""Seconds that a scan has to end when the service does; it looks up five times a second."""
_CHANGED_EVERY = 20.0  # s between two hints, during a scan, that there is something new
_NICENESS = 10  # workers step back for answers


class Jobs:
    """The jobs of one service; threads share it. `state.part(jobs_of)` has it."""

    def __init__(self, state: State) -> None:
        self.events = Broadcast()
        self.map = MapJob(state.library, self.events, stopping=state.stopping)
        self.last_report: dict[str, Any] | None = None
        """What the last scan of this service did, as the event `scan-ended` told it."""
        self._state = state
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._now: dict[str, Any] | None = None
        self._told_changed = 0.0

    @property
    def scanning(self) -> dict[str, Any] | None:
        """How far the scan is, as the event `scan` tells it; None while none runs."""
        return self._now

    def current(self) -> dict[str, dict[str, Any]]:
        """The events that somebody who begins to listen must know of."""
        found: dict[str, dict[str, Any]] = {"changed": {"generation": self._state.library.catalogue.generation()}}
        if self._now is not None:
            found["scan"] = self._now
        if self.map.state == "computing":
            found["map"] = self.map.told()
        return found

    # --- scanning ---

    def start_scan(self, folders: Sequence[str]) -> list[Path]:
        """Begin a scan of `folders`, all that the library knows if there are none; which folders those are.

        Raises Refusal for a folder that may not be scanned from a browser, and while a scan runs.
        """
        places = self._places(folders)
        with self._lock:
            if self._now is not None:
                raise Refusal(409, "scanning", "a scan runs already; wait for its end, or stop it first")
            self._stop.clear()
            self._told_changed = time.monotonic()
            self._tell_scan({"phase": "looking", "done": 0, "total": 0, "failures": 0, **_UNKNOWN})
            self._state.scanning = True
            self._thread = threading.Thread(target=self._scan, args=(places,), name="soundkin scan", daemon=True)
            self._thread.start()
        return places

    def stop_scan(self) -> bool:
        """Let the scan end with what it has; was there one?"""
        with self._lock:
            self._stop.set()
            return self._now is not None

    def close(self) -> None:
        """End the scan and the map; waits END seconds for the scan."""
        self._stop.set()
        self.map.close()
        if self._thread is not None:
            self._thread.join(END)

    @property
    def _local(self) -> bool:
        """Can only this computer reach the service, not by way of a proxy either?"""
        settings = self._state.settings
        return is_loopback(settings.host) and not settings.allowed_hosts and not settings.https

    def _places(self, folders: Sequence[str]) -> list[Path]:
        known = self._state.library.catalogue.folders()
        if not folders:
            if not known:
                raise Refusal(409, "empty-library", "the library knows no folder yet; name one that holds your music")
            return known
        places = [_whole(folder) for folder in folders]
        for place in places:
            inside = any(place.is_relative_to(folder) for folder in known)
            if not inside and not self._local:
                raise Refusal(
                    403,
                    "folder-not-known",
                    f"{place} is in no folder that the library knows, and a service that others can reach scans only "
                    f"those; add it on the computer itself with: soundkin scan {place}",
                )
            if not inside and not os.path.isdir(place):  # noqa: PTH112 - Path.is_dir raises for names that are too long
                raise Refusal(404, "no-folder", f"there is no folder {place} on the computer that soundkin runs on")
        return places

    def _scan(self, places: list[Path]) -> None:
        ended: dict[str, Any]
        try:
            report = self._state.library.scan(
                *places,
                workers=max(1, cores() - 1),
                on_progress=lambda now: self._tell_scan(_progress(now)),
                stop=lambda: self._stop.is_set() or self._state.stopping.is_set(),
                niceness=_NICENESS,
            )
            ended = _report(report)
        except SoundkinError as error:
            ended = {"error": str(error)}
        except Exception:
            _log.exception("a scan failed")
            ended = {"error": INTERNAL}
        if not self._state.stopping.is_set():
            self._bring_up_to_date()
        with self._lock:
            self.last_report, self._now, self._state.scanning = ended, None, False
        self.events.tell("scan-ended", ended)
        self._tell_changed()

    def _bring_up_to_date(self) -> None:
        """Read what is new before the page is told to ask for it, where the scan did not come to that."""
        try:
            self._state.library.refresh()
        except SoundkinError as error:
            _log.info("what answers could not be brought up to date: %s", error)

    def _tell_scan(self, now: dict[str, Any]) -> None:
        self._now = now
        self.events.tell("scan", now)
        if time.monotonic() - self._told_changed > _CHANGED_EVERY:
            self._tell_changed()

    def _tell_changed(self) -> None:
        self._told_changed = time.monotonic()
        self.events.tell("changed", {"generation": self._state.library.catalogue.generation()})


def _whole(folder: str) -> Path:
    path = os.path.expanduser(folder.strip())  # noqa: PTH111 (Path.expanduser raises for a home that is not known)
    if not os.path.isabs(path):  # noqa: PTH117
        raise Refusal(400, "bad-input", f"a folder is named by its whole path, such as /home/me/Music; not {folder!r}")
    return absolute(Path(path))


def jobs_of(state: State) -> Jobs:
    """The jobs of a service, made when they are first asked for."""
    return state.part(Jobs)


_UNKNOWN: dict[str, Any] = {"current": None, "rate": None, "eta": None}


def _progress(now: ScanProgress) -> dict[str, Any]:
    return {
        "phase": now.phase,
        "done": now.done,
        "total": now.total,
        "failures": now.failures,
        "current": None if now.current is None else shown(now.current),
        "rate": round(60 * now.rate, 1),
        "eta": None if now.seconds_left is None else round(now.seconds_left, 1),
    }


def _report(report: ScanReport) -> dict[str, Any]:
    counts = ("found", "analysed", "unchanged", "retagged", "moved", "copied", "returned", "reheard", "missing")
    return {
        "error": None,
        "stopped": report.stopped,
        **{name: getattr(report, name) for name in counts},
        "partial": len(report.partial),
        "failed": len(report.failures),
        "unreadable_folders": [shown(note.path) for note in report.unreadable_folders],
        "empty_folders": [shown(folder) for folder in report.empty_folders],
        "seconds": round(report.seconds, 1),
    }


def shown(path: Path) -> str:
    """A path as text that UTF-8 can carry."""
    return str(path).encode("utf-8", "replace").decode()
