"""How far a scan is: what its progress bar shows."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Phase = Literal["looking", "listening", "listening again"]
"""'listening again' is to what the library knows already, with a model that has not heard it."""
_INTERVAL = 0.1  # s between two calls


@dataclass(frozen=True, slots=True)
class ScanProgress:
    """How far a scan is."""

    phase: Phase
    done: int
    """Files found, while looking; tracks dealt with, while listening (again)."""
    total: int
    """Tracks to listen to; grows while looking."""
    failures: int
    seconds: float
    """Since the phase began."""
    current: Path | None
    """The folder looked into, or the track that was last heard."""

    @property
    def rate(self) -> float:
        """`done` per second."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds until everything is heard, at the rate so far; None while that cannot be told."""
        if self.phase == "looking" or not self.done:
            return None
        return (self.total - self.done) / self.rate if self.rate else None


class ProgressMeter:
    """Calls `on_progress`, not too often."""

    def __init__(self, on_progress: Callable[[ScanProgress], None] | None) -> None:
        self._on_progress = on_progress
        self._phase: Phase = "looking"
        self.total = 0
        self._done = self._failures = 0
        self._began = self._told = 0.0

    def begin(self, phase: Phase, total: int) -> None:
        self._phase, self.total, self._done = phase, total, 0
        self._began = time.monotonic()
        self._call(None)

    def tell(self, more: int, *, current: Path, failures: int) -> None:
        self._done += more
        self._failures = failures
        if time.monotonic() - self._told >= _INTERVAL:
            self._call(current)

    def end(self) -> None:
        self._call(None)

    def _call(self, current: Path | None) -> None:
        self._told = time.monotonic()
        if self._on_progress is not None:
            spent = self._told - self._began
            self._on_progress(ScanProgress(self._phase, self._done, self.total, self._failures, spent, current))
