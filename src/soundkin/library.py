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

import contextlib
import dataclasses
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from soundkin import filters, journeys, recommend
from soundkin.answering import Answering, choose_model
from soundkin.catalogue import Catalogue, Track
from soundkin.catalogue.songmaps import MapOutline
from soundkin.errors import EmptyLibraryError, InputError, SeedError
from soundkin.fresh import Fresh
from soundkin.index import Index, cache_path
from soundkin.mappoints import MapPoints, points_of
from soundkin.model import DEFAULT_MODEL, Model
from soundkin.modeltags import TagCount, heard_tags, tags_path
from soundkin.recommend import Recommendation
from soundkin.seeds import OUTSIDE, Seed, resolve, seed_of, seed_outside, tags_of
from soundkin.shelf import Found, Shelf

if TYPE_CHECKING:
    from soundkin.excerpts import ExcerptPlan
    from soundkin.modeltags import HeardTag
    from soundkin.progress import ScanProgress
    from soundkin.scan import ScanReport

SeedLike = Seed | Track | int | str | os.PathLike[str]


class Library:
    """An open library and the model it is asked through; a context manager, and threads may share it."""

    def __init__(self, catalogue: Catalogue, *, model: str | Path | None = None) -> None:
        self.catalogue = catalogue
        self.patience = 0.0
        """Seconds for which answers may be behind the library while it changes. 0: never; then each answer during a
        scan of a large library waits until all of it was read anew."""
        self._named = model
        self._answering = Fresh[Answering]()
        self._index = Fresh[Index]()
        self._shelf = Fresh[Shelf]()
        self._prepares = False
        self._points = Fresh[MapPoints | None]()
        if model is not None:
            self._choose(patience=0)

    @classmethod
    def open(cls, path: str | Path | None = None, *, model: str | Path | None = None, create: bool = True) -> Self:
        """Open the library at `path` (default: SOUNDKIN_LIBRARY, or the user's data folder).

        `model` is a built-in model's name, the path of a model file, or the id of a model that the library knows; it
        scans and answers. Without one the default model scans, and answers once it has heard all that others have: see
        `soundkin.answering.choose_model`. Raises LibraryError for a library that cannot be opened, EmptyLibraryError
        when there is none and `create` is false, ModelError for the model.
        """
        catalogue = Catalogue.open(path, create=create)
        try:
            return cls(catalogue, model=model)
        except BaseException:
            catalogue.close()
            raise

    def close(self) -> None:
        """Close the database."""
        self.catalogue.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def answering(self) -> Answering:
        """The model that answers as the library is now, and whether it only stands in for the default one."""
        return self._choose(patience=self.patience)

    @property
    def model(self) -> Model:
        """The model that answers as the library is now."""
        return self.answering.model

    def scan(
        self,
        *folders: str | os.PathLike[str],
        workers: int | None = None,
        excerpts: ExcerptPlan | None = None,
        time_limit: float = 120.0,
        retry_failed: bool = False,
        on_progress: Callable[[ScanProgress], None] | None = None,
        stop: Callable[[], bool] = lambda: False,
        niceness: int = 0,
    ) -> ScanReport:
        """Bring the library up to date with the music in `folders`; see `soundkin.scan.scan`."""
        from soundkin.scan import scan

        places = [Path(folder).expanduser() for folder in folders]
        report = scan(
            self.catalogue,
            places,
            model_name_or_path=DEFAULT_MODEL if self._named is None else self.model.source,
            workers=workers,
            excerpts=excerpts,
            time_limit=time_limit,
            retry_failed=retry_failed,
            on_progress=on_progress,
            stop=stop,
            niceness=niceness,
        )
        if not report.stopped:
            self.refresh()  # what it reads is kept beside the library, so that the first answer need not make it
        return report

    def refresh(self) -> None:
        """Bring what answers are made of up to date with the library, whatever `patience` says.

        Raises EmptyLibraryError where the model that answers has heard nothing.
        """
        self._index_of(self._choose(patience=0).model, patience=0)
        if self._shelf.made:  # else nobody browses
            self._shelve(patience=0)

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
        model, index = self._asked()
        return recommend.similar(
            self.catalogue,
            index,
            [self._seed(seed, model) for seed in seeds],
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
        model, index = self._asked()
        seeds, others = ([self._seed(seed, model) for seed in some] for some in (like, unlike))
        with self.catalogue.reading():
            return recommend.blend(
                self.catalogue,
                index,
                seeds,
                unlike=others,
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
        model, index = self._asked()
        a, b = self._seed(start, model), self._seed(end, model)
        with self.catalogue.reading():
            return journeys.path(self.catalogue, index, a, b, n=n, only=only, exclude=exclude)

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
        model, index = self._asked()
        start = self._seed(seed, model)
        chance = random.randrange(2**32) if random_seed is None else random_seed
        with self.catalogue.reading():
            return journeys.radio(self.catalogue, index, start, n=n, only=only, exclude=exclude, rng_seed=chance)

    def forget_model(self, model_id: str) -> int:
        """Delete a model and all that it heard; how many recordings that was.

        Raises UnknownNameError for a model that the library does not know, InputError for the one that answers.
        """
        if model_id in (self.model.id, choose_model(self.catalogue).model.id):
            raise InputError(f"{model_id} answers now; let another model hear the library first, and forget it then")
        count = self.catalogue.forget_model(model_id)
        for path in (cache_path, tags_path):
            kept = path(self.catalogue.path, model_id)
            for file in (kept, kept.with_suffix(".npy")):
                with contextlib.suppress(OSError):
                    file.unlink()
        return count

    def shelf(self) -> Shelf:
        """Every track in memory, to be searched and browsed."""
        return self._shelve(patience=self.patience)

    def prepare_search(self) -> None:
        """Make searches faster from now on, which takes half a second for 100,000 tracks, after every change."""
        self._prepares = True
        self.shelf().prepare()

    def search(self, words: str, *, limit: int = 20, offset: int = 0) -> Found:
        """Tracks that have every word in title, artist, album or file name, the closest first; see `Shelf.search`."""
        ids, total = self.shelf().search(words, limit=limit, offset=offset)
        return Found(self._there(ids.tolist()), total)

    def browse(
        self,
        *,
        order: str = "title",
        only: Sequence[str] = (),
        exclude: Sequence[str] = (),
        limit: int = 50,
        offset: int = 0,
    ) -> Found:
        """Tracks in an order of `shelf.ORDERS`, those that pass the filters; those not heard yet pass none.

        Raises UnknownNameError for the order, InputError for a filter.
        """
        ids = self.shelf().order(order)
        if only or exclude:
            index = self.index()
            mask = filters.mask(self.catalogue, index, only=only, exclude=exclude)
            rows = index.rows(ids)
            ids = ids[(rows >= 0) & (True if mask is None else mask[rows])]
        return Found(self._there(ids[offset : offset + limit].tolist()), len(ids))

    def tag_counts(self) -> list[TagCount]:
        """Each tag of the model and how many tracks have it, as `tag:LABEL` takes them, most tracks first."""
        model = self.model
        if not model.tags or not len(self.shelf()):
            return []
        counts = filters.tag_counts(self.catalogue, self._index_of(model)).tolist()
        told = [TagCount(tag.label, tag.category, n) for tag, n in zip(model.tags, counts, strict=True)]
        return sorted(told, key=lambda one: (-one.tracks, one.label))

    def known_tags(self, track: Track) -> list[HeardTag]:
        """What the model told of a track when it heard it, most probable first; nothing where it told nothing."""
        model = self.model
        if not model.tags or not self.catalogue.knows_model(model.id):
            return []
        probabilities = self.catalogue.tag_probabilities(model.id, [track.id])[0]
        if np.isnan(probabilities).any():
            return []
        return heard_tags(((tag.label, tag.category) for tag in model.tags), probabilities)

    def map_outline(self) -> MapOutline | None:
        """Which state of the library the model's map shows; None where there is no map, see `soundkin.songmap`."""
        return self.catalogue.song_maps.outline(self.model.id)

    def map_points(self) -> MapPoints | None:
        """What the map of the model is drawn from; None where there is no map."""
        model = self.model
        made = self.catalogue.song_maps.outline(model.id)

        def read() -> MapPoints | None:
            kept = self.catalogue.song_maps.get(model.id)
            return None if kept is None else points_of(self.catalogue, kept, self._index_of(model), model.tags)

        if made is None:
            return None

        def shows_it(kept: MapPoints | None) -> bool:
            return kept is not None and (kept.model_id, kept.generation) == (model.id, made.generation)

        state = (model.id, made.generation, self.catalogue.generation())
        return self._points.get(state, read, patience=self.patience, usable=shows_it)

    def tags(self, seed: SeedLike) -> list[HeardTag]:
        """Every tag that the model tells of a song, most probable first; `modeltags.telling` picks.

        Raises InputError for a model without tags, and what `seed` raises.
        """
        model = self.model
        return tags_of(self._seed(seed, model), model)

    def find(self, seed: SeedLike) -> Track:
        """The song that a seed names; for a file outside the library, what its analysis tells (its id is 0).

        Raises SeedError, with the candidates where there are several.
        """
        if isinstance(seed, Track | Seed):
            return seed if isinstance(seed, Track) else seed.track
        if isinstance(seed, int):
            return self.catalogue.track(seed)
        found = resolve(self.catalogue, os.fspath(seed))
        return found if isinstance(found, Track) else _heard_now(found, self.model).track

    def seed(self, seed: SeedLike) -> Seed:
        """What a recommendation starts from. Raises SeedError, or an AudioError for a file outside the library."""
        return self._seed(seed, self.model)

    def index(self) -> Index:
        """The vectors of the model as the library is now. Raises EmptyLibraryError where there are none."""
        return self._asked()[1]

    def _asked(self) -> tuple[Model, Index]:
        """The model that answers, and its vectors; where they must be read first, this waits without a connection."""
        model = self.model
        return model, self._index_of(model)

    def _seed(self, seed: SeedLike, model: Model) -> Seed:
        if isinstance(seed, Seed):
            if seed.model_id == model.id:
                return seed
            seed = (
                seed.track.path if seed.track.id == OUTSIDE else seed.track
            )  # another model answers since it was asked for
        with self.catalogue.reading():
            found = self.find(seed) if isinstance(seed, Track | int) else resolve(self.catalogue, os.fspath(seed))
            if isinstance(found, Track):
                self._refuse_deaf(model)
                try:
                    return seed_of(self.catalogue, found, model_id=model.id)
                except SeedError:
                    if not found.path.exists():
                        raise
        if isinstance(found, Path):
            return _heard_now(found, model)
        # new since another model took over, and this one still answers
        return dataclasses.replace(_heard_now(found.path, model), track=found)

    def _choose(self, *, patience: float) -> Answering:
        state = self.catalogue.generation() if self._named is None else self._named
        return self._answering.get(state, lambda: choose_model(self.catalogue, self._named), patience=patience)

    def _shelve(self, *, patience: float) -> Shelf:
        def load() -> Shelf:
            shelf = Shelf.load(self.catalogue)
            if self._prepares:
                shelf.prepare()
            return shelf

        return self._shelf.get(self.catalogue.generation(), load, patience=patience)

    def _index_of(self, model: Model, *, patience: float | None = None) -> Index:
        def load() -> Index:
            self._refuse_deaf(model)
            index, before = Index.load(self.catalogue, model.space, model_id=model.id), self._index.last
            if before is not None and before.model_id == model.id:
                filters.prepare(self.catalogue, index, like=before)  # here nobody waits for it
            return index

        return self._index.get(
            (model.id, self.catalogue.generation()),
            load,
            patience=self.patience if patience is None else patience,
            usable=lambda kept: kept.model_id == model.id,
        )

    def _there(self, ids: list[int]) -> list[Track]:
        """The tracks with these ids that have not gone missing since the shelf was made."""
        return [track for track in self.catalogue.tracks(ids) if not track.missing]

    def _refuse_deaf(self, model: Model) -> None:
        if not self.catalogue.knows_model(model.id):
            named = "" if self._named is None else f" --model {self._named}"
            raise EmptyLibraryError(
                f"the model {model.id} has heard nothing in {self.catalogue.path} yet: soundkin scan{named} ~/Music"
            )


def _heard_now(path: Path, model: Model) -> Seed:
    from soundkin.analysis import analyse

    return seed_outside(analyse(path, model=model))
