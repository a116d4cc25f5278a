"""Routes: folders, scans, failures, models, and what happens."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
