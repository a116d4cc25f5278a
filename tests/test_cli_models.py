"""Models through the command line: `soundkin models`, a change of model, and files that are refused."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from sound import FORMATS, music
from soundkin import model as model_module
from soundkin.cli import main as cli
from soundkin.model import DEFAULT_MODEL, METADATA_KEY, load_model
from soundkin.modelfile import CHECKSUM_KEY, NO_CHECKSUM, seal
from tagger_file import write_tagger

Ask = Callable[..., tuple[int, str, str]]
SONGS = 4


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("songs")
    for number in range(SONGS):
        FORMATS["flac"].write(folder / f"song {number}.flac", music(4, seed=number))
    return folder


@pytest.fixture
def ask(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Run one command line on a library of the test's own: (exit code, stdout, stderr)."""
    monkeypatch.delenv("SOUNDKIN_MODEL", raising=False)

    def run(*arguments: object) -> tuple[int, str, str]:
        code = cli.run(["--library", str(tmp_path / "library.db"), *map(str, arguments)])
        out = capsys.readouterr()
        return code, out.out, out.err

    return run


def told(ask: Ask) -> dict[str, dict[str, object]]:
    """What `soundkin models --json` says, by name."""
    return {row["name"]: row for row in json.loads(ask("models", "--json")[1])}


# --- changing the model ----------------------------------------------------------------------------------------------


def test_answers_come_from_the_old_model_until_the_new_one_has_heard_all(ask: Ask, songs: Path, tmp_path: Path) -> None:
    old = write_tagger(tmp_path / "old.onnx")
    assert ask("scan", "--model", old, songs, "-j", "0")[0] == 0
    for command in (
        ["similar", 1, "-n", 2],
        ["path", 1, 4, "-n", 3],
        ["radio", 1, "-n", 2],
        ["blend", "--like", 1, "-n", 2],
    ):
        code, out, err = ask(*command)
        assert code == 0 and out
        assert f"until {DEFAULT_MODEL} has heard all: 0 of {SONGS}; `soundkin scan` goes on\n" in err
        assert err.startswith("answers come from old-") and err.count("\n") == 1
    rows = told(ask)
    assert rows["old"]["answers"] and rows["old"]["heard"] == rows["old"]["tracks"] == SONGS
    assert rows[DEFAULT_MODEL]["default"] and rows[DEFAULT_MODEL]["heard"] == 0
    by_old = ask("similar", 1, "-n", 2, "--json")[1]

    code, out, err = ask("scan", "-j", "0")
    assert code == 0 and f"{SONGS} heard again, {SONGS} unchanged" in out
    assert f"listening again, with the new model: {SONGS} of {SONGS}" in err
    code, out, err = ask("similar", 1, "-n", 2, "--json")
    assert code == 0 and not err and out != by_old
    assert told(ask)[DEFAULT_MODEL]["answers"]
    code, out, err = ask("--model", old, "similar", 1, "-n", 2, "--json")  # the old vectors stay
    assert (code, out, err) == (0, by_old, "")


def test_progress_as_json_names_the_phase(ask: Ask, songs: Path, tmp_path: Path) -> None:
    ask("scan", "--model", write_tagger(tmp_path / "old.onnx"), songs, "-j", "0")
    lines = [json.loads(line) for line in ask("scan", "-j", "0", "--json")[1].splitlines()]
    assert {line.get("phase") for line in lines[:-1]} == {"looking", "listening", "listening again"}
    assert (lines[-1]["event"], lines[-1]["reheard"], lines[-1]["analysed"]) == ("report", SONGS, 0)


def test_scan_takes_the_model_before_or_after_the_command(
    ask: Ask, songs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = write_tagger(tmp_path / "mine.onnx"), tmp_path / "other.onnx"
    code, out, _ = ask("--model", mine, "scan", "--model", mine, songs, "-j", "0", "--json")
    assert code == 0 and json.loads(out.splitlines()[-1])["model"] == load_model(mine).id
    code, _, err = ask("--model", other, "scan", "--model", mine, songs)
    assert code == 2 and "--model was given twice" in err and str(other) in err and str(mine) in err
    monkeypatch.setenv("SOUNDKIN_MODEL", str(other))
    assert ask("scan", "--model", mine, songs, "-j", "0")[0] == 0  # nearer than the environment's
    code, _, err = ask("scan", songs, "-j", "0")
    assert code == 1 and str(other) in err


def test_a_model_whose_file_is_gone_answers_what_it_has_heard(ask: Ask, songs: Path, tmp_path: Path) -> None:
    mine = write_tagger(tmp_path / "mine.onnx")
    model_id = load_model(mine).id
    ask("scan", "--model", mine, songs, "-j", "0")
    outside = FORMATS["flac"].write(tmp_path / "outside.flac", music(4, seed=9))
    before = [ask("similar", seed, "-n", 2, "--json")[:2] for seed in (1, outside)]
    assert all(code == 0 for code, _ in before)
    mine.unlink()
    assert ask("similar", 1, "-n", 2, "--json")[:2] == before[0]
    assert ask("--model", model_id, "similar", songs / "song 0.flac", "-n", 2, "--json")[:2] == before[0]
    code, out, err = ask("similar", outside)
    assert code == 1 and not out and "Traceback" not in err
    assert f"{model_id} is not at hand" in err and str(mine) in err and "--model" in err
    code, out, err = ask("models")
    assert "file gone" in out and str(mine) in err
    code, out, _ = ask("models", model_id)
    assert code == 0 and "low, high" in out and "problem:" in out  # its card is kept


# --- soundkin models -------------------------------------------------------------------------------------------------


def test_models_without_a_library(ask: Ask, tmp_path: Path) -> None:
    rows = told(ask)
    assert rows["timbre"]["id"] == "timbre-1" and rows["timbre"]["built_in"]
    assert [name for name, row in rows.items() if row["default"]] == [DEFAULT_MODEL]
    assert all(row["tracks"] is None and not row["answers"] for row in rows.values())
    assert not (tmp_path / "library.db").exists()
    assert "timbre-1\t1\t182" in ask("models")[1]


def test_one_model_in_full(ask: Ask, songs: Path, tmp_path: Path) -> None:
    training = {"teachers": 7, "data": "wesnoth"}
    file = write_tagger(tmp_path / "mine.onnx", licence="MIT", training=training, excerpts="4x3")
    for name in (file, load_model(file).id):
        code, out, err = ask("models", name)
        assert (code, err) == (0, "")
        lines = dict(line.split(":", 1) for line in out.splitlines())
        values = {key.strip(): value.strip() for key, value in lines.items()}
        assert values["id"] == load_model(file).id and values["file"] == str(file) and values["licence"] == "MIT"
        assert values["genre (2)"] == "low, high" and values["mood (1)"] == "bright"
        assert values["embedding"].startswith("32 numbers, compared by cosine") and values["hears"].startswith("4x3")
        assert "n_mels 32" in values["front end"] and values["segment"] == "50 frames, 1.00 s"
        assert values["teachers"] == "7" and values["data"] == "wesnoth"
        ask("scan", "--model", file, songs, "-j", "0")  # so that the library knows it by its id
    assert values["heard"] == f"{SONGS} of {SONGS} songs; it answers now"
    shown = json.loads(ask("models", file, "--json")[1])
    assert shown["card"]["training"] == training and shown["excerpts"] == "4x3" and shown["tags"] == 3
    assert "182 numbers" in ask("models", "timbre")[1]
    code, _, err = ask("models", "timber")
    assert code == 2 and "'timber'" in err and "timbre" in err


def test_a_model_is_forgotten_but_never_the_one_that_answers(
    ask: Ask, songs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = write_tagger(tmp_path / "old.onnx")
    old_id = load_model(old).id
    ask("scan", "--model", old, songs, "-j", "0")
    ask("similar", 1, "--only", "tag:low>=0")
    kept = [path for path in tmp_path.rglob(f"*{old_id}*") if path.suffix in (".npz", ".npy")]
    assert len(kept) == 4  # the index, and the tags that filters ask for
    code, _, err = ask("models", "--forget", old_id, "--yes")
    assert code == 2 and f"{old_id} answers now" in err
    ask("scan", "-j", "0")
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    code, out, err = ask("models", "--forget", old_id)
    assert code == 1 and f"what it heard in {SONGS} recordings?" in out and "nothing was changed" in err
    assert told(ask)["old"]["heard"] == SONGS
    code, out, _ = ask("models", "--forget", old_id, "-y")
    assert code == 0 and out == f"forgot {old_id} and what it heard in {SONGS} recordings\n"
    assert "old" not in told(ask)
    assert not any(path.exists() for path in kept)
    assert ask("similar", 1)[0] == 0
    code, _, err = ask("models", "--forget", old_id, "-y")
    assert code == 2 and old_id in err and "model of this library" in err
    assert ask("models", "timbre", "--forget", "timbre-1")[0] == 2


def test_doctor_names_the_default_model(ask: Ask) -> None:
    code, out, _ = ask("doctor")
    assert code == 0 and f"{DEFAULT_MODEL} (the default)" in out


# --- refused ---------------------------------------------------------------------------------------------------------


def sealed(path: Path) -> Path:
    content = onnx.load(str(write_tagger(path)))
    content.metadata_props.add(key=CHECKSUM_KEY, value=NO_CHECKSUM)
    path.write_bytes(seal(content.SerializeToString()))
    return path


def with_card(path: Path, **changes: object) -> Path:
    content = onnx.load(str(write_tagger(path)))
    (entry,) = content.metadata_props
    entry.value = json.dumps({**json.loads(entry.value), **changes})
    path.write_bytes(content.SerializeToString())
    return path


def cut_off(path: Path) -> None:
    path.write_bytes(sealed(path).read_bytes()[:-200])


def flip_a_bit(path: Path) -> None:
    content = bytearray(sealed(path).read_bytes())
    content[len(content) // 2] ^= 4  # in the weights: it would still run
    path.write_bytes(content)


def foreign(path: Path) -> None:
    content = onnx.load(str(write_tagger(path)))
    del content.metadata_props[:]
    path.write_bytes(content.SerializeToString())


def other_bands(path: Path) -> None:
    card = json.loads(onnx.load(str(write_tagger(path))).metadata_props[0].value)
    with_card(path, front_end={**card["front_end"], "n_mels": 40})


def impossible_front_end(path: Path) -> None:
    card = json.loads(onnx.load(str(write_tagger(path))).metadata_props[0].value)
    with_card(path, front_end={**card["front_end"], "fmax": 5000.0})


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "cannot be read: No such file"),
        (lambda path: path.write_bytes(b"RIFF, but no model" * 99), "not a model that ONNX Runtime can load"),
        (cut_off, "cut off, damaged, or no ONNX file"),
        (flip_a_bit, "damaged: it is not what its own checksum says"),
        (foreign, f"without “{METADATA_KEY}” metadata: not a soundkin model"),
        (lambda path: with_card(path, format=2), "of format 2; this soundkin reads format 1: upgrade soundkin"),
        (other_bands, "made for another spectrogram: its network takes segments of 32 × 50 (mel bands × frames), its"),
        (lambda path: with_card(path, segment_frames=60), "segments of 32 × 50 (mel bands × frames), its metadata say"),
        (impossible_front_end, "0 <= fmin < fmax <= sr/2 must hold"),
        (lambda path: with_card(path, tags=[{"label": "jazz"}] * 3), 'tag 1 is {"label": "jazz"}'),
        (lambda path: with_card(path, tags=[{"label": "jazz", "category": "genre"}]), "“tags” for 2 segments has the"),
    ],
    ids=["gone", "no ONNX", "cut off", "bit", "foreign", "newer", "bands", "frames", "front end", "category", "labels"],
)
def test_a_model_file_that_cannot_be_used(
    make: Callable[[Path], object], says: str, ask: Ask, songs: Path, tmp_path: Path
) -> None:
    path = tmp_path / "bad.onnx"
    make(path)
    for arguments in (("scan", "--model", path, songs), ("--model", path, "similar", 1), ("models", path)):
        ask("scan", "--model", "timbre", tmp_path / "nothing")  # so that there is a library to ask
        code, out, err = ask(*arguments)
        assert code == 1 and not out and "Traceback" not in err
        assert err.startswith(f"soundkin: {path}: ") and says in err
    assert json.loads(ask("info", "--json")[1])["songs"] == 0


def test_a_bundled_model_that_is_damaged_says_the_way_out(
    ask: Ask, songs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "soundkin-1.onnx"
    flip_a_bit(path)
    monkeypatch.setitem(model_module.BUNDLED, "soundkin", path)
    code, _, err = ask("--model", "soundkin", "scan", songs)
    assert (
        code == 1 and str(path) in err and "pip install --force-reinstall soundkin" in err and "--model timbre" in err
    )
    code, out, _ = ask("--model", "soundkin", "doctor")
    assert code == 1 and str(path) in out
    code, out, err = ask("models")
    assert code == 1 and "timbre-1" in out and "unusable" in out and "--model timbre" in err
