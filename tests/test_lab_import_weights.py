"""Published weights as model files: they answer as the published networks do, and nothing else is taken for them.

The networks are written down here a second time, with PyTorch's functions and from raw audio, as the README of the
shared data describes them; weights of their layout are drawn at random, and the real ones tested where they are.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional as F  # noqa: E402

from published import State, drawn, layout, save  # noqa: E402
from sound import FORMATS, music  # noqa: E402
from soundkin.catalogue import Catalogue  # noqa: E402
from soundkin.cli.main import run as soundkin  # noqa: E402
from soundkin.errors import ExperimentError, InputError, UnknownNameError, WeightsError  # noqa: E402
from soundkin.lab import importweights  # noqa: E402
from soundkin.lab.importweights import FRONT_END, PUBLISHED, fill, import_weights, read_labels, recognise  # noqa: E402
from soundkin.lab.networks import build_network  # noqa: E402
from soundkin.lab.networks.network import count_parameters  # noqa: E402
from soundkin.model import OnnxModel  # noqa: E402
from soundkin.spectrogram import hann, log_mel, mel_filters  # noqa: E402

WEIGHTS = Path(os.environ.get("SOUNDKIN_SHARED", Path(__file__).parents[2] / "shared")) / "data" / "weights"
SEVEN = ("msd-fcn", "msd-crnn", "jamendo-fcn", "jamendo-crnn", "jamendo-musicnn", "mtat-fcn", "mtat-musicnn")
WRITTEN = ("msd-fcn", "jamendo-crnn", "mtat-musicnn")  # as model files, one of each network: it takes seconds
real = pytest.mark.skipif(not (WEIGHTS / "msd-fcn.pth").is_file(), reason="needs the shared weights")

TOLERANCE = 1e-4  # of a probability, and of a number of the embedding in parts of its range
SECONDS = {"fcn": 29.0, "tagging-crnn": 29.0, "musicnn": 3.0}
LABELS = ["genre---jazz", "mood/theme---happy", "piano"]


# --- the published networks, once more ---


def reference(state: State, y: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """(embedding, probabilities) of `y`, one segment long, at 16 kHz."""
    window = state["spec.spectrogram.window"]
    spectrum = torch.stft(
        torch.from_numpy(y), 512, 256, window=window, center=True, pad_mode="reflect", return_complex=True
    )
    mel = state["spec.mel_scale.fb"].T @ spectrum.abs().square()
    x = _bn(state, "spec_bn", 10 * torch.log10(torch.clamp(mel, min=1e-10))[None, None])
    if "dense2.weight" in state:
        return _musicnn(state, x)
    pools = (
        [(2, 4), (2, 4), (2, 4), (3, 5), (4, 4)] if "layer5.conv.bias" in state else [(2, 2), (3, 3), (4, 4), (4, 4)]
    )
    for i, pool in enumerate(pools, 1):
        x = F.conv2d(x, state[f"layer{i}.conv.weight"], state[f"layer{i}.conv.bias"], padding=1)
        x = F.max_pool2d(F.relu(_bn(state, f"layer{i}.bn", x)), pool)
    embedding = x.flatten() if len(pools) == 5 else _gru(state, x[0, :, 0].T)
    return _told(state, "dense", embedding)


def _musicnn(state: State, x: torch.Tensor) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    out = []
    for i in range(5):
        weight, bias = state[f"layers.{i}.conv.weight"], state[f"layers.{i}.conv.bias"]
        if i < 2:
            one = F.relu(_bn(state, f"layers.{i}.bn", F.conv2d(x, weight, bias, padding=(0, 3)))).amax(2)
        else:
            one = F.relu(_bn(state, f"layers.{i}.bn", F.conv1d(x.mean(2), weight, bias, padding="same")))
        out.append(one)
    below = torch.cat(out, 1)
    assert below.shape[1] == 561
    parts = [below]
    for i in (1, 2, 3):
        y = F.conv1d(parts[-1], state[f"layer{i}.conv.weight"], state[f"layer{i}.conv.bias"], padding="same")
        y = F.relu(_bn(state, f"layer{i}.bn", y))
        parts.append(y if i == 1 else y + parts[-1])
    x = torch.cat(parts, 1)
    x = torch.cat([x.amax(2), x.mean(2)], 1)
    assert x.shape == (1, 1506)
    return _told(
        state, "dense2", F.relu(_bn(state, "bn", F.linear(x, state["dense1.weight"], state["dense1.bias"])))[0]
    )


def _gru(state: State, steps: torch.Tensor) -> torch.Tensor:
    """Cho et al. 2014, gate by gate."""
    for layer in (0, 1):
        w, r = state[f"layer5.weight_ih_l{layer}"], state[f"layer5.weight_hh_l{layer}"]
        b, c = state[f"layer5.bias_ih_l{layer}"], state[f"layer5.bias_hh_l{layer}"]
        h, states = torch.zeros(32), []
        for x in steps:
            (xr, xz, xn), (hr, hz, hn) = (w @ x + b).chunk(3), (r @ h + c).chunk(3)
            reset, update = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
            h = (1 - update) * torch.tanh(xn + reset * hn) + update * h
            states.append(h)
        steps = torch.stack(states)
    return steps[-1]


def _bn(state: State, name: str, x: torch.Tensor) -> torch.Tensor:
    mean, var, weight, bias = (state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
    return F.batch_norm(x, mean, var, weight, bias)


def _told(state: State, head: str, x: torch.Tensor) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    return x.numpy(), torch.sigmoid(F.linear(x, state[f"{head}.weight"], state[f"{head}.bias"])).numpy()


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[State, Path]]:
    """A function: name of a network -> weights, and the model file that was made of them."""
    folder = tmp_path_factory.mktemp("imported")
    made: dict[str, tuple[State, Path]] = {}

    def make(name: str) -> tuple[State, Path]:
        if name not in made:
            state = drawn(name)
            out = folder / "models" / f"{name}.onnx"
            done = import_weights(save(state, folder / f"{name}.pth"), out, network=name, labels=LABELS)
            assert done.path == out and done.network == name and done.tags == ("jazz", "happy", "piano")
            assert done.difference <= TOLERANCE
            made[name] = state, out
        return made[name]

    return make


def differences(state: State, model: OnnxModel, y: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Of the embedding, in parts of its range, and of the tags: the file's answer against the published network's."""
    embedding, tags = reference(state, y)
    row = model.hear(y)
    assert row.shape == (1, len(embedding) + len(tags))
    reach = max(1.0, float(np.abs(embedding).max()))
    return np.abs(row[0, : len(embedding)] - embedding).max() / reach, np.abs(row[0, len(embedding) :] - tags).max()


# --- equal answers ---


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_file_answers_raw_audio_as_the_published_network_does(name, imported):
    state, path = imported(name)
    model = OnnxModel(path)
    assert model.space.dimension == {"fcn": 64, "tagging-crnn": 32, "musicnn": 200}[name]
    assert [(tag.label, tag.category) for tag in model.tags] == [
        ("jazz", "genre"), ("happy", "mood"), ("piano", "instrument"),
    ]  # fmt: skip
    answers = []
    for seed in range(2):
        y = music(SECONDS[name], sr=16000, seed=seed)
        assert max(differences(state, model, y)) <= TOLERANCE
        answers.append(reference(state, y)[1])
    assert np.abs(answers[0] - answers[1]).max() > 10 * TOLERANCE  # the weights do not answer everything alike


@real
@pytest.mark.parametrize("name", SEVEN)
def test_the_published_weights_answer_as_published(name, tmp_path):
    path = WEIGHTS / f"{name}.pth"
    state = torch.load(path, weights_only=True, map_location="cpu")
    network = recognise(state, path)
    y = music(SECONDS[network], sr=16000, seed=3)
    if name in WRITTEN:
        labels = read_labels(WEIGHTS / f"{name.split('-')[0]}-tags.txt")
        done = import_weights(path, tmp_path / f"{name}.onnx", labels=labels)
        assert done.network == network and len(done.tags) == 50 and done.model_id.startswith(f"{name}-")
        assert max(differences(state, OnnxModel(done.path), y)) <= TOLERANCE
    else:
        _, tags = reference(state, y)
        with torch.no_grad():
            found = torch.sigmoid(fill(network, state, path)(torch.from_numpy(log_mel(y, FRONT_END))[None]))[0]
        assert np.abs(found.numpy() - tags).max() <= TOLERANCE


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_network_in_the_lab_has_as_many_parameters(name):
    network = build_network(name, input_shape=(96, PUBLISHED[name].segment_frames), classes=50)
    shapes = {key: shape for key, shape in layout(name, tags=50).items() if not key.startswith("spec.")}
    published = sum(int(np.prod(s)) for key, s in shapes.items() if "running" not in key and "num_batches" not in key)
    assert count_parameters(network) == published


def test_numbers_that_slow_a_processor_down_become_nothing(tmp_path):
    state = drawn("fcn")
    key = "layer2.conv.weight"
    state[key][0] = 1e-40
    state[key][1] = -1e-20
    network = fill("fcn", state, tmp_path / "a.pth")
    weight = network.state_dict()[importweights._ours("fcn", key)]
    assert (weight[0] == 0).all() and (weight[1] == -1e-20).all()
    assert torch.equal(weight[2:], state[key][2:])


def test_the_front_end_is_that_of_the_weights():
    assert np.abs(hann(512) - torch.hann_window(512).numpy()).max() < 1e-6
    if (WEIGHTS / "msd-fcn.pth").is_file():
        found = torch.load(WEIGHTS / "msd-fcn.pth", weights_only=True, map_location="cpu")["spec.mel_scale.fb"].numpy()
        np.testing.assert_allclose(found, mel_filters(FRONT_END).T, atol=2e-5)


def test_a_file_that_answers_otherwise_is_not_written(imported, tmp_path, monkeypatch):
    _, other = imported("musicnn")
    monkeypatch.setattr(importweights, "to_onnx", lambda *_args, **_named: other.read_bytes())
    out = tmp_path / "out.onnx"
    out.write_bytes(b"as before")
    with pytest.raises(ExperimentError, match="answer otherwise"):
        import_weights(save(drawn("musicnn", seed=1), tmp_path / "w.pth"), out, network="musicnn", labels=LABELS)
    assert out.read_bytes() == b"as before" and len(list(tmp_path.iterdir())) == 2


# --- the command ---


def ask_for(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    capsys.readouterr()
    code = soundkin([str(one) for one in arguments])
    return (code, *capsys.readouterr())


def test_a_library_hears_with_the_file_that_the_command_wrote(imported, tmp_path, capsys, monkeypatch):
    state, done_before = imported("musicnn")  # the same again, which spares the exporter's seconds
    monkeypatch.setattr(importweights, "to_onnx", lambda *_args, **_named: done_before.read_bytes())
    weights = save(state, tmp_path / "my weights.pth")
    labels = tmp_path / "tags.txt"
    labels.write_text("\ufeffgenre---jazz\r\ngenre---happy\r\nmood/theme---happy\r\n\r\n", encoding="utf-8")
    model = tmp_path / "new" / "model.onnx"
    command = ["lab", "import-weights", weights, model, "--labels", labels, "--licence", "MIT", "--excerpts", "2x4"]
    code, out, err = ask_for(capsys, *command, "--no-standardise", "--mutual-proximity")
    assert (code, err) == (0, "")
    written = OnnxModel(model)
    assert f"{model}: {written.id}, musicnn, embeddings of 200 numbers, 3 tags" in out
    assert "jazz, genre---happy, mood/theme---happy" in out  # two that would be called alike
    assert written.name == "my-weights" and str(written.excerpts) == "2x4"
    assert (written.space.standardise, written.space.mutual_proximity) == (False, True)

    (tmp_path / "music").mkdir()
    for seed in range(2):
        FORMATS["wav-16"].write(tmp_path / "music" / f"{seed}.wav", music(8, sr=FORMATS["wav-16"].sr, seed=seed))
    code, out, err = ask_for(
        capsys, "--library", tmp_path / "l.db", "--model", model, "scan", tmp_path / "music", "-j", 1
    )
    assert code == 0, err
    with Catalogue.open(tmp_path / "l.db") as catalogue:
        ids, vectors = catalogue.vectors(written.id)
    assert vectors.shape == (len(ids), 200) == (2, 200)

    code, out, _ = ask_for(capsys, "lab", "import-weights", weights, model, "--labels", labels, "--name", "x", "--json")
    told = json.loads(out)
    assert code == 0 and told["network"] == "musicnn" and told["dimension"] == 200 and told["difference"] <= TOLERANCE
    assert told["model"] == OnnxModel(model).id and told["model"].startswith("x-")


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    weights = save(drawn("fcn"), tmp_path / "w.pth")
    labels = tmp_path / "tags.txt"
    labels.write_text("jazz\nrock\n", encoding="utf-8")
    command = ["lab", "import-weights", weights, tmp_path / "out.onnx"]
    code, _, err = ask_for(capsys, *command, "--labels", labels)
    assert code == 1 and "the network tells 3 tags, and there are 2 labels" in err
    code, _, err = ask_for(capsys, *command, "--labels", labels, "--network", "resnet18")
    assert code == 2 and "resnet18" in err and "tagging-crnn" in err
    code, _, err = ask_for(capsys, *command, "--labels", tmp_path / "none.txt")
    assert code == 1 and "none.txt" in err
    assert not (tmp_path / "out.onnx").exists()


# --- what is refused ---


def without(key: str) -> Callable[[State], None]:
    return lambda state: state.pop(key)


def with_(key: str, value: Any) -> Callable[[State], None]:
    return lambda state: state.update({key: value})


def other_filters(state: State) -> None:
    state["spec.mel_scale.fb"] = state["spec.mel_scale.fb"] * 1.01


UNFIT: list[tuple[str, Callable[[State], Any], str]] = [
    ("fcn", without("layer3.bn.bias"), r"layer3\.bn\.bias \(128,\) is missing"),
    ("fcn", without("spec.mel_scale.fb"), r"spec\.mel_scale\.fb \(257, 96\) is missing"),
    ("fcn", with_("extra.bias", torch.zeros(2)), r"extra\.bias \(2,\) is no part of it"),
    ("fcn", with_("layer2.conv.weight", torch.zeros(64, 64, 3, 3)), r"layer2\.conv\.weight has .* \(64, 64.*not \(128"),
    ("fcn", with_("dense.bias", torch.zeros(4)), r"dense\.weight has the shape \(3, 64\), not \(4, 64\)"),
    ("fcn", with_("dense.bias", torch.zeros(())), r"dense\.(weight|bias) has the shape"),
    ("tagging-crnn", without("layer5.bias_hh_l1"), r"layer5\.bias_hh_l1 \(96,\) is missing"),
    ("musicnn", with_("layer1.conv.weight", torch.zeros(512, 561, 7)), r"layer1\.conv\.weight has .* \(512.*not \(64"),
    ("fcn", other_filters, r"it hears otherwise than the published networks: spec\.mel_scale\.fb"),
    ("fcn", with_("spec.spectrogram.window", torch.hamming_window(512)), r"spec\.spectrogram\.window differs"),
    ("fcn", with_("layer1.bn.bias", torch.full((64,), torch.nan)), r"layer1\.bn\.bias has numbers that are not finite"),
    ("fcn", with_("layer1.bn.bias", [0.0] * 64), r"'layer1\.bn\.bias' is a list"),
    ("fcn", with_("layer1.bn.bias", torch.zeros(64).to_sparse()), r"layer1\.bn\.bias is no plain tensor"),
    ("fcn", with_("dense.bias", torch.zeros(3, dtype=torch.complex64)), r"dense\.bias is no plain tensor"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "message"), UNFIT)
@pytest.mark.parametrize("named", [True, False])
def test_weights_that_do_not_fit_are_refused_by_name_and_shape(name, change, message, named, tmp_path):
    state = drawn(name)
    change(state)
    path = save(state, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=message) as refusal:
        import_weights(path, tmp_path / "out.onnx", network=name if named else None, labels=LABELS)
    assert str(path) in str(refusal.value)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("name", "other"), list(itertools.permutations(PUBLISHED, 2)))
def test_weights_of_one_network_are_not_taken_for_anothers(name, other, tmp_path):
    path = save(drawn(name), tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=f"not the weights of {other}: .*it looks like {name}"):
        import_weights(path, tmp_path / "out.onnx", network=other, labels=LABELS)


class _Thing:
    pass


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (_Thing(), "holds more than tensors"),
        ({"model": _Thing()}, "holds more than tensors"),
        (torch.nn.Linear(2, 3), "holds more than tensors"),
        (torch.zeros(3), "a dict of tensors by name, not a Tensor"),
        ([torch.zeros(3)], "not a list"),
        ({}, "an empty one"),
        ({"state_dict": {"a": torch.zeros(2)}}, r"'state_dict' is a dict.*save that part alone"),
        ({3: torch.zeros(2)}, "3 is a Tensor"),
        ({"a": torch.zeros(2)}, "none of the networks fcn, tagging-crnn, musicnn: its keys are a"),
    ],
)
def test_what_is_no_state_dict_of_them_is_refused(content, message, tmp_path):
    path = save(content, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=message):
        import_weights(path, tmp_path / "out.onnx", labels=LABELS)


@pytest.mark.parametrize("rubbish", [b"", b"not weights\n", b"PK\x03\x04 cut short", b"\x80\x02}q\x00.", "half"])
def test_rubbish_is_refused(rubbish, tmp_path):
    path = tmp_path / "w.pth"
    if rubbish == "half":
        save(drawn("fcn"), path)
        rubbish = path.read_bytes()[: path.stat().st_size // 2]
    path.write_bytes(rubbish)
    with pytest.raises(WeightsError, match=r"w\.pth: (the weight file is empty|not a whole file|a state dict is)"):
        import_weights(path, tmp_path / "out.onnx", labels=LABELS)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"none\.pth"):
        import_weights(tmp_path / "none.pth", tmp_path / "out.onnx", labels=LABELS)
    with pytest.raises(WeightsError, match="cannot be read"):
        import_weights(tmp_path, tmp_path / "out.onnx", labels=LABELS)


def test_labels_are_as_many_as_outputs_and_told_apart(tmp_path):
    path = save(drawn("fcn"), tmp_path / "w.pth")
    for labels, message in (
        (["a", "b"], "tells 3 tags, and there are 2 labels"),
        ([], "there are 0 labels"),
        (["a", "b", "a"], "more than once: a"),
    ):
        with pytest.raises(WeightsError, match=message):
            import_weights(path, tmp_path / "out.onnx", labels=labels)
    (tmp_path / "latin.txt").write_bytes("café\n".encode("latin-1"))
    with pytest.raises(WeightsError, match=r"latin\.txt: .*UTF-8"):
        read_labels(tmp_path / "latin.txt")


def test_settings_that_cannot_be_are_refused(tmp_path):
    path = save(drawn("fcn"), tmp_path / "w.pth")
    with pytest.raises(UnknownNameError, match="vgg"):
        import_weights(path, tmp_path / "out.onnx", network="vgg", labels=LABELS)
    with pytest.raises(InputError, match="excerpts are"):
        import_weights(path, tmp_path / "out.onnx", labels=LABELS, excerpts="some")
    with pytest.raises(InputError, match="name"):
        import_weights(path, tmp_path / "out.onnx", labels=LABELS, name="a/b")
    assert list(tmp_path.iterdir()) == [path]
