"""Routes: the playlists kept in the library."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
