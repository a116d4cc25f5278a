"""Answers that are long: files in ranges, and sound that is made while it is listened to.

Neither holds a thread while its client is slow, and both end when the client goes away. A file is sent from where it
was opened and checked, so that nothing can take its place in between.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Awaitable, Callable, Generator, Mapping
from email.utils import formatdate
from typing import BinaryIO

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from soundkin.web.failures import Refusal, error_response
from soundkin.web.threads import Threads, run_in

AHEAD, PACE = 30.0, 4.0
_CHUNK = 256 * 1024
_FORGOTTEN = 900.0  # s without taking anything: a page left open must not keep a place for ever

MADE = {"accept-ranges": "none", "cache-control": "no-store"}
"""Headers of what is made while it is sent."""


class Unsatisfiable(Exception):
    """A range that begins beyond the end."""


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """(first, behind the last) byte that a Range header asks for; None: all (RFC 9110, section 14).

    Several ranges at once and what is no range count as none. Raises Unsatisfiable.
    """
    if header is None or len(header) > 100:  # the pattern takes a time that grows with the square of the length
        return None
    asked = re.fullmatch(r"bytes\s*=\s*([0-9]{0,18})\s*-\s*([0-9]{0,18})\s*", header, re.IGNORECASE)
    if not asked or asked.groups() == ("", ""):
        return None
    first, last = asked.groups()
    if not first:
        begin, end = max(0, size - int(last)), size
    else:
        begin, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < begin:
            return None
    if begin >= size:
        raise Unsatisfiable
    return begin, end


class FileAnswer(Response):
    """An open file: Range, If-Range, If-None-Match, HEAD. The file is closed at the end."""

    def __init__(self, file: BinaryIO, *, media_type: str, etag: str, headers: Mapping[str, str] | None = None) -> None:
        self._file = file
        status = os.fstat(file.fileno())
        self._size = status.st_size
        self.status_code, self.media_type, self.background = 200, media_type, None
        self.init_headers(headers)
        self.headers["accept-ranges"] = "bytes"
        self.headers["etag"] = etag
        self.headers["last-modified"] = formatdate(max(0, status.st_mtime), usegmt=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._file:
            asked = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
            if self.headers["etag"] in re.findall(r'(?:W/)?("[^"]*")', asked.get("if-none-match", "")):
                await _send_head(send, 304, self)
                return
            begin, end = 0, self._size
            status = 200
            if asked.get("if-range", self.headers["etag"]) in (self.headers["etag"], self.headers["last-modified"]):
                try:
                    wanted = byte_range(asked.get("range"), self._size)
                except Unsatisfiable:
                    await self._refuse(scope, receive, send)
                    return
                if wanted:
                    (begin, end), status = wanted, 206
                    self.headers["content-range"] = f"bytes {begin}-{end - 1}/{self._size}"
            self.headers["content-length"] = str(end - begin)
            if scope["method"] == "HEAD":
                await _send_head(send, status, self)
                return
            await while_there(receive, lambda: self._send(send, status, begin, end))

    async def _send(self, send: Send, status: int, begin: int, end: int) -> None:
        await send({"type": "http.response.start", "status": status, "headers": self.raw_headers})
        await run_in(Threads.FILES, self._file.seek, begin)
        while begin < end:
            chunk = await run_in(Threads.FILES, self._file.read, min(_CHUNK, end - begin))
            if not chunk:  # it has become shorter: breaking off is the only way to say so
                raise OSError("a file became shorter while it was sent")
            begin += len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": begin < end})
        if self._size == 0:
            await send({"type": "http.response.body", "body": b""})

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = f"the file has {self._size} bytes, and the range begins behind them"
        headers = {"content-range": f"bytes */{self._size}"}
        await error_response(416, "no-such-range", message, headers=headers)(scope, receive, send)


class Makers:
    """Lets at most `most` answers be made at a time; one for each application."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._places = threading.BoundedSemaphore(most)

    def answer(self, make: Callable[[], Generator[bytes, None, None]], *, media_type: str, rate: float) -> MadeAnswer:
        """The answer of the generator that `make()` gives, whose first chunk is made here; `rate` is bytes a second.

        So what it raises can still be told. Raises Refusal, before `make` is called, when too many are made already.
        """
        if not self._places.acquire(blocking=False):
            message = f"{self._most} songs are being transcoded already; stop one of them, or try again soon"
            raise Refusal(503, "busy", message, headers={"Retry-After": "10"})
        chunks = self._placed(make)
        return MadeAnswer(next(chunks, b""), chunks, media_type=media_type, rate=rate)

    def _placed(self, make: Callable[[], Generator[bytes, None, None]]) -> Generator[bytes, None, None]:
        try:
            yield from make()
        finally:
            self._places.release()


class MadeAnswer(Response):
    """The chunks of a generator, of which the first is already made; the generator is closed at the end.

    AHEAD seconds are made at once, and PACE seconds a second from then on: what is not listened to is not made, and
    other answers do not wait for Python's lock while a whole song is.
    """

    def __init__(self, first: bytes, rest: Generator[bytes, None, None], *, media_type: str, rate: float) -> None:
        self._first, self._rest, self._rate = first, rest, rate
        self.status_code, self.media_type, self.background = 200, media_type, None
        self.init_headers(MADE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await while_there(receive, lambda: self._send(send))
        finally:
            with anyio.CancelScope(shield=True):
                await run_in(Threads.MAKING, self._rest.close)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        chunk: bytes | None = self._first
        made, began = 0, anyio.current_time()
        while chunk:
            made += len(chunk)
            with anyio.fail_after(_FORGOTTEN):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await anyio.sleep_until(began + (made / self._rate - AHEAD) / PACE)
            chunk = await run_in(Threads.MAKING, next, self._rest, None)
        await send({"type": "http.response.body", "body": b""})


async def while_there(receive: Receive, work: Callable[[], Awaitable[None]]) -> None:
    """Do `work`, and leave it when the client goes away."""
    async with anyio.create_task_group() as group:

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            group.cancel_scope.cancel()

        group.start_soon(watch)
        await work()
        group.cancel_scope.cancel()


async def _send_head(send: Send, status: int, response: Response) -> None:
    await send({"type": "http.response.start", "status": status, "headers": response.raw_headers})
    await send({"type": "http.response.body", "body": b""})
