"""What stands between every request and the application: who may ask at all, and what browsers may do with answers.

Host                a page of another site that has its name point to this computer (DNS rebinding) bears that name
Sec-Fetch-Site      browsers say when another site asks for something of the API
X-Soundkin, Origin  what changes something needs a header that another site's page cannot send, and its own origin
session cookie      where a password is set
size                what is sent is counted while it arrives
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from soundkin.web.failures import INTERNAL, Refusal, error_response
from soundkin.web.sessions import Sessions
from soundkin.web.settings import MEGABYTE, Settings

_log = logging.getLogger(__name__)

COOKIE = "soundkin_session"
LOGIN = "/api/v1/login"
ASK = "/api/v1/ask"
MAP = "/static/map/"
SAFE = ("GET", "HEAD", "OPTIONS")
MOST_BODY = MEGABYTE // 2
"""Bytes that a request may carry, a file that is asked about excepted, and a login: anybody can send that."""
_MOST_LOGIN = 16_000
SILENCE = 30.0
"""Seconds without a byte after which whoever has not sent all of a request is given up."""

_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "connect-src 'self'; frame-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
# Plotly compiles functions and writes style elements, so the map lives in a frame of an origin of its own, which can
# reach nothing.
_MAP_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src data: blob:; "
    "worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox allow-scripts"
)
_DATA_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


class Guard:
    """Middleware around the whole application, its error pages too."""

    def __init__(self, app: ASGIApp, *, settings: Settings, sessions: Sessions) -> None:
        self._app, self._settings, self._sessions = app, settings, sessions
        names = {"localhost", *settings.allowed_hosts}
        self._names = {name.lower().rstrip(".") for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        guarded = _Answer(send, scope["path"])
        try:
            self._check(scope)
            body = _counted(receive, self._most_body(scope["path"]))
            await self._app(scope, body, guarded)
        except Refusal as refusal:
            answer = error_response(refusal.status, refusal.code, refusal.message, headers=refusal.headers)
            await answer(scope, receive, guarded)
        except Exception:
            _log.exception("%s %s failed", scope["method"], scope["path"])
            if guarded.begun:
                raise  # nothing can be said any more but that it ends here
            await error_response(500, "internal", INTERNAL)(scope, receive, guarded)

    def _check(self, scope: Scope) -> None:
        """Raises Refusal."""
        headers, path = Headers(scope=scope), scope["path"]
        host = headers.get("host", "")
        self._check_host(host)
        if path.startswith("/api/") and headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise Refusal(403, "cross-site", "another site's page may not ask soundkin")
        if scope["method"] not in SAFE:
            _check_intent(headers, host)
            if int(_digits(headers.get("content-length"))) > self._most_body(path):
                raise _too_large(self._most_body(path))
        if self._settings.password_hash is not None and path.startswith("/api/") and path != LOGIN:
            token = session_token(headers)
            if token is None or not self._sessions.is_open(token):
                raise Refusal(401, "login-needed", "this soundkin has a password; log in first")

    def _check_host(self, host: str) -> None:
        name = _name_of(host)
        if name is None:
            raise Refusal(400, "bad-host", "the request has no usable Host header")
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            if name not in self._names:
                message = f"soundkin is not called {name!r}; if it is, start it with --allow-host {name}"
                raise Refusal(421, "wrong-host", message) from None
        else:  # a name is what an attacker points elsewhere; a number leads where it says
            if address.is_unspecified:
                raise Refusal(421, "wrong-host", f"{name} is no address to ask at; say 127.0.0.1")

    def _most_body(self, path: str) -> int:
        return {ASK: self._settings.max_upload, LOGIN: _MOST_LOGIN}.get(path, MOST_BODY)


def session_token(headers: Headers) -> str | None:
    """The token in the session cookie, or None."""
    for line in headers.getlist("cookie"):
        for part in line.split(";"):  # http.cookies takes a time that grows with the square of the length
            name, _, value = part.strip().partition("=")
            if name == COOKIE:
                return value
    return None


def _check_intent(headers: Headers, host: str) -> None:
    """Was it a page of the service, or a program, that wants to change something? Raises Refusal."""
    if headers.get("x-soundkin") != "1":
        raise Refusal(403, "no-intent", "what changes something needs the header X-Soundkin: 1")
    origin = headers.get("origin")
    if origin is not None and _netloc(origin) != host.lower():
        raise Refusal(403, "cross-site", "another site's page may change nothing here")


def _netloc(origin: str) -> str | None:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    return parts.netloc.lower() if parts.scheme in ("http", "https") else None


def _name_of(host: str) -> str | None:
    """Name or address in a Host header, without port and brackets; None where there is none."""
    try:
        parts = urlsplit(f"//{host}")
        name, _ = parts.hostname, parts.port
    except ValueError:
        return None
    odd = parts.path or parts.query or parts.fragment or "@" in host
    return None if odd or not name else name.rstrip(".")


def _digits(text: str | None) -> str:
    return text if text is not None and text.isascii() and text.isdecimal() and len(text) < 19 else "0"


def _too_large(most: int) -> Refusal:
    return Refusal(413, "too-large", f"at most {most / MEGABYTE:,g} MB are taken")


def _counted(receive: Receive, most: int) -> Receive:
    """`receive`, which ends with an error when more than `most` bytes have come, or none for SILENCE seconds."""
    come, more = 0, True

    async def counted() -> Message:
        nonlocal come, more
        try:
            async with asyncio.timeout(SILENCE if more else None):  # behind the body comes only that the client went
                message = await receive()
        except TimeoutError as error:
            raise HTTPException(408, f"the rest of the request did not come within {SILENCE:.0f} s") from error
        come += len(message.get("body", b""))
        more = bool(message.get("more_body"))
        if come > most:
            # such an error passes through FastAPI's reading of the body, others become "cannot be parsed"
            raise HTTPException(413, _too_large(most).message)
        return message

    return counted


class _Answer:
    """`send` that adds the headers every answer has, and knows whether the answer has begun."""

    def __init__(self, send: Send, path: str) -> None:
        self._send, self._path, self.begun = send, path, False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            headers = MutableHeaders(scope=message)
            for name, value in _headers_of(self._path).items():
                headers.setdefault(name, value)
        await self._send(message)


def _headers_of(path: str) -> dict[str, str]:
    always = {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }
    if path.startswith("/api/"):
        return always | {"Content-Security-Policy": _DATA_POLICY, "Cache-Control": "no-store"}
    if path.startswith(MAP):  # the frame's own origin is none, so its files must be open to any
        return always | {
            "Content-Security-Policy": _MAP_POLICY,
            "Cross-Origin-Resource-Policy": "cross-origin",
            "Cache-Control": "no-cache",
        }
    return always | {"Content-Security-Policy": _PAGE_POLICY, "Cache-Control": "no-cache"}
