"""Routes: the password, where one is set."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
