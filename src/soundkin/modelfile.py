"""Model files: one ONNX file that carries everything needed to feed it, read and checked (see docs/model-file.md).

Nothing is ever unpickled, and a file refers to no other. What cannot be right is refused here, with the reason, before
any song is heard.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from soundkin.errors import ModelError, SoundkinError
from soundkin.excerpts import ExcerptPlan
from soundkin.spectrogram import LogMel

METADATA_KEY = "soundkin"
METADATA_FORMAT = 1
CHECKSUM_KEY = "soundkin_sha256"
NO_CHECKSUM = "0" * 64
"""What stands under CHECKSUM_KEY until `seal`."""

_LARGEST = 2**16
_SUM = re.compile(re.escape(CHECKSUM_KEY.encode()) + rb"\x12\x40([0-9a-f]{64})")  # as protobuf writes key and value


@dataclass(frozen=True, slots=True, eq=False)
class ModelFile:
    """What a model file holds, checked, and its network, ready to run."""

    path: Path
    id: str
    """Name and content."""
    session: Any
    """onnxruntime.InferenceSession."""
    card: Mapping[str, Any]
    """All that the file says of itself, as JSON has it."""
    name: str
    version: str
    front_end: LogMel
    segment: int
    """Frames."""
    offset: float
    scale: float
    dimension: int
    tags: tuple[tuple[str, str], ...]
    """(label, category) of each."""
    excerpts: ExcerptPlan
    standardise: bool
    mutual_proximity: bool
    sigmoids: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None
    """Slope and intercept (labels,) float64 of each tag's calibration."""


def read_model_file(path: Path) -> ModelFile:
    """Read and check the model file at `path`. Raises ModelError."""
    content = _read(path)  # once, so that the id is that of what runs
    session = _start_session(path, content)
    card = _read_card(path, session)
    tags = _read_tags(path, card)
    try:
        front_end = LogMel(**card["front_end"])
        segment, dimension = operator.index(card["segment_frames"]), operator.index(card["dimension"])
        offset, scale = float(card.get("offset", 0.0)), float(card.get("scale", 1.0))
        excerpts = ExcerptPlan.parse(card.get("excerpts", "8x10"))
        name, version = str(card["name"]), str(card["version"])
    except SoundkinError as error:
        raise ModelError(f"{path}: its “{METADATA_KEY}” metadata are not usable: {error}") from error
    except KeyError as error:
        raise ModelError(f"{path}: its “{METADATA_KEY}” metadata are not usable: {error} is missing") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{path}: its “{METADATA_KEY}” metadata are not usable: {error!r}") from error
    if not name or not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise ModelError(f"{path}: a model's name is letters, digits, '.', '_' and '-', not {name!r}")
    if segment <= 0 or dimension <= 0:
        raise ModelError(f"{path}: segment_frames and dimension must be positive, not {segment} and {dimension}")
    if max(segment, front_end.n_fft, front_end.n_mels, front_end.hop_length) > _LARGEST:
        raise ModelError(f"{path}: a segment or front end of more than {_LARGEST} frames, samples or bands")
    _check_network(path, session, shape=(front_end.n_mels, segment), tags=bool(tags))
    return ModelFile(
        path=path,
        id=_id(name, content),
        session=session,
        card=card,
        name=name,
        version=version,
        front_end=front_end,
        segment=segment,
        offset=offset,
        scale=scale,
        dimension=dimension,
        tags=tags,
        excerpts=excerpts,
        standardise=_read_switch(path, card, "standardise"),
        mutual_proximity=_read_switch(path, card, "mutual_proximity"),
        sigmoids=_read_calibration(path, card, labels=len(tags)),
    )


def identify(path: Path, *, name: str) -> str:
    """The id of the model file at `path`, whose model is called `name`, without loading it. Raises ModelError."""
    return _id(name, _read(path))


def model_card(model_name: str, *, front_end: LogMel, **fields: Any) -> str:
    """The JSON text that an exporter stores under METADATA_KEY; `read_model_file` reads it back."""
    card = {"format": METADATA_FORMAT, "name": model_name, "front_end": dataclasses.asdict(front_end), **fields}
    return json.dumps(card, ensure_ascii=False, sort_keys=True)


def seal(content: bytes) -> bytes:
    """A model file's `content` with its checksum, so that damage which leaves it readable is noticed too.

    An exporter stores NO_CHECKSUM under CHECKSUM_KEY beside the card, and seals the file last. Raises ModelError where
    that entry is not there.
    """
    found = _SUM.search(content)
    if found is None:
        raise ModelError(f"the model file has no metadata entry “{CHECKSUM_KEY}” of 64 hexadecimal digits to seal")
    return content[: found.start(1)] + _sum_around(content, found).encode() + content[found.end(1) :]


def _read(path: Path) -> bytes:
    """What the file holds, not damaged as far as its checksum tells."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: the model file cannot be read: {error.strerror or error}") from error
    found = _SUM.search(content)
    if found is not None and _sum_around(content, found) != found[1].decode():
        raise ModelError(f"{path}: damaged: it is not what its own checksum says it was; get the file again")
    return content


def _id(name: str, content: bytes) -> str:
    return f"{name}-{hashlib.sha256(content).hexdigest()[:8]}"


def _sum_around(content: bytes, found: re.Match[bytes]) -> str:
    """SHA-256 of `content` with zeros where its checksum stands."""
    total = hashlib.sha256(content[: found.start(1)])
    total.update(NO_CHECKSUM.encode())
    total.update(content[found.end(1) :])
    return total.hexdigest()


def _start_session(path: Path, content: bytes) -> Any:
    import onnxruntime  # 0.2 s, and needed for model files only

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the scan runs one worker a core
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Without this, weights named in the file would be read from the working directory. A file is no folder of them.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(path.absolute()))
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises its own, unrelated classes
        raise ModelError(
            f"{path}: not a model that ONNX Runtime can load; cut off, damaged, or no ONNX file: {error}"
        ) from error


def _read_card(path: Path, session: Any) -> Mapping[str, Any]:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise ModelError(
            f"{path}: an ONNX file, but without “{METADATA_KEY}” metadata: not a soundkin model. docs/model-file.md "
            "says what they hold"
        )
    try:
        card = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: its “{METADATA_KEY}” metadata are not JSON: {error}") from error
    found = card.get("format") if isinstance(card, dict) else card
    if not isinstance(card, dict) or found != METADATA_FORMAT:
        newer = isinstance(found, int | float) and found > METADATA_FORMAT
        raise ModelError(
            f"{path}: metadata of format {found!r}; this soundkin reads format {METADATA_FORMAT}"
            + (": upgrade soundkin" if newer else "")
        )
    return card


def _read_tags(path: Path, card: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """(label, category) of each tag."""
    told = card.get("tags") or ()
    if not isinstance(told, list | tuple):
        raise ModelError(f"{path}: its tags are a list of labels with their categories, not {told!r:.60}")
    tags = []
    for number, tag in enumerate(told, start=1):
        pair = tuple(tag.get(key) for key in ("label", "category")) if isinstance(tag, dict) else ()
        if not pair or not all(isinstance(text, str) and text.strip() for text in pair):
            raise ModelError(
                f'{path}: each tag is {{"label": "jazz", "category": "genre"}}, both of them words; tag {number} is '
                f"{json.dumps(tag, ensure_ascii=False):.80}"
            )
        if pair in tags:
            raise ModelError(f"{path}: each tag is named once; twice there is {pair[0]!r} of the category {pair[1]!r}")
        tags.append((str(pair[0]), str(pair[1])))
    return tuple(tags)


def _read_switch(path: Path, card: Mapping[str, Any], key: str) -> bool:
    """What is on or off, off where the card is silent. Raises ModelError."""
    told = card.get(key, False)
    if not isinstance(told, bool):
        raise ModelError(f"{path}: {key} is true or false in its “{METADATA_KEY}” metadata, not {told!r:.60}")
    return told


def _check_network(path: Path, session: Any, *, shape: tuple[int, int], tags: bool) -> None:
    """Is the network one for segments of this `shape`, (mel bands, frames)? Raises ModelError."""
    inputs, outputs = session.get_inputs(), sorted(node.name for node in session.get_outputs())
    needed = ["embedding", "tags"] if tags else ["embedding"]
    if len(inputs) != 1 or not set(needed) <= set(outputs):
        names = [node.name for node in inputs]
        raise ModelError(f"{path}: needs one input and the outputs {needed}; it has {names}, {outputs}")
    takes, kind = inputs[0].shape, inputs[0].type
    if kind != "tensor(float)" or len(takes) != 3:
        raise ModelError(f"{path}: its input is float32 (batch, mel bands, frames), not {kind} {takes}")
    if any(isinstance(size, int) and size != told for size, told in zip(takes[1:], shape, strict=True)):
        sizes = " × ".join(str(size) for size in takes[1:])
        raise ModelError(
            f"{path}: made for another spectrogram: its network takes segments of {sizes} (mel bands × frames), its "
            f"metadata say {shape[0]} × {shape[1]}"
        )


def _read_calibration(
    path: Path, card: Mapping[str, Any], *, labels: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    """Slope and intercept of each tag, (labels,). Raises ModelError."""
    told = card.get("calibration")
    if told is None:
        return None
    try:
        slope, intercept = (np.array(told[name], np.float64) for name in ("slope", "intercept"))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: its calibration cannot be used: {error!r}") from error
    if slope.shape != (labels,) or intercept.shape != slope.shape or not np.isfinite([slope, intercept]).all():
        raise ModelError(f"{path}: its calibration is no slope and intercept for each of {labels} tags")
    return slope, intercept
