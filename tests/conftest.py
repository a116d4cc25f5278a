"""Fixtures shared by the tests of listening."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from sound import FORMATS, music

# Two processes that compile the same function into one cache at a time have crashed: each gets its own.
if "PYTEST_XDIST_WORKER" in os.environ:
    cache = Path(__file__).parents[1] / ".pytest_cache" / "numba" / os.environ["PYTEST_XDIST_WORKER"]
    os.environ.setdefault("NUMBA_CACHE_DIR", str(cache))

settings.register_profile("soundkin", deadline=None)  # a busy machine is no failure
settings.load_profile("soundkin")


@pytest.fixture(scope="session")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A function: name of a format -> a file of 12 s of `music` in it. Copy before changing."""
    folder = tmp_path_factory.mktemp("encoded")
    made: dict[str, Path] = {}

    def encode(name: str) -> Path:
        if name not in made:
            form = FORMATS[name]
            made[name] = form.write(folder / f"{name}{form.suffix}", music(12, sr=form.sr))
        return made[name]

    return encode
