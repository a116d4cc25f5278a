"""Run the service: take the port, tell when it answers, end in good time."""

from __future__ import annotations

import contextlib
import errno
import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from soundkin.errors import EmptyLibraryError, InputError
from soundkin.web.granting import media_of
from soundkin.web.settings import Settings
from soundkin.web.state import State
from soundkin.web.uploads import uploads_of

FINISH = 3.0
"""Seconds that requests in flight have to finish after a signal to end."""
END = 4.5
"""Seconds after which the process ends whatever still runs; what is stored is stored whole or not at all."""
PATIENCE = 4.0
"""Seconds for which answers may be behind a scan; longer in a library that takes longer to read, see `fresh.Fresh`."""

TURN = 0.001
"""Seconds after which a thread lets others have Python's lock. An answer goes from thread to thread, and with Python's
5 ms it waits up to that long each time for those that work out another."""
CALM = 3.0
"""Seconds in which the page that opens has its first answers; then what filters and tags need is read, for which a
library of 100,000 tracks that has changed takes two seconds of a processor, and more with many tags."""


def take_port(settings: Settings) -> socket.socket:
    """A socket that listens where the settings say. Raises InputError when that cannot be had."""
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, *_, address = found[0]
        listening = socket.create_server(address[:2], family=family, backlog=128)
        # asyncio sends answers without delay over sockets that say they are TCP's; these would leave it open, and then
        # head and body of an answer lie 40 ms apart
        return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=listening.detach())
    except OSError as error:
        raise InputError(_why_not(error, settings)) from error


def address_of(listening: socket.socket, settings: Settings) -> str:
    """The address that a browser on this computer finds the service at."""
    host, port = settings.host.strip("[]"), listening.getsockname()[1]
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}/"


def serve(app: FastAPI, listening: socket.socket, *, on_ready: Callable[[], None] = lambda: None) -> None:
    """Answer until SIGTERM or SIGINT comes; then requests in flight finish within FINISH seconds.

    `on_ready` is called, in a thread, once questions are answered. Raises KeyboardInterrupt after SIGINT.
    """
    state: State = app.state.soundkin
    state.library.patience = PATIENCE
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # whoever asks could say that it is somebody else, and guess passwords for ever
        ws="none",
        timeout_graceful_shutdown=int(FINISH),
    )
    server = _Server(config, state, on_ready)
    # the server hands the signal on when it has ended; as a signal that is seen to, the rest can be closed in order
    before, turn = signal.signal(signal.SIGTERM, lambda *_: None), sys.getswitchinterval()
    sys.setswitchinterval(TURN)
    try:
        server.run([listening])
    finally:
        sys.setswitchinterval(turn)
        gc.unfreeze()
        signal.signal(signal.SIGTERM, before)
        listening.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, state: State, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._state, self._on_ready = state, on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            for work in (self._on_ready, self._settle):
                threading.Thread(target=work, name=work.__name__, daemon=True).start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Tell whatever streams without end, and see to it that the end comes, with the code that it has anyway."""
        self._state.stopping.set()
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # a song that is broken off now is no error
        last = threading.Timer(END, os._exit, [128 + sig if sig == signal.SIGINT else 0])
        last.daemon = True
        last.start()
        super().handle_exit(sig, frame)

    def _settle(self) -> None:
        """Warm up, and tell Python that what is there now stays.

        Looking through all of it for garbage would keep every answer waiting for a tenth of a second, again and again
        while a scan has the library read anew.
        """
        self._warm()
        gc.collect()
        gc.freeze()

    def _warm(self) -> None:
        """Read what the first answers need, before somebody waits for it."""
        library = self._state.library
        try:
            media_of(self._state).warm()
            uploads_of(self._state)  # deletes what one that was killed has left
            library.shelf()
            with contextlib.suppress(EmptyLibraryError):
                library.index()
            library.prepare_search()
            if not self._state.stopping.wait(CALM):
                library.browse(only=["duration:0-"], limit=1)  # what any filter needs
                library.tag_counts()
        except Exception:  # whoever asks is told
            return


def _why_not(error: OSError, settings: Settings) -> str:
    where = f"{settings.host}, port {settings.port}"
    if error.errno == errno.EADDRINUSE:
        return (
            f"something listens on {where} already, perhaps another soundkin: open http://{settings.host}:"
            f"{settings.port}/, or choose another port with --port NUMBER (0: any that is free)"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"this user may not listen on {where}; choose a port from 1024 on with --port NUMBER"
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return f"{settings.host} is no address of this computer; leave --host out, or say 0.0.0.0 for all it has"
    reason: Any = error.strerror or error
    return f"cannot listen on {where}: {reason}"
