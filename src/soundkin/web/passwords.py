"""The password of the service: hashed with scrypt, compared in constant time, kept in a file of its own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from soundkin.errors import InputError
from soundkin.files import replacing

SHORTEST = 8
_N, _R, _P = 2**15, 8, 1  # 32 MB and about a tenth of a second: OWASP's cheat sheet of 2024, with p = 1 for one user
_MEMORY = 128 * 1024 * 1024
_HIGHEST = {"n": 2**20, "r": 32, "p": 16}  # a file with more would keep the service busy for minutes


def hash_password(password: str) -> str:
    """`password` as it may be stored: 'scrypt$n$r$p$salt$hash'. Raises InputError for one that is too short."""
    if len(password) < SHORTEST:
        raise InputError(f"a password has at least {SHORTEST} characters; this one has {len(password)}")
    salt = secrets.token_bytes(16)
    parts = [_N, _R, _P, _text(salt), _text(_derive(password, salt, _N, _R, _P))]
    return "$".join(["scrypt", *map(str, parts)])


def is_password(password: str, password_hash: str) -> bool:
    """Is it the password that was hashed? Takes as long whether it is or not. Raises InputError for no hash."""
    n, r, p, salt, expected = _parse(password_hash)
    return hmac.compare_digest(_derive(password, salt, n, r, p), expected)


def read_password_file(path: Path) -> str:
    """The hash in the file, or that of the password which is its first line. Raises InputError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise InputError(f"the password file {path} cannot be read: {reason}") from error
    first = lines[0].strip() if lines else ""
    if not first:
        raise InputError(f"the password file {path} is empty; its first line is to be the password, or its hash")
    if not first.startswith("scrypt$"):
        return hash_password(first)
    _parse(first)
    return first


def write_password_file(path: Path, password: str) -> None:
    """Write the hash of `password` to `path`, which only its owner may read. Raises InputError."""
    line = hash_password(password) + "\n"
    try:
        with replacing(path) as file:
            if os.name == "posix":
                os.fchmod(file.fileno(), 0o600)
            file.write(line.encode())
    except OSError as error:
        raise InputError(f"the password file {path} cannot be written: {error.strerror or error}") from error


def _derive(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"), salt=salt, n=n, r=r, p=p, maxmem=max(_MEMORY, 256 * n * r), dklen=32
    )


def _parse(password_hash: str) -> tuple[int, int, int, bytes, bytes]:
    try:
        kind, n, r, p, salt, expected = password_hash.strip().split("$")
        numbers = int(n), int(r), int(p)
        found = base64.b64decode(salt, validate=True), base64.b64decode(expected, validate=True)
    except ValueError:
        kind, numbers, found = "", (0, 0, 0), (b"", b"")
    bounded = all(0 < number <= most for number, most in zip(numbers, _HIGHEST.values(), strict=True))
    if kind != "scrypt" or not bounded or len(found[0]) < 8 or len(found[1]) != 32:
        raise InputError("a password's hash is scrypt$n$r$p$salt$hash, as `soundkin serve --set-password` writes it")
    return (*numbers, *found)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
