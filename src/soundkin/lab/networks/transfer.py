"""S4's networks (its §3): Xception, ResNet50V2 or VGG19 as trained on ImageNet, frozen, and a head of one's own.

Chollet 2017 (arXiv:1610.02357), He et al. 2016 (arXiv:1603.05027), Simonyan & Zisserman 2015 (arXiv:1409.1556), each
by Keras 3 on its PyTorch backend. Of the backbone, global average pooling is the last layer; the head is a ReLU layer,
whose output is the embedding, dropout, and one number a class.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from soundkin.errors import ExperimentError, WeightsError
from soundkin.lab.networks.dense import Dense, DenseSizes
from soundkin.lab.networks.network import Network, picture_shape

SITE = "https://storage.googleapis.com/tensorflow/keras-applications"
TIMEOUT = 20.0
"""Seconds without an answer after which a download is given up."""


@dataclass(frozen=True)
class Family:
    """One of Keras' applications: its name there, the numbers it gives, and the file of its published weights."""

    application: str
    features: int
    smallest: int
    """Pixels: the least height and width."""
    caffe: bool
    """Whether it was trained on blue, green, red around ImageNet's mean, or else on red, green, blue from -1 to 1."""
    folder: str
    file: str
    md5: str

    @property
    def url(self) -> str:
        return f"{SITE}/{self.folder}/{self.file}"


def _family(application: str, *, features: int, smallest: int, caffe: bool, folder: str, md5: str) -> Family:
    file = f"{application.lower()}_weights_tf_dim_ordering_tf_kernels_notop.h5"
    return Family(application, features, smallest, caffe, folder, file, md5)


FAMILIES = {
    "xception": _family(
        "Xception", features=2048, smallest=71, caffe=False, folder="xception", md5="b0042744bf5b25fce3cb969f33bebb97"
    ),
    "resnet50v2": _family(
        "ResNet50V2", features=2048, smallest=32, caffe=False, folder="resnet", md5="fac2f116257151a9d068a22e544a4917"
    ),
    "vgg19": _family(
        "VGG19", features=512, smallest=32, caffe=True, folder="vgg19", md5="253f8cb515780f3b799900260a226db6"
    ),
}


@dataclass(frozen=True)
class TransferSizes:
    """`weights`: 'imagenet', a file of Keras weights, or 'random', always the same ones, for tests. S4 does not tell
    the width of its dense layer."""

    weights: str = "imagenet"
    hidden: int = 512
    dropout: float = 0.5


class Transfer(Network):
    """Input (3, height, width), red, green, blue from 0 to 1; the embedding is the head's ReLU layer.

    Only `top` is trained and kept in `state_dict`; that says which backbone it belongs to, and refuses another.
    """

    def __init__(
        self, input_shape: tuple[int, ...], classes: int, *, family: str, sizes: TransferSizes | None = None
    ) -> None:
        super().__init__()
        sizes = sizes or TransferSizes()
        self.family = FAMILIES[family]
        channels, *sides = picture_shape(input_shape)
        if channels != 3 or min(sides) < self.family.smallest:
            raise ExperimentError(
                f"{family} takes colour pictures (3, height, width) of {self.family.smallest} pixels or more each way, "
                f"not inputs of shape {tuple(input_shape)}"
            )
        self.backbone = _build_backbone(family, sizes.weights).requires_grad_(False)
        self.register_buffer("backbone_checksum", torch.tensor(_checksum(self.backbone)))
        self.top: Dense = Dense(
            (self.family.features,), classes, sizes=DenseSizes(hidden=(sizes.hidden,), dropout=sizes.dropout)
        )
        self.embedding_size = sizes.hidden
        self.register_state_dict_post_hook(_leave_out_backbone)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_put_back_backbone)  # type: ignore[no-untyped-call]

    @property
    def head(self) -> nn.Module:  # type: ignore[override]
        return self.top.head

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, 2048), of VGG19 512: the frozen backbone's answer."""
        if self.family.caffe:
            mean = x.new_tensor([103.939, 116.779, 123.68]).reshape(1, 3, 1, 1)
            x = x.flip(1) * 255.0 - mean
        else:
            x = x * 2.0 - 1.0
        with _on(x.device):
            pooled: torch.Tensor = self.backbone(x.permute(0, 2, 3, 1), training=False)
        return pooled

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        return self.top.embed(self.features(x))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.top(self.features(x))
        return logits


def _leave_out_backbone(network: nn.Module, state: dict[str, Any], prefix: str, _: Any) -> None:
    for key in [key for key in state if key.startswith(f"{prefix}backbone.")]:
        del state[key]


def _put_back_backbone(network: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    told, own = state.get(f"{prefix}backbone_checksum"), network.get_buffer("backbone_checksum")
    if told is not None and int(told) != int(own):
        raise WeightsError(
            "this head was trained on a backbone with other weights; give the file it was trained with: "
            "--only METHOD --set sizes.weights=FILE"
        )
    state.update(network.get_submodule("backbone").state_dict(prefix=f"{prefix}backbone."))


def _keras() -> Any:
    """Keras on PyTorch. Raises ExperimentError where it runs on something else already."""
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "torch"
    import keras

    if keras.backend.backend() != "torch":
        raise ExperimentError(
            f"Keras runs on {keras.backend.backend()} in this program; "
            "set the environment variable KERAS_BACKEND to torch before it is imported"
        )
    if keras.config.image_data_format() != "channels_last":
        raise ExperimentError(
            "Keras is set to channels_first here; set image_data_format to channels_last in its keras.json"
        )
    return keras


def _on(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Keras moves what it is given to a device of its own choice; here it is to be this one."""
    scope: contextlib.AbstractContextManager[Any] = _keras().device(str(device))
    return scope


def _build_backbone(name: str, weights: str) -> nn.Module:
    """A Keras model, which is a PyTorch module too. Raises WeightsError."""
    keras, family = _keras(), FAMILIES[name]
    path = None if weights == "random" else _find_weights(name, weights)
    with _on(torch.device("cpu")):
        model: nn.Module = getattr(keras.applications, family.application)(
            include_top=False, weights=None, input_shape=(None, None, 3), pooling="avg"
        )
        if path is None:
            _randomise(model)
        else:
            _read_weights(model, path, family)
    return model


def _find_weights(name: str, weights: str) -> Path:
    """The weight file: the one given, Keras' own copy of the published one, or that one downloaded."""
    family = FAMILIES[name]
    if weights != "imagenet":
        path = Path(weights).expanduser()
        if not path.is_file():
            raise WeightsError(
                f"{path}: there is no such file; weights = 'imagenet', or a file like the one at {family.url}"
            )
        return path
    home = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
    path = home / "models" / family.file
    if path.is_file():
        if hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() != family.md5:
            raise WeightsError(
                f"{path}: not the published file, or half of it; remove it to have it downloaded again, "
                f"or give it as --only METHOD --set sizes.weights={path} if it is meant"
            )
        return path
    try:
        with _giving_up_after(TIMEOUT):
            got = _keras().utils.get_file(
                family.file, family.url, cache_dir=str(home), cache_subdir="models", file_hash=family.md5
            )
    except Exception as error:  # Keras raises plain Exception
        raise WeightsError(
            f"the ImageNet weights of {name} are not at {path} and cannot be downloaded ({error}). "
            f"Fetch {family.url} where there is a connection and put it at {path}, or anywhere: "
            "--only METHOD --set sizes.weights=FILE"
        ) from error
    return Path(got)


@contextlib.contextmanager
def _giving_up_after(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _read_weights(model: Any, path: Path, family: Family) -> None:
    try:
        model.load_weights(str(path))
    except Exception as error:  # of Keras, h5py or zip, whatever the file is
        reason = " ".join(str(error).split())[:300]
        raise WeightsError(
            f"{path}: not weights of Keras' {family.application} without its top ({reason}); "
            f"the published file is {family.url}"
        ) from error


def _randomise(model: Any) -> None:
    """Normal weights, the same ones every time, so that a head can be put back on them."""
    generator = torch.Generator().manual_seed(0)
    for variable in model.variables:
        shape = tuple(variable.shape)
        if len(shape) == 4:  # (height, width, inputs, outputs); a depthwise kernel sees one input at a time
            fan_in = shape[0] * shape[1] * (1 if "depthwise" in variable.path else shape[2])
            variable.value.data.normal_(0.0, fan_in**-0.5, generator=generator)


def _checksum(backbone: Any) -> int:
    checksum = 0
    for variable in backbone.variables:
        checksum = zlib.crc32(variable.value.detach().contiguous().numpy().data, checksum)
    return checksum
