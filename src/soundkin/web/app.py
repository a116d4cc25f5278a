"""The application: the routes of the API, the page's files, and what guards them."""

from __future__ import annotations

import contextlib
import mimetypes
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.routing import Route

from soundkin import __version__
from soundkin.library import Library
from soundkin.web import failures
from soundkin.web.routes import ask, find, library, login, map, media, playlists, recommend
from soundkin.web.settings import Settings
from soundkin.web.state import State

API = "/api/v1"
STATIC = Path(__file__).parent / "static"
ROUTES = (find, recommend, media, ask, playlists, map, library, login)

# some systems tell these otherwise, and browsers then refuse them
for _type, _suffix in (("text/javascript", ".js"), ("text/css", ".css"), ("image/svg+xml", ".svg")):
    mimetypes.add_type(_type, _suffix)


def create_app(library: Library, *, settings: Settings | None = None) -> FastAPI:
    """The service of an open library, which stays open when the application ends."""
    state = State(library, settings or Settings())

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            state.close()

    app = FastAPI(
        title="soundkin",
        version=__version__,
        summary="Finds songs akin to the one you love, by listening to them.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.soundkin = state
    failures.install(app)
    for routes in ROUTES:
        app.include_router(routes.router, prefix=API, responses=failures.ERRORS)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.router.routes.append(Route("/{path:path}", _page, methods=["GET", "HEAD"]))
    return app


def _page(request: Request) -> Response:
    """The page, for every address that it may show in the browser's bar; it finds out itself what to show."""
    path = request.path_params["path"]
    if path.startswith("api/") or "." in path.rpartition("/")[2]:
        return failures.error_response(404, "not-found", f"there is nothing at /{path[:200]}")
    return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})
