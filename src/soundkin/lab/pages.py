"""A page that is written as it is thought: paragraphs, tables and figures in order, then Markdown and HTML of it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from soundkin.errors import ExperimentError
from soundkin.lab.document import Block, Bullets, Facts, Heading, Picture, Table, Text, printable, to_html, to_markdown
from soundkin.lab.plots import save_figure
from soundkin.lab.runs import write_text

LEAD = "#0072B2"
"""The colour of whatever needs only one."""
COLOURS = (
    *("#332288", "#CC6677", "#117733", "#DDAA33", "#88CCEE"),
    *("#882255", "#44AA99", "#999933", "#AA4499", "#777777"),
)
"""Paul Tol's muted colours, the sand a little darker: colour-blind readers tell them apart."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""With ten colours they make 70 looks."""

_STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#444444",
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
}


class Page:
    """A page in `folder`. Figures are written as they come, the page itself by `write`.

    Every method raises ExperimentError where the folder cannot be written.
    """

    def __init__(self, title: str, folder: Path) -> None:
        self.title = title
        self.folder = folder
        self.figures: list[str] = []
        """Their names."""
        self._blocks: list[Block] = []

    def heading(self, text: str) -> None:
        """A heading of the second order."""
        self._blocks.append(Heading(text))

    def text(self, text: str, *, warning: bool = False) -> None:
        """A paragraph."""
        self._blocks.append(Text(text, warning))

    def points(self, items: Sequence[str]) -> None:
        """A list; nothing for none."""
        if items:
            self._blocks.append(Bullets(items))

    def facts(self, pairs: Sequence[tuple[str, str]]) -> None:
        """What and its value, line by line."""
        self._blocks.append(Facts(pairs))

    def table(self, head: Sequence[str], rows: Sequence[Sequence[object]], *, align: str = "") -> Table:
        """A table; None is an empty cell, `align` as in `Table`."""
        table = Table(head, [["" if cell is None else str(cell) for cell in row] for row in rows], align)
        self._blocks.append(table)
        return table

    def figure(self, figure: Any, name: str, title: str, caption: str = "") -> None:
        """A matplotlib Figure as figures/NAME.png; it is drawn now, so that its memory is free again."""
        path = self.folder / "figures" / f"{name}.png"
        try:
            save_figure(figure, path)
        except OSError as error:
            raise self._unwritten(error) from error
        self.figures.append(name)
        self._blocks += [Picture(f"figures/{name}.png", title), Text(f"{title}. {caption}".strip())]

    def write(self, name: str = "index") -> Path:
        """NAME.md, and NAME.html that needs no other file; returns the latter's path."""
        page = self.folder / f"{name}.html"
        try:
            sources = [f"figures/{figure}.png" for figure in self.figures]
            pictures = {source: (self.folder / source).read_bytes() for source in sources}
            write_text(self.folder / f"{name}.md", to_markdown(self.title, self._blocks))
            write_text(page, to_html(self.title, self._blocks, pictures=pictures))
        except OSError as error:
            raise self._unwritten(error) from error
        return page

    def _unwritten(self, error: OSError) -> ExperimentError:
        return ExperimentError(f"{self.folder}: cannot be written: {error.strerror or error}; name another folder")


def style() -> AbstractContextManager[None]:
    """Figures that are made inside look alike."""
    import matplotlib

    context: AbstractContextManager[None] = matplotlib.rc_context(_STYLE)
    return context


def new_figure(width: float, height: float) -> Any:
    """An empty matplotlib Figure, in inches, that belongs to no window and no global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def label(text: object, *, width: int = 24) -> str:
    """A name from outside as a figure may show it: one line, not too long, nothing in it a formula."""
    line = printable(str(text))
    line = line if len(line) <= width else f"{line[: width - 1]}…"
    # matplotlib leaves names that begin with a line out of legends
    return (f" {line}" if line.startswith("_") else line).replace("$", r"\$")


def look(i: int) -> dict[str, Any]:
    """Colour and marker of class `i`; both change from class to class, so that neighbours differ twice."""
    return {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)]}
