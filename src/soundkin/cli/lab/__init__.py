"""`soundkin lab`: the researcher's commands, one file a command."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import typer

from soundkin.cli.lab import (
    cluster,
    compare,
    distill,
    evaluate_embeddings,
    explain,
    explore,
    export,
    import_weights,
    list_,
    recommend,
    report,
    run,
    tag,
    tag_space,
)
from soundkin.errors import InputError

app = typer.Typer(
    name="lab",
    help="Train, compare and export models. Needs the extra `lab`.",
    epilog="Begin with `soundkin lab list`; docs/lab.md shows each command at work.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_NEEDED = ("torch", "sklearn", "skorch", "librosa", "matplotlib", "onnx", "safetensors", "skops", "jinja2")


@app.callback()
def _check_installed() -> None:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"the lab needs packages that are not installed ({', '.join(missing)}): pip install 'soundkin[lab]'"
        )


COMMANDS: dict[str, Callable[..., int | None]] = {
    "list": list_.run,
    "run": run.run,
    "compare": compare.run,
    "report": report.run,
    "explore": explore.run,
    "cluster": cluster.run,
    "export": export.run,
    "import-weights": import_weights.run,
    "distill": distill.run,
    "evaluate-embeddings": evaluate_embeddings.run,
    "recommend": recommend.run,
    "tag": tag.run,
    "explain": explain.run,
    "tag-space": tag_space.run,
}
for _name, _command in COMMANDS.items():
    app.command(_name)(_command)
