"""S4's frozen ImageNet networks. Their published weights are not fetched here: the backbones are random."""

import functools
import json
import os
import subprocess
import sys
import warnings

import numpy as np
import onnxruntime
import pytest
import torch

from soundkin.errors import ExperimentError, WeightsError
from soundkin.lab.networks import build_network
from soundkin.lab.networks.network import count_parameters
from soundkin.lab.networks.to_onnx import EmbeddingAndLogits, to_onnx
from soundkin.lab.networks.transfer import FAMILIES
from soundkin.lab.weights import load_weights, save_weights

os.environ.setdefault("KERAS_BACKEND", "torch")  # whichever of these tests a worker begins with

SHAPE = (3, 80, 72)
BACKBONES = {"xception": 20_861_480, "resnet50v2": 23_564_800, "vgg19": 20_024_384}
FEATURES = {"xception": 2048, "resnet50v2": 2048, "vgg19": 512}


def build(name, **sizes):
    torch.manual_seed(0)
    return build_network(name, input_shape=SHAPE, classes=4, **({"weights": "random", "hidden": 16} | sizes))


@functools.cache
def built(name):
    """One of each for all tests, since they take a while; none of them minds how its head is trained."""
    return build(name)


@pytest.mark.parametrize("name", BACKBONES)
def test_every_family_keeps_the_contract(name, tmp_path):
    network = built(name)
    assert sum(parameter.numel() for parameter in network.backbone.parameters()) == BACKBONES[name]
    assert count_parameters(network) == count_parameters(network.top) == (FEATURES[name] + 1) * 16 + 17 * 4

    x = torch.rand(2, *SHAPE)
    network.train()
    torch.nn.functional.cross_entropy(network(x), torch.tensor([0, 1])).backward()
    for key, parameter in network.named_parameters():
        assert (parameter.grad is None) == key.startswith("backbone."), key
    for key, parameter in network.top.named_parameters():
        assert parameter.grad.abs().sum() > 0, key

    network.eval()
    path = tmp_path / "weights.safetensors"
    save_weights(network, path, name=name, input_shape=SHAPE, labels="abcd", sizes={"weights": "random", "hidden": 16})
    assert path.stat().st_size < 200_000  # the head alone
    loaded, _ = load_weights(path)
    with torch.no_grad():
        features = network.features(x)
        assert features.shape == (2, FEATURES[name])
        assert features.std() > 1e-3
        assert torch.equal(network.embed(x), network.top.embed(features))
        assert torch.equal(network(x), network.top(features))
        assert torch.equal(loaded(x), network(x))


@pytest.mark.parametrize("name", BACKBONES)
def test_the_features_are_those_of_keras(name):
    """Its own preprocessing of a picture of 0 to 255, channels last, then its model."""
    import keras

    network = built(name)
    modules = {"xception": "xception", "resnet50v2": "resnet_v2", "vgg19": "vgg19"}
    preprocess = getattr(keras.applications, modules[name]).preprocess_input
    pictures = np.random.default_rng(0).uniform(0, 255, (2, 80, 72, 3)).astype(np.float32)
    expected = network.backbone(preprocess(pictures.copy()), training=False).numpy()
    with torch.no_grad():
        found = network.features(torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255.0).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_training_leaves_the_backbone_as_it_was():
    network = built("resnet50v2").train()  # batch norm would learn from a batch
    before = {key: tensor.clone() for key, tensor in network.backbone.state_dict().items()}
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=0.1)
    network(torch.rand(2, *SHAPE)).square().sum().backward()
    optimizer.step()
    assert all(torch.equal(before[key], tensor) for key, tensor in network.backbone.state_dict().items())


def test_it_is_exported_equal():
    network = built("vgg19").eval()
    model = to_onnx(EmbeddingAndLogits(network), SHAPE, input_name="x", output_names=["embedding", "logits"])
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    x = torch.rand(3, *SHAPE)
    embedding, logits = session.run(None, {"x": x.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(embedding, network.embed(x).numpy(), rtol=0, atol=1e-4)
        np.testing.assert_allclose(logits, network(x).numpy(), rtol=0, atol=1e-4)


@pytest.fixture
def keras_home(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras"


def test_missing_weights_say_where_to_put_which_file(keras_home, monkeypatch):
    import keras

    asked = []

    def unreachable(*args, **settings):
        asked.append((args, settings))
        raise Exception("URL fetch failure on https://…: None -- [Errno -3] Temporary failure in name resolution")

    monkeypatch.setattr(keras.utils, "get_file", unreachable)
    with pytest.raises(WeightsError) as caught:
        build("vgg19", weights="imagenet")
    file = "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
    path = keras_home / "models" / file
    url = f"https://storage.googleapis.com/tensorflow/keras-applications/vgg19/{file}"
    told = str(caught.value)
    for part in (
        f"weights of vgg19 are not at {path}",
        "name resolution",
        f"Fetch {url}",
        f"put it at {path}",
        "--set sizes.weights=",
    ):
        assert part in told
    assert asked[0][0] == (file, url)
    assert asked[0][1]["file_hash"] == FAMILIES["vgg19"].md5


def test_half_a_download_is_not_taken_for_the_weights(keras_home):
    path = keras_home / "models" / FAMILIES["xception"].file
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half")
    with pytest.raises(WeightsError, match="not the published file, or half of it; remove it"):
        build("xception", weights="imagenet")
    assert path.exists()


def save_quietly(model, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of NumPy about Keras
        model.save_weights(path)


def test_weights_can_come_from_a_file_and_a_head_knows_its_own(tmp_path, monkeypatch):
    """With a stand-in of VGG19's form, small enough to be written in a test."""
    import keras

    def small(*, include_top, weights, input_shape, pooling):
        assert (include_top, weights, pooling) == (False, None, "avg")
        layers = keras.layers
        return keras.Sequential(
            [
                layers.Input(input_shape),
                layers.Conv2D(512, 3, activation="relu", name="block1_conv1"),
                layers.GlobalAveragePooling2D(),
            ]
        )

    monkeypatch.setattr(keras.applications, "VGG19", small)
    given = tmp_path / "vgg19.weights.h5"
    donor = build("vgg19").backbone
    donor.layers[0].bias.assign(np.full(512, 3.0))
    save_quietly(donor, given)
    network = build("vgg19", weights=str(given))
    assert network.backbone.layers[0].bias.value.eq(3.0).all()

    path = tmp_path / "head.safetensors"
    sizes = {"weights": str(given), "hidden": 16}
    save_weights(network, path, name="vgg19", input_shape=SHAPE, labels="abcd", sizes=sizes)
    load_weights(path)
    donor.layers[0].bias.assign(np.zeros(512))
    save_quietly(donor, given)
    with pytest.raises(
        WeightsError, match=r"head\.safetensors: this head was trained on a backbone with other weights"
    ):
        load_weights(path)
    given.unlink()
    with pytest.raises(WeightsError, match="there is no such file"):
        load_weights(path)


@pytest.mark.parametrize("file", ["weights.h5", "weights.weights.h5", "weights.keras", "weights.txt"])
def test_a_file_of_something_else_is_refused(file, tmp_path):
    path = tmp_path / file
    path.write_bytes(b"\x80\x04\x95 not weights")
    with pytest.raises(WeightsError, match="not weights of Keras' VGG19 without its top"):
        build("vgg19", weights=str(path))


@pytest.mark.parametrize("shape", [(1, 219, 338), (3, 64, 64), (57,)])
def test_pictures_that_do_not_fit_are_refused(shape):
    with pytest.raises(ExperimentError, match="takes"):
        build_network("xception", input_shape=shape, classes=4, weights="random")


def test_keras_on_another_backend_is_refused(monkeypatch):
    import keras

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ExperimentError, match="Keras runs on jax in this program; set the environment variable"):
        build("vgg19")


def test_the_list_of_networks_does_not_load_keras():
    code = "import json, sys, soundkin.lab.networks; print(json.dumps('keras' in sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=120)
    assert json.loads(ran.stdout) is False
