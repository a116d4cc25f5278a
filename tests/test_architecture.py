"""The rules of the house, checked from the source: who imports whom, what is never used, what is explained.

Each rule is a function from one parsed module to the lines that break it, so that the last tests can show, on
sources made to break it, that the rule would notice.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "soundkin"

LAYERS = """
    errors files mediacache fresh tags excerpts audio covers loudness waveform transcode spectrogram timbre fingerprint
    modelfile model analysis timeline contentset catalogue trackfiles walk workers standby media progress scan
    index songmap duplicates modeltags mappoints seeds filters wordindex shelf reasons candidates recommend journeys
    playlist answering knownmodels library demo lab web cli __main__
""".split()
"""Top to bottom: a module, or a package as a whole, imports only itself and what stands before it."""

UNSAFE_MODULES = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
UNSAFE_CALLS = {"eval", "exec", "os.system", "os.popen"}
UNSAFE_KEYWORDS = {"shell", "allow_pickle"}

HEAVY = set("numpy scipy av onnxruntime sqlalchemy torch sklearn librosa pandas matplotlib fastapi uvicorn".split())


@dataclass(frozen=True)
class Module:
    """A parsed source file and its dotted name."""

    name: str
    tree: ast.Module

    @property
    def layer(self) -> str:
        """What it is called in `LAYERS`; empty for `soundkin/__init__.py`."""
        return f"{self.name}.".split(".")[1]

    def at(self, node: ast.AST, complaint: str) -> str:
        return f"{self.name}:{getattr(node, 'lineno', 1)}: {complaint}"


def read_modules() -> list[Module]:
    modules = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        modules.append(Module(name, ast.parse(path.read_text(encoding="utf-8"), filename=str(path))))
    return modules


def imported_names(module: Module) -> Iterator[tuple[ast.AST, str]]:
    """Every absolute import, inside functions and under TYPE_CHECKING too, as (node, dotted name of the module).

    `from a import b` counts as a.b when `a` is the package itself, for `b` is then one of its modules.
    """
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "soundkin":
            yield from ((node, f"soundkin.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node, node.module or ""
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("__import__", "importlib.import_module"):
            yield from ((node, arg.value) for arg in node.args if isinstance(arg, ast.Constant))


def breaks_layering(module: Module) -> Iterator[str]:
    """Imports of the package that do not stand above the module, or that reach from the listener's half to the lab."""
    if not module.layer:
        return  # the package's front door shows what the modules hold; what it may load is tested below
    if module.layer not in LAYERS:
        yield f"{module.name}: has no place yet; add it to LAYERS in {Path(__file__).name} and to CONTRIBUTING.md"
        return
    for node, name in imported_names(module):
        if name == "soundkin":
            yield module.at(node, "imports the whole package; import the names from their module")
        if not name.startswith("soundkin.") or name == "soundkin.__version__":
            continue
        layer = name.split(".")[1]
        if layer not in LAYERS:
            yield module.at(node, f"imports {name}, which is no module; import the name from its module")
        elif layer == "lab" != module.layer and not module.name.startswith("soundkin.cli.lab"):
            yield module.at(node, "imports the lab, which a listener has not installed")
        elif LAYERS.index(layer) > LAYERS.index(module.layer):
            yield module.at(node, f"imports {name}, which stands below it")


def breaks_safety(module: Module) -> Iterator[str]:
    """Whatever could run code out of a file or hand a string to a shell."""
    for node, name in imported_names(module):
        if name.split(".")[0] in UNSAFE_MODULES:
            yield module.at(node, f"imports {name}")
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        if ast.unparse(node.func) in UNSAFE_CALLS:
            yield module.at(node, f"calls {ast.unparse(node.func)}")
        for keyword in node.keywords:
            off = isinstance(keyword.value, ast.Constant) and not keyword.value.value
            if keyword.arg in UNSAFE_KEYWORDS and not off:
                yield module.at(node, f"passes {keyword.arg}={ast.unparse(keyword.value)}")


def breaks_absolute_imports(module: Module) -> Iterator[str]:
    """Relative imports."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.level > 0:
            yield module.at(node, f"imports from {'.' * node.level}{node.module or ''}")


def lacks_docstrings(module: Module) -> Iterator[str]:
    """Modules, and their public functions and classes, that nobody explained."""
    if ast.get_docstring(module.tree) is None:
        yield f"{module.name}: the module has no docstring"
    for node in module.tree.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        if ast.get_docstring(node) is None:
            yield module.at(node, f"{node.name} has no docstring")


RULES = [breaks_layering, breaks_safety, breaks_absolute_imports, lacks_docstrings]


@pytest.mark.parametrize("rule", RULES)
def test_the_source_keeps_the_rule(rule):
    modules = read_modules()
    assert len(modules) > 10, f"found only {len(modules)} modules in {PACKAGE}"
    assert [complaint for module in modules for complaint in rule(module)] == []


def test_contributing_lists_the_modules_in_their_order():
    """The table of CONTRIBUTING.md is the one that people read, so it is the one that must be true."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    told = re.findall(r"^      (\w+)(?:\.py|/) ", text, flags=re.MULTILINE)
    there = {module.layer for module in read_modules()} - {""}
    assert told == [layer for layer in LAYERS if layer in there]


def test_contributing_lists_the_rooms_of_the_lab_in_an_order_that_holds():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    told = re.findall(r"^        (\w+)(?:\.py|/) ", text, flags=re.MULTILINE)
    modules = [module for module in read_modules() if module.name.startswith("soundkin.lab.")]
    there = {module.name.split(".")[2] for module in modules}
    assert set(told) - {"experiments", "templates"} == there
    assert len(told) == len(set(told))
    broken = [
        f"{module.name} imports {name}"
        for module in modules
        for _, name in imported_names(module)
        if name.startswith("soundkin.lab.") and told.index(name.split(".")[2]) > told.index(module.name.split(".")[2])
    ]
    assert broken == []


def loaded_packages(code: str) -> tuple[subprocess.CompletedProcess[str], set[str]]:
    """Run `code` in a fresh interpreter; the process and the top-level packages it had loaded when it ended."""
    report = "import atexit, json, sys; atexit.register(lambda: print(json.dumps(list(sys.modules)), file=sys.stderr))"
    path = os.pathsep.join([str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")])
    process = subprocess.run(
        [sys.executable, "-c", f"{report}\n{code}"],
        env=os.environ | {"PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return process, {name.partition(".")[0] for name in json.loads(process.stderr.splitlines()[-1])}


def test_importing_the_package_loads_nothing_heavy():
    _, loaded = loaded_packages("import soundkin")
    assert "soundkin" in loaded
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["similar", "--help"]], ids=" ".join)
def test_asking_for_help_loads_nothing_heavy(arguments):
    code = f"sys.argv = {['soundkin', *arguments]}\nfrom soundkin.cli.main import main\nmain()"
    process, loaded = loaded_packages(code)
    assert process.stdout.strip()
    assert loaded & HEAVY == set()


BAD = [
    (breaks_layering, "soundkin.audio", "from soundkin.model import Model", "stands below"),
    (breaks_layering, "soundkin.audio", "import soundkin.catalogue.store", "stands below"),
    (breaks_layering, "soundkin.model", "def f():\n    from soundkin import cli", "stands below"),
    (breaks_layering, "soundkin.model", "import importlib\nimportlib.import_module('soundkin.scan')", "stands below"),
    (breaks_layering, "soundkin.catalogue.store", "from soundkin.scan import scan", "stands below"),
    (breaks_layering, "soundkin.cli.main", "if TYPE_CHECKING:\n    from soundkin.lab import metrics", "the lab"),
    (breaks_layering, "soundkin.cli.similar", "def run():\n    import soundkin.lab.runs", "the lab"),
    (breaks_layering, "soundkin.cli.main", "import soundkin", "whole package"),
    (breaks_layering, "soundkin.cli.main", "from soundkin import Library", "no module"),
    (breaks_layering, "soundkin.helpers", "", "no place"),
    (breaks_safety, "soundkin.model", "import pickle", "imports pickle"),
    (breaks_safety, "soundkin.model", "def f():\n    from joblib import load", "imports joblib"),
    (breaks_safety, "soundkin.model", "x = eval('1')", "calls eval"),
    (breaks_safety, "soundkin.model", "import os\nos.system('ls')", "calls os.system"),
    (breaks_safety, "soundkin.model", "subprocess.run('ls', shell=True)", "shell=True"),
    (breaks_safety, "soundkin.model", "np.load(path, allow_pickle=wanted)", "allow_pickle=wanted"),
    (breaks_absolute_imports, "soundkin.model", "from .audio import decode", "imports from .audio"),
    (breaks_absolute_imports, "soundkin.cli.main", "from .. import audio", "imports from .."),
    (lacks_docstrings, "soundkin.model", "x = 1", "module has no docstring"),
    (lacks_docstrings, "soundkin.model", '"""Doc."""\ndef load():\n    pass', "load has no docstring"),
    (lacks_docstrings, "soundkin.model", '"""Doc."""\nclass Model:\n    x = 1', "Model has no docstring"),
]
GOOD = [
    (
        breaks_layering,
        "soundkin.model",
        "import numpy, soundkin.errors\nfrom soundkin import __version__, timbre",
    ),
    (breaks_layering, "soundkin.cli.main", "from soundkin.cli import similar\nfrom soundkin.library import Library"),
    (breaks_layering, "soundkin.lab.metrics", "from soundkin.lab import splits\nfrom soundkin.audio import decode"),
    (breaks_layering, "soundkin.cli.lab.run", "def run():\n    from soundkin.lab import experiment"),
    (breaks_layering, "soundkin", "from soundkin.library import Library"),
    (
        breaks_safety,
        "soundkin.model",
        "net.eval()\nnp.load(p, allow_pickle=False)\nsubprocess.run(['ls'])",
    ),
    (breaks_absolute_imports, "soundkin.model", "from soundkin.audio import decode"),
    (lacks_docstrings, "soundkin.model", '"""Doc."""\ndef load():\n    """Load."""\ndef _hidden():\n    pass'),
]


@pytest.mark.parametrize(("rule", "name", "source", "complaint"), BAD)
def test_a_rule_notices_what_breaks_it(rule, name, source, complaint):
    found = list(rule(Module(name, ast.parse(source))))
    assert len(found) == 1
    assert found[0].startswith(name)
    assert complaint in found[0]


@pytest.mark.parametrize(("rule", "name", "source"), GOOD)
def test_a_rule_lets_good_code_pass(rule, name, source):
    assert list(rule(Module(name, ast.parse(source)))) == []


def test_the_watch_on_heavy_libraries_notices_one():
    _, loaded = loaded_packages("import xml.dom, sqlalchemy")
    assert loaded & HEAVY == {"sqlalchemy"}
