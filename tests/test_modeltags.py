"""What the tags of a model say of a song, as a library and through the real command line."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from small_library import SmallLibrary
from sound import Format, sine
from soundkin import filters, modeltags
from soundkin.catalogue import Catalogue
from soundkin.cli import main as cli
from soundkin.errors import InputError, SeedError, UnknownTagError
from soundkin.library import Library
from soundkin.modeltags import HeardTag, by_category, find_label, heard_tags, telling
from tagger_file import write_tagger

Ask = Callable[..., tuple[int, str, str]]
WAV = Format(".wav", "pcm_s16le", sr=8000, samples="s16")


def tags(**probabilities: float) -> list[HeardTag]:
    """HeardTags by 'category__label'."""
    names = [tuple(name.split("__")) for name in probabilities]
    return heard_tags([(label, category) for category, label in names], np.array([*probabilities.values()], np.float32))


# --- which tags say something ----------------------------------------------------------------------------------------


def test_tags_come_most_probable_first_and_by_category() -> None:
    heard = tags(odd__x=0.3, voice__low=0.2, genre__jazz=0.1, genre__pop=0.6, another__y=0.1)
    assert [tag.label for tag in heard] == ["pop", "x", "low", "jazz", "y"]
    groups = {name: [tag.label for tag in group] for name, group in by_category(heard).items()}
    assert list(groups.items()) == [("genre", ["pop", "jazz"]), ("voice", ["low"]), ("another", ["y"]), ("odd", ["x"])]


def test_those_that_say_something() -> None:
    heard = tags(
        genre__a=0.5, genre__b=0.2, genre__c=0.15, genre__d=0.1, genre__e=0.09,
        mood__a=0.08, mood__b=0.05, mood__c=0.049, era__a=0.09, era__b=0.08, era__c=0.07, era__d=0.06,
    )  # fmt: skip
    told = {name: "".join(tag.label for tag in group) for name, group in by_category(telling(heard)).items()}
    assert told == {"genre": "abcd", "mood": "ab", "era": "abc"}
    assert [tag.label for tag in telling(tags(genre__a=0.01, mood__b=0.02))] == ["b"]
    assert telling([]) == []


# --- finding a label -------------------------------------------------------------------------------------------------

LABELS = ["jazz", "female vocals", "Hip-Hop", "acid jazz", "80s", *(f"tag number {i}" for i in range(20))]


@pytest.mark.parametrize(
    ("text", "label"),
    [("JAZZ", "jazz"), ("female  vocals", "female vocals"), ("hip hop", "Hip-Hop"), ("hiphop", "Hip-Hop")],
)
def test_a_label_is_found_as_people_write_it(text: str, label: str) -> None:
    assert LABELS[find_label(text, labels=LABELS, model_id="m-1")] == label


def test_what_has_two_readings_is_read_exactly() -> None:
    assert find_label("no vocal", labels=["novocal", "no vocal"], model_id="m-1") == 1
    with pytest.raises(UnknownTagError):
        find_label("no-vocal", labels=["novocal", "no vocal"], model_id="m-1")


@pytest.mark.parametrize(
    ("text", "near"),
    [("jaz", ("jazz", "acid jazz")), ("vocals", ("female vocals",)), ("80's music", ("80s",)), ("???", ())],
)
def test_an_unknown_label_is_answered_with_its_like(text: str, near: tuple[str, ...]) -> None:
    with pytest.raises(UnknownTagError, match="soundkin tags SEED --all") as caught:
        find_label(text, labels=LABELS, model_id="m-1")
    assert caught.value.near == near and caught.value.known == tuple(LABELS)
    assert ("it has 25 others" in str(caught.value)) == (not near)


# --- tags of a whole library -----------------------------------------------------------------------------------------


@pytest.fixture
def catalogue(tmp_path: Path):
    with Catalogue.open(tmp_path / "library.db") as catalogue:
        yield catalogue


def test_the_columns_are_those_of_the_index_and_kept_beside_the_library(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = SmallLibrary(catalogue, tags=["a", "b"])
    library.add("one", [1, 0, 0], probabilities=[0.1, 0.2])
    library.add("without", [1, 0, 0])
    library.add("three", [1, 0, 0], probabilities=[0.3, 0.4])
    expected = np.array([[0.1, np.nan, 0.3], [0.2, np.nan, 0.4]], np.float32)
    index = library.index()
    for _ in range(2):
        np.testing.assert_array_equal(modeltags.tag_columns(catalogue, index), expected)
        monkeypatch.setattr(Catalogue, "all_tags", None)  # the second time they come from the file
    monkeypatch.undo()
    library.add("four", [1, 0, 0], probabilities=[0.5, 0.6])
    np.testing.assert_array_equal(modeltags.tag_columns(catalogue, index), expected)  # an index from before
    assert modeltags.tag_columns(catalogue, library.index()).shape == (2, 4)


def test_the_tags_of_a_library_are_read_once_and_only_when_asked_for(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = SmallLibrary(catalogue, tags=["a", "b"])
    library.add("one", [1, 0, 0], probabilities=[0.1, 0.2])
    index, asked = library.index(), []
    read = modeltags.tag_columns
    monkeypatch.setattr(filters, "tag_columns", lambda *args: asked.append(1) or read(*args))
    filters.mask(catalogue, index, only=["duration:0-"])
    assert not asked
    for text in ("tag:a>0.05", "tag:b<0.3", "tag:b"):
        filters.mask(catalogue, index, only=[text])
    assert len(asked) == 1


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that tells low from high, and three tones in a library of it."""
    folder = tmp_path_factory.mktemp("shelf")
    write_tagger(folder / "pitch.onnx")
    (folder / "music").mkdir()
    for hertz in (100, 200, 3500):
        WAV.write(folder / "music" / f"tone {hertz}.wav", sine(8, sr=8000, hz=hertz))
    WAV.write(folder / "outside.wav", sine(8, sr=8000, hz=3000))
    arguments = ["--library", folder / "library.db", "--model", folder / "pitch.onnx", "scan", "-j", "0"]
    assert cli.run([*map(str, arguments), str(folder / "music")]) == 0
    return folder


@pytest.fixture
def ask(shelf: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    def run(*arguments: object, library: str = "library.db", model: str | None = None) -> tuple[int, str, str]:
        shared = ["--library", shelf / library, "--model", model or shelf / "pitch.onnx"]
        capsys.readouterr()
        code = cli.run([str(argument) for argument in (*shared, *arguments)])
        out = capsys.readouterr()
        return code, out.out, out.err

    return run


def probability(answer: dict[str, object], label: str) -> float:
    return next(tag["probability"] for tag in answer["tags"] if tag["label"] == label)  # type: ignore[index,attr-defined]


def test_tags_of_songs_inside_and_outside_the_library(ask: Ask, shelf: Path) -> None:
    code, out, _ = ask("tags", "tone 100", shelf / "outside.wav", "--all", "--json")
    low, high = json.loads(out)
    assert code == 0
    assert (low["track"]["title"], high["track"]["title"], high["track"]["id"]) == ("tone 100", "outside", 0)
    assert [len(one["tags"]) for one in (low, high)] == [3, 3]
    assert probability(low, "low") > probability(low, "high") and probability(high, "high") > probability(high, "low")
    assert {tag["category"] for tag in low["tags"]} == {"genre", "mood"}


def test_tags_in_a_pipe_are_a_line_each(ask: Ask) -> None:
    code, out, _ = ask("tags", "tone 100", "tone 3500")
    rows = [line.split("\t") for line in out.splitlines()]
    assert code == 0 and {row[0] for row in rows} == {"tone 100", "tone 3500"}
    assert next(row for row in rows if row[0] == "tone 100")[1:3] == ["genre", "low"]
    assert all(0 <= float(row[3]) <= 1 for row in rows)


@pytest.mark.parametrize(("encoding", "full"), [("utf-8", "█"), ("ascii", "#")])
def test_tags_on_a_terminal_are_bars(
    ask: Ask, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, encoding: str, full: str
) -> None:

    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    screen = Terminal(io.BytesIO(), encoding=encoding)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", screen)
        code = ask("tags", "tone 100", "--all")[0]
    screen.flush()
    lines = screen.buffer.getvalue().decode(encoding).splitlines()  # type: ignore[attr-defined]
    assert code == 0 and lines[1] == "tone 100"
    assert lines[2].split()[:2] == ["genre", "low"] and f" {full}{full}" in lines[2]
    assert float(lines[2].split()[-1]) == pytest.approx(lines[2].count(full) / 24, abs=0.05)
    assert lines[3].split()[0] == "high"  # the category is told once


def test_a_file_needs_no_library_to_be_heard(ask: Ask, shelf: Path) -> None:
    code, out, _ = ask("tags", shelf / "outside.wav", "--json", library="none.db")
    assert code == 0 and json.loads(out)[0]["tags"][0]["label"] == "high"
    assert not (shelf / "none.db").exists()
    code, _, err = ask("tags", "tone 100", library="none.db")
    assert code == 2 and "there is no library" in err


def test_a_model_without_tags_says_the_way_out(ask: Ask, shelf: Path) -> None:
    code, _, err = ask("tags", shelf / "outside.wav", library="none.db", model="timbre")
    assert code == 2 and "timbre-1 tells no tags" in err and "--model" in err


def test_tags_filter_lists(ask: Ask) -> None:
    def titles(*arguments: object) -> set[str]:
        code, out, err = ask("similar", "tone 100", "--json", "-n", "2", *arguments)
        assert code == 0, err
        return {row["track"]["title"] for row in json.loads(out)}

    assert titles() == {"tone 200", "tone 3500"}
    assert titles("--only", "tag:high>0.5") == titles("--exclude", "tag:low>=0.5") == {"tone 3500"}
    code, _, err = ask("similar", "tone 100", "--only", "tag:hihg")
    assert code == 2 and "'hihg'; there is: high" in err
    code, _, err = ask("similar", "tone 100", "--only", "tag:high>2")
    assert code == 2 and "NUMBER from 0 to 1" in err


def test_tags_from_python(shelf: Path, tmp_path: Path) -> None:
    with Library.open(shelf / "library.db", model=shelf / "pitch.onnx") as library:
        heard = library.tags("tone 100")
        assert heard[0].label == "low" and len(heard) == 3
        assert library.tags(shelf / "outside.wav")[0].label == "high"
        with pytest.raises(SeedError):
            library.tags("no such song")
    with Library.open(tmp_path / "new.db", model="timbre") as library, pytest.raises(InputError, match="no tags"):
        library.tags(shelf / "outside.wav")
