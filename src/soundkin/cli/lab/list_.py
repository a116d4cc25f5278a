"""`soundkin lab list`: what there is to run, and on what."""

from __future__ import annotations

from typing import Annotated

import typer

from soundkin.cli.output import print_json, print_table


def run(
    what: Annotated[
        str,
        typer.Argument(help="experiments, datasets, protocols, representations, estimators or augmentations."),
    ] = "experiments",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """What there is: experiments, datasets, protocols, representations, estimators, augmentations."""
    from soundkin.errors import UnknownNameError

    tables = {
        "experiments": (("experiment", "source", "dataset", "what"), _experiments),
        "datasets": (("dataset", "what", "licence"), _datasets),
        "protocols": (("protocol", "what"), _protocols),
        "representations": (("representation", "what"), _representations),
        "estimators": (("estimator", "kind"), _estimators),
        "augmentations": (("augmentation", "what"), _augmentations),
    }
    if what not in tables:
        raise UnknownNameError("list", what, tables)
    columns, rows = tables[what]
    found = rows()
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in found])
    else:
        print_table(columns, found)


def _experiments() -> list[tuple[str, ...]]:
    from soundkin.lab.experiment import list_experiments, load_experiment

    loaded = [load_experiment(name) for name in list_experiments()]
    return [(one.name, one.source, one.dataset, one.title) for one in loaded]


def _datasets() -> list[tuple[str, ...]]:
    from soundkin.lab.datasets import DATASETS

    return [(name, source.title, source.licence) for name, source in DATASETS.items()]


def _protocols() -> list[tuple[str, ...]]:
    from soundkin.lab.splits import PROTOCOLS

    return [(name, protocol.text) for name, protocol in PROTOCOLS.items()]


def _representations() -> list[tuple[str, ...]]:
    from soundkin.lab.representations import REPRESENTATIONS

    return [(name, one.text) for name, one in REPRESENTATIONS.items()]


def _estimators() -> list[tuple[str, ...]]:
    from soundkin.lab.estimators import ESTIMATORS, is_neural

    return [*((name, "network" if is_neural(name) else "classical") for name in ESTIMATORS), ("ensemble", "several")]


def _augmentations() -> list[tuple[str, ...]]:
    from soundkin.lab.augment import AUGMENTATIONS

    return [(name, (one.__doc__ or "").splitlines()[0]) for name, one in AUGMENTATIONS.items()]
