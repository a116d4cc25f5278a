"""The API described: OpenAPI, and a page of it that needs nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from soundkin.web.schemas import LARGEST
from soundkin.web.security import COOKIE, LOGIN, SAFE

INTRODUCTION = f"""Everything the page of soundkin can do, a program can do too. What changes something, or is asked by
POST, needs the header `X-Soundkin: 1`. Where a password is set, `POST {LOGIN}` comes first and sets a cookie. Every
answer that is no answer has the same shape: `{{"error": {{"code", "message", "candidates"}}}}`."""

_INTENT = {
    "name": "X-Soundkin",
    "in": "header",
    "required": True,
    "description": "Pages of other sites cannot send it.",
    "schema": {"type": "string", "const": "1"},
}


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of `app`, with what the guard around it asks for; made once."""
    if app.openapi_schema is None:
        found = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=INTRODUCTION,
            routes=app.routes,
        )
        components = found.setdefault("components", {})
        components["securitySchemes"] = {"session": {"type": "apiKey", "in": "cookie", "name": COOKIE}}
        found["security"] = [{}, {"session": []}]  # none where no password is set
        for _, method, operation in _operations(found):
            if method not in SAFE:
                operation.setdefault("parameters", []).append(_INTENT)
        app.openapi_schema = found
    return app.openapi_schema


def page_of(document: dict[str, Any]) -> str:
    """An OpenAPI document as a page of HTML, without script."""
    groups: dict[str, list[str]] = {}
    for path, method, operation in _operations(document):
        tag = (operation.get("tags") or ["other"])[0]
        groups.setdefault(tag, []).append(_section(path, method, operation))
    links = "".join(f'<li><a href="#{escape(tag)}">{escape(tag)}</a></li>' for tag in groups)
    parts = "".join(f'<h2 id="{escape(tag)}">{escape(tag)}</h2>{"".join(found)}' for tag, found in groups.items())
    schemas = document.get("components", {}).get("schemas", {})
    told = "".join(_schema(name, schema) for name, schema in sorted(schemas.items()))
    info = document["info"]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>The API of soundkin</title>
<link rel="icon" href="/static/icons/icon.svg">
<link rel="stylesheet" href="/docs/style.css">
</head>
<body>
<header><h1>The API of {escape(info["title"])} {escape(info["version"])}</h1></header>
<main>
<p>{_prose(info.get("description", ""))}</p>
<p>For programs: <a href="/openapi.json">openapi.json</a>. The page itself: <a href="/">soundkin</a>.</p>
<nav aria-label="Contents"><ul>{links}<li><a href="#shapes">shapes</a></li></ul></nav>
{parts}
<h2 id="shapes">shapes</h2>
{told}
</main>
</body>
</html>
"""


STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
html { background: Canvas; color: CanvasText; }
body { max-width: 62rem; margin: 0 auto; padding: 1rem; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid; text-transform: capitalize; }
h3 { margin: 2rem 0 0; font-size: 1.1rem; overflow-wrap: anywhere; }
nav ul { display: flex; flex-wrap: wrap; gap: 1rem; padding: 0; list-style: none; }
code { font: 0.9em ui-monospace, monospace; }
div.table { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { padding: 0.2rem 1rem 0.2rem 0; text-align: left; vertical-align: top; }
th { font-weight: 600; }
"""


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(path, METHOD, operation) of each."""
    for path, methods in document.get("paths", {}).items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def _section(path: str, method: str, operation: dict[str, Any]) -> str:
    body = operation.get("requestBody", {}).get("content", {})
    takes = [f"<p>Takes {_content(body)}.</p>"] if body else []
    rows = [
        (one["name"], one["in"], _type(one.get("schema", {})), "yes" if one.get("required") else "no", _text(one))
        for one in operation.get("parameters", [])
    ]
    answers = [
        f"<p>{escape(status)}: {_content(answer.get('content', {})) or escape(answer.get('description', ''))}</p>"
        for status, answer in operation.get("responses", {}).items()
        if status[0] not in "45"
    ]
    return "".join(
        [
            f"<h3><code>{method} {escape(path)}</code></h3>",
            f"<p>{_prose(operation.get('description', ''))}</p>",
            *takes,
            _table(("parameter", "in", "type", "needed", "meaning"), rows),
            *answers,
        ]
    )


def _schema(name: str, schema: dict[str, Any]) -> str:
    needed = schema.get("required", ())
    rows = [
        (key, _type(one), "yes" if key in needed else "no", _text(one))
        for key, one in schema.get("properties", {}).items()
    ]
    told = _prose(schema.get("description", ""))
    return f'<h3 id="{escape(name)}">{escape(name)}</h3><p>{told}</p>' + _table(
        ("field", "type", "needed", "meaning"), rows
    )


def _table(names: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """The rows, whose first column is a name, whose type is HTML already, and whose last is prose."""
    if not rows:
        return ""
    heading = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    kind = names.index("type")
    lines = []
    for row in rows:
        cells = [f"<td><code>{escape(row[0])}</code></td>"]
        cells += [f"<td>{cell if i == kind else escape(cell)}</td>" for i, cell in enumerate(row[1:-1], start=1)]
        lines.append(f"<tr>{''.join(cells)}<td>{_prose(row[-1])}</td></tr>")
    return f'<div class="table"><table><thead><tr>{heading}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def _content(content: dict[str, Any]) -> str:
    return " or ".join(
        f"<code>{escape(kind)}</code>" + (f": {_type(one['schema'])}" if one.get("schema") else "")
        for kind, one in content.items()
    )


def _type(schema: dict[str, Any]) -> str:
    """A JSON Schema in a few words, as HTML."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "const" in schema or "enum" in schema:
        return " | ".join(f"<code>{escape(str(one))}</code>" for one in schema.get("enum", [schema.get("const")]))
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return " | ".join(_type(one) for one in schema[key])
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    limits = [
        f"{sign} {schema[key]}"
        for key, sign in (("minimum", "≥"), ("maximum", "≤"))
        if key in schema and schema[key] != LARGEST
    ]
    return escape(" ".join([str(kind), *limits]))


def _text(one: dict[str, Any]) -> str:
    told = str(one.get("description", ""))
    default = one.get("schema", one).get("default")
    return told if default in (None, []) else f"{told} Default: `{default}`.".strip()


def _prose(text: str) -> str:
    """Text in which `this` is code, as HTML."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))
