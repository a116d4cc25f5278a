"""The examples of the documentation run, in order, on a small demo library."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from soundkin.demo import compose

DOCS = Path(__file__).parents[1] / "docs"


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_api_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = blocks(DOCS / "api.md", "python")
    assert len(examples) >= 8
    compose(tmp_path / "Music", styles=["nocturne", "house"], per_style=6)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "examples"}
    for example in examples:
        example = example.replace("workers=2", "workers=0").replace('scan("Music", on', 'scan("Music", workers=0, on')
        exec(compile(example, str(DOCS / "api.md"), "exec"), names)
    assert (tmp_path / "evening.m3u8").exists()


def test_every_fault_names_a_test_that_exists() -> None:
    page = (DOCS / "faults.md").read_text(encoding="utf-8")
    named = [
        (module, name)
        for module, names in re.findall(r"(test_\w+) ((?:`test_\w+`(?:, )?)+)", page)
        for name in re.findall(r"`(\w+)`", names)
    ]
    assert len(named) >= 30
    for module, name in named:
        source = (Path(__file__).parent / f"{module}.py").read_text(encoding="utf-8")
        assert f"def {name}(" in source, f"{module}.py has no {name}"
