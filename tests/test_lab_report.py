"""Reports and comparisons are made of a run's folder alone, finished or not, and show names as text."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from fake_run import METHODS, record, write_fit, write_run
from soundkin.errors import ExperimentError, UnknownNameError
from soundkin.lab import plots
from soundkin.lab.compare import compare, results_table
from soundkin.lab.document import escape, to_html
from soundkin.lab.report import write_report
from soundkin.lab.results import read_results
from soundkin.lab.runs import Leak, Method, write_json
from soundkin.lab.wording import leak_sentences, milliseconds, seconds, signed, whole

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Tags, sources and text of an HTML file; raises where a tag is left open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.sources: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read_report(run: Path) -> tuple[str, Page]:
    page = write_report(run)
    assert page == run / "report.html"
    return (run / "report.md").read_text(encoding="utf-8"), Page(page.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    run = write_run(tmp_path_factory.mktemp("runs") / "table-12", rates={"cnn": 0.8, "knn": 0.4})
    for seed in (0, 1):
        grid = [
            {"settings": {"lr": lr, "optimizer": name}, "score": 0.2 + 0.1 * (name == "adam") + 100 * lr, "std": 0.01}
            for lr in (0.0001, 0.0005, 0.001)
            for name in ("sgd", "adam")
        ]
        write_json(run / "cnn" / f"seed-{seed}-fold-0" / "search.json", grid)
    return run


@pytest.fixture(scope="module")
def report(finished) -> tuple[str, Page]:
    return read_report(finished)


def row_of(markdown: str, start: str) -> list[str]:
    """Cells of the first table row that starts with this cell."""
    (line, *_) = [line for line in markdown.splitlines() if line.startswith(f"| {start} |")]
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_a_report_says_what_was_run_and_what_came_of_it(finished, report):
    markdown, page = report
    cnn = read_results(finished).methods[0]
    for text in ("gtzan-spectrograms, 300 clips in 3 classes", "drawn at random", "torch 2.13", "2 cores", "0, 1"):
        assert text in markdown
        assert text in page.text
    assert "jazz.00054 cannot be read" in markdown
    cells = row_of(markdown, "cnn")
    assert cells[1] == str(cnn.accuracy)
    for cell in ("0.720", "0.650", "131,818", "75 s", "2.5 ms", "2 of 2"):
        assert cell in cells
    assert signed(cnn.accuracy.value - 0.72) in cells
    assert "outside the interval of: k-nearest neighbours." in markdown
    assert row_of(markdown, "k-nearest neighbours")[-1] == "2 of 2"
    assert "17 of 30 test clips share their artist with a clip that was trained on" in markdown
    assert "Miles Davis: jazz.00001 and jazz.00002" in page.text
    assert "Warning" not in markdown


def test_a_report_shows_each_method_in_detail(finished, report):
    markdown, page = report
    scores = read_results(finished).methods[0].scores
    assert row_of(markdown, "jazz")[1] == f"{scores.precision[1]:.3f}"
    assert row_of(markdown, "mean of the classes")[3] == f"{scores.macro.f1:.3f}"
    assert row_of(markdown, "0.001")[1:3] == ["adam", "0.400"]
    assert "Most confidently wrong" in markdown
    assert {"details", "table", "dl"} <= page.tags
    figures = {path.name for path in (finished / "figures").iterdir()}
    assert figures == {f"{name}.svg" for name in "methods cnn-confusion cnn-learning cnn-search knn-confusion".split()}
    assert {f"figures/{name}" for name in figures} == set(re.findall(r"\]\((.*?)\)", markdown))


def test_the_html_file_needs_no_other(report):
    _, page = report
    assert len(page.sources) == 5
    assert all(source.startswith("data:image/svg+xml;base64,") for source in page.sources)
    assert "script" not in page.tags


def test_the_same_run_gives_the_same_report(finished, report):
    before = {path: path.read_bytes() for path in [*finished.glob("report.*"), *finished.glob("figures/*")]}
    assert len(before) == 7
    write_report(finished)
    assert {path: path.read_bytes() for path in before} == before


def test_a_report_says_what_is_missing(tmp_path):
    run = write_run(tmp_path, experiment="folds = 2\n")
    markdown, page = read_report(run)
    assert "running it again goes on where it stopped" in page.text
    assert "cnn: 2 of 4 fits (seed 0 fold 1, seed 1 fold 1)" in markdown
    assert row_of(markdown, "cnn")[-1] == "2 of 4"
    assert "2 folds each" in markdown


def test_a_run_without_a_finished_fit_has_a_report(tmp_path):
    run = write_run(tmp_path)
    for path in run.glob("*/seed-*/fit.json"):
        path.unlink()
    markdown, _ = read_report(run)
    assert "No fit is finished yet." in markdown
    assert "k-nearest neighbours: 2 of 2 fits (seed 0, seed 1)" in markdown


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.unlink(), "no predictions that can be read"),
        (lambda path: path.write_text("clip,label", encoding="utf-8"), "no predictions that can be read|no clip"),
        (lambda path: path.write_text(path.read_text().replace("0.", "nan,", 1)), "no predictions that can be read"),
        (lambda path: path.write_text(re.sub(r"[\d.e-]+\n", "nan\n", path.read_text())), "no numbers"),
    ],
)
def test_predictions_that_cannot_be_used_are_named_and_left_out(tmp_path, damage, reason):
    run = write_run(tmp_path)
    damage(run / "knn" / "seed-1-fold-0" / "predictions.csv")
    markdown, _ = read_report(run)
    assert re.search(reason, markdown)
    assert "predictions.csv" in markdown
    assert row_of(markdown, "k-nearest neighbours")[-1] == "1 of 2"
    assert row_of(markdown, "cnn")[-1] == "2 of 2"


def test_a_quick_run_is_no_result(tmp_path):
    run = write_run(tmp_path, quick=True, experiment='notes = "Two layers only."\nfolds = 5\n')
    markdown, _ = read_report(run)
    assert "Two layers only." in markdown
    assert "Its figures mean nothing" in markdown
    assert "not finished" not in markdown
    assert any("mean nothing" in warning for warning in compare([run]).warnings)
    assert "s1-table-12 (--quick)" in results_table([run])


def test_names_are_text_and_nothing_else(tmp_path):
    """Whatever a clip, a class or a method is called, no tag, link or formula comes of it."""
    bad = "<script>alert(1)</script> [x](y) |`*_ $\\frac$"
    labels = ("$\\frac$", "_<b>rock</b>", "한국\u202e\x07")
    ids = [f"{bad} {i}\udcff" if i < 1 else f"{bad} {i}" for i in range(30)]
    ids[0] = ids[0].replace("\udcff", "\u2028")
    method = Method("cnn", "cnn", {"note": bad}, title=bad)
    run = write_run(tmp_path, labels=labels, methods=(method,), title=bad, findings=(bad,), machine=bad)
    for seed in (0, 1):
        leak = Leak(1, 2, 3, examples=(bad,))
        write_fit(run, "cnn", seed=seed, ids=ids, labels=labels, leak=leak, notes=(bad,), chosen={"a": bad})
    markdown, page = read_report(run)
    assert {"script", "b", "a"} & page.tags == set()
    assert page.text.count("<script>") > 10
    without_escapes = re.sub(r"\\.", "", markdown)
    assert "<" not in without_escapes
    assert "](y)" not in without_escapes
    assert set("\u202e\x07\u2028") & set(markdown) == set()
    for line in without_escapes.splitlines():
        assert not line.startswith("| Clip") or line.count("|") == 6
    for path in (run / "figures").iterdir():
        assert ElementTree.parse(path).getroot().tag.endswith("svg")


def test_the_files_of_a_report_stay_in_its_folder(tmp_path):
    methods = (Method("a", "knn"), METHODS[0])
    run = write_run(tmp_path / "run", methods=methods)
    plots.save_figure(plots.methods_figure([plots.Bar("a", 0.5, 0.4, 0.6)]), tmp_path / "before.svg")
    record = (run / "run.json").read_text(encoding="utf-8")
    (run / "run.json").write_text(record.replace('"cnn"', '"../../cnn"'), encoding="utf-8")
    fit = run / "cnn" / "seed-0-fold-0" / "fit.json"
    fit.write_text(fit.read_text(encoding="utf-8").replace('"cnn"', '"../../cnn"'), encoding="utf-8")
    write_report(run)
    assert {path.name for path in tmp_path.iterdir()} == {"run", "before.svg"}
    assert (run / "figures" / "..-..-cnn-confusion.svg").is_file()


def test_a_sweep_is_a_figure_with_a_line_a_family(tmp_path):
    methods = tuple(
        Method(f"lstm-{lr}-{epochs}", "lstm", {"lr": lr, "epochs": epochs}, reported={"valid_accuracy": 0.5})
        for lr in (0.0065, 0.0066)
        for epochs in (400, 600, 1000)
    )
    run = write_run(tmp_path, methods=methods, seeds=(0,), experiment='sweep = "epochs"\n')
    markdown, page = read_report(run)
    assert "## Accuracy along epochs" in markdown
    drawn = (run / "figures" / "sweep.svg").read_text(encoding="utf-8")
    for name in (
        "learning rate 0.0065 test",
        "learning rate 0.0066 validation",
        "learning rate 0.0065 validation, source",
    ):
        assert name in drawn
    assert "of one seed only" in page.text


def test_a_source_of_another_split_is_told_and_not_compared(tmp_path):
    methods = (Method("knn", "knn", {"k": 3}, reported={"accuracy": 0.99, "valid_accuracy": 0.7, "f1": 0.66}),)
    same = write_run(tmp_path / "same", methods=methods, experiment='sweep = "k"\n')
    other = write_run(
        tmp_path / "other", methods=methods, experiment='sweep = "k"\n', protocol="filtered", asked_protocol="s1"
    )
    like, unlike = read_report(same)[0], read_report(other)[0]
    told = (
        "The source's figures are of protocol s1 on gtzan-spectrograms; this run is of protocol filtered on "
        "gtzan-spectrograms, so its figures are not compared with them."
    )
    assert "outside the interval" in like
    assert told not in like
    assert "outside the interval" not in unlike
    assert told in unlike
    assert row_of(like, "knn")[3:5] == ["0.990", signed(read_results(same).methods[0].accuracy.value - 0.99)]
    assert row_of(unlike, "knn")[3] == "0.990"
    assert "| Source | Validation |" in unlike  # no difference between the two
    assert re.findall(r"\| F1 \(macro\) \| 0\.660 .*", unlike)[0].endswith("| – |")
    sweeps = [(run / "figures" / "sweep.svg").read_text(encoding="utf-8") for run in (same, other)]
    assert ["validation, source" in drawn for drawn in sweeps] == [True, False]
    assert "other: the source's figures are of protocol s1" in " ".join(compare([other]).warnings)
    assert compare([same]).warnings == ()
    assert "| 0.990 |" in results_table([same])
    both = results_table([same, other]).splitlines()
    assert [line.split(" | ")[-1] for line in both[2:]] == ["0.990 |", "– |"]


def test_old_records_and_equal_ones_are_as_asked():
    assert record().as_asked
    assert record(asked_dataset="gtzan-spectrograms", asked_protocol="s1").as_asked
    assert not record(asked_dataset="gtzan-clips").as_asked


@pytest.mark.parametrize(
    ("groups", "seeds", "sentence"),
    [
        (None, (0, 1), "drawn with replacement are single clips, for the run tells no artists, and seeds where"),
        ({"clip.00000": 0, "clip.00003": 0}, (0, 1), "are artists with all of their clips, copies of a recording toge"),
        ({"clip.00000": 0}, (0,), "together; of one seed only, they know nothing"),
    ],
)
def test_a_report_says_what_its_intervals_draw(tmp_path, groups, seeds, sentence):
    assert sentence in read_report(write_run(tmp_path, groups=groups, seeds=seeds))[1].text


def test_groups_make_the_intervals_of_a_report_wider(tmp_path):
    groups = {f"clip.{i:05d}": i // 15 for i in range(30)}
    alone, grouped = (
        read_results(write_run(tmp_path / str(i), groups=one, seeds=(0,))).methods[0].accuracy
        for i, one in enumerate((None, groups))
    )
    assert alone.value == grouped.value
    assert len({*grouped[1:3]} - {*alone[1:3]}) > 0
    write_json(tmp_path / "0" / "groups.json", {"clip.00000": "Miles Davis"})
    with pytest.raises(ExperimentError, match=r"groups\.json: gives clips no group numbers"):
        read_results(tmp_path / "0")


def test_a_report_tells_the_sizes_of_the_parts_and_the_time_of_a_search(tmp_path):
    run = write_run(tmp_path, methods=METHODS[1:])
    write_fit(run, "knn", seed=1, clips={"train": 239, "valid": 30, "test": 30}, search_seconds=300.0)
    markdown, page = read_report(run)
    assert "drawn at random; here 239–240/30/30 clips to train, validate and test" in page.text
    assert "| Training | Search |" in markdown
    assert "5 min" in row_of(markdown, "k-nearest neighbours")
    assert "here 239–240/30/30 clips" in compare([run]).markdown


def test_a_folder_that_holds_no_run_is_named(tmp_path):
    with pytest.raises(ExperimentError, match=r"nothing: no run folder .*soundkin lab run"):
        write_report(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("leaks", "sentences"),
    [
        ([(Leak(), 100)], ["No test clip shares its artist", "No test clip is a known copy"]),
        (
            [(Leak(unknown_artists=6), 100)],
            [
                "No test clip whose artist is known shares its artist with a clip that was trained on. "
                "6 of 100 test clips are of unknown artist, so this is a lower bound.",
                "No test clip is a known copy",
            ],
        ),
        (
            [(Leak(9, 57, 0, unknown_artists=6), 100)],
            ["57 of 100 test clips share", "No test clip is a known copy"],
        ),
        ([(Leak(9, 57, 0, unknown_artists=6), 100)], ["lower bound", "No test clip is a known copy"]),
        ([(Leak(artists_known=False, unknown_artists=100), 100)], ["Artists are not known", "No test"]),
        ([(Leak(artists_known=False), 100)], ["Artists are not known", "No test clip is a known copy"]),
        ([(Leak(9, 57, 0), 100)] * 3, ["In every split, 57 of 100 test clips share", "No test"]),
        ([(Leak(9, 51, 0), 99), (Leak(9, 60, 2), 100)], ["In the 2 splits, 51 to 60 of 99 to 100", "0 to 2 of 99"]),
    ],
)
def test_leaks_are_plain_sentences(leaks, sentences):
    told = leak_sentences(leaks)
    assert len(told) == 2
    assert all(part in sentence for part, sentence in zip(sentences, told, strict=True))


def test_figures_are_said_as_people_say_them():
    assert [seconds(value) for value in (0.123, 75, 600, 7500)] == ["0.12 s", "75 s", "10 min", "2 h 5 min"]
    assert [whole(value) for value in (131818, 24.5, None)] == ["131,818", "24.5", "–"]
    assert [signed(value) for value in (0.02, -0.02)] == ["+0.020", "−0.020"]
    assert [milliseconds(value) for value in (0.123, 45.6)] == ["0.12 ms", "46 ms"]


def test_markdown_escapes_what_would_be_markup_and_leaves_the_rest():
    plain = "custom_cnn 0.637 [0.6, 0.7] (−0.02)"
    assert escape(plain) == plain
    assert escape("1. one") == "1\\. one"
    assert escape("# two\nthree") == "\\# two three"
    assert escape("__a__ &lt;") == "\\_\\_a\\_\\_ &amp;lt;"
    assert escape("[1](http://x)") == "\\[1\\](http://x)"


def test_html_escapes_every_place():
    page = Page(to_html("<i>", []))
    assert "i" not in page.tags


def test_a_comparison_has_the_columns_of_its_source(finished):
    s1 = compare([finished], source="S1").markdown
    head = "| No. | Approach | Validation Accuracy | Testing Accuracy [95 %] | Number of parameters |"
    assert head in s1
    assert row_of(s1, "1")[1:3] == ["cnn", "0.650"]
    s2 = compare([finished], source="s2")
    assert "| Model | Accuracy [95 %] | Precision | F1 score | Recall score |" in s2.markdown
    assert "k-nearest neighbours" in Page(s2.html).text
    with pytest.raises(UnknownNameError, match="there are: s1, s2"):
        compare([finished], source="s9")


def test_methods_are_compared_with_the_best_of_their_like(finished):
    comparison = compare([finished, finished])  # one run, named twice
    cnn, knn = comparison.rows
    assert comparison.warnings == ()
    assert (cnn.is_best, cnn.difference) == (True, None)
    assert knn.difference.value == pytest.approx(knn.accuracy.value - cnn.accuracy.value)
    assert knn.difference.high < 0
    assert "17 of 30 test clips" in comparison.markdown
    assert row_of(comparison.markdown, finished.name)[1:4:2] == ["cnn", "best"]


@pytest.mark.parametrize(
    ("changes", "unlike"),
    [
        ({"dataset": "folder"}, "dataset"),
        ({"protocol": "filtered", "protocol_text": "443/197/290"}, "protocol"),
        ({"labels": ("a", "b")}, "classes"),
        ({"quick": True}, "--quick"),
    ],
)
def test_runs_that_are_not_alike_stand_apart(finished, tmp_path, changes, unlike):
    other = write_run(tmp_path / "other", rates={"cnn": 0.2, "knn": 0.3}, **changes)
    comparison = compare([finished, other])
    assert len(comparison.groups) == 2
    assert f"not like with like ({unlike} differ)" in comparison.warnings[0]
    assert [row.is_best for row in comparison.rows].count(True) == 2
    (best,) = [row for row in comparison.groups[1].rows if row.is_best]
    assert best.run.folder == other


def test_a_comparison_says_what_else_differs(finished, tmp_path):
    other = write_run(tmp_path / "other", clips=299, seeds=(0,))
    (other / "knn" / "seed-0-fold-0" / "fit.json").unlink()
    warnings = " ".join(compare([finished, other]).warnings)
    for part in (
        "different numbers of clips, 299 and 300",
        "nearest neighbours in other (0 of 1 fits)",
        "same seeds and folds",
    ):
        assert part in warnings
    approaches = compare([finished, other], source="s1").markdown
    assert "cnn (table-12)" in approaches
    assert "cnn (other)" in approaches


def test_methods_without_a_fit_have_no_line(finished, tmp_path):
    begun = write_run(tmp_path / "begun", methods=(*METHODS, Method("ann", "ann")))
    for path in begun.glob("[ka]nn/*/fit.json"):
        path.unlink()
    comparison = compare([begun, finished])
    assert [row.approach for row in comparison.rows] == ["cnn", "cnn", "k-nearest neighbours"]
    assert "ann in begun (0 of 2 fits)" in comparison.warnings[0]
    assert len(results_table([begun]).splitlines()) == 3
    (begun / "cnn" / "seed-0-fold-0" / "fit.json").unlink()
    (begun / "cnn" / "seed-1-fold-0" / "fit.json").unlink()
    assert "No fit is finished yet." in compare([begun]).markdown


def test_nothing_cannot_be_compared():
    with pytest.raises(ExperimentError, match="nothing to compare"):
        compare([])


def test_the_table_for_the_docs_has_a_line_a_method(finished):
    table = results_table([finished])
    accuracy = read_results(finished).methods[0].accuracy
    cells = ["s1-table-12", "cnn", "gtzan-spectrograms", "s1", "300", "30", "2", "2", "4", str(accuracy), "0.720"]
    assert row_of(table, "s1-table-12") == cells
    assert len(table.splitlines()) == 4


def test_a_figure_is_written_as_svg_or_png(tmp_path):
    figure = plots.confusion_figure(np.array([[3, 1], [0, 0]]), ["a", "b"])
    plots.save_figure(figure, tmp_path / "deep" / "figure.png")
    assert (tmp_path / "deep" / "figure.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ExperimentError, match=r"\.svg or \.png, not as \.gif"):
        plots.save_figure(figure, tmp_path / "figure.gif")
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]


def test_histories_without_numbers_make_no_figure():
    assert plots.learning_figure([plots.Curve([{"epoch": 1, "train_loss": None}])]) is None
    assert plots.learning_figure([plots.Curve([{"epoch": 1, "train_loss": 0.5}], best_epoch=9)]) is not None


@pytest.mark.parametrize("classes", [2, 10, 35])
def test_a_confusion_matrix_of_any_size_is_drawn(tmp_path, classes):
    labels = [f"genre {i}" for i in range(classes)]
    plots.save_figure(plots.confusion_figure(np.eye(classes, dtype=np.int64), labels), tmp_path / "figure.svg")
    drawn = (tmp_path / "figure.svg").read_text(encoding="utf-8")
    assert ("100</text>" in drawn) == (classes < 35)
