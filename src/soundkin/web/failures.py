"""Errors as the client sees them: one shape, stable codes, never a stack trace."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from soundkin.errors import (
    AudioError,
    EmptyLibraryError,
    InputError,
    LibraryBusyError,
    LibraryError,
    LibraryFullError,
    LibraryReadOnlyError,
    ModelError,
    NothingFitsError,
    PlaylistChangedError,
    PlaylistError,
    SeedError,
    SoundkinError,
    UnknownPlaylistError,
    UnreadableError,
    VanishedError,
)
from soundkin.web.schemas import ErrorBody, ErrorDetail

_log = logging.getLogger(__name__)

STATUS: dict[type[SoundkinError], tuple[int, str]] = {
    SeedError: (404, "not-found"),
    EmptyLibraryError: (409, "empty-library"),
    NothingFitsError: (409, "nothing-fits"),
    InputError: (400, "bad-input"),
    VanishedError: (404, "vanished"),
    UnreadableError: (403, "unreadable"),
    AudioError: (422, "bad-audio"),
    UnknownPlaylistError: (404, "not-found"),
    PlaylistChangedError: (409, "changed"),
    PlaylistError: (422, "bad-playlist"),
    LibraryBusyError: (503, "library-busy"),
    LibraryFullError: (507, "library-full"),
    LibraryReadOnlyError: (403, "library-read-only"),
    LibraryError: (503, "library-broken"),
    ModelError: (503, "model-broken"),
    SoundkinError: (500, "internal"),
}
"""Status and code of each error; one that is not here is told as the class it is derived from."""

_CODES = {
    400: "bad-input",
    404: "not-found",
    405: "method-not-allowed",
    408: "too-slow",
    413: "too-large",
    422: "invalid",
}
INTERNAL = "something went wrong inside soundkin; the terminal that it runs in says what"

ERRORS: dict[int | str, dict[str, object]] = {
    "4XX": {"model": ErrorBody, "description": "The request cannot be answered."},
    "5XX": {"model": ErrorBody, "description": "soundkin cannot answer."},
}
"""What every route may answer, for the description of the API."""


class Refusal(Exception):
    """A request that a route does not answer: a status from 400 on, a stable code, a sentence for people."""

    def __init__(self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, code, message)
        self.status, self.code, self.message, self.headers = status, code, message, headers


def error_response(
    status: int,
    code: str,
    message: str,
    *,
    candidates: Sequence[int] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The answer that says what went wrong."""
    detail = ErrorDetail(code=code, message=message, candidates=list(candidates))
    return JSONResponse(ErrorBody(error=detail).model_dump(), status, dict(headers or {}))


def told(error: SoundkinError) -> JSONResponse:
    """The answer that stands for an error of soundkin."""
    if isinstance(error, SeedError) and error.candidates:
        return error_response(409, "ambiguous", str(error), candidates=error.candidates)
    status, code = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    if isinstance(error, AudioError):
        return error_response(status, error.kind, error.reason)  # where the file lies is nobody's business
    if status >= 500:
        _log.error("%s", error, exc_info=error)
    return error_response(status, code, str(error))


def install(app: FastAPI) -> None:
    """Let `app` tell its errors so."""

    @app.exception_handler(SoundkinError)
    def on_soundkin(request: Request, error: SoundkinError) -> JSONResponse:
        return told(error)

    @app.exception_handler(Refusal)
    def on_refusal(request: Request, error: Refusal) -> JSONResponse:
        return error_response(error.status, error.code, error.message, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    def on_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        found = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:10]]
        return error_response(422, "invalid", "; ".join(found))

    @app.exception_handler(HTTPException)
    def on_http(request: Request, error: HTTPException) -> JSONResponse:
        code = _CODES.get(error.status_code, "refused")
        return error_response(error.status_code, code, str(error.detail), headers=error.headers)
