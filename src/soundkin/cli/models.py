"""`soundkin models`: the models there are, one in full, and how what one has heard is deleted."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from soundkin.cli.options import Json, Shared
from soundkin.cli.output import counted, plain, print_json, print_table

if TYPE_CHECKING:
    from soundkin.catalogue import Catalogue
    from soundkin.knownmodels import KnownModel
    from soundkin.model import Space

_LICENCE = 40  # characters of a licence in the table; the view of one model shows all


def run(
    context: typer.Context,
    model: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="Show this one in full: a name, an id or a file.", show_default=False),
    ] = None,
    forget: Annotated[
        str | None,
        typer.Option("--forget", metavar="ID", help="Delete what that model has heard.", show_default=False),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --forget: do not ask.")] = False,
    as_json: Json = False,
) -> int:
    """The models that are built in and those that the library has heard with; or one of them in full.

    The library keeps what each model heard, side by side, until it is told to forget one. Exit code 1: a built-in
    model cannot be loaded.
    """
    from soundkin.answering import choose_model
    from soundkin.errors import InputError
    from soundkin.knownmodels import known_model, known_models

    shared: Shared = context.obj
    if forget is not None:
        if model is not None:
            raise InputError(f"show {model} or forget {forget}? One at a time")
        _forget(shared, forget, yes=yes)
        return 0
    with _catalogue(shared) as catalogue:
        known = known_models(catalogue) if model is None else [known_model(catalogue, model)]
        tracks = answers = note = None
        if catalogue and any(catalogue.tracks_heard().values()):
            answering = choose_model(catalogue, shared.model)
            tracks, answers, note = catalogue.statistics().tracks, answering.model.id, answering.note
    rows = [_as_json(one, answers=answers, tracks=tracks) for one in known]
    if model is not None:
        _print_one(known[0], rows[0], as_json=as_json)
        return 0
    if as_json:
        print_json(rows)
    else:
        _print_rows(rows)
    for text in [*(one.problem for one in known), note]:
        if text:
            print(plain(text), file=sys.stderr)
    return 1 if any(one.id is None for one in known) else 0


@contextlib.contextmanager
def _catalogue(shared: Shared) -> Iterator[Catalogue | None]:
    """That of the library, or None where there is none yet."""
    from soundkin.catalogue import Catalogue
    from soundkin.errors import EmptyLibraryError

    try:
        opened = Catalogue.open(shared.library, create=False)
    except EmptyLibraryError:
        yield None
        return
    with opened:
        yield opened


def _as_json(one: KnownModel, *, answers: str | None, tracks: int | None) -> dict[str, Any]:
    from soundkin.model import DEFAULT_MODEL

    return {
        "id": one.id,
        "name": one.name,
        "version": one.version,
        "built_in": one.built_in,
        "default": one.built_in and one.name == DEFAULT_MODEL,
        "answers": one.id is not None and one.id == answers,
        "dimension": one.dimension,
        "tags": len(one.tags),
        "heard": one.heard,
        "tracks": tracks,
        "file": None if one.file is None else str(one.file),
        "bytes": one.bytes,
        "licence": (one.card or {}).get("licence"),
        "problem": one.problem,
    }


def _print_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    def cells(row: Mapping[str, Any]) -> tuple[object, ...]:
        licence = str(row["licence"] or "")
        marks = [word for word in ("default", "answers") if row[word]]
        return (
            row["id"] or row["name"],
            row["version"],
            row["dimension"],
            row["tags"],
            "" if row["tracks"] is None else f"{row['heard']:,} of {row['tracks']:,}",
            ", ".join(["unusable" if row["id"] is None else "file gone", *marks] if row["problem"] else marks),
            _size(row["bytes"]),
            licence if len(licence) <= _LICENCE else f"{licence[: _LICENCE - 1]}…",
        )

    names = ("model", "version", "numbers", "tags", "heard", "", "size", "licence")
    print_table(names, map(cells, rows), right=("numbers", "tags", "heard", "size"))


def _print_one(one: KnownModel, row: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json({**row, "excerpts": one.excerpts, "card": dict(one.card or {})})
        return
    card = dict(one.card or {})
    lines = [(name, row[name]) for name in ("id", "version", "file")]
    lines.append(("size", _size(row["bytes"]) or None))
    lines.append(("licence", row["licence"]))
    if row["tracks"] is not None:
        answers = "; it answers now" if row["answers"] else ""
        lines.append(("heard", f"{row['heard']:,} of {counted(row['tracks'], 'song')}{answers}"))
    lines.append(("embedding", f"{one.dimension} numbers{_compared(one.space)}"))
    lines.append(("hears", one.excerpts and f"{one.excerpts} (excerpts × seconds) of a song"))
    front = card.get("front_end")
    if front:
        seconds = card["segment_frames"] * front["hop_length"] / front["sr"]
        lines.append(("front end", ", ".join(f"{name} {value}" for name, value in sorted(front.items()))))
        lines.append(("segment", f"{card['segment_frames']} frames, {seconds:.2f} s"))
    categories: dict[str, list[str]] = {}
    for tag in one.tags:
        categories.setdefault(tag.category, []).append(tag.label)
    lines += [(f"{category} ({len(labels)})", ", ".join(labels)) for category, labels in categories.items()]
    lines += _training(card.get("training"))
    lines.append(("problem", one.problem))
    for name, value in lines:
        if value is not None:
            print(f"{plain(name) + ':':<16} {plain(value)}".rstrip())


def _compared(space: Space | None) -> str:
    if space is None:
        return ""
    standardised = " after standardising in the library" if space.standardise else ""
    return f", compared by cosine{standardised}{', against hubs' if space.mutual_proximity else ''}"


def _training(told: object) -> list[tuple[str, object]]:
    """Text as it is, figures by name."""
    if not isinstance(told, Mapping):
        return [("training", told)]
    values = {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for name, value in told.items()
    }
    return [("training", ""), *((f"  {name}", value) for name, value in values.items())]


def _size(bytes_: int | None) -> str:
    return "" if bytes_ is None else f"{bytes_ / 1e6:.1f} MB"


def _forget(shared: Shared, model_id: str, *, yes: bool) -> None:
    from soundkin.errors import UnknownNameError

    with shared.open() as library:
        known = {model.id: model for model in library.catalogue.models()}
        if model_id not in known:
            raise UnknownNameError("model of this library", model_id, known)
        if not yes and model_id != library.model.id:  # which is refused in any case
            heard = known[model_id].vectors or 0
            typer.confirm(f"Forget {model_id} and what it heard in {counted(heard, 'recording')}?", abort=True)
        print(f"forgot {model_id} and what it heard in {counted(library.forget_model(model_id), 'recording')}")
