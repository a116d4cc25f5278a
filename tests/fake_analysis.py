"""Stands in for the real analysis where a test needs a decoder that hangs, crashes or is slow.

Worker processes import it by name. What a file does is written in its name; what it contains is its first line.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Container
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from soundkin.analysis import Analysis
from soundkin.audio import AudioInfo
from soundkin.errors import DamagedError, ModelError, VanishedError
from soundkin.model import Space
from soundkin.tags import Tags
from worker_tasks import misbehave

LOG = "FAKE_ANALYSIS_LOG"
"""Name of an environment variable: a file that gets a line `PID NAME` for every track that is really heard."""


def load_model(name: str | Path = "fake") -> Any:
    if name == "broken":
        raise ModelError("broken.onnx is not a model file")
    if name == "broken-in-workers" and os.environ.get("FAKE_PARENT") != str(os.getpid()):
        raise ModelError("the model file is gone")
    space = Space(dimension=4, standardise=False, weights=None, aspects={})
    return SimpleNamespace(id=f"{name}-1", name=str(name), version="1", space=space, tags=(), source=str(name), card={})


def analyse(path: Path, *, model: Any, excerpts: object = None, known: Container[str] = ()) -> Analysis:
    try:
        content, _, title = Path(path).read_text().partition("\n")
    except FileNotFoundError:
        raise VanishedError(path, "the file is no longer there") from None
    name = Path(path).name
    content_id = hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
    partial = "it ends at 0:30 of 1:00" if "partial" in name else None
    info = AudioInfo(Path(path), 60.0, 44100, 2, "fake", "fake", None, Tags(title=title or None), content_id, partial)
    if content_id in known:
        return Analysis(info=info, model_id=model.id, vector=None, tags=None, fingerprint=None)
    if log := os.environ.get(LOG):
        with Path(log).open("a", errors="surrogateescape") as file:
            file.write(f"{os.getpid()} {name}\n")
    misbehave(name)
    if "damaged" in name + content:
        raise DamagedError(path, "only 1.0 s of it could be decoded")
    vector = np.frombuffer(bytes.fromhex(content_id), dtype=np.uint32).astype(np.float32) / 2**32
    if "nan" in name:
        vector = np.full(4, np.nan, np.float32)
    return Analysis(info=info, model_id=model.id, vector=vector, tags=None, fingerprint=b"")
