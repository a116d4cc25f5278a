"""PyTorch modules as ONNX, without the exporter's chatter."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import onnx
import torch
from torch import nn

from soundkin.errors import ExperimentError
from soundkin.lab.networks.network import Network

_log = logging.getLogger(__name__)


def to_onnx(module: nn.Module, input_shape: tuple[int, ...], *, input_name: str, output_names: Sequence[str]) -> bytes:
    """An ONNX model of `module`, on the processor, that maps (batch, *input_shape) float32 to one tensor or several.

    The batch may be of any size. `module` is put into evaluation mode. Raises ExperimentError where it cannot be
    written as ONNX.
    """
    module.eval()
    example = torch.zeros(2, *input_shape)  # two, which tells the batch from dimensions of one
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    heard = io.StringIO()
    try:
        logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(), torch.no_grad(), redirect_stdout(heard), redirect_stderr(heard):
            warnings.simplefilter("ignore")  # of the exporter about itself
            program = torch.onnx.export(
                module,
                (example,),
                input_names=[input_name],
                output_names=list(output_names),
                dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # whatever a part of PyTorch's exporter meets
        reason = (str(error).strip().splitlines() or [repr(error)])[0]
        raise ExperimentError(f"{type(module).__name__} cannot be written as ONNX: {reason}") from error
    finally:
        logger.setLevel(level)
        if heard.getvalue():
            _log.debug("the exporter said: %s", heard.getvalue())
    if program is None:
        raise ExperimentError(f"{type(module).__name__} cannot be written as ONNX: the exporter gave nothing")
    return bytes(program.model_proto.SerializeToString())


def store_in_half(content: bytes, *, smallest: int = 1024) -> bytes:
    """The ONNX model in `content` with its float32 weights kept as float16, in half the space.

    Only what is kept changes, tensors of at least `smallest` numbers: they are made float32 again when the model is
    loaded, and all reckoning is done in float32.
    """
    model = onnx.load_from_string(content)
    casts = []
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < smallest or np.abs(values).max() > np.finfo(np.float16).max:
            continue
        name = tensor.name
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}_half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return bytes(model.SerializeToString())


class EmbeddingAndLogits(nn.Module):
    """A network's two answers in one pass: (embedding, logits)."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        embedding = self.network.embed(x)
        logits: torch.Tensor = self.network.head(embedding)
        return embedding, logits
