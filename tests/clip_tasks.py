"""What is computed of a file in tests of the cache; worker processes import it by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from soundkin.errors import TooShortError
from worker_tasks import misbehave


def first_bytes(path: Path, *, count: int = 4, log: Path | None = None) -> np.ndarray:
    """The first bytes of the file as float32; the file's name says how it ends. Calls are written to `log`."""
    if log is not None:
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{path.name}\n")
    misbehave(path.name)
    if "short" in path.name:
        raise TooShortError(path, "too short for anything")
    content = np.frombuffer(path.read_bytes(), np.uint8)[:count].astype(np.float64)
    if "nan" in path.name:
        content[0] = np.nan
    return content
