"""Files that are written in one step: other programs see the old one or the new one, never half of it.

Also caches: named arrays that can be made again at any time, so that a file which is damaged, outdated or not ours is
as good as none, and a place that cannot be written is no error.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new binary file that takes the place of `path` at the end; on an error it is removed, and `path` is as before.

    Raises OSError.
    """
    # not by tempfile, whose files only their owner may read
    temporary = path.with_name(f".soundkin-{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def write_cache(path: Path, arrays: Mapping[str, npt.NDArray[Any]], *, stamp: str, apart: str | None = None) -> None:
    """Keep `arrays` at `path`; `stamp` says what they were made from. Where that cannot be done, nothing happens.

    The one named `apart`, a large one, gets a plain file beside `path`: that is read in a quarter of the time.
    """
    kept = {"stamp": np.array(stamp), **arrays}
    try:
        if apart is not None:
            large = np.ascontiguousarray(kept.pop(apart))
            kept["checksum"] = np.array(zlib.crc32(large.data))
            with replacing(path.with_suffix(".npy")) as file:
                np.save(file, large, allow_pickle=False)
        with replacing(path) as file:
            np.savez(file, allow_pickle=False, **kept)
    except OSError as error:
        _log.debug("%s cannot be written: %s", path, error)


def read_cache(
    path: Path, kinds: Mapping[str, type[np.generic]], *, stamp: str, apart: str | None = None
) -> dict[str, npt.NDArray[Any]] | None:
    """The arrays that `write_cache` kept with the same stamp, of these names and kinds; None if there are none."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            if str(kept["stamp"]) != stamp:
                return None
            found = {name: kept[name] for name in kinds if name != apart}
            checksum = int(kept["checksum"]) if apart is not None else 0
        if apart is not None:
            with path.with_suffix(".npy").open("rb") as file:
                found[apart] = np.lib.format.read_array(file, allow_pickle=False)
            if zlib.crc32(found[apart].data) != checksum:  # or two programs wrote at once
                return None
    except FileNotFoundError:
        return None
    except Exception as error:  # whatever a damaged or foreign file leads to, the answer is the same
        _log.debug("%s is not used: %r", path, error)
        return None
    return found if all(found[name].dtype.type is kind for name, kind in kinds.items()) else None
