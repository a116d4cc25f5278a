"""Routes: songs like a song, ways between songs, programmes."""

from __future__ import annotations

from fastapi import APIRouter

from soundkin.recommend import Recommendation
from soundkin.seeds import Seed
from soundkin.web.schemas import (
    PathQuestion,
    RadioQuestion,
    RecommendationItem,
    Recommendations,
    SeedName,
    SimilarQuestion,
)
from soundkin.web.state import State, StateOf

router = APIRouter(tags=["recommend"])


@router.post("/similar")
def similar(state: StateOf, question: SimilarQuestion) -> Recommendations:
    """Songs that are like every one of some and unlike others, best first."""
    found = state.library.blend(
        [_seed(state, seed) for seed in question.seeds],
        unlike=[_seed(state, seed) for seed in question.unlike],
        n=question.n,
        max_per_artist=question.max_per_artist,
        max_per_album=question.max_per_album,
        only=question.only,
        exclude=question.exclude,
    )
    return _told(found)


@router.post("/path")
def path(state: StateOf, question: PathQuestion) -> Recommendations:
    """Songs that lead from one to another in even steps; the two are the first and the last."""
    start, end = _seed(state, question.start), _seed(state, question.end)
    return _told(state.library.path(start, end, n=question.n, only=question.only, exclude=question.exclude))


@router.post("/radio")
def radio(state: StateOf, question: RadioQuestion) -> Recommendations:
    """A programme that begins near a song and drifts."""
    found = state.library.radio(
        _seed(state, question.seed),
        n=question.n,
        only=question.only,
        exclude=question.exclude,
        random_seed=question.random_seed,
    )
    return _told(found)


def _seed(state: State, name: SeedName) -> int | Seed:
    """What the library takes for a seed; never a path, which would be any file of this computer."""
    return name if isinstance(name, int) else state.asked.get(name.removeprefix("ask:"))


def _told(found: list[Recommendation]) -> Recommendations:
    return Recommendations(items=[RecommendationItem.of(one) for one in found])
