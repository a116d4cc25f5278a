"""Networks: the sizes of the source documents, and the contract that each of them keeps."""

import json

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file

from soundkin.errors import ExperimentError, UnknownNameError, WeightsError
from soundkin.lab.networks import NETWORKS, build_network
from soundkin.lab.networks.network import count_parameters
from soundkin.lab.networks.to_onnx import EmbeddingAndLogits, to_onnx
from soundkin.lab.weights import load_into, load_weights, read_card, save_weights

S1, S2, WON = (1, 219, 338), (3, 256, 256), (96, 1813)

COUNTS = [
    ("custom-cnn", S1, 10, {}, 131_818),
    ("rnn", S1, 10, {}, 18_890),
    ("lstm", S1, 10, {}, 73_610),
    ("gru", S1, 10, {}, 55_370),
    ("gru", S1, 10, {"layers": 2}, 80_330),
    ("gru", S1, 10, {"layers": 3}, 105_290),
    ("gru", S1, 10, {"hidden": 128}, 135_306),
    ("gru", S1, 10, {"hidden": 256}, 368_906),
    ("resnet18", S1, 10, {}, 12_852_784),
    ("resnet18", S1, 10, {"stages": 3}, 3_246_640),  # ours; the documents' counts hold stages that are not run
    ("resnet18", S1, 10, {"stages": 2}, 802_864),
    ("resnet18", S1, 10, {"stages": 1}, 170_800),
    ("inception-single", S1, 10, {}, 4_355_138),
    ("inception-skip", S1, 10, {}, 2_436_034),
    ("inception-growing", S1, 10, {}, 2_311_170),
    ("s2-cnn-first", S2, 12, {}, 8_418_924),
    ("s2-cnn", S2, 12, {"batch_norm": False}, 1_983_244),
    ("s2-cnn", S2, 12, {}, 1_983_244 + 2 * 3 * 32),
    ("fcn", WON, 50, {}, 447_732),  # as many as their published weights
    ("tagging-crnn", WON, 50, {}, 394_100),
    ("musicnn", (96, 188), 50, {}, 784_300),
]

SMALL = {
    "custom-cnn": ((1, 70, 80), {"pools": [[2, 2], [2, 2], [2, 2], [2, 2]], "strides": [[2, 2]] * 4}),
    "rnn": ((1, 9, 12), {"layers": 2}),
    "lstm": ((12, 9), {"hidden": 8}),
    "gru": ((1, 9, 12), {"hidden": 8}),
    "resnet18": ((1, 40, 52), {"stages": 2, "pool": 3}),
    "inception-single": ((1, 24, 28), {"channels": [8, 8, 16], "modules": [[8, 8, 4]]}),
    "inception-skip": ((1, 12, 13), {"channels": [8, 24], "modules": [[8, 8, 4]] * 2}),
    "inception-growing": ((1, 7, 8), {"modules": [[4, 4, 2], [8, 8, 4]]}),
    "s2-cnn-first": ((3, 24, 24), {}),
    "s2-cnn": ((3, 30, 30), {}),
    "ann": ((43,), {}),
    "s3-lstm": ((14, 27), {}),
    "short-chunk-cnn": ((40, 64), {"channels": [4, 6, 8]}),
    "k1c2": ((7, 48), {"channels": [3, 4], "hidden": [6, 5], "pools": [4, 5]}),
    "k2c1": ((7, 48), {"channels": [3, 4], "hidden": [6, 5], "pools": [4, 5]}),
    "k2c2": ((9, 48), {"channels": [3, 4], "pools": [[2, 4], [3, 5]]}),
    "crnn": ((8, 48), {"channels": [3, 4], "hidden": 5, "pools": [[2, 2], [4, 4]]}),
    "crnn-attention": ((8, 48), {"channels": [3, 4], "hidden": 5, "pools": [[2, 2], [4, 4]]}),
    "mlp": ((57,), {"hidden": [16, 8]}),
    "fcn": ((24, 40), {"channels": [4, 8], "pools": [[3, 4], [4, 5]]}),
    "tagging-crnn": ((24, 40), {"channels": [4, 8], "pools": [[3, 2], [4, 3]], "hidden": 6}),
    "strided-cnn": ((24, 30), {"channels": [4, 8], "blocks": [0, 1], "bottleneck": 4, "hidden": 8}),
    "musicnn": ((24, 30), {"tall": 6, "lengths": [9, 5], "long": 4, "channels": 6, "hidden": 10}),
}
"""Name -> (input_shape, sizes): each network small enough to be exported in a second or two."""
TRANSFER = {"xception", "resnet50v2", "vgg19"}  # in test_lab_transfer.py


@pytest.mark.parametrize(("name", "input_shape", "classes", "sizes", "count"), COUNTS)
def test_it_has_as_many_parameters_as_its_document_says(name, input_shape, classes, sizes, count):
    assert count_parameters(build_network(name, input_shape=input_shape, classes=classes, **sizes)) == count


def test_the_short_chunk_network_stays_small():
    assert count_parameters(build_network("short-chunk-cnn", input_shape=(128, 188), classes=10)) <= 250_000


def test_every_network_is_in_the_contract_test():
    assert set(SMALL) == set(NETWORKS) - TRANSFER


@pytest.mark.parametrize("name", SMALL)
def test_every_network_keeps_the_contract(name, tmp_path, capfd):
    input_shape, sizes = SMALL[name]
    torch.manual_seed(0)
    network = build_network(name, input_shape=input_shape, classes=4, **sizes)
    x = torch.randn(6, *input_shape)

    # forward and gradient
    logits = network.train()(x)
    assert logits.shape == (6, 4)
    loss = torch.nn.functional.cross_entropy(logits, torch.arange(6) % 4)
    penalty = network.penalty()
    (loss if penalty is None else loss + penalty).backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key
        assert parameter.grad.abs().sum() > 0, key

    # the embedding is what the head sees
    network.eval()
    with torch.no_grad():
        embedding, logits = network.embed(x), network(x)
        assert embedding.shape == (6, network.embedding_size)
        torch.testing.assert_close(network.head(embedding), logits, rtol=0, atol=1e-6)

    # saved and loaded, equal
    path = tmp_path / "weights.safetensors"
    labels = ("blues", "jazz", "pop", "rock")
    save_weights(network, path, name=name, input_shape=input_shape, labels=labels, sizes=sizes, extra={"epoch": 3})
    loaded, card = load_weights(path)
    assert (card.name, card.input_shape, card.labels, card.extra) == (name, input_shape, labels, {"epoch": 3})
    with torch.no_grad():
        assert torch.equal(loaded(x), logits)

    # exported, equal, for any batch
    capfd.readouterr()
    model = to_onnx(EmbeddingAndLogits(network), input_shape, input_name="x", output_names=["embedding", "logits"])
    assert "".join(capfd.readouterr()) == ""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    for batch in (1, 6):
        found = session.run(["embedding", "logits"], {"x": x[:batch].numpy()})
        np.testing.assert_allclose(found[0], embedding[:batch].numpy(), rtol=0, atol=1e-4)
        np.testing.assert_allclose(found[1], logits[:batch].numpy(), rtol=0, atol=1e-4)


def test_an_exported_rnn_does_not_write_out_its_steps():
    network = build_network("rnn", input_shape=(1, 219, 338), classes=10)
    model = to_onnx(network, (1, 219, 338), input_name="x", output_names=["logits"])
    assert len(model) < 200_000  # 18,890 parameters of four bytes


def test_what_cannot_be_exported_is_said():
    class Deciding(torch.nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(ExperimentError, match="Deciding cannot be written as ONNX: "):
        to_onnx(Deciding(), (3,), input_name="x", output_names=["y"])


def test_building_teaches_batch_norm_nothing():
    for name in ("custom-cnn", "s2-cnn", "short-chunk-cnn"):
        input_shape, sizes = SMALL[name]
        network = build_network(name, input_shape=input_shape, classes=4, **sizes)
        assert network.training
        norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
        assert norms
        for norm in norms:
            assert norm.training
            assert int(norm.num_batches_tracked) == 0
            assert torch.equal(norm.running_mean, torch.zeros_like(norm.running_mean))


def test_a_log_mel_segment_is_a_picture_of_one_channel():
    for name in ("custom-cnn", "resnet18", "inception-skip", "s2-cnn", "short-chunk-cnn"):
        _, sizes = SMALL[name]
        torch.manual_seed(0)
        network = build_network(name, input_shape=(70, 80), classes=4, **sizes).eval()
        x = torch.randn(2, 70, 80)
        with torch.no_grad():
            torch.testing.assert_close(network(x), network(x.unsqueeze(1)))


def test_recurrent_networks_read_a_picture_column_by_column():
    torch.manual_seed(0)
    network = build_network("gru", input_shape=(1, 9, 12), classes=4).eval()
    picture = torch.randn(2, 1, 9, 12)
    with torch.no_grad():
        torch.testing.assert_close(network(picture), network(picture[:, 0].transpose(1, 2)))
        later = picture.clone()
        later[..., -1] += 1
        assert not torch.allclose(network(picture), network(later))


def test_s3_lstm_can_be_of_any_depth_and_starts_with_open_forget_gates():
    network = build_network("s3-lstm", input_shape=(20, 27), classes=6, hidden=[30, 10, 10, 10])
    assert [layer.hidden_size for layer in network.layers] == [30, 10, 10, 10]
    first = network.layers[0]
    gates = (first.bias_ih_l0 + first.bias_hh_l0).detach().reshape(4, 30)  # input, forget, cell, output
    assert torch.equal(gates, torch.tensor([[0.0], [1.0], [0.0], [0.0]]).expand(4, 30))


def test_the_ann_pays_for_the_weights_of_its_first_two_layers_only():
    network = build_network("ann", input_shape=(5,), classes=3, hidden=[4, 3, 2], l1=0.5)
    weights = [layer.weight.detach() for layer in network.layers]
    assert network.penalty().item() == pytest.approx(0.5 * float(weights[0].abs().sum() + weights[1].abs().sum()))
    assert build_network("ann", input_shape=(5,), classes=3, l1=0.0).penalty() is None
    assert build_network("mlp", input_shape=(5,), classes=3).penalty() is None


@pytest.mark.parametrize(
    ("name", "input_shape", "sizes", "message"),
    [
        ("custom-cnn", S1, {"width": 3}, "no setting 'width'; it has: channels, pools"),
        ("custom-cnn", S1, {"hidden": "many"}, "the setting hidden is of the kind of 128, not 'many'"),
        ("custom-cnn", S1, {"hidden": 2.5}, "the setting hidden"),
        ("s2-cnn", S2, {"batch_norm": 1}, "the setting batch_norm"),
        ("custom-cnn", S1, {"pools": [[2, 2]]}, "no network of inputs"),
        ("custom-cnn", (1, 10, 10), {}, r"inputs of shape \(1, 10, 10\) do not fit this network"),
        ("custom-cnn", (57,), {}, r"takes pictures \(channels, height, width\), not inputs of shape \(57,\)"),
        ("gru", (3, 256, 256), {}, "grey pictures"),
        ("resnet18", S1, {"stages": 5}, "stages = 1 to 4, not 5"),
        ("s3-lstm", S1, {}, r"takes sequences \(steps, numbers\)"),
        ("s3-lstm", (12, 27), {"hidden": []}, "one layer or more"),
    ],
)
def test_what_does_not_fit_a_network_is_said(name, input_shape, sizes, message):
    with pytest.raises(ExperimentError, match=message):
        build_network(name, input_shape=input_shape, classes=10, **sizes)


def test_an_unknown_network_is_told_with_those_there_are():
    with pytest.raises(UnknownNameError, match="unknown network 'custom'; there are: rnn, lstm, gru"):
        build_network("custom", input_shape=S1, classes=10)


@pytest.fixture
def saved(tmp_path):
    network = build_network("mlp", input_shape=(5,), classes=2, hidden=[3])
    path = tmp_path / "mlp.safetensors"
    save_weights(network, path, name="mlp", input_shape=(5,), labels=("a", "b"), sizes={"hidden": [3]})
    return path


def test_a_weight_file_of_another_network_is_refused(saved):
    other = build_network("ann", input_shape=(5,), classes=2)
    with pytest.raises(WeightsError, match=r"it holds 'mlp' \(inputs \(5,\), 2 classes, hidden = \[3\]\), not 'ann'"):
        load_into(other, saved, name="ann")
    wider = build_network("mlp", input_shape=(5,), classes=2, hidden=[4])
    before = {key: tensor.clone() for key, tensor in wider.state_dict().items()}
    with pytest.raises(WeightsError, match=r"layers\.0\.weight is \(3, 5\) there and \(4, 5\) here"):
        load_into(wider, saved, name="mlp")
    assert all(torch.equal(before[key], tensor) for key, tensor in wider.state_dict().items())
    deeper = build_network("mlp", input_shape=(5,), classes=2, hidden=[3, 3])
    with pytest.raises(WeightsError, match=r"layers\.1\.weight is missing there"):
        load_into(deeper, saved, name="mlp")


def test_weights_go_into_a_network_of_the_same_kind(saved):
    network = build_network("mlp", input_shape=(5,), classes=2, hidden=[3])
    assert load_into(network, saved, name="mlp").labels == ("a", "b")
    x = torch.randn(4, 5)
    with torch.no_grad():
        assert torch.equal(network(x), load_weights(saved)[0](x))


def test_a_damaged_or_foreign_weight_file_is_refused(saved, tmp_path):
    path = tmp_path / "other.safetensors"
    with pytest.raises(WeightsError, match="no such weight file"):
        load_weights(path)
    whole = saved.read_bytes()
    # truncated, empty, noise, a pickle as PyTorch writes it, a zip
    for content in (whole[:-3], whole[:40], b"", b"noise" * 99, b"\x80\x04\x95\x0b.", b"PK\x03\x04" + bytes(60)):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match="not a whole safetensors file"):
            load_weights(path)
    save_file({"x": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match="without a card"):
        load_weights(path)
    whole_card = {"version": 1, "name": "mlp", "input_shape": [5], "labels": ["a"], "sizes": {}, "extra": {}}
    for card, message in [
        ("{", "its card is not usable"),
        ('{"version": 2}', "of version 2"),
        ('{"version": 1, "name": "mlp"}', "its card is not usable"),
        (json.dumps(whole_card | {"name": "x"}), "unknown network"),
        (json.dumps(whole_card | {"sizes": {"z": 1}}), "no setting 'z'"),
        (json.dumps(whole_card), "is missing"),
    ]:
        save_file({"x": torch.zeros(3)}, path, metadata={"soundkin-lab-network": card})
        with pytest.raises(WeightsError, match=message):
            load_weights(path)


def test_a_weight_file_is_replaced_whole_or_not_at_all(saved):
    before = saved.read_bytes()
    network = build_network("mlp", input_shape=(5,), classes=2, hidden=[3])
    with pytest.raises(TypeError):
        save_weights(network, saved, name="mlp", input_shape=(5,), labels=("a", "b"), extra={"card": object()})
    assert saved.read_bytes() == before
    assert read_card(saved).sizes == {"hidden": [3]}
    assert list(saved.parent.iterdir()) == [saved]


def test_weights_kept_channels_last_are_saved_as_any_others(tmp_path):
    network = build_network("custom-cnn", input_shape=(1, 70, 80), classes=2, **SMALL["custom-cnn"][1])
    network = network.to(memory_format=torch.channels_last).eval()
    path = tmp_path / "weights.safetensors"
    save_weights(network, path, name="custom-cnn", input_shape=(1, 70, 80), labels="ab", sizes=SMALL["custom-cnn"][1])
    x = torch.randn(2, 1, 70, 80)
    with torch.no_grad():
        torch.testing.assert_close(load_weights(path)[0](x), network(x))


def strided_cnn():
    torch.manual_seed(0)
    return build_network("strided-cnn", input_shape=(96, 188), classes=4, **SMALL["strided-cnn"][1]).eval()


def test_the_strided_network_does_not_hear_loudness():
    network, x = strided_cnn(), 10 * torch.randn(3, 96, 188)
    with torch.no_grad():
        for db in (-40.0, -12.0, 6.0):
            torch.testing.assert_close(network(x + db), network(x), rtol=1e-4, atol=1e-4)
        louder = x.clone()
        louder[:, 10:40] += 20  # some bands alone are another sound
        assert (network(louder) - network(x)).abs().max() > 0.005


def test_the_strided_network_does_not_hear_what_is_far_beneath_the_peak():
    network = strided_cnn()
    x = 3 * torch.randn(2, 96, 188)
    x[:, 60:] -= 90  # beyond its reach of 70 dB, where a codec or a dither makes all the difference
    quieter, nearer = x.clone(), x.clone()
    quieter[:, 60:] -= 30
    nearer[:, 60:] += 50
    with torch.no_grad():
        torch.testing.assert_close(network(quieter), network(x), rtol=1e-4, atol=1e-4)
        assert (network(nearer) - network(x)).abs().max() > 0.01
