"""A small document of plain text, tables and figures, written as Markdown or as one HTML file.

A report says the same in both forms, and whatever a file, a class or a clip is called, it is text in both: nothing in
a document is markup but its blocks.
"""

from __future__ import annotations

import base64
import functools
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import quote

import jinja2


@dataclass(frozen=True)
class Heading:
    """Of the second order or a lower one; the title is the first."""

    kind: ClassVar = "heading"
    text: str
    level: int = 2


@dataclass(frozen=True)
class Text:
    """A paragraph; a warning stands out."""

    kind: ClassVar = "text"
    text: str
    warning: bool = False


@dataclass(frozen=True)
class Bullets:
    """A list."""

    kind: ClassVar = "bullets"
    items: Sequence[str]


@dataclass(frozen=True)
class Facts:
    """What and its value, line by line."""

    kind: ClassVar = "facts"
    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Table:
    """`align` has one letter a column, l or r; by default the first is left and the others right."""

    kind: ClassVar = "table"
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    align: str = ""

    @property
    def aligned(self) -> str:
        return self.align or "l" + "r" * (len(self.head) - 1)


@dataclass(frozen=True)
class Picture:
    """A figure beside the Markdown file, at the relative path `path`; `alt` says what it shows."""

    kind: ClassVar = "picture"
    path: str
    alt: str


@dataclass(frozen=True)
class Section:
    """Blocks under a heading, which HTML can fold away."""

    kind: ClassVar = "section"
    title: str
    blocks: Sequence[Block]
    open: bool = False


Block = Heading | Text | Bullets | Facts | Table | Picture | Section

_TYPES = {"svg": "image/svg+xml", "png": "image/png"}


def to_markdown(title: str, blocks: Sequence[Block]) -> str:
    """GitHub's Markdown, ending with a newline."""
    return "\n\n".join([f"# {escape(title)}", *_markdown(blocks)]) + "\n"


def _markdown(blocks: Sequence[Block]) -> Iterator[str]:
    for block in blocks:
        match block:
            case Heading(text, level):
                yield f"{'#' * level} {escape(text)}"
            case Text(text, warning):
                yield f"> **Warning.** {escape(text)}" if warning else escape(text)
            case Bullets(items):
                yield "\n".join(f"- {escape(item)}" for item in items)
            case Facts(pairs):
                yield "\n".join(f"- **{escape(what)}:** {escape(value)}" for what, value in pairs)
            case Table():
                yield to_markdown_table(block)
            case Picture(path, alt):
                yield f"![{escape(alt)}]({quote(path)})"
            case Section(title, inner):
                yield f"### {escape(title)}"
                yield from _markdown(inner)


def to_markdown_table(table: Table) -> str:
    """The table alone."""
    rule = ["---:" if letter == "r" else "---" for letter in table.aligned]
    rows = [[escape(cell) for cell in row] for row in (table.head, *table.rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:]))


def escape(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    text = re.sub(rf"({_INTERVAL})|{_MARKUP}", lambda found: found[1] or f"\\{found[0]}", printable(text))
    text = text.replace("&", "&amp;")
    return re.sub(r"^(\d*)([-+#=.)]+)(?=\s|$)", r"\1\\\2", text)  # what would begin a list, a heading or a rule


_MARKUP = r"[\\`*\[\]<>|~$]|(?<![^\W_])_|_(?![^\W_])"
_INTERVAL = r"\[[+−]?\d[\d., %+−]*\](?![(\[:])"
"""[0.637, 0.733], which no Markdown takes for a link; reports are full of them."""


def printable(text: str) -> str:
    """One line without control characters, marks that turn the writing round, or halves of characters."""
    return " ".join("".join(" " if unicodedata.category(c) in _UNPRINTABLE else c for c in str(text)).split())


_UNPRINTABLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def to_html(title: str, blocks: Sequence[Block], *, pictures: Mapping[str, bytes] | None = None) -> str:
    """One HTML file that needs no other: `pictures` (path -> content) are put into it. Light or dark, as the reader's
    system is."""
    sources = {
        path: f"data:{_TYPES[path.rpartition('.')[2]]};base64,{base64.b64encode(content).decode()}"
        for path, content in (pictures or {}).items()
    }
    return _template().render(title=title, blocks=blocks, sources=sources)


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("soundkin.lab", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    return environment.get_template("document.html")
