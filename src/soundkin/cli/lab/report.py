"""`soundkin lab report`: the report of a run, made again from its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from soundkin.cli.output import plain


def run(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Run folders.")],
    table: Annotated[bool, typer.Option("--table", help="Print one Markdown table of all results instead.")] = False,
) -> None:
    """Write the reports of runs again, or print their results as one Markdown table."""
    from soundkin.lab.compare import results_table
    from soundkin.lab.report import write_report

    if table:
        print(results_table(runs))
        return
    for folder in runs:
        print(f"the report is {plain(write_report(folder))}")
