"""Fixtures shared by the tests of listening."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from sound import FORMATS, music

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
