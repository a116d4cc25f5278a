"""`soundkin`: the commands by name, the options they share, and the one place where errors become exit codes.

The files of the commands import what they need inside their functions, so that `soundkin --help` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from soundkin import __version__
from soundkin.cli import (
    blend,
    demo,
    doctor,
    failures,
    info,
    lab,
    list_,
    models,
    path,
    prune,
    radio,
    scan,
    serve,
    similar,
    tags,
)
from soundkin.cli.options import MODEL_HELP, Shared
from soundkin.errors import InputError, SoundkinError

EXIT_OK, EXIT_NOTHING, EXIT_USAGE, EXIT_SOME_FAILED, EXIT_INTERRUPTED = 0, 1, 2, 3, 130

app = typer.Typer(
    name="soundkin",
    help="Finds songs akin to the one you love, by listening to them.",
    epilog='Begin with `soundkin scan ~/Music`, then `soundkin similar "some song"`.',
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"soundkin {__version__}")
        raise typer.Exit


@app.callback()
def _shared_options(
    context: typer.Context,
    library: Annotated[
        Path | None,
        typer.Option(
            "--library",
            envvar="SOUNDKIN_LIBRARY",
            help="The library file. Default: in your data folder; `soundkin doctor` tells where.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", envvar="SOUNDKIN_MODEL", help=MODEL_HELP, show_default=False)
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    source = context.get_parameter_source("model")
    context.obj = Shared(library, model, model_from_environment=source is not None and source.name == "ENVIRONMENT")


COMMANDS: dict[str, Callable[..., int | None]] = {
    "scan": scan.run,
    "similar": similar.run,
    "path": path.run,
    "blend": blend.run,
    "radio": radio.run,
    "tags": tags.run,
    "list": list_.run,
    "info": info.run,
    "failures": failures.run,
    "models": models.run,
    "prune": prune.run,
    "doctor": doctor.run,
    "demo": demo.run,
    "serve": serve.run,
}
for _name, _command in COMMANDS.items():
    app.command(_name)(_command)
app.add_typer(lab.app)


def main() -> None:
    """Entry point of `soundkin`."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line; errors are printed, the exit code is returned."""
    _make_output_total()
    try:
        code = app(arguments, prog_name="soundkin", standalone_mode=False)
    except SoundkinError as error:
        print(f"soundkin: {_printable(str(error))}", file=sys.stderr)
        return EXIT_USAGE if isinstance(error, InputError) else EXIT_NOTHING
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except typer.Abort:
        print("soundkin: nothing was changed", file=sys.stderr)
        return EXIT_NOTHING
    except BrokenPipeError:
        # Whoever read the output has gone (`| head`); keep the interpreter from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except Exception as error:
        show = getattr(error, "show", None)  # a usage error of the command line parser knows how to show itself
        if show is None:
            raise
        show()
        if any(option in str(error) for option in ("--library", "--model")):
            print("--library and --model stand before the command: soundkin --library FILE similar …", file=sys.stderr)
        return int(getattr(error, "exit_code", EXIT_USAGE))
    if code == EXIT_INTERRUPTED:  # some versions of Typer return it, others raise
        print("soundkin: stopped; what was done is kept", file=sys.stderr)
    return code if isinstance(code, int) else EXIT_OK


def _make_output_total() -> None:
    """Print any file name: what the terminal's encoding lacks is shown as an escape instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _printable(text: str) -> str:
    """Messages may quote file names; control characters in them must not reach the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


if __name__ == "__main__":
    main()
