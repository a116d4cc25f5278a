"""`soundkin lab compare`: the tables of several runs as one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from soundkin.cli.output import plain


def run(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Run folders.")],
    source: Annotated[
        str | None, typer.Option(help="s1: the columns of S1's table 12; s2: those of S2's table 2.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Also write a page.")] = None,
) -> None:
    """One table of every method of these runs, beside what the sources report."""
    from soundkin.lab.compare import compare
    from soundkin.lab.runs import write_text

    comparison = compare(runs, source=source)
    print(comparison.markdown)
    if html is not None:
        write_text(html, comparison.html)
        print(f"\nwrote {plain(html)}")
