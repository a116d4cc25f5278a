"""`soundkin serve`: the library in the browser."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from soundkin.cli.options import Shared
from soundkin.errors import InputError
from soundkin.web.settings import PORT


def run(
    context: typer.Context,
    host: Annotated[
        str, typer.Option(help="Address to listen on. Others than this computer's own loopback need a password.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any that is free.")] = PORT,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = True,
    password_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Ask for the password in this file: its first line, or a hash of it."),
    ] = None,
    set_password: Annotated[
        bool, typer.Option("--set-password", help="Ask for a password, write its hash to the password file, and stop.")
    ] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A name that browsers reach this service by, beside localhost. Repeatable."),
    ] = None,
    https: Annotated[bool, typer.Option("--https", help="A proxy in front speaks https: cookies for https alone.")] = (
        False
    ),
) -> None:
    """Open the library in the browser: find, play, map and collect songs. Ctrl-C ends it."""
    if set_password:
        _set_password(password_file)
        return
    from soundkin.workers import one_thread

    # each answer has a thread of its own, and more of them wait for one another by spinning
    with one_thread():
        _serve(
            context.obj,
            browser=browser,
            password_file=password_file,
            host=host,
            port=port,
            allowed_hosts=tuple(allow_host or ()),
            https=https,
        )


def _serve(shared: Shared, *, browser: bool, password_file: Path | None, **settings: Any) -> None:
    from soundkin.web.app import create_app
    from soundkin.web.passwords import read_password_file
    from soundkin.web.running import address_of, serve, take_port
    from soundkin.web.settings import Settings

    password = None if password_file is None else read_password_file(password_file.expanduser())
    chosen = Settings(password_hash=password, **settings)
    with take_port(chosen) as listening, shared.open(create=True) as library:
        address = address_of(listening, chosen)

        def ready() -> None:
            print(f"soundkin is at {address} (Ctrl-C ends it)", flush=True)
            if browser and _has_screen():
                import webbrowser

                webbrowser.open(address)

        serve(create_app(library, settings=chosen), listening, on_ready=ready)


def _set_password(path: Path | None) -> None:
    from soundkin.web.passwords import write_password_file

    if path is None:
        raise InputError("--set-password writes to a file; name it with --password-file FILE")
    password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    write_password_file(path.expanduser(), password)
    print(f"wrote {path}; start with: soundkin serve --password-file {path}", file=sys.stderr)


def _has_screen() -> bool:
    """Can a browser be seen? Without a screen, one in the terminal would be opened and wait there."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
