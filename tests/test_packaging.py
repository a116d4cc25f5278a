"""What is installed and what is shipped: requirements, pins, the wheel."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import itertools
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BASE = [Requirement(text) for text in PROJECT["dependencies"]]
EXTRAS = {
    name: [Requirement(text) for text in texts] for name, texts in PROJECT.get("optional-dependencies", {}).items()
}
# gigabytes, or the lab's: a listener never waits for them
NOT_FOR_LISTENERS = {"torch", "torchaudio", "scikit-learn", "librosa", "matplotlib", "pandas", "tensorflow", "keras"}
PYTHONS = ["3.11", "3.12", "3.13"]
SYSTEMS = ["linux", "darwin", "win32"]


def pins() -> list[Requirement]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def names(requirements: Iterable[Requirement]) -> set[str]:
    return {canonicalize_name(requirement.name) for requirement in requirements}


def environment(*, python: str, system: str) -> dict[str, str]:
    return {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": system,
        "platform_system": {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}[system],
        "os_name": "nt" if system == "win32" else "posix",
        "platform_machine": "arm64" if system == "darwin" else "x86_64",
        "extra": "",
    }


def test_a_listener_installs_nothing_of_the_lab():
    assert names(BASE)
    assert names(BASE) & NOT_FOR_LISTENERS == set()


def test_every_pin_is_one_exact_version_from_the_index():
    for pin in pins():
        assert pin.url is None, pin
        assert re.fullmatch(r"==[0-9][0-9A-Za-z.]*", str(pin.specifier)), pin


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("system", SYSTEMS)
def test_every_requirement_has_one_pin_that_satisfies_it(python, system):
    here = environment(python=python, system=system)
    pinned = [pin for pin in pins() if pin.marker is None or pin.marker.evaluate(here)]
    versions = {canonicalize_name(pin.name): next(iter(pin.specifier)).version for pin in pinned}
    assert len(versions) == len(pinned), "two pins of one package apply"
    for requirement in itertools.chain(BASE, *EXTRAS.values()):
        if requirement.marker is None or requirement.marker.evaluate(here):
            assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), requirement


def test_what_the_requirements_require_is_pinned_too():
    """As far as it is installed here; a package that slips through would be whatever is newest on that day."""
    pinned, seen = names(pins()), set()
    waiting = [*BASE, *itertools.chain(*EXTRAS.values())]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in seen:
            continue
        seen.add(name)
        try:
            needed = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for needs in map(Requirement, needed):
            # what an extra adds counts only where that extra was asked for
            if needs.marker is None or any(needs.marker.evaluate({"extra": x}) for x in requirement.extras or {""}):
                waiting.append(needs)
    assert len(seen) > len(BASE)
    assert seen - pinned == set()


def imported_distributions(files: Iterable[Path], *, own: set[str]) -> dict[str, str]:
    """The distributions whose modules `files` import, each with one place where; `own` are modules that need none."""
    known, found = importlib.metadata.packages_distributions(), {}
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module or ""]
            else:
                continue
            for module in {name.partition(".")[0] for name in modules} - sys.stdlib_module_names - own:
                found[canonicalize_name(known.get(module, [module])[0])] = f"{module}, in {path.name}"
    return found


def test_the_listeners_half_imports_what_it_requires_and_requires_nothing_else():
    package = ROOT / "src" / "soundkin"
    files = [path for path in package.rglob("*.py") if path.relative_to(package).parts[0] != "lab"]
    found = imported_distributions(files, own={"soundkin"})
    assert {name: where for name, where in found.items() if name not in names(BASE) | names(EXTRAS["map"])} == {}
    assert names(BASE) - set(found) == set()


def test_the_tests_import_what_the_development_extra_brings():
    files = list((ROOT / "tests").glob("*.py"))
    own = {"soundkin"} | {path.stem for path in files}
    brought = names(BASE) | names(EXTRAS["dev"]) | {"packaging"}  # pytest's own requirement
    # skipped where the lab is not installed, and what makes weights for them
    lab = {path for path in files if path.stem.startswith("test_lab_") or path.stem == "published"}
    for part, allowed in ((set(files) - lab, brought), (lab, brought | names(EXTRAS["lab"]))):
        found = imported_distributions(sorted(part), own=own)
        assert {name: where for name, where in found.items() if name not in allowed} == {}


def test_the_lab_imports_what_its_extra_brings():
    found = imported_distributions((ROOT / "src" / "soundkin" / "lab").rglob("*.py"), own={"soundkin"})
    brought = names(BASE) | names(EXTRAS["lab"])
    assert {name: where for name, where in found.items() if name not in brought} == {}
    assert names(EXTRAS["lab"]) - set(found) <= {"onnxscript", "pandas"}  # torch.onnx and keras ask for them by name


def test_an_undeclared_import_is_noticed(tmp_path):
    source = tmp_path / "source.py"
    source.write_text("import os, numpy.linalg\ndef f():\n    from not_declared.deep import x", encoding="utf-8")
    found = imported_distributions([source], own=set())
    assert found == {"numpy": "numpy, in source.py", "not-declared": "not_declared, in source.py"}


def test_the_command_is_a_function_that_exists():
    module, _, function = PROJECT["scripts"]["soundkin"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The names in a freshly built wheel."""
    pytest.importorskip("hatchling", reason="hatchling, which builds the wheel, is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    built = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (file,) = folder.glob("*.whl")
    assert file.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(file) as archive:
        return archive.namelist()


def test_the_wheel_holds_the_whole_package_and_nothing_else(wheel):
    source = ROOT / "src"
    files = {path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    package = {path.relative_to(source).as_posix() for path in files if not path.name.startswith(".")}
    shipped = {name for name in wheel if ".dist-info/" not in name}
    assert "soundkin/py.typed" in shipped
    assert shipped == package


def test_the_wheel_carries_licence_and_command(wheel):
    rest = {name.partition(".dist-info/")[2] for name in wheel if ".dist-info/" in name}
    assert {"METADATA", "entry_points.txt", "licenses/LICENSE"} <= rest


def test_commits_are_checked_by_the_same_tools_as_the_tests():
    """pre-commit has versions of its own; were they others, what passes there could fail here."""
    config = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    revisions = dict(re.findall(r"repo: \S+/([\w-]+)\n    rev: v(\S+)", config))
    pinned = {pin.name: next(iter(pin.specifier)).version for pin in pins()}
    assert revisions["ruff-pre-commit"] == pinned["ruff"]
    assert revisions["mirrors-mypy"] == pinned["mypy"]
