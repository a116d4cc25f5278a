"""How reports put figures, settings and leaks into words."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from soundkin.lab.document import Table
from soundkin.lab.runs import Leak, RunRecord

NOTHING = "–"
NAMES = {
    "accuracy": "accuracy",
    "valid_accuracy": "validation accuracy",
    "parameters": "parameters",
    "precision": "precision (macro)",
    "recall": "recall (macro)",
    "f1": "F1 (macro)",
    "lr": "learning rate",
    "learning_rate": "learning rate",
    "optimizer": "optimiser",
}


def share(value: float | None) -> str:
    """0.720, or a dash for what is not known."""
    return NOTHING if value is None or not math.isfinite(value) else f"{value:.3f}"


def signed(value: float | None, *, digits: int = 3) -> str:
    """+0.020 or −0.020, with a real minus."""
    return NOTHING if value is None else f"{value:+,.{digits}f}".replace("-", "−")


def whole(value: float | None) -> str:
    """131,818; with one digit where it is a mean of unequal numbers."""
    return NOTHING if value is None else f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def seconds(value: float | None) -> str:
    """A time in the unit that one would say it in."""
    if value is None:
        return NOTHING
    if value < 10:
        return f"{value:.2g} s"
    if value < 120:
        return f"{value:.0f} s"
    minutes = round(value / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def milliseconds(value: float | None) -> str:
    """Two digits."""
    return NOTHING if value is None else f"{value:.2g} ms" if value < 10 else f"{value:.0f} ms"


def settings_text(settings: Mapping[str, Any]) -> str:
    """Names and values in one line."""
    return ", ".join(f"{NAMES.get(name, name)} {value_text(value)}" for name, value in settings.items())


def value_text(value: Any) -> str:
    """A setting as a table shows it."""
    return NOTHING if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def table_of(columns: Mapping[str, Callable[[Any], str]], items: Sequence[Any], *, left: int = 1) -> Table:
    """A table with a row an item, without the columns that would be empty; the first `left` columns hold text."""
    cells = {name: [value(item) for item in items] for name, value in columns.items()}
    kept = [name for name in columns if any(cell not in ("", NOTHING) for cell in cells[name])]
    texts = list(columns)[:left]
    align = "".join("l" if name in texts else "r" for name in kept)
    return Table(kept, list(zip(*(cells[name] for name in kept), strict=True)), align)


def leak_sentences(splits: Iterable[tuple[Leak, int]]) -> list[str]:
    """What splits share between what is fitted and what is tested; `splits` are leaks with numbers of tested clips."""
    known = list(splits)
    sentences = []
    unknown = ""
    if any(leak.unknown_artists for leak, _ in known):
        counts = _counts([(leak.unknown_artists, clips) for leak, clips in known])
        unknown = f" {counts} are of unknown artist, so this is a lower bound."
    if not all(leak.artists_known for leak, _ in known):
        sentences.append(
            "Artists are not known here, so it cannot be said how many test clips share theirs with a clip that was "
            "trained on; a random split of such data usually flatters."
        )
    elif any(leak.clips_by_artist for leak, _ in known):
        counts = _counts([(leak.clips_by_artist, clips) for leak, clips in known])
        sentences.append(
            f"{counts} share their artist with a clip that was trained on: the accuracies flatter, for whoever "
            f"recognises the artist has recognised the class.{unknown}"
        )
    else:
        which = "No test clip whose artist is known" if unknown else "No test clip"
        sentences.append(f"{which} shares its artist with a clip that was trained on.{unknown}")
    if any(leak.duplicates for leak, _ in known):
        counts = _counts([(leak.duplicates, clips) for leak, clips in known])
        sentences.append(f"{counts} are copies of a clip that was trained on, or nearly identical to one.")
    else:
        sentences.append("No test clip is a known copy of one that was trained on.")
    return sentences


def source_warning(record: RunRecord) -> str:
    """That the source's figures are of other data or another split than this run; empty where they are not."""
    if record.as_asked or not any(method.reported for method in record.methods):
        return ""
    asked = f"protocol {record.asked_protocol or record.protocol} on {record.asked_dataset or record.dataset}"
    return (
        f"the source's figures are of {asked}; this run is of protocol {record.protocol} on {record.dataset}, so its "
        "figures are not compared with them."
    )


def part_sizes(parts: Iterable[Mapping[str, int]]) -> str:
    """'442/197/290 clips to train, validate and test', of the parts of all fits; empty without any."""
    sizes = list(parts)
    if not sizes:
        return ""
    spans = (_span([size.get(name, 0) for size in sizes]) for name in ("train", "valid", "test"))
    numbers = "/".join(span.replace(" to ", "–") for span in spans)
    return f"{numbers} clips to train, validate and test"


def protocol_line(name: str, text: str, parts: Iterable[Mapping[str, int]]) -> str:
    """A protocol's name, what it says, and how many clips its parts really had."""
    said = f"{name}: {text.rstrip('.')}" if text else name
    sizes = part_sizes(parts)
    return f"{said}; here {sizes}" if sizes else said


def _counts(pairs: Sequence[tuple[int, int]]) -> str:
    """'In every split, 57 of 100 test clips'."""
    some, all_ = zip(*pairs, strict=True)
    where = "" if len(pairs) == 1 else "In every split, " if len(set(pairs)) == 1 else f"In the {len(pairs)} splits, "
    return f"{where}{_span(some)} of {_span(all_)} test clips"


def _span(values: Sequence[int]) -> str:
    return f"{min(values):,}" if min(values) == max(values) else f"{min(values):,} to {max(values):,}"
