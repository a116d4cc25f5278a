"""`soundkin lab explain`: what in a song carried a tag."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soundkin.cli.lab.progress import counting
from soundkin.cli.options import Shared
from soundkin.cli.output import clock, plain, print_json

if TYPE_CHECKING:
    from soundkin.lab.tagging.explain import Explanation


def run(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An audio file.")],
    tag: Annotated[str, typer.Option("--tag", help="A tag that the model tells.")],
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="MODEL.onnx", help="A model file that tells tags.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where picture, numbers and sound go. Default: explain/."),
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="Seconds of sound that are kept, in all.")] = 9.0,
    excerpt: Annotated[float, typer.Option(min=1, max=60, help="Seconds of one excerpt.")] = 3.0,
    baseline: Annotated[
        str, typer.Option(help="What muted is: quiet (each band's quietest tenth) or mean (its mean).")
    ] = "quiet",
    passes: Annotated[
        int | None,
        typer.Option(
            min=1, help="Times the network is asked: more explain more segments. Default: 360.", show_default=False
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Which seconds and which bands of a song carried a tag: a picture over the spectrogram, numbers, and the sound.

    Each is muted in turn, and the model asked again. Where its probability falls, the tag was carried.
    """
    from soundkin.cli.lab.tag import tagger_of
    from soundkin.errors import InputError
    from soundkin.lab.tagging.explain import PASSES, explain, explanation_as_json

    shared: Shared = context.obj
    if not file.is_file():
        what = "it is a folder; one song is explained at a time" if file.is_dir() else "there is no such file"
        raise InputError(f"{file}: {what}")
    tagger = tagger_of(model or shared.hearing_model)
    with counting("asking the model") as progress:
        one = explain(
            file,
            tagger,
            tag,
            baseline=baseline,
            passes=passes or PASSES,
            seconds=seconds,
            excerpt=excerpt,
            progress=progress,
        )
    stem = _write(one, out or Path("explain"))
    if as_json:
        print_json(explanation_as_json(one))
    else:
        _print(one)
    print(f"wrote {plain(stem)}.png, .json" + (", .wav" if one.excerpts else ""), file=sys.stderr)


def _write(one: Explanation, out: Path) -> Path:
    """The stem of the files."""
    import json

    from soundkin.errors import InputError
    from soundkin.lab.plots import save_figure
    from soundkin.lab.runs import write_text
    from soundkin.lab.tagging.explain import explanation_as_json, write_excerpts
    from soundkin.lab.tagging.explain_plots import explanation_figure

    word = "".join(c if c.isalnum() else "-" for c in one.tag.label).strip("-") or "tag"
    stem = out / f"{one.path.stem}.{word}"
    try:
        out.mkdir(parents=True, exist_ok=True)
        save_figure(explanation_figure(one), Path(f"{stem}.png"))
        write_text(Path(f"{stem}.json"), json.dumps(explanation_as_json(one), indent=1) + "\n")
        if one.excerpts:
            write_excerpts(one, Path(f"{stem}.wav"))
    except OSError as error:
        raise InputError(f"{out}: cannot be written: {error.strerror or error}; name another folder") from error
    return stem


def _compared(one: Explanation) -> str:
    """What muting other seconds tells of these: they were chosen as those that lose most, so they are expected to."""
    from soundkin.lab.datasets.wording import count

    if not len(one.controls):
        return "; too little else sounds where the tag was looked for to compare with"
    mean, low, high = one.controls.mean(), one.controls.min(), one.controls.max()
    verdict = "this one is: they stand out" if one.stands_out else "this one is not: no moment stands out"
    return (
        f"; without as many others that sound in the same\n  segments {mean:.3f} on the mean, {low:.3f} to {high:.3f} "
        f"({count(len(one.controls), 'draw')})\n  These seconds were chosen as those that lose most, so a gap is "
        f"expected;\n  only one beyond all draws says something, and {verdict}"
    )


def _print(one: Explanation) -> None:
    import numpy as np

    label = plain(one.tag.label)
    print(f"{plain(one.path)}: {label} {one.probability:.2f} ({plain(one.model_id)})")
    for span in one.excerpts:
        print(f"  {clock(span.start)}–{clock(span.end)}  muted, it loses {span.drop:.3f} in its segment")
    if one.excerpts:
        print(f"  without these seconds the whole song has {label} {one.muted:.3f}{_compared(one)}")
    else:
        print("  no second of it carries the tag: whatever is muted, the tag becomes no less probable")
    drops = one.band_drops
    for i in [i for i in np.argsort(-drops)[:3] if drops[i] > 0]:
        print(f"  {one.band_edges[i]:,.0f}–{one.band_edges[i + 1]:,.0f} Hz  {drops[i]:.3f}")
