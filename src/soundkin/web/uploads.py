"""Files that are sent to be asked about: kept in a temporary folder while they are looked at, never longer."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import unquote

from starlette.requests import ClientDisconnect

from soundkin.tags import read_tags
from soundkin.web.failures import Refusal
from soundkin.web.settings import MEGABYTE
from soundkin.web.state import State
from soundkin.web.threads import Threads, run_in

MOST = 4
"""Files that are looked at at the same time."""
_PREFIX = "soundkin-asked-"
_OLD = 2 * 3600.0  # s: nobody looks at a file for so long
_BUFFER = 1 << 20  # bytes written at a time
_SILENCE = 30.0  # s without a byte after which nobody is sending any more
_LONGEST = 900.0  # s that a whole upload may take


class Uploads:
    """Receives at most MOST files at the same time; one for each application."""

    def __init__(self) -> None:
        self._places = threading.BoundedSemaphore(MOST)
        _delete_leftovers()

    @contextlib.contextmanager
    def place(self) -> Iterator[Path]:
        """An empty folder for one file, which is deleted whatever happens. Raises Refusal when too many are taken."""
        if not self._places.acquire(blocking=False):
            raise Refusal(503, "busy", f"{MOST} files are being looked at already; ask again later")
        try:
            with _told_plainly():
                folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            self._places.release()


def uploads_of(state: State) -> Uploads:
    """What receives files for this application."""
    return state.part(_uploads)


def _uploads(state: State) -> Uploads:
    return Uploads()


async def receive(chunks: AsyncIterator[bytes], path: Path, *, limit: int) -> None:
    """Write what is sent to `path`.

    Raises Refusal for more than `limit` bytes, for a disk that is full, and for a client that stops sending.
    """
    size, buffer = 0, bytearray()
    with _told_plainly(), path.open("xb") as file:  # buffered: it writes all, or says why not
        try:
            async with asyncio.timeout(_LONGEST) as whole:
                async for chunk in _in_time(chunks):
                    size += len(chunk)
                    if size > limit:
                        rule = f"a file may have {limit / MEGABYTE:,.0f} MB at most to be asked about"
                        raise Refusal(413, "too-large", rule)
                    buffer += chunk
                    if len(buffer) >= _BUFFER:
                        await run_in(Threads.FILES, file.write, bytes(buffer))
                        buffer.clear()
        except TimeoutError as error:
            rule = f"{_LONGEST / 60:.0f} minutes" if whole.expired() else f"{_SILENCE:.0f} s without a byte"
            raise Refusal(408, "too-slow", f"the upload was given up after {rule}") from error
        except ClientDisconnect as error:
            raise Refusal(499, "gone", "the upload was broken off") from error
        await run_in(Threads.FILES, file.write, bytes(buffer))
        await run_in(Threads.FILES, file.flush)


def file_name(header: str | None) -> Path:
    """The name that a header X-File-Name gives in percent-encoded UTF-8, as a path of one part; safe to show."""
    named = read_tags({"title": unquote(header or "", errors="replace").replace("\\", "/")}).title or ""
    last = named.rstrip("/").rpartition("/")[2]
    return Path(last[:200] if last.strip(". ") else "a file without a name")


def _delete_leftovers() -> None:
    """Delete what services that were killed have left; others that run keep theirs."""
    with contextlib.suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            ours = entry.name.startswith(_PREFIX) and entry.is_dir(follow_symlinks=False)
            if ours and entry.stat(follow_symlinks=False).st_mtime < time.time() - _OLD:
                shutil.rmtree(entry.path, ignore_errors=True)  # one of another user stays


async def _in_time(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    while True:
        async with asyncio.timeout(_SILENCE):
            try:
                chunk = await anext(chunks)
            except StopAsyncIteration:
                return
        yield chunk


@contextlib.contextmanager
def _told_plainly() -> Iterator[None]:
    """Turn what the disk says into an answer."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
        why = "the disk for temporary files is full" if full else f"it cannot be stored: {error.strerror or error}"
        raise Refusal(507, "disk-full" if full else "cannot-store", why) from error
