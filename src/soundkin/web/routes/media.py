"""Routes: the sound, the picture and the wave of a track."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
