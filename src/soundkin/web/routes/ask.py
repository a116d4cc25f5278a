"""Routes: a file that is asked about and then forgotten."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
