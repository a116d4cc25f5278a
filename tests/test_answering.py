"""Which model answers, and what a library still knows of one whose file is gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from small_library import SmallLibrary
from sound import FORMATS, music
from soundkin import answering
from soundkin.answering import LibraryModel, choose_model
from soundkin.catalogue import Catalogue
from soundkin.errors import InputError, ModelError, SilentError, UnknownNameError
from soundkin.library import Library
from soundkin.model import DEFAULT_MODEL, TimbreModel, load_model
from tagger_file import write_tagger


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalogue]:
    """A library in which the default model is known as new-1."""
    monkeypatch.setattr(answering, "built_in_id", lambda name: "new-1")
    with Catalogue.open(tmp_path / "library.db") as opened:
        yield opened


def answers(catalogue: Catalogue) -> str:
    return choose_model(catalogue).model.id


def test_the_default_model_answers_once_it_has_heard_what_any_other_has(catalogue: Catalogue) -> None:
    old, new = SmallLibrary(catalogue, model_id="old-1"), SmallLibrary(catalogue, model_id="new-1", dimension=2)
    tried = SmallLibrary(catalogue, model_id="tried-1")
    for name in "abcd":
        old.add(name, [1, 2, 3])
    tried.add("a", [1, 2, 3])
    for name in "abc":
        new.add(name, [1, 2])
        found = choose_model(catalogue)
        assert found.model.id == "old-1" and found.tracks == 4
    assert found.note == f"answers come from old-1 until {DEFAULT_MODEL} has heard all: 3 of 4; `soundkin scan` goes on"
    new.add("d", [1, 2])
    found = choose_model(catalogue)
    assert found.model.id == "new-1" and found.note is None


def test_missing_and_failed_tracks_hold_nothing_up(catalogue: Catalogue) -> None:
    old, new = SmallLibrary(catalogue, model_id="old-1"), SmallLibrary(catalogue, model_id="new-1")
    gone, bad = (old.add(name, [1, 2, 3]) for name in ("gone", "bad"))
    for library in (old, new):
        library.add("good", [1, 2, 3])
    assert answers(catalogue) == "old-1"
    catalogue.mark_missing([gone.id])
    assert answers(catalogue) == "old-1"
    catalogue.record_failure(SilentError(bad.path, "the new model hears nothing"), size=1, mtime_ns=1)
    assert answers(catalogue) == "new-1"


def test_of_others_the_one_that_has_heard_the_most_answers(catalogue: Catalogue) -> None:
    some, most = SmallLibrary(catalogue, model_id="a-1"), SmallLibrary(catalogue, model_id="b-1")
    for name in "abc":
        most.add(name, [1, 2, 3])
    for name in "ax":
        some.add(name, [1, 2, 3])
    assert answers(catalogue) == "b-1"
    new = SmallLibrary(catalogue, model_id="new-1")
    for name in "vwxyz":
        new.add(name, [1, 2, 3])
    found = choose_model(catalogue)  # it has not heard a, b, c; but no other has heard as many as it has
    assert found.model.id == "new-1" and found.note is None


def test_where_nothing_was_heard_the_default_model_answers(catalogue: Catalogue) -> None:
    assert choose_model(catalogue).model.name == DEFAULT_MODEL
    SmallLibrary(catalogue, model_id="old-1")
    found = choose_model(catalogue)
    assert found.model.name == DEFAULT_MODEL and found.note is None


def test_a_model_that_is_named_answers_whatever_it_has_heard(catalogue: Catalogue) -> None:
    old = SmallLibrary(catalogue, model_id="old-1")
    old.add("a", [1, 2, 3])
    assert choose_model(catalogue, "timbre").model.id == "timbre-1"
    assert choose_model(catalogue, "old-1").model.id == "old-1"
    with pytest.raises(UnknownNameError, match=r"'older'.*timbre.*old-1"):
        choose_model(catalogue, "older")


def test_a_model_whose_file_is_gone_still_says_how_its_vectors_are_compared(tmp_path: Path) -> None:
    file = write_tagger(tmp_path / "mine.onnx", standardise=True)
    model = load_model(file)
    with Catalogue.open(tmp_path / "library.db") as catalogue:
        catalogue.register_model(model)
        kept = choose_model(catalogue, model.id).model
        file.unlink()
        assert isinstance(kept, LibraryModel) and (kept.id, kept.tags) == (model.id, model.tags)
        assert kept.space.standardise and kept.space.dimension == model.space.dimension
        assert isinstance(choose_model(catalogue, file).model, LibraryModel)  # known by the name that its file had
        for use in (lambda: kept.sr, lambda: kept.hear(music(3)), lambda: kept.excerpts):
            with pytest.raises(ModelError, match=r"not at hand.*mine\.onnx.*cannot be read.*--model"):
                use()
        write_tagger(file)
        again = choose_model(catalogue, model.id).model
        with pytest.raises(ModelError, match=r"is now mine-[0-9a-f]{8}\. Songs that it has heard still answer"):
            again.hear(music(3))


def test_a_built_in_model_of_an_older_library_is_known_by_its_name(tmp_path: Path) -> None:
    timbre = TimbreModel()
    with Catalogue.open(tmp_path / "library.db") as catalogue:
        catalogue.register_model(timbre)
        with catalogue._write() as connection:
            connection.exec_driver_sql("UPDATE models SET source = NULL, space = NULL, card = NULL")
        kept = choose_model(catalogue, "timbre-1").model
        assert kept.source == "timbre" and dict(kept.space.aspects) == dict(timbre.space.aspects)
        assert kept.excerpts == timbre.excerpts
        with catalogue._write() as connection:
            connection.exec_driver_sql("UPDATE models SET name = 'mine', id = 'mine-1'")
        with pytest.raises(ModelError, match="where the model mine-1 came from is not known; name its file"):
            _ = choose_model(catalogue, "mine-1").model.space


def test_an_open_library_changes_over_by_itself(tmp_path: Path) -> None:
    """Answers before, during and after; also for songs that only one of the two models has heard."""
    old = write_tagger(tmp_path / "old.onnx")
    for folder in ("music", "other"):
        (tmp_path / folder).mkdir()
    songs = [FORMATS["flac"].write(tmp_path / "music" / f"{i}.flac", music(4, seed=i)) for i in range(4)]
    place = tmp_path / "library.db"
    with Library.open(place, model=old) as first:
        first.scan(tmp_path / "music", workers=0)
        old_id = first.model.id
    with Library.open(place) as library:
        assert library.model.id == old_id and library.answering.tracks == 4
        early = library.seed(1)
        new = FORMATS["flac"].write(tmp_path / "other" / "new.flac", music(4, seed=9))

        def stop(now: object) -> None:
            if getattr(now, "phase", "") == "listening again":
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            library.scan(tmp_path / "other", workers=0, on_progress=stop)
        assert library.model.id == old_id and library.answering.heard == 1
        found = library.similar(new, n=2)  # the new model alone has heard it, so the old one hears it now
        assert len(found) == 2 and library.seed(new).track.id == 5
        with pytest.raises(InputError, match="answers now"):
            library.forget_model(old_id)
        report = library.scan(tmp_path / "other", workers=0)
        assert report.reheard == 4 and library.model.name == DEFAULT_MODEL and library.answering.note is None
        assert library.similar(early, n=2) == library.similar(songs[0], n=2)  # a seed of the old model is heard anew
        old.unlink()
        with Library.open(place, model=old_id) as last:
            assert len(last.similar(songs[0], n=2)) == 2
            with pytest.raises(ModelError, match="not at hand"):
                last.seed(FORMATS["flac"].write(tmp_path / "outside.flac", music(4, seed=11)))
        kept = [path.name for path in tmp_path.glob("library.db-old*")]
        assert len(kept) == 2 and library.forget_model(old_id) == 4
        assert not list(tmp_path.glob("library.db-old*"))
        with pytest.raises(InputError, match="answers now"):
            library.forget_model(library.model.id)
        assert np.isfinite(library.index().vectors).all()
