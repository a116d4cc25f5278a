"""PyTorch networks, one architecture a file, no trainer inside."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from soundkin.errors import ExperimentError, SoundkinError, UnknownNameError
from soundkin.lab.networks import choi_cnn, choi_crnn, dense, inception, s2_cnn
from soundkin.lab.networks.custom_cnn import CustomCNN, CustomCNNSizes
from soundkin.lab.networks.fcn import FCN, FCNSizes
from soundkin.lab.networks.musicnn import Musicnn, MusicnnSizes
from soundkin.lab.networks.network import Network
from soundkin.lab.networks.recurrent import Recurrent, RecurrentSizes
from soundkin.lab.networks.resnet import ResNet, ResNetSizes
from soundkin.lab.networks.s3_lstm import S3LSTM, S3LSTMSizes
from soundkin.lab.networks.short_chunk import ShortChunkCNN, ShortChunkSizes
from soundkin.lab.networks.strided_cnn import StridedCNN, StridedCNNSizes
from soundkin.lab.networks.tagging_crnn import TaggingCRNN, TaggingCRNNSizes
from soundkin.lab.networks.transfer import Transfer, TransferSizes


@dataclass(frozen=True)
class Builder:
    """Builds `network` with settings by name; `sizes` holds those that are not given."""

    sizes: Any
    network: Callable[..., Network]

    def check(self, settings: Mapping[str, Any]) -> None:
        """Raises ExperimentError for a setting that the network does not have, or of another kind."""
        known = {field.name: getattr(self.sizes, field.name) for field in dataclasses.fields(self.sizes)}
        for name, value in settings.items():
            if name not in known:
                raise ExperimentError(f"this network has no setting {name!r}; it has: {', '.join(known)}")
            if not _is_like(value, known[name]):
                raise ExperimentError(f"the setting {name} is of the kind of {known[name]!r}, not {value!r}")

    def __call__(self, input_shape: tuple[int, ...], classes: int, **settings: Any) -> Network:
        """A network with fresh weights. Raises ExperimentError for settings or shapes that cannot be."""
        self.check(settings)
        chosen = dataclasses.replace(self.sizes, **{name: _frozen(value) for name, value in settings.items()})
        try:
            return self.network(tuple(input_shape), classes, sizes=chosen)
        except (ValueError, TypeError, RuntimeError, ArithmeticError) as error:
            if isinstance(error, SoundkinError):
                raise
            reason = (str(error).splitlines() or [repr(error)])[0]
            raise ExperimentError(f"no network of inputs {tuple(input_shape)} and {settings}: {reason}") from error


def _is_like(value: Any, default: Any) -> bool:
    if isinstance(default, tuple):
        return isinstance(value, list | tuple)
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, type(default)) and isinstance(value, bool) == isinstance(default, bool)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list | tuple) else value


NETWORKS: dict[str, Callable[..., Network]] = {
    "rnn": Builder(RecurrentSizes(), partial(Recurrent, kind="rnn")),
    "lstm": Builder(RecurrentSizes(), partial(Recurrent, kind="lstm")),
    "gru": Builder(RecurrentSizes(), partial(Recurrent, kind="gru")),
    "resnet18": Builder(ResNetSizes(), ResNet),
    "inception-single": Builder(inception.SINGLE, inception.Inception),
    "inception-skip": Builder(inception.SKIP, inception.Inception),
    "inception-growing": Builder(inception.GROWING, inception.Inception),
    "custom-cnn": Builder(CustomCNNSizes(), CustomCNN),
    "s2-cnn-first": Builder(s2_cnn.FIRST, s2_cnn.S2CNN),
    "s2-cnn": Builder(s2_cnn.FINAL, s2_cnn.S2CNN),
    "ann": Builder(dense.ANN, dense.Dense),
    "s3-lstm": Builder(S3LSTMSizes(), S3LSTM),
    "short-chunk-cnn": Builder(ShortChunkSizes(), ShortChunkCNN),
    "strided-cnn": Builder(StridedCNNSizes(), StridedCNN),
    "k1c2": Builder(choi_cnn.K1C2, choi_cnn.ChoiK1C2),
    "k2c1": Builder(choi_cnn.K2C1, choi_cnn.ChoiK2C1),
    "k2c2": Builder(choi_cnn.K2C2Sizes(), choi_cnn.ChoiK2C2),
    "crnn": Builder(choi_crnn.CRNNSizes(), choi_crnn.ChoiCRNN),
    "crnn-attention": Builder(choi_crnn.CRNNAttentionSizes(), choi_crnn.ChoiCRNNAttention),
    "mlp": Builder(dense.MLP, dense.Dense),
    "fcn": Builder(FCNSizes(), FCN),
    "tagging-crnn": Builder(TaggingCRNNSizes(), TaggingCRNN),
    "musicnn": Builder(MusicnnSizes(), Musicnn),
    "xception": Builder(TransferSizes(), partial(Transfer, family="xception")),
    "resnet50v2": Builder(TransferSizes(), partial(Transfer, family="resnet50v2")),
    "vgg19": Builder(TransferSizes(), partial(Transfer, family="vgg19")),
}
"""Name -> build(input_shape, classes, **sizes)."""


def check_sizes(name: str, sizes: Mapping[str, Any]) -> None:
    """Raises UnknownNameError for a network that there is not, ExperimentError for sizes that it does not have."""
    if name not in NETWORKS:
        raise UnknownNameError("network", name, NETWORKS)
    builder = NETWORKS[name]
    if isinstance(builder, Builder):
        builder.check(sizes)


def build_network(name: str, *, input_shape: tuple[int, ...], classes: int, **sizes: Any) -> Network:
    """A network with fresh weights. Raises UnknownNameError, or ExperimentError for settings it does not have."""
    if name not in NETWORKS:
        raise UnknownNameError("network", name, NETWORKS)
    return NETWORKS[name](input_shape, classes, **sizes)
