"""The application: the routes of the API, the page's files, and what guards them."""

from __future__ import annotations

import contextlib
import importlib.util
import mimetypes
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketClose

from soundkin import __version__
from soundkin.library import Library
from soundkin.web import failures
from soundkin.web.description import STYLE, describe, page_of
from soundkin.web.door import Door
from soundkin.web.routes import ask, find, library, login, map, media, playlists, recommend
from soundkin.web.security import SAFE, Guard
from soundkin.web.settings import Settings
from soundkin.web.state import State
from soundkin.web.threads import limit_answers

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
        limit_answers()
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
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.soundkin = state
    app.openapi = lambda: describe(app)  # type: ignore[method-assign] # FastAPI's way to say more in it
    failures.install(app)
    for routes in ROUTES:
        app.include_router(routes.router, prefix=API, responses=failures.ERRORS)
    app.add_route("/docs", _docs, include_in_schema=False)
    app.add_route("/docs/style.css", _docs_style, include_in_schema=False)
    app.add_route("/static/vendor/plotly.min.js", _plotly, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.router.default = _elsewhere
    app.add_middleware(Guard, settings=state.settings, sessions=state.part(Door).sessions)
    return app


def _plotly(request: Request) -> Response:
    """The script that draws the map, out of the installed package, which need not be imported for it."""
    found = importlib.util.find_spec("plotly")
    if found is None or not found.submodule_search_locations:
        return failures.error_response(404, "not-found", "the package plotly is not installed, so there is no map")
    script = Path(found.submodule_search_locations[0]) / "package_data" / "plotly.min.js"
    # the map's frame has no origin of its own, so this file must be open to any
    return FileResponse(script, headers={"Cross-Origin-Resource-Policy": "cross-origin"})


def _docs(request: Request) -> Response:
    return HTMLResponse(page_of(request.app.openapi()))


def _docs_style(request: Request) -> Response:
    return Response(STYLE, media_type="text/css")


async def _elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
    """The page, for every address that it may show in the browser's bar; it finds out itself what to show."""
    if scope["type"] != "http":
        await WebSocketClose()(scope, receive, send)
        return
    first, _, rest = scope["path"].lstrip("/").partition("/")
    shown = scope["method"] in SAFE and first not in ("api", "docs", "static")
    if shown and "." not in (rest or first).rpartition("/")[2]:
        answer: Response = FileResponse(STATIC / "index.html")
    else:
        answer = failures.error_response(404, "not-found", f"there is nothing at {scope['path'][:200]}")
    await answer(scope, receive, send)
