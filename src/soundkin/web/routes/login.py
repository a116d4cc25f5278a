"""Routes: the password, where one is set."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from soundkin.web.door import Door
from soundkin.web.security import COOKIE, session_token
from soundkin.web.state import StateOf, get_state

router = APIRouter(tags=["login"])


class LoginQuestion(BaseModel):
    """A password."""

    password: str = Field(max_length=1000)


def _door(request: Request) -> Door:
    return get_state(request).part(Door)


DoorOf = Annotated[Door, Depends(_door)]


@router.post("/login", status_code=204)
def login(question: LoginQuestion, request: Request, response: Response, state: StateOf, door: DoorOf) -> None:
    """Log in: the answer sets a cookie, which every other question then needs.

    Wrong passwords are slowed down: after a few of them, 429 says in `Retry-After` for how many seconds.
    """
    token = door.log_in(question.password, address=request.client.host if request.client else "")
    response.set_cookie(
        COOKIE,
        token,
        max_age=round(state.settings.session_hours * 3600),
        path="/",
        secure=state.settings.https,
        httponly=True,
        samesite="strict",
    )


@router.post("/logout", status_code=204)
def logout(request: Request, response: Response, state: StateOf, door: DoorOf) -> None:
    """Log out: the cookie is good for nothing any more, here and in whoever has a copy."""
    token = session_token(request.headers)
    if token is not None:
        door.sessions.end(token)
    response.delete_cookie(COOKIE, path="/", secure=state.settings.https, httponly=True, samesite="strict")
