"""Model files: a tiny network answers as NumPy says it must, and what is no model is refused with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sound import FORMATS, music, noise
from soundkin.analysis import analyse
from soundkin.errors import ModelError, UnknownNameError
from soundkin.excerpts import ExcerptPlan
from soundkin.model import (
    BUNDLED,
    DEFAULT_MODEL,
    METADATA_KEY,
    MODELS,
    OnnxModel,
    Space,
    Tag,
    TimbreModel,
    built_in_id,
    load_model,
    model_card,
)
from soundkin.modelfile import CHECKSUM_KEY, NO_CHECKSUM, seal
from soundkin.spectrogram import LogMel, log_mel

FRONT_END = LogMel(sr=16000, n_fft=512, hop_length=256, n_mels=24, mel_scale="htk", norm=None)
SEGMENT, DIMENSION = 32, 5
LABELS = [{"label": "rock", "category": "genre"}, {"label": "très calme", "category": "mood"}]
CARD: dict[str, Any] = {
    "version": "1",
    "segment_frames": SEGMENT,
    "dimension": DIMENSION,
    "offset": 30.0,
    "scale": 0.02,
    "tags": LABELS,
    "excerpts": "4x3",
    "mutual_proximity": True,
}
RNG = np.random.default_rng(0)
W = RNG.standard_normal((24, DIMENSION)).astype(np.float32)
V = RNG.standard_normal((DIMENSION, len(LABELS))).astype(np.float32)


def network(
    *,
    w: np.ndarray = W,
    v: np.ndarray = V,
    batch: str | int = "batch",
    outputs: tuple[str, ...] = ("embedding", "tags"),
) -> onnx.ModelProto:
    """embedding = mean over time (batch, mels) @ w; tags = sigmoid(embedding @ v)."""
    nodes = [
        helper.make_node("ReduceMean", ["mel"], ["pooled"], axes=[2], keepdims=0),
        helper.make_node("MatMul", ["pooled", "w"], ["embedding"]),
        helper.make_node("MatMul", ["embedding", "v"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["tags"]),
    ]
    sizes = {"embedding": w.shape[1], "tags": v.shape[1], "pooled": w.shape[0]}
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("mel", TensorProto.FLOAT, [batch, w.shape[0], SEGMENT])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, sizes[name]]) for name in outputs],
        [numpy_helper.from_array(w, "w"), numpy_helper.from_array(v, "v")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def save(path: Path, model: onnx.ModelProto | None = None, *, text: str | None = None, **fields: Any) -> Path:
    """Write a model file with CARD, changed by `fields`; a field that is None is left out."""
    model = network() if model is None else model
    if text is None:
        kept = {key: value for key, value in {**CARD, **fields}.items() if value is not None}
        text = model_card("tiny", front_end=FRONT_END, **kept)
    kept = {key: value for key, value in {**CARD, **fields}.items() if value is not None}
    helper.set_model_props(
        model, {METADATA_KEY: model_card("tiny", front_end=FRONT_END, **kept) if text is None else text}
    )
    path.write_bytes(model.SerializeToString())
    return path


def expected(y: np.ndarray) -> np.ndarray:
    """(segments, DIMENSION + labels): the same network in NumPy."""
    mel = (log_mel(y, FRONT_END) + 30.0) * 0.02
    count = mel.shape[1] // SEGMENT
    skip = (mel.shape[1] - count * SEGMENT) // 2
    parts = [mel[:, skip + i * SEGMENT :][:, :SEGMENT] for i in range(count)]
    embedding = np.array([part.mean(axis=1) for part in parts]) @ W
    return np.concatenate([embedding, 1 / (1 + np.exp(-embedding @ V))], axis=1)


@pytest.fixture
def tiny(tmp_path: Path) -> OnnxModel:
    model = load_model(save(tmp_path / "tiny.onnx"))
    assert isinstance(model, OnnxModel)
    return model


# --- a good model ---


def test_everything_about_it_comes_from_the_file(tiny: OnnxModel) -> None:
    assert (tiny.name, tiny.version, tiny.sr) == ("tiny", "1", 16000)
    assert tiny.excerpts == ExcerptPlan(4, 3.0)
    assert tiny.tags == (Tag("rock", "genre"), Tag("très calme", "mood"))
    assert tiny.space.dimension == DIMENSION and not tiny.space.standardise and tiny.space.mutual_proximity
    assert tiny.front_end == FRONT_END


@pytest.mark.parametrize("seconds", [0.6, 1.0, 3.0, 20.0], ids=lambda s: f"{s} s")
def test_it_answers_as_numpy_does(tiny: OnnxModel, seconds: float) -> None:
    y = music(seconds, sr=16000)
    rows = tiny.hear(y)
    np.testing.assert_allclose(rows, expected(y), atol=1e-4)
    assert rows.dtype == np.float32
    embedding = tiny.summarise(rows)
    np.testing.assert_allclose(embedding.vector, expected(y).mean(axis=0)[:DIMENSION], atol=1e-4)
    assert embedding.tags is not None
    np.testing.assert_allclose(embedding.tags, expected(y).mean(axis=0)[DIMENSION:], atol=1e-4)


def test_an_excerpt_shorter_than_a_segment_is_repeated(tiny: OnnxModel) -> None:
    y = noise(0.2, sr=16000)
    rows = tiny.hear(y)
    assert rows.shape == (1, DIMENSION + len(LABELS))
    np.testing.assert_allclose(rows, expected(np.resize(y, 31 * 256 + 1)), atol=1e-4)


def test_the_id_is_that_of_the_content(tmp_path: Path) -> None:
    ids = [
        load_model(save(tmp_path / "a.onnx")).id,
        load_model(save(tmp_path / "moved.onnx")).id,
        load_model(save(tmp_path / "b.onnx", network(w=W + 1e-6))).id,
        load_model(save(tmp_path / "c.onnx", scale=0.03)).id,
    ]
    assert ids[0] == ids[1] and len(set(ids)) == 3
    assert all(model_id.startswith("tiny-") for model_id in ids)


def test_a_model_without_tags(tmp_path: Path) -> None:
    model = load_model(save(tmp_path / "bare.onnx", network(outputs=("embedding",)), tags=None))
    embedding = model.summarise(model.hear(music(3, sr=16000)))
    assert model.tags == () and embedding.tags is None and embedding.vector.shape == (DIMENSION,)


def test_it_analyses_a_file(tiny: OnnxModel, tmp_path: Path) -> None:
    path = FORMATS["flac"].write(tmp_path / "a.flac", music(20))
    analysis = analyse(path, model=tiny)
    assert analysis.model_id == tiny.id
    assert analysis.vector is not None and analysis.vector.shape == (DIMENSION,)
    assert analysis.tags is not None and ((analysis.tags > 0) & (analysis.tags < 1)).all()


@pytest.mark.parametrize("name", MODELS)
def test_built_in_models_load_by_name(name: str) -> None:
    model = load_model(name)
    assert model.name == model.source == name
    assert model.card["licence"]
    assert built_in_id(name) == model.id  # told without loading it
    if name in BUNDLED:
        assert CHECKSUM_KEY.encode() in BUNDLED[name].read_bytes(), "sealed, so that damage is noticed"


def test_the_bundled_model_is_the_default_and_says_what_it_is() -> None:
    model = load_model()
    assert isinstance(model, OnnxModel) and model.name == DEFAULT_MODEL == "soundkin"
    assert 128 <= model.space.dimension <= 256 and not model.space.standardise
    assert {tag.category for tag in model.tags} == {"genre", "mood", "era", "instrument", "voice"}
    assert BUNDLED["soundkin"].stat().st_size <= 6e6


@pytest.mark.parametrize("gain", [0.25, 0.9])
def test_the_bundled_model_does_not_hear_loudness(gain: float) -> None:
    model, y = load_model(), music(20, sr=16000)
    loud, quiet = (model.summarise(model.hear(one)) for one in (y, (gain * y).astype(np.float32)))
    cosine = loud.vector @ quiet.vector / np.linalg.norm(loud.vector) / np.linalg.norm(quiet.vector)
    assert cosine > 0.999
    assert loud.tags is not None and quiet.tags is not None
    np.testing.assert_allclose(loud.tags, quiet.tags, atol=0.01)


@pytest.mark.parametrize(
    "space",
    [TimbreModel().space, Space(5, mutual_proximity=True), Space(2, standardise=True)],
    ids=lambda one: one.dimension,
)
def test_a_space_survives_being_kept_as_text(space: Space) -> None:
    kept = Space.from_json(space.as_json())
    assert (kept.dimension, kept.standardise, kept.mutual_proximity) == (
        space.dimension,
        space.standardise,
        space.mutual_proximity,
    )
    assert dict(kept.aspects) == dict(space.aspects)
    if space.weights is None:
        assert kept.weights is None
    else:
        assert kept.weights is not None and kept.weights.dtype == np.float32
        np.testing.assert_array_equal(kept.weights, space.weights)


# --- what is refused ---


def refuse(path: Path, *, match: str) -> None:
    with pytest.raises(ModelError, match=match) as caught:
        load_model(path)
    assert str(path) in str(caught.value)


def test_a_name_that_is_nothing_lists_the_names() -> None:
    with pytest.raises(UnknownNameError, match=r"'timber'.*timbre"):
        load_model("timber")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    refuse(tmp_path / "gone.onnx", match="cannot be read")


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "folder.onnx").mkdir()
    refuse(tmp_path / "folder.onnx", match="cannot be read")


@pytest.mark.parametrize("content", [b"", b"PK\3\4 not a network", b"\x80\x04K\x01.", bytes(1000)])
def test_not_onnx(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(content)
    refuse(path, match="not a model that ONNX Runtime can load|without .* metadata")


def test_cut_off(tmp_path: Path) -> None:
    path = save(tmp_path / "a.onnx")
    path.write_bytes(path.read_bytes()[:300])
    refuse(path, match="ONNX Runtime")


def sealed(path: Path) -> Path:
    """A model file that carries its checksum, as exporters write it."""
    save(path)
    model = onnx.load(str(path))
    model.metadata_props.add(key=CHECKSUM_KEY, value=NO_CHECKSUM)
    path.write_bytes(seal(model.SerializeToString()))
    return path


def test_one_flipped_bit_of_a_sealed_file(tmp_path: Path) -> None:
    """It may leave a network that runs, and answers wrongly."""
    path = sealed(tmp_path / "a.onnx")
    good = path.read_bytes()
    assert load_model(path).name == "tiny"
    weights = good.index(W.tobytes())
    for place in (weights, weights + W.nbytes // 2 + 3, good.index(b"segment_frames"), good.index(b"ReduceMean")):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        refuse(path, match="damaged: it is not what its own checksum says")
    for kept in (len(good) - 1, len(good) - 70, len(good) // 2, 10):
        path.write_bytes(good[:kept])
        refuse(path, match="damaged")


def test_only_a_file_with_room_for_a_checksum_can_be_sealed(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no metadata entry “soundkin_sha256”"):
        seal(save(tmp_path / "a.onnx").read_bytes())


@pytest.mark.parametrize("damage", ["gone", "cut off", "another file"])
def test_a_bundled_model_that_is_damaged_says_the_way_out(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "soundkin-1.onnx"
    monkeypatch.setitem(BUNDLED, "soundkin", path)
    if damage == "cut off":
        path.write_bytes(sealed(path).read_bytes()[:500])
    elif damage == "another file":
        path.write_text("words")
    with pytest.raises(ModelError, match=r"install that again.*--model timbre") as caught:
        load_model("soundkin")
    assert str(path) in str(caught.value)


def test_a_bundled_model_is_known_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BUNDLED, "soundkin", sealed(tmp_path / "soundkin-1.onnx"))
    assert load_model("soundkin").source == "soundkin"
    assert load_model(tmp_path / "soundkin-1.onnx").source == str(tmp_path / "soundkin-1.onnx")


def test_an_onnx_file_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(network().SerializeToString())
    refuse(path, match="not a soundkin model")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "format"),
        ("null", "format None"),
        ("{}", "format None"),
        ('{"format": 2}', "format 2; this soundkin reads format 1: upgrade soundkin"),
        ('{"format": "one"}', "format 'one'; this soundkin reads format 1$"),
        ('{"format": 1}', "not usable.*front_end"),
        ('{"format": 1, "front_end": 3}', "not usable"),
        ('{"format": 1, "front_end": {"sr": 1}}', "not usable"),
    ],
)
def test_metadata_that_make_no_sense(text: str, match: str, tmp_path: Path) -> None:
    refuse(save(tmp_path / "a.onnx", text=text), match=match)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"dimension": 6}, r"“embedding” for 2 segments has the shape \(2, 5\)"),
        (
            {"dimension": 4, "tags": [*LABELS, {"label": "one more", "category": "genre"}]},
            "“embedding”",
        ),  # the sum is right
        ({"tags": LABELS[:1]}, "“tags” for 2 segments"),
        ({"dimension": 0}, "positive"),
        ({"dimension": None}, "dimension"),
        ({"dimension": "five"}, "not usable"),
        ({"segment_frames": 0}, "positive"),
        ({"segment_frames": 33}, "another spectrogram: its network takes segments of 24 × 32 .*say 24 × 33"),
        ({"segment_frames": 10**12}, "more than"),
        ({"segment_frames": float("inf")}, "not usable"),
        ({"segment_frames": "32"}, "not usable"),
        ({"version": None}, "version"),
        ({"excerpts": "many"}, "not usable"),
        ({"excerpts": 8}, "not usable"),
        ({"tags": ["rock", "pop"]}, 'tag 1 is "rock"'),
        ({"tags": "rock"}, "a list of labels with their categories"),
        ({"tags": [LABELS[0], {"label": "rock"}]}, 'each tag is .*"category".* tag 2 is {"label": "rock"}'),
        ({"tags": [LABELS[0], {"label": "rock", "category": " "}]}, "tag 2"),
        ({"tags": [LABELS[0], {"label": 7, "category": "genre"}]}, "tag 2"),
        ({"tags": [LABELS[0], LABELS[0]]}, "named once; twice there is"),
        ({"standardise": "false"}, "standardise is true or false"),
        ({"mutual_proximity": 1}, "mutual_proximity is true or false"),
        ({"scale": float("nan")}, "not finite"),
        ({"offset": "much"}, "not usable"),
    ],
)
def test_metadata_that_do_not_fit_the_network(fields: dict[str, Any], match: str, tmp_path: Path) -> None:
    refuse(save(tmp_path / "a.onnx", **fields), match=match)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"n_mels": 25}, "another spectrogram: its network takes segments of 24 × 32 .*say 25 × 32"),
        ({"n_mels": 24.5}, "another spectrogram"),
        ({"n_fft": 512.0}, "cannot be run"),
        ({"n_fft": 2**40}, "more than"),
        ({"sr": -1}, "not usable"),
        ({"mel_scale": "bark"}, "mel_scale"),
        ({"fmax": 9000.0}, "fmax"),
        ({"window": "hamming"}, "window"),
    ],
)
def test_a_front_end_that_cannot_be(change: dict[str, Any], match: str, tmp_path: Path) -> None:
    card = json.loads(model_card("tiny", front_end=FRONT_END, **CARD))
    card["front_end"].update(change)
    refuse(save(tmp_path / "a.onnx", text=json.dumps(card)), match=match)


@pytest.mark.parametrize("name", ["", "a b", "../a", "a/b", "ä\n"])
def test_a_name_that_is_no_file_name(name: str, tmp_path: Path) -> None:
    card = json.loads(model_card("tiny", front_end=FRONT_END, **CARD))
    refuse(save(tmp_path / "a.onnx", text=json.dumps({**card, "name": name})), match="name is letters")


def test_tags_that_are_no_probabilities(tmp_path: Path) -> None:
    bare = network()
    del bare.graph.node[-1]  # the sigmoid
    bare.graph.node[-1].output[:] = ["tags"]
    refuse(save(tmp_path / "a.onnx", bare), match="no probabilities .* reach from .*a sigmoid")


def test_a_steep_calibration_is_no_arithmetic_error(tmp_path: Path) -> None:
    steep = {"slope": [1e300, 1e300], "intercept": [0, -1e308]}
    tags = OnnxModel(save(tmp_path / "a.onnx", calibration=steep)).calibrate(np.array([0.1, 0.9], np.float32))
    np.testing.assert_array_equal(tags, [0, 0])


def test_outputs_that_are_missing(tmp_path: Path) -> None:
    refuse(save(tmp_path / "a.onnx", network(outputs=("embedding",))), match="outputs")
    refuse(save(tmp_path / "b.onnx", network(outputs=("tags", "pooled"))), match="outputs")


def test_outputs_that_are_not_finite(tmp_path: Path) -> None:
    refuse(save(tmp_path / "a.onnx", network(w=W * np.nan)), match="not finite")


def test_a_network_for_one_segment_at_a_time(tmp_path: Path) -> None:
    refuse(save(tmp_path / "a.onnx", network(batch=1)), match="fails on its own input")


def test_weights_in_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model file is all there is: it may not read other files, not even from the working directory."""
    model = network()
    model.graph.initializer[0].ClearField("raw_data")
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL
    for key, value in {"location": "w.bin", "offset": "0", "length": str(W.nbytes)}.items():
        model.graph.initializer[0].external_data.add(key=key, value=value)
    (tmp_path / "w.bin").write_bytes(W.tobytes())
    monkeypatch.chdir(tmp_path)
    refuse(save(tmp_path / "a.onnx", model), match="ONNX Runtime")
