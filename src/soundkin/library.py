"""The library as one object: scan folders into it, ask it for songs.

    >>> from soundkin.library import Library
    >>> with Library.open("music.db") as library:             # doctest: +SKIP
    ...     library.scan("~/Music")
    ...     for one in library.similar("Unsent Window", n=5):
    ...         print(one.rank, one.track.title, one.reason)

A seed is a track of the library, its id, the path of a file in or outside the library, or words of its title, artist
or album.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from soundkin import journeys, recommend
from soundkin.catalogue import Catalogue, Track
from soundkin.errors import EmptyLibraryError
from soundkin.index import Index
from soundkin.model import DEFAULT_MODEL, load_model
from soundkin.recommend import Recommendation
from soundkin.seeds import Seed, resolve, seed_of, seed_outside

if TYPE_CHECKING:
    from soundkin.excerpts import ExcerptPlan
    from soundkin.progress import ScanProgress
    from soundkin.scan import ScanReport

SeedLike = Seed | Track | int | str | os.PathLike[str]


class Library:
    """An open library and the model it is asked through; a context manager, and threads may share it."""

    def __init__(self, catalogue: Catalogue, *, model: str | Path = DEFAULT_MODEL) -> None:
        self.catalogue = catalogue
        self.model = load_model(model)
        self._model_name = model
        self._index: Index | None = None

    @classmethod
    def open(cls, path: str | Path | None = None, *, model: str | Path = DEFAULT_MODEL, create: bool = True) -> Self:
        """Open the library at `path` (default: SOUNDKIN_LIBRARY, or the user's data folder).

        `model` is a built-in model's name or the path of a model file. Raises LibraryError for a library that cannot
        be opened, EmptyLibraryError when there is none and `create` is false, ModelError for the model.
        """
        return cls(Catalogue.open(path, create=create), model=model)

    def close(self) -> None:
        """Close the database."""
        self.catalogue.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def scan(
        self,
        *folders: str | os.PathLike[str],
        workers: int | None = None,
        excerpts: ExcerptPlan | None = None,
        time_limit: float = 120.0,
        retry_failed: bool = False,
        on_progress: Callable[[ScanProgress], None] | None = None,
    ) -> ScanReport:
        """Bring the library up to date with the music in `folders`; see `soundkin.scan.scan`."""
        from soundkin.scan import scan

        places = [Path(folder).expanduser() for folder in folders]
        report = scan(
            self.catalogue,
            places,
            model_name_or_path=self._model_name,
            workers=workers,
            excerpts=excerpts,
            time_limit=time_limit,
            retry_failed=retry_failed,
            on_progress=on_progress,
        )
        self.index()  # kept beside the library, so that the first answer need not make it
        return report

    def similar(
        self,
        *seeds: SeedLike,
        n: int = 10,
        max_per_artist: int | None = None,
        max_per_album: int | None = None,
        only: Sequence[str] = (),
        exclude: Sequence[str] = (),
        no_duplicates: bool = True,
    ) -> list[Recommendation]:
        """The `n` songs most like the seeds; with several, like every one of them. See `soundkin.recommend.similar`."""
        return recommend.similar(
            self.catalogue,
            self.index(),
            [self.seed(seed) for seed in seeds],
            n=n,
            max_per_artist=max_per_artist,
            max_per_album=max_per_album,
            only=only,
            exclude=exclude,
            no_duplicates=no_duplicates,
        )

    def blend(
        self,
        like: Sequence[SeedLike],
        *,
        unlike: Sequence[SeedLike] = (),
        n: int = 10,
        max_per_artist: int | None = None,
        max_per_album: int | None = None,
        only: Sequence[str] = (),
        exclude: Sequence[str] = (),
    ) -> list[Recommendation]:
        """The `n` songs that are like every one of some and unlike others. See `soundkin.recommend.blend`."""
        return recommend.blend(
            self.catalogue,
            self.index(),
            [self.seed(seed) for seed in like],
            unlike=[self.seed(seed) for seed in unlike],
            n=n,
            max_per_artist=max_per_artist,
            max_per_album=max_per_album,
            only=only,
            exclude=exclude,
        )

    def path(
        self, start: SeedLike, end: SeedLike, *, n: int = 12, only: Sequence[str] = (), exclude: Sequence[str] = ()
    ) -> list[Recommendation]:
        """`n` songs that lead from one to another in even steps. See `soundkin.journeys.path`."""
        a, b = self.seed(start), self.seed(end)
        return journeys.path(self.catalogue, self.index(), a, b, n=n, only=only, exclude=exclude)

    def radio(
        self,
        seed: SeedLike,
        *,
        n: int = 25,
        only: Sequence[str] = (),
        exclude: Sequence[str] = (),
        random_seed: int | None = None,
    ) -> list[Recommendation]:
        """A programme of `n` songs that begins near the seed and drifts. See `soundkin.journeys.radio`.

        Without a `random_seed` every call gives another programme.
        """
        start = self.seed(seed)
        chance = random.randrange(2**32) if random_seed is None else random_seed
        return journeys.radio(self.catalogue, self.index(), start, n=n, only=only, exclude=exclude, rng_seed=chance)

    def find(self, seed: SeedLike) -> Track:
        """The song that a seed names; for a file outside the library, what its analysis tells (its id is 0).

        Raises SeedError, with the candidates where there are several.
        """
        if isinstance(seed, Track | Seed):
            return seed if isinstance(seed, Track) else seed.track
        if isinstance(seed, int):
            return self.catalogue.track(seed)
        found = resolve(self.catalogue, os.fspath(seed))
        return found if isinstance(found, Track) else self._seed_outside(found).track

    def seed(self, seed: SeedLike) -> Seed:
        """What a recommendation starts from. Raises SeedError, or an AudioError for a file outside the library."""
        if isinstance(seed, Seed):
            return seed
        if isinstance(seed, Track | int):
            return seed_of(self.catalogue, self.find(seed), model_id=self.model.id)
        found = resolve(self.catalogue, os.fspath(seed))
        if isinstance(found, Track):
            return seed_of(self.catalogue, found, model_id=self.model.id)
        return self._seed_outside(found)

    def index(self) -> Index:
        """The vectors of the model as the library is now. Raises EmptyLibraryError where there are none."""
        if self._index is None or self._index.generation != self.catalogue.generation():
            if self.model.id not in {model.id for model in self.catalogue.models()}:
                raise EmptyLibraryError(
                    f"the model {self.model.id} has heard nothing in {self.catalogue.path} yet: soundkin scan ~/Music"
                )
            self._index = Index.load(self.catalogue, self.model.space, model_id=self.model.id)
        return self._index

    def _seed_outside(self, path: Path) -> Seed:
        from soundkin.analysis import analyse

        return seed_outside(analyse(path, model=self.model))
