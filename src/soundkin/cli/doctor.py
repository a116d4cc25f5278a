"""`soundkin doctor`: what is installed, what it can read, and whether the library is well."""

from __future__ import annotations

import importlib.metadata
import os
import platform

import typer

from soundkin import __version__
from soundkin.cli.options import Shared
from soundkin.cli.output import plain

_PACKAGES = ("av", "numpy", "scipy", "onnxruntime", "sqlalchemy", "typer", "rich", "platformdirs")
_DECODERS = {
    "MP3": "mp3",
    "FLAC": "flac",
    "Ogg Vorbis": "vorbis",
    "Opus": "opus",
    "AAC": "aac",
    "Apple Lossless": "alac",
    "WAV": "pcm_s16le",
    "WMA": "wmav2",
    "Monkey's Audio": "ape",
    "WavPack": "wavpack",
    "Musepack": "mpc8",
    "True Audio": "tta",
    "DSD": "dsd_lsbf",
}


def run(context: typer.Context) -> int:
    """What is installed, which formats can be read, which models there are, and whether the library is well."""
    shared: Shared = context.obj
    print(f"soundkin {__version__}, Python {platform.python_version()}, {platform.platform()}, {os.cpu_count()} cores")
    wrong = [*_check_packages(), *_check_decoders(), *_check_model(shared.hearing_model), *_check_library(shared)]
    for problem in wrong:
        print(f"problem: {plain(problem)}")
    print("all well" if not wrong else f"{len(wrong)} problem(s)")
    return 1 if wrong else 0


def _check_packages() -> list[str]:
    found, wrong = [], []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"the package {name} is not installed: pip install --force-reinstall soundkin")
    print("packages:", ", ".join(found))
    return wrong


def _check_decoders() -> list[str]:
    try:
        import av
    except ImportError as error:
        return [f"FFmpeg (the package av) cannot be loaded: {error}"]
    there = [name for name, codec in _DECODERS.items() if codec in av.codecs_available]
    print("decoders:", ", ".join(there))
    return [f"no decoder for {name}" for name in _DECODERS if name not in there]


def _check_model(name: str) -> list[str]:
    from soundkin.errors import SoundkinError
    from soundkin.model import DEFAULT_MODEL, MODELS, load_model

    print("models:", ", ".join(f"{one} (the default)" if one == DEFAULT_MODEL else one for one in MODELS))
    try:
        model = load_model(name)
    except (SoundkinError, ImportError) as error:
        return [str(error)]
    print(f"model in use: {model.id}, {model.space.dimension} numbers a track, hears {model.excerpts}")
    return []


def _check_library(shared: Shared) -> list[str]:
    from soundkin.catalogue import Catalogue, default_path
    from soundkin.errors import EmptyLibraryError, LibraryError

    place = shared.library or default_path()
    print(f"library: {plain(place)}")
    try:
        with Catalogue.open(place, create=False) as catalogue:
            numbers = catalogue.statistics()
            print(f"  {numbers.tracks:,} songs, {numbers.failed:,} failed, {numbers.missing:,} missing")
            return catalogue.check()
    except EmptyLibraryError:
        print("  not there yet: soundkin scan ~/Music makes it")
        return []
    except LibraryError as error:
        return [str(error)]
