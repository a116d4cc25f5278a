"""`soundkin serve`: the library in the browser."""

from __future__ import annotations

from typing import Annotated

import typer

from soundkin.cli.options import Shared


def run(
    context: typer.Context,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; others than this computer's own need a password.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 takes any that is free.")
    ] = 8765,
) -> None:
    """Open the library in the browser: find, play, map and collect songs."""
    import uvicorn

    from soundkin.web.app import create_app
    from soundkin.web.settings import Settings

    shared: Shared = context.obj
    settings = Settings(host=host, port=port)
    with shared.open(create=True) as library:
        uvicorn.run(create_app(library, settings=settings), host=host, port=port, log_level="warning")
