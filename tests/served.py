"""The service behind a real socket, for tests of what a client of a real network does."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import uvicorn

from soundkin.library import Library
from soundkin.web.app import create_app
from soundkin.web.settings import Settings


@contextlib.contextmanager
def served(library: Library, **settings: Any) -> Iterator[tuple[str, int]]:
    """Where the service of `library` answers; `settings` are those of `Settings`."""
    app = create_app(library, settings=Settings(**settings))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=3))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            yield listening.getsockname()
        finally:
            server.should_exit = True
            thread.join(60)
        assert not thread.is_alive()
