"""The page of a dataset: each figure where the data allow it, what was left out said, nothing in a name markup."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from sound import FORMATS, music, sine
from soundkin.errors import DatasetError, ExperimentError
from soundkin.lab import pages, soundplots, tableplots
from soundkin.lab.dataset import Clip, Dataset
from soundkin.lab.explore import explore, read_table

COLUMNS = ("tempo", "rms_mean", "rms_var", "centroid_mean", "centroid_var", "perceptr_mean")
OF_A_TABLE = {
    *("classes", "tempo", "correlation-mean", "correlation-variance", "correlation-all"),
    *("importance", "histograms", "pca", "t-sne"),
}


def table(classes: int = 3, clips: int = 6, *, names: list[str] | None = None) -> Dataset:
    """`clips` clips of each class, told apart by 'centroid_mean' alone."""
    rng = np.random.default_rng(0)
    names = names or [f"genre {i}" for i in range(classes)]
    labels = [name for name in names for _ in range(clips)]
    X = rng.standard_normal((len(labels), len(COLUMNS)))
    X[:, 3] = np.repeat(np.arange(len(names)), clips) + 0.01 * X[:, 3]
    made = tuple(Clip(f"clip {i}", label) for i, label in enumerate(labels))
    return Dataset("made", made, "none", "nobody", arrays={"table": X}, columns=COLUMNS)


def test_a_table_gets_its_figures_and_the_rest_is_left_out_with_a_reason(tmp_path: Path) -> None:
    found = explore(table(), tmp_path)
    assert set(found.figures) == OF_A_TABLE
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == OF_A_TABLE
    assert any("no audio" in sentence for sentence in found.left_out)
    assert found.page == tmp_path / "index.html"
    markdown = (tmp_path / "index.md").read_text(encoding="utf-8")
    for sentence in found.left_out:
        assert sentence[:30] in markdown
    for name in OF_A_TABLE:
        assert f"figures/{name}.png" in markdown
    assert "of the class is centroid_mean by mutual information, centroid_mean by analysis of variance" in markdown
    assert re.search(r"perceptr_mean is the most important mean; here it is number \d and \d of 6", markdown)


def test_the_same_seed_gives_the_same_files(tmp_path: Path) -> None:
    made = table(classes=2)
    pictures = np.random.default_rng(0).integers(0, 256, (len(made), 8, 8)).astype(np.uint8)
    made = Dataset("made", made.clips, "", "", arrays={**made.arrays, "picture": pictures}, columns=COLUMNS)
    for folder in ("a", "b"):
        explore(made, tmp_path / folder, seed=3)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) == len(OF_A_TABLE) + 3
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_names_are_never_markup(tmp_path: Path) -> None:
    names = ["<script>alert(1)</script>", "A$AP $x_{", "_hidden", "a|b *c*", "two\nlines", "케이팝"]
    names += [f"class {i}" for i in range(24)]
    explore(table(names=names, clips=4), tmp_path)  # thirty classes; a warning would be an error
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)" in html
    markdown = (tmp_path / "index.md").read_text(encoding="utf-8")
    assert "<script>" not in markdown
    assert r"a\|b \*c\*" in markdown
    assert "two lines" in markdown


def test_columns_that_cannot_be_used_are_named_and_left_out(tmp_path: Path) -> None:
    made = table(classes=2)
    made.arrays["table"][4, 1] = np.nan
    made.arrays["table"][:, 2] = 7.0
    found = explore(made, tmp_path)
    assert "Column rms_mean: 1 of its values are no numbers, the first that of clip 4." in found.left_out
    assert "Columns that are the same for every clip: rms_var." in found.left_out
    assert "correlation-variance" not in found.figures
    assert "pca" in found.figures


@pytest.mark.parametrize("clips", [1, 12])
def test_one_class_leaves_out_what_compares_classes(tmp_path: Path, clips: int) -> None:
    found = explore(table(classes=1, clips=clips), tmp_path)
    assert "importance" not in found.figures
    why = "no column" if clips == 1 else "two classes"
    assert any(why in sentence for sentence in found.left_out)
    assert ("pca" in found.figures) == (clips == 12)


def test_pictures_stand_for_spectrograms(tmp_path: Path) -> None:
    made = table(classes=2)
    picture = np.zeros((len(made), 9, 12), np.uint8)
    found = explore(Dataset("pictures", made.clips, "", "", arrays={"picture": picture}), tmp_path)
    assert found.figures == ("classes", "spectrograms")
    assert any("neither a feature table nor audio" in sentence for sentence in found.left_out)


def test_what_a_dataset_holds_is_told(tmp_path: Path) -> None:
    clips = [Clip(f"c{i}", "ab"[i % 2], artist=["X", "x", "Y", None][i % 4]) for i in range(8)]
    made = Dataset("made", tuple(clips), "CC0", "Nobody 2024", ("c9 is missing",), duplicates=(("c0", "c4"),))
    found = explore(made, tmp_path)
    assert found.classes.rows == [["a", "4", "4", "2", "2 (X)"], ["b", "4", "2", "1", "2 (x)"]]
    text = (tmp_path / "index.md").read_text(encoding="utf-8")
    for told in ("CC0", "Nobody 2024", "c9 is missing", "1 recording more than once: c0 = c4", "2, known for 6 clips"):
        assert told in text


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Two classes of four clips of 2 s as files, one of which is no audio."""
    folder = tmp_path_factory.mktemp("sounds")
    clips = []
    for i in range(8):
        path = FORMATS["wav-16"].write(folder / f"{i}.wav", music(2, seed=i))
        clips.append(Clip(f"clip {i}", "ab"[i % 2], path=path))
    clips[3].path.write_bytes(b"no sound at all")  # type: ignore[union-attr]
    return Dataset("sounds", tuple(clips), "", "", arrays={"table": table(classes=2, clips=4).arrays["table"]})


def test_audio_is_shown_and_an_unreadable_clip_named(tmp_path: Path, sounds: Dataset) -> None:
    found = explore(sounds, tmp_path)
    assert found.figures[:3] == ("classes", "spectrograms", "close-up")
    assert "clip 3: no audio format" in (tmp_path / "index.md").read_text(encoding="utf-8")


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExperimentError, match="cannot be written"):
        explore(table(), tmp_path / "file")


def test_a_table_without_names_gets_some() -> None:
    made = table()
    made = Dataset("made", made.clips, "", "", arrays=made.arrays)
    assert read_table(made).columns == tuple(f"table {i}" for i in range(1, 7))


def test_a_table_is_two_dimensional() -> None:
    made = Dataset("made", (Clip("c", "a"),), "", "", arrays={"table": np.zeros((1, 2, 3))})
    with pytest.raises(DatasetError, match=r"made: table is no table but an array of shape \(1, 2, 3\)"):
        read_table(made)


def test_a_scalogram_shows_a_tone_at_its_pitch() -> None:
    """Within a semitone, as the wavelets are a semitone apart; two tones as strong have one level, within 1 dB."""
    y = sine(2, hz=440, level=0.4) + sine(2, hz=1760, level=0.4)
    levels, frequencies = soundplots.scalogram(y)
    assert levels.shape == (len(frequencies), 800)
    middle = levels[:, 300:500].mean(axis=1)
    peaks = [i for i in range(1, len(middle) - 1) if middle[i] > max(middle[i - 1], middle[i + 1], -6)]
    assert len(peaks) == 2
    np.testing.assert_allclose(np.log2(frequencies[peaks] / [440, 1760]), 0, atol=1 / 12)
    assert abs(middle[peaks[0]] - middle[peaks[1]]) < 1


def test_a_mel_picture_is_in_decibels_below_its_loudest() -> None:
    picture = soundplots.mel_picture("tone", sine(1, hz=1000))
    assert picture.image.shape == (128, 1 + 22050 // 512)
    assert picture.image.max() == 0
    assert picture.image.min() >= -soundplots.RANGE


def test_envelopes_hold_the_extremes() -> None:
    low, high = soundplots.envelope(np.array([0, 3, -1, 2, 5], np.float32), 2)
    assert list(low) == [-1, 2]
    assert list(high) == [3, 5]


def test_importance_finds_the_column_that_tells() -> None:
    made = table(classes=3, clips=20)
    found = tableplots.importance(made.arrays["table"], made.y)
    assert COLUMNS[int(found.information.argmax())] == COLUMNS[int(found.f.argmax())] == "centroid_mean"
    assert found.information.max() == pytest.approx(np.log2(3), abs=0.1)  # all there is to know of three classes
    assert np.delete(found.information, 3).max() < 0.3


def test_every_class_looks_different() -> None:
    assert len({tuple(pages.look(i).values()) for i in range(70)}) == 70


@pytest.mark.parametrize(
    ("name", "shown"), [("a\tb\n", "a b"), ("_x", " _x"), ("cash $", r"cash \$"), ("x" * 30, "x" * 23 + "…")]
)
def test_labels(name: str, shown: str) -> None:
    assert pages.label(name) == shown


def test_the_command_prints_the_table_and_where_the_page_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import typer

    from soundkin.cli.lab import explore as command

    monkeypatch.setattr("soundkin.lab.datasets.load_dataset", lambda name, data: table())
    app = typer.Typer()
    app.command()(command.run)
    done = CliRunner().invoke(app, ["made", "--out", str(tmp_path / "page")], catch_exceptions=False)
    assert done.exit_code == 0
    assert "genre 1\t6\t0\t0" in done.stdout
    assert "left out: " in done.stderr
    assert str(tmp_path / "page" / "index.html") in done.stdout
    assert (tmp_path / "page" / "index.html").is_file()
