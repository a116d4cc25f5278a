"""`soundkin lab tag`: what is in a song, and when."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from soundkin.cli.lab.options import Cache, Workers, cache_folder
from soundkin.cli.lab.progress import counting
from soundkin.cli.options import Shared
from soundkin.cli.output import clock, counted, plain, print_json

if TYPE_CHECKING:
    from soundkin.lab.tagging.taggram import Tagger, Taggram

_MOST_ERRORS = 20


def run(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Audio files, or folders of them.")],
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="MODEL.onnx",
            help="A model file that tells tags. Repeatable with --write-csv: the mean of several.",
            show_default=False,
        ),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="At most so many tags of a file.")] = 10,
    above: Annotated[
        float | None, typer.Option(min=0, max=1, help="Only tags at least as probable.", show_default=False)
    ] = None,
    hop: Annotated[
        float | None,
        typer.Option(
            "--hop",
            metavar="SECONDS",
            help="From column to column of the taggram. Default: the model's segment, or an eighth of one over 5 s.",
            show_default=False,
        ),
    ] = None,
    taggram: Annotated[bool, typer.Option("--taggram", help="With --json, also the tags over time.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write a picture and the JSON of each taggram there.")
    ] = None,
    write_csv: Annotated[
        Path | None,
        typer.Option(
            "--write-csv",
            metavar="tags.csv",
            help="Label the files for training instead; with --top-share or --above.",
        ),
    ] = None,
    top_share: Annotated[
        float | None,
        typer.Option(
            "--top-share",
            min=0,
            max=1,
            help="Of each tag, the share of the files with its highest probability carry it.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    cache: Cache = None,
    workers: Workers = None,
) -> int:
    """The tags of songs with their probabilities, and which part of a song is what.

    A song is heard from end to end. Silence is left out of its means.
    """
    from soundkin.errors import InputError

    shared: Shared = context.obj
    taggers = [tagger_of(name) for name in models or [shared.hearing_model]]
    if top_share is not None and write_csv is None:
        raise InputError("--top-share says which files a tags.csv gives a tag to: it goes with --write-csv")
    if len(taggers) > 1 and write_csv is None:
        raise InputError("several models are averaged with --write-csv only; otherwise name one")
    paths = _audio_files(files)
    kept = cache_folder(cache) / "taggrams"
    one_by_one = workers if workers is not None else 0 if len(paths) == 1 else None
    if write_csv is not None:
        rules = {"top_share": top_share, "above": above}
        return _label(write_csv, paths, taggers, rules, hop=hop, folder=kept, workers=one_by_one, as_json=as_json)
    found, failures = _hear(taggers[0], paths, hop=hop, folder=kept, workers=one_by_one)
    shown = _Shown(taggers[0], top, above or 0.0, taggram)
    if out is not None:
        _write(out, found, shown)
    if as_json:
        print_json(shown.document(found, failures))
    else:
        for one in found:
            shown.print(one)
    return _code(found, failures)


def tagger_of(name: str) -> Tagger:
    """The model that was named. Raises InputError for a built-in one without tags, ModelError for a file without."""
    from soundkin.errors import InputError
    from soundkin.lab.tagging.taggram import load_tagger
    from soundkin.model import BUNDLED, MODELS

    if name in MODELS and name not in BUNDLED:
        raise InputError(f"which tagger? Name a model that tells tags, --model MODEL.onnx; {name!r} tells none")
    return load_tagger(BUNDLED.get(name, Path(name)))


def _audio_files(files: Sequence[Path]) -> list[Path]:
    from soundkin.errors import InputError
    from soundkin.walk import walk

    paths: dict[Path, None] = {}
    for folder in walk(files):
        if folder.unreadable is not None:
            print(f"left out: {plain(folder.path)}: {folder.unreadable.strerror}", file=sys.stderr)
        for path, error in folder.locked:
            print(f"left out: {plain(path)}: {error.strerror}", file=sys.stderr)
        paths.update(dict.fromkeys(file.path for file in folder.files))
    if not paths:
        raise InputError(f"no audio files in {', '.join(map(str, files))}")
    return list(paths)


def _hear(
    tagger: Tagger, paths: Sequence[Path], *, hop: float | None, folder: Path, workers: int | None
) -> tuple[list[Taggram], dict[Path, Exception]]:
    from soundkin.lab.tagging.taggram import hear_files

    with counting(f"tagging with {tagger.model.id}") as progress:
        found = hear_files(paths, tagger, hop=hop, folder=folder, workers=workers, progress=progress)
    failures = {path: one for path, one in found.items() if isinstance(one, Exception)}
    for error in list(failures.values())[:_MOST_ERRORS]:
        print(f"failed: {plain(error)}", file=sys.stderr)
    if len(failures) > _MOST_ERRORS:
        print(f"… and {len(failures) - _MOST_ERRORS:,} more failed", file=sys.stderr)
    heard = (found[path] for path in paths)
    return [one for one in heard if not isinstance(one, Exception)], failures


def _code(found: Sequence[object], failures: dict[Path, Exception]) -> int:
    """As `soundkin scan`: 3 when some failed, 1 when all did."""
    return 0 if not failures else 3 if found else 1


class _Shown:
    """How much of a taggram is printed."""

    def __init__(self, tagger: Tagger, top: int, above: float, taggram: bool) -> None:
        self.tagger, self.top, self.above, self.taggram = tagger, top, above, taggram

    def document(self, found: Sequence[Taggram], failures: dict[Path, Exception]) -> dict[str, Any]:
        return {
            "model": self.tagger.model.id,
            "calibrated": self.tagger.calibrated,
            "segment_seconds": round(self.tagger.segment_seconds, 3),
            "files": [self.as_json(one, taggram=self.taggram) for one in found],
            "failures": [{"file": str(path), "reason": str(error)} for path, error in failures.items()],
        }

    def as_json(self, one: Taggram, *, taggram: bool) -> dict[str, Any]:
        from soundkin.lab.tagging.taggram_json import taggram_as_json

        return taggram_as_json(one, top=self.top, above=self.above, taggram=taggram)

    def print(self, one: Taggram) -> None:
        from soundkin.lab.tagging.passages import SILENT, mixture, passages

        kind = "calibrated probabilities" if one.calibrated else "probabilities as the network gives them"
        print(f"{plain(one.path)}  {clock(one.duration)}  ({plain(one.model_id)}, {kind})")
        told: dict[str, list[str]] = {}
        for tag, probability in one.top(self.top, above=self.above):
            told.setdefault(tag.category, []).append(f"{plain(tag.label)} {_share(probability)}")
        width = max(map(len, told), default=0)
        for category, tags in told.items():
            print(f"  {plain(category):{width}}  {', '.join(tags)}")
        if not told:
            print(f"  no tag is as probable as {self.above:g}")
        genres = mixture(one)
        if len(genres) > 1:
            print(f"  mixed: {', '.join(f'{plain(tag.label)} {_share(p)}' for tag, p in genres)}")
        for passage in passages(one):
            names = [
                plain(tag.label) if tag == SILENT else f"{plain(tag.label)} {_share(p)}" for tag, p in passage.tags
            ]
            print(f"  {clock(passage.start)}–{clock(passage.end)}  {', '.join(names) or 'nothing probable enough'}")


def _share(value: float) -> str:
    """'.45'."""
    return f"{value:.2f}".removeprefix("0")


def _write(out: Path, found: Sequence[Taggram], shown: _Shown) -> None:
    import json

    from soundkin.errors import InputError
    from soundkin.lab.plots import save_figure
    from soundkin.lab.runs import write_text
    from soundkin.lab.tagging.taggram_plots import taggram_figure

    used: set[str] = set()
    try:
        out.mkdir(parents=True, exist_ok=True)
        with counting("pictures") as progress:
            for i, one in enumerate(found):
                name = _free_name(one.path.stem, used)
                save_figure(taggram_figure(one), out / f"{name}.taggram.png")
                text = json.dumps(shown.as_json(one, taggram=True), indent=1, ensure_ascii=True)
                write_text(out / f"{name}.taggram.json", text + "\n")
                progress(i + 1, len(found))
    except OSError as error:
        raise InputError(f"{out}: cannot be written: {error.strerror or error}; name another folder") from error
    print(f"wrote {counted(len(found), 'taggram')} to {plain(out)}", file=sys.stderr)


def _free_name(stem: str, used: set[str]) -> str:
    """The stem, with a number where another file of this call has the same."""
    name, number = stem, 1
    while name.casefold() in used:
        number += 1
        name = f"{stem}-{number}"
    used.add(name.casefold())
    return name


def _label(
    target: Path,
    paths: Sequence[Path],
    taggers: Sequence[Tagger],
    rules: dict[str, float | None],
    *,
    hop: float | None,
    folder: Path,
    workers: int | None,
    as_json: bool,
) -> int:
    import numpy as np

    from soundkin.errors import InputError
    from soundkin.lab.tagging.tagcsv import carried, check_places, write_tags_csv
    from soundkin.walk import absolute

    target = absolute(target.expanduser())
    carried(np.zeros((1, 1)), **rules)  # what is wrong with the rule shows before an hour of listening
    check_places(paths, target)
    labels = taggers[0].labels
    for other in taggers[1:]:
        if other.labels != labels:
            odd = sorted(set(labels) ^ set(other.labels)) or ["their order"]
            raise InputError(f"{taggers[0].path} and {other.path} tell different tags ({', '.join(odd[:5])})")
    failures: dict[Path, Exception] = {}
    means = []
    for tagger in taggers:
        # the mean over the track needs no overlap
        step = hop if hop is not None else tagger.segment_seconds
        found, failed = _hear(
            tagger, [path for path in paths if path not in failures], hop=step, folder=folder, workers=workers
        )
        failures |= failed
        means.append({one.path: one.means for one in found})
    good = [path for path in paths if path not in failures]
    if not good:
        return 1
    average = np.mean([[told[path] for path in good] for told in means], axis=0)
    has = carried(average, **rules)
    empty = write_tags_csv(target, labels, dict(zip(good, has, strict=True)))
    if as_json:
        print_json(
            {
                "csv": str(target),
                "models": [one.model.id for one in taggers],
                "files": len(good),
                "without_tags": empty,
                "tags": {label: int(n) for label, n in zip(labels, has.sum(axis=0), strict=True)},
            }
        )
    else:
        print(f"wrote {counted(len(good), 'file')} with {has.sum() / len(good):.1f} tags each to {plain(target)}")
        if empty:
            print(f"{counted(empty, 'file')} without any tag")
    return _code(good, failures)
