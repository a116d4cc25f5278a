"""Fixtures shared by many tests."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from sound import FORMATS, music

if TYPE_CHECKING:
    from soundkin.library import Library
    from web_client import TestClient

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


@pytest.fixture
def fake_hearing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Scans hear with `fake_analysis`; the file that gets a line for every track that is heard."""
    import fake_analysis

    scan_module = importlib.import_module("soundkin.scan")
    monkeypatch.setattr(scan_module, "analyse", fake_analysis.analyse)
    monkeypatch.setattr(scan_module, "load_model", fake_analysis.load_model)
    log = tmp_path / "heard.log"
    monkeypatch.setenv(fake_analysis.LOG, str(log))
    return log


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """For the tests of the service, where they have no library of their own: `web_client.some_songs`."""
    from web_client import some_songs

    with some_songs(tmp_path_factory.mktemp("songs")) as library:
        yield library


@pytest.fixture(scope="module")
def client(library: Library) -> Iterator[TestClient]:
    """A client of the service of `library`."""
    from web_client import client_of

    with client_of(library) as client:
        yield client
