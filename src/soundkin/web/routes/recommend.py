"""Routes: songs like a song, ways between songs, programmes."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(tags=["recommend"])
