"""Routes: the library in two dimensions."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
