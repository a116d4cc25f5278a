"""Published weights of the tagging networks as soundkin model files: `soundkin --model FILE scan` then hears with them.

Won, Ferraro, Bogdanov & Serra 2020, “Evaluation of CNN-based automatic music tagging models” (arXiv:2006.00751): a
PyTorch state dict of a network, its front end included, and a list of the tags that it tells. A state dict is read
without running anything that is in it, and refused by name and shape where it is not just such a network.
"""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from soundkin import __version__
from soundkin.errors import ExperimentError, InputError, UnknownNameError, WeightsError
from soundkin.excerpts import ExcerptPlan
from soundkin.files import replacing
from soundkin.lab.datasets.categories import category_of, plain_labels
from soundkin.lab.datasets.wording import count, printable, some
from soundkin.lab.export import TOLERANCE, file_name, trial_sound, with_card
from soundkin.lab.networks import build_network, fcn, musicnn, tagging_crnn
from soundkin.lab.networks.network import Network
from soundkin.lab.networks.to_onnx import to_onnx
from soundkin.model import OnnxModel, model_card
from soundkin.spectrogram import LogMel, hann, log_mel, mel_filters

FRONT_END = LogMel(
    sr=16000, n_fft=512, hop_length=256, n_mels=96, fmax=8000.0, mel_scale="htk", norm=None, pad_mode="reflect"
)
"""What all of them hear; it is in their weight files, too."""
_FRONT_END_KEYS = {"spec.mel_scale.fb": (257, 96), "spec.spectrogram.window": (512,)}
_AS_HEARD = 1e-4  # how far a file's filters may be from ours; torchaudio computes them in single precision, to 1e-5
_TRIED = 3  # sounds that are compared


@dataclass(frozen=True)
class Published:
    """A network whose weights are published, as they are."""

    parts: Mapping[str, str]
    """Part of the published network -> the same part of ours."""
    segment_frames: int
    excerpts: str
    """How much of a track its model file hears, unless told otherwise."""
    standardise: bool = False
    mutual_proximity: bool = False
    """How a library compares its embeddings, unless told otherwise."""

    @property
    def head(self) -> str:
        """The last layer, as published."""
        return next(theirs for theirs, ours in self.parts.items() if ours == "head")


PUBLISHED: dict[str, Published] = {
    "fcn": Published(fcn.PUBLISHED, 1813, "3x29.1"),
    "tagging-crnn": Published(tagging_crnn.PUBLISHED, 1813, "3x29.1"),
    "musicnn": Published(musicnn.PUBLISHED, 188, "8x10"),
}
"""Name of the network -> how it was published."""


@dataclass(frozen=True)
class Imported:
    """A model file as it was written, and how far its answers are from those of the network in PyTorch."""

    path: Path
    model_id: str
    network: str
    dimension: int
    tags: tuple[str, ...]
    embedding_difference: float
    """The largest over several sounds, in parts of the embedding's own largest number."""
    tags_difference: float
    """The largest of a probability, over the same sounds."""

    @property
    def difference(self) -> float:
        """The larger of the two."""
        return max(self.embedding_difference, self.tags_difference)


def import_weights(
    path: Path,
    out: Path,
    *,
    network: str | None = None,
    labels: Sequence[str],
    name: str | None = None,
    licence: str = "",
    excerpts: str | None = None,
    standardise: bool | None = None,
    mutual_proximity: bool | None = None,
) -> Imported:
    """Write the state dict in `path` as the model file `out`; see docs/model-file.md.

    `network` is a name of PUBLISHED (default: the one whose keys these are), `labels` its outputs in their order,
    `name` what the library calls the model (default: the name of `path`). What is left out of `excerpts`,
    `standardise` and `mutual_proximity` is chosen for the network. Raises WeightsError for a file that is no such
    state dict, UnknownNameError, InputError for labels and settings that cannot be, and ExperimentError where the
    file's answers are not the network's; then nothing is written.
    """
    if network is not None and network not in PUBLISHED:
        raise UnknownNameError("published network", network, PUBLISHED)
    name = file_name(path.stem) if name is None else name
    if file_name(name) != name:
        raise InputError(f"a model's name is letters, digits, '.', '_' and '-', not {name!r}")
    state = read_state(path)
    network = network or recognise(state, path)
    published = PUBLISHED[network]
    tagger = _Tagger(fill(network, state, path))
    shown = checked_labels(labels, outputs=len(state[f"{published.head}.bias"]))
    tags = [{"label": label, "category": category_of(tag)} for tag, label in zip(labels, shown, strict=True)]
    card = model_card(
        name,
        front_end=FRONT_END,
        version="1",
        segment_frames=published.segment_frames,
        dimension=tagger.network.embedding_size,
        standardise=published.standardise if standardise is None else standardise,
        mutual_proximity=published.mutual_proximity if mutual_proximity is None else mutual_proximity,
        tags=tags,
        excerpts=str(ExcerptPlan.parse(excerpts or published.excerpts)),
        licence=licence,
        training={
            "network": network,
            "source": "Won et al. 2020, arXiv:2006.00751",
            "weights": printable(path.name),
            "weights_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "soundkin": __version__,
            "torch": torch.__version__,
        },
    )
    shape = (FRONT_END.n_mels, published.segment_frames)
    content = to_onnx(tagger, shape, input_name="mel", output_names=["embedding", "tags"])
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as file:
            file.write(with_card(content, card))
            file.flush()
            written = OnnxModel(Path(file.name))
            differences = _compare(written, tagger)
    except OSError as error:
        raise ExperimentError(f"{out}: cannot be written: {error.strerror or error}") from error
    return Imported(
        out, written.id, network, written.space.dimension, tuple(tag.label for tag in written.tags), *differences
    )


# --- the weights -----------------------------------------------------------------------------------------------------


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """The state dict of a file that `torch.save` wrote: name -> tensor. Nothing in it is run. Raises WeightsError."""
    try:
        size = path.stat().st_size
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old formats
            held: Any = torch.load(path, map_location="cpu", weights_only=True) if size else None
    except OSError as error:
        raise WeightsError(f"{path}: the weight file cannot be read: {error.strerror or error}") from error
    except Exception as error:  # whatever a damaged or foreign file makes of PyTorch's reader
        if "Unsupported global" in str(error) or "Unsupported class" in str(error):
            raise WeightsError(
                f"{path}: it holds more than tensors, so reading it could run code; it is not read. "
                "Save the network's state_dict() alone"
            ) from error
        raise WeightsError(f"{path}: not a whole file of torch.save(network.state_dict(), …)") from error
    if not size:
        raise WeightsError(f"{path}: the weight file is empty")
    if not isinstance(held, Mapping) or not held:
        found = "an empty one" if isinstance(held, Mapping) else f"a {type(held).__name__}"
        raise WeightsError(f"{path}: a state dict is a dict of tensors by name, not {found}")
    for key, value in held.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            raise WeightsError(
                f"{path}: a state dict is a dict of tensors by name; here {key!r} is a {type(value).__name__}. "
                "Where the state dict is a part of what was saved, save that part alone"
            )
        if value.layout is not torch.strided or value.is_complex() or value.is_quantized or value.is_meta:
            raise WeightsError(f"{path}: {key} is no plain tensor of numbers")
        if not torch.isfinite(value).all():
            raise WeightsError(f"{path}: {key} has numbers that are not finite")
    return dict(held)


def recognise(state: Mapping[str, torch.Tensor], path: Path) -> str:
    """The name of the published network whose keys and shapes these are. Raises WeightsError."""
    for name in PUBLISHED:
        if not _misfits(name, state):
            return name
    nearest, share = _nearest(state)
    if share < 0.5:
        raise WeightsError(
            f"{path}: none of the networks {', '.join(PUBLISHED)}: its keys are {some(state)}, and theirs are "
            f"{some(_wanted(nearest, state))}"
        )
    raise WeightsError(f"{path}: it looks most like {nearest}, but {_misfits(nearest, state)[0]}")


def fill(name: str, state: Mapping[str, torch.Tensor], path: Path) -> Network:
    """The network `name` with these weights, in evaluation mode. Raises WeightsError where they are another's."""
    misfits = _misfits(name, state)
    if misfits:
        nearest, share = _nearest(state)
        looks = f"; it looks like {nearest}" if share > 0.5 and nearest != name else ""
        more = f" ({count(len(misfits), 'such key')})" if len(misfits) > 1 else ""
        raise WeightsError(f"{path}: not the weights of {name}: {misfits[0]}{more}{looks}")
    _check_front_end(state, path)
    published = PUBLISHED[name]
    outputs = len(state[f"{published.head}.bias"])
    network = build_network(name, input_shape=(FRONT_END.n_mels, published.segment_frames), classes=outputs)
    network.load_state_dict({_ours(name, key): _audible(state[key]) for key in state if key not in _FRONT_END_KEYS})
    return network.eval()


_NOTHING = 1e-30


def _audible(weight: torch.Tensor) -> torch.Tensor:
    """The weight with 0 for what is next to it.

    Filters that training has starved are left with numbers below 1e-38, which nobody hears, but with which some
    processors reckon fifty times as slowly (denormal numbers).
    """
    return torch.where(weight.abs() < _NOTHING, 0, weight) if weight.is_floating_point() else weight


def _ours(name: str, key: str) -> str:
    """What the published parameter `key` is called in our network."""
    parts = PUBLISHED[name].parts
    theirs = next(part for part in parts if key.startswith(f"{part}."))
    return f"{parts[theirs]}{key.removeprefix(theirs)}"


def _wanted(name: str, state: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    """Published key -> shape, for as many tags as the weights in `state` tell."""
    published = PUBLISHED[name]
    head = state.get(f"{published.head}.bias")
    outputs = len(head) if head is not None and head.ndim == 1 and len(head) else 50
    with torch.device("meta"):  # shapes only
        network = build_network(name, input_shape=(FRONT_END.n_mels, published.segment_frames), classes=outputs)
    theirs = {ours: part for part, ours in published.parts.items()}
    wanted = dict(_FRONT_END_KEYS)
    for key, tensor in network.state_dict().items():
        ours = next(part for part in theirs if key.startswith(f"{part}."))
        wanted[f"{theirs[ours]}{key.removeprefix(ours)}"] = tuple(tensor.shape)
    return wanted


def _misfits(name: str, state: Mapping[str, torch.Tensor]) -> list[str]:
    """What is missing, of another shape, or too much for the network `name`, in words."""
    wanted = _wanted(name, state)
    found = {key: tuple(tensor.shape) for key, tensor in state.items()}
    missing = [f"{key} {shape} is missing" for key, shape in wanted.items() if key not in found]
    other = [
        f"{key} has the shape {found[key]}, not {shape}"
        for key, shape in wanted.items()
        if key in found and found[key] != shape
    ]
    return other + missing + [f"{key} {shape} is no part of it" for key, shape in found.items() if key not in wanted]


def _nearest(state: Mapping[str, torch.Tensor]) -> tuple[str, float]:
    """The network that shares most keys and shapes with `state`, and the share of its keys that are there."""
    shares = {}
    for name in PUBLISHED:
        wanted = _wanted(name, state)
        fitting = sum(key in state and tuple(state[key].shape) == shape for key, shape in wanted.items())
        shares[name] = fitting / max(len(wanted), len(state))
    nearest = max(shares, key=lambda name: shares[name])
    return nearest, shares[nearest]


def _check_front_end(state: Mapping[str, torch.Tensor], path: Path) -> None:
    """Raises WeightsError for weights that were trained on other spectrograms than FRONT_END's."""
    ours = {"spec.mel_scale.fb": mel_filters(FRONT_END).T, "spec.spectrogram.window": hann(FRONT_END.n_fft)}
    for key, expected in ours.items():
        difference = float(np.abs(state[key].float().numpy() - expected).max())
        if difference > _AS_HEARD:
            raise WeightsError(
                f"{path}: it hears otherwise than the published networks: {key} differs by {difference:.2g} from that "
                f"of {FRONT_END}"
            )


# --- the tags --------------------------------------------------------------------------------------------------------


def read_labels(path: Path) -> list[str]:
    """The tags of a file, one a line. Raises WeightsError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise WeightsError(f"{path}: the list of labels cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise WeightsError(f"{path}: a list of labels is text in UTF-8, one label a line: {error.reason}") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def checked_labels(labels: Sequence[str], *, outputs: int) -> tuple[str, ...]:
    """`labels` as a person says them, one an output. Raises WeightsError."""
    if len(labels) != outputs:
        raise WeightsError(f"the network tells {count(outputs, 'tag')}, and there are {count(len(labels), 'label')}")
    twice = [label for label, times in Counter(labels).items() if times > 1]
    if twice:
        raise WeightsError(f"labels are told apart by their names; more than once: {some(twice)}")
    return plain_labels(labels)


# --- the same answers ------------------------------------------------------------------------------------------------


class _Tagger(nn.Module):
    """What the file computes: log-mel segments in dB to (embedding, probabilities)."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        embedding = self.network.embed(x)
        return embedding, torch.sigmoid(self.network.head(embedding))


def _compare(written: OnnxModel, tagger: _Tagger) -> tuple[float, float]:
    """The largest differences between the file's answers for some sounds and the network's: embedding, tags.

    The embedding's is in parts of its largest number, for it has no bounds; the tags' is absolute. Raises
    ExperimentError where either is more than rounding explains.
    """
    names = ("embedding", "tags")
    largest = dict.fromkeys(names, 0.0)
    for seed in range(_TRIED):
        y = trial_sound((written.segment - 1) * FRONT_END.hop_length + 1, sr=FRONT_END.sr, seed=seed)
        with torch.no_grad():
            answers = tagger(torch.from_numpy(log_mel(y, FRONT_END)).unsqueeze(0))
        embedding, tags = (answer[0].numpy() for answer in answers)
        row = written.hear(y)[0]
        reach = float(np.abs(embedding).max()) or 1.0
        found = (np.abs(row[: len(embedding)] - embedding).max() / reach, np.abs(row[len(embedding) :] - tags).max())
        for name, difference in zip(names, found, strict=True):
            if not difference <= TOLERANCE:
                raise ExperimentError(
                    f"the file would answer otherwise than the network: its {name} by up to {difference:.2g}, where "
                    f"{TOLERANCE:g} may be rounding; nothing was written. Please report this as a fault, with the "
                    "weight file"
                )
            largest[name] = max(largest[name], float(difference))
    return largest["embedding"], largest["tags"]
