"""Bring the library up to date with some folders: walk them, analyse what is new in worker processes, store as it goes.

Looking comes first: every file is compared with the library, what is gone leaves the answers, and what must be heard
is written to a plan on disk, so that memory does not grow with the library and the time left can be told. Then the
workers listen, and this process alone writes, one transaction a track: a scan that is killed loses the tracks in
flight, and the next one goes on from there. What the library knows only through another model comes last.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from soundkin import __version__
from soundkin.analysis import Analysis, analyse
from soundkin.errors import (
    AudioError,
    DecoderCrashError,
    DecodeTimeoutError,
    InputError,
    LibraryFullError,
    UnreadableError,
    VanishedError,
)
from soundkin.excerpts import ExcerptPlan
from soundkin.model import DEFAULT_MODEL, Model, load_model
from soundkin.progress import ProgressMeter, ScanProgress
from soundkin.walk import Folder, FoundFile, walk
from soundkin.workers import MOST_WORKERS, Lost, cores, refuse_in_worker, run_in_workers

if TYPE_CHECKING:  # workers import this module too, and have no use for a database
    from soundkin.catalogue import Catalogue, KnownFile

TIME_LIMIT = 120.0
"""Seconds that one track may take."""
_TRY_AGAIN = ("unreadable", "vanished")  # these are cured without a change of the file's size or time
_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class FileNote:
    """One file and what is to be said of it; `kind` is that of the AudioError, or 'partial'."""

    path: Path
    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class ScanReport:
    """What a scan did. Every file found counts once: in one of the counts up to `returned`, or in `failures`.

    What the model heard again counts in `reheard`, or in `failures`, besides.
    """

    model_id: str
    found: int
    """Audio files, by suffix."""
    analysed: int
    """New or replaced."""
    unchanged: int
    retagged: int
    moved: int
    """Found under another name or in another folder; they keep their id."""
    copied: int
    """Exact copies of a track that is still there."""
    returned: int
    """Missing before, and back unchanged."""
    reheard: int
    """Tracks of the whole library that only other models had heard before."""
    missing: int
    """Tracks that were there before and are gone now; not those that moved."""
    partial: tuple[FileNote, ...]
    """Of those stored now, the tracks of which only a part could be used."""
    failures: tuple[FileNote, ...]
    """Every file that could not be analysed, now or in a scan before."""
    unreadable_folders: tuple[FileNote, ...]
    """Nothing is known of what they hold, so nothing in them counts as missing."""
    empty_folders: tuple[Path, ...]
    """Folders asked for in which no audio file was found: a disk that is not mounted?"""
    seconds: float
    stopped: bool = False
    """It ended early because it was told to: what is stored is whole, but not all."""

    @property
    def in_library(self) -> int:
        """Files of these folders that the library can answer with now."""
        return self.analysed + self.unchanged + self.retagged + self.moved + self.copied + self.returned


def scan(
    catalogue: Catalogue,
    folders: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    model_name_or_path: str | Path = DEFAULT_MODEL,
    workers: int | None = None,
    excerpts: ExcerptPlan | None = None,
    time_limit: float = TIME_LIMIT,
    retry_failed: bool = False,
    on_progress: Callable[[ScanProgress], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
    niceness: int = 0,
) -> ScanReport:
    """Bring `catalogue` up to date with the audio files in `folders` (folders or single files).

    A file whose size and time are those in the library is not opened; one whose content this model has heard is read
    but not analysed, whatever `excerpts` says now. A file that failed before is tried again when it has changed, when
    the program has, or with `retry_failed`. After what is new, the model hears the whole library's tracks that only
    other models have heard; their vectors stay. `workers` is the number of processes (default: one a core); with 0
    everything runs in this one, where a decoder that hangs or crashes takes the scan with it. `time_limit` is the
    seconds one track may take. `on_progress` is called about ten times a second at most, and at both ends. `stop` is
    asked a few times a second; once it says yes, the scan ends with what it has, and the next one goes on from there.
    Workers step back by `niceness` (0 to 19) for other processes, where the system knows that.

    A file that cannot be analysed is a failure in the report, and a folder that was scanned before and is gone counts
    as empty. Raises InputError for any other folder that does not exist, ModelError for a model that cannot be loaded,
    LibraryError when the library cannot be written; what was stored before then stays. A script must call this under
    `if __name__ == "__main__":`, since workers import it.
    """
    refuse_in_worker()
    roots = [folders] if isinstance(folders, str | os.PathLike) else list(folders)
    count = cores() if workers is None else workers
    if count < 0:
        raise InputError(f"workers must be 0 or more, not {workers}")
    if not time_limit > 0:
        raise InputError(f"the time limit must be more than 0 seconds, not {time_limit}")
    places = [Path(os.path.abspath(root)) for root in roots]  # noqa: PTH100 - links stay
    remembered = set(catalogue.folders())
    gone = [place for place in places if place in remembered and not place.exists()]
    places = [place for place in places if place not in gone]
    found = walk(places) if places or not gone else ()
    model = load_model(model_name_or_path)
    catalogue.register_model(model)
    work = _Scan(catalogue, model, retry_failed=retry_failed, on_progress=on_progress, stop=stop)
    listener = (analyse, load_model, model_name_or_path, excerpts, niceness if count else 0)
    with contextlib.suppress(_StoppedError):
        with tempfile.SpooledTemporaryFile(1 << 20, mode="w+", encoding="ascii") as plan:
            work.look(found, places, plan, gone=gone)
            with _space_for_plan():
                plan.seek(0)
            tasks = (_Task(Path(path), *rest) for path, *rest in map(json.loads, plan))
            work.listen(tasks, listener, count, time_limit)
        work.listen_again(listener, count, time_limit)
    return work.report()


class _StoppedError(Exception):
    """The scan was told to stop."""


class _Task(NamedTuple):
    path: Path
    size: int
    mtime_ns: int
    again: bool = False
    """Known through another model."""


class _Scan:
    """The state of one scan."""

    def __init__(
        self,
        catalogue: Catalogue,
        model: Model,
        *,
        retry_failed: bool,
        on_progress: Callable[[ScanProgress], None] | None,
        stop: Callable[[], bool],
    ) -> None:
        self._catalogue = catalogue
        self._model = model
        self._heard = catalogue.contents_with_vector(model.id)
        self._retry_failed = retry_failed
        self._stop = stop
        self._stopped = False
        self._started = time.monotonic()
        self._counts: Counter[str] = Counter()
        self._gone: list[int] = []
        self._partial: list[FileNote] = []
        self._failures: list[FileNote] = []
        self._unreadable: list[FileNote] = []
        self._empty: list[Path] = []
        self._old_reasons: dict[Path, str] = {}
        self._again: list[_Task] = []
        self._meanwhile = _Meanwhile(catalogue)
        self._progress = ProgressMeter(on_progress)

    def _go_on(self) -> None:
        """Raise _StoppedError if the scan was told to stop."""
        if self._stopped or self._stop():
            self._stopped = True
            raise _StoppedError

    # --- looking ---

    def look(self, found: Iterable[Folder], places: list[Path], plan: IO[str], *, gone: list[Path]) -> None:
        """Compare every folder with the library; write what must be heard to `plan`. `gone` are roots no more there."""
        roots = [place for place in places if place.is_dir()]
        not_seen = {folder for root in [*roots, *gone] for folder in self._catalogue.known_folders(root)}
        silent = {root: os.path.realpath(root) for root in roots}
        self._progress.begin("looking", 0)
        for folder in found:
            self._go_on()  # before anything counts as gone that was only not looked at
            not_seen.discard(folder.path)
            if folder.files:
                place = Path(os.path.realpath(folder.path)) if silent else folder.path
                silent = {root: real for root, real in silent.items() if not place.is_relative_to(real)}
            self._look_into(folder, plan)
            self._progress.tell(len(folder.files), current=folder.path, failures=len(self._failures))
        closed = {note.path for note in self._unreadable}
        for path in sorted(not_seen):
            if not any(path.is_relative_to(folder) for folder in closed):
                self._forget(path, self._catalogue.known_files(path))
        self._empty = sorted([*(silent.keys() - closed), *gone])
        for root in roots:
            self._catalogue.add_folder(root)

    def _look_into(self, folder: Folder, plan: IO[str]) -> None:
        known = self._catalogue.known_files(folder.path)
        back: list[int] = []
        self._counts["found"] += len(folder.files) + len(folder.locked)
        for file in folder.files:
            past = known.pop(file.path.name, None)
            if past and self._failed_before(past, file):
                self._note_old_failure(file.path, past)
            elif past and not past.failure and _is_same(past, file):
                if past.missing and past.track_id is not None:
                    back.append(past.track_id)
                self._counts["returned" if past.missing else "unchanged"] += 1
            else:
                with _space_for_plan():
                    plan.write(json.dumps([str(file.path), file.size, file.mtime_ns]) + "\n")
                self._progress.total += 1
        for path, error in folder.locked:
            past = known.pop(path.name, None)
            # A link to nothing is a file that is gone. Of one that is only locked, what is known still holds.
            there = past is not None and not isinstance(error, FileNotFoundError)
            size, mtime_ns = (past.size, past.mtime_ns) if past and there else (0, 0)
            reason = "it is a link to nothing" if isinstance(error, FileNotFoundError) else _why(error)
            self._fail(UnreadableError(path, reason), size, mtime_ns)
        if folder.unreadable:
            self._unreadable.append(FileNote(folder.path, "unreadable", _why(folder.unreadable)))
        elif folder.whole:
            self._forget(folder.path, known)
        self._catalogue.mark_present(back)

    def _forget(self, folder: Path, known: dict[str, KnownFile]) -> None:
        """Take files that are gone out of the answers, and out of the failures."""
        gone = [past.track_id for past in known.values() if past.track_id is not None and not past.missing]
        self._catalogue.mark_missing(gone)
        self._catalogue.clear_failures(folder / name for name, past in known.items() if past.failure)
        self._gone += gone

    def _failed_before(self, past: KnownFile, file: FoundFile | _Task) -> bool:
        """Would it only fail again?"""
        return (
            past.failure is not None
            and past.failure not in _TRY_AGAIN
            and not self._retry_failed
            and past.program_version == __version__
            and _is_same(past, file)
        )

    def _note_old_failure(self, path: Path, past: KnownFile) -> None:
        if path not in self._old_reasons:
            self._old_reasons = {failure.path: failure.reason for failure in self._catalogue.failures()}
        kind = past.failure or "audio"
        self._failures.append(FileNote(path, kind, self._old_reasons.get(path, kind)))

    # --- listening ---

    def listen(self, tasks: Iterator[_Task], listener: tuple[object, ...], workers: int, time_limit: float) -> None:
        """Analyse `tasks` in worker processes and store what comes back."""
        self._progress.begin("listening", self._progress.total)
        self._listen_to_all(self._not_done_meanwhile(tasks), listener, workers, time_limit)

    def listen_again(self, listener: tuple[object, ...], workers: int, time_limit: float) -> None:
        """Let the model hear what the library knows only through others."""
        if count := self._catalogue.count_unheard(self._model.id):
            self._progress.begin("listening again", count)
            self._listen_to_all(self._unheard(), listener, workers, time_limit)

    def _listen_to_all(
        self, tasks: Iterator[_Task], listener: tuple[object, ...], workers: int, time_limit: float
    ) -> None:
        self._listen(tasks, (*listener, self._heard), workers, time_limit)
        # Known content that left the library between looking and storing: rare, and heard afresh.
        again, self._again = self._again, []
        self._listen(iter(again), (*listener, ()), workers, time_limit)
        self._progress.end()

    def _listen(self, tasks: Iterator[_Task], listener: tuple[object, ...], workers: int, time_limit: float) -> None:
        results = run_in_workers(
            _hear,
            tasks,
            workers=workers,
            time_limit=time_limit,
            setup=_make_listener,
            setup_args=listener,
            stop=self._stop,
        )
        with contextlib.closing(results):  # whatever happens here, the workers end at once
            for task, result in results:
                if self._store(task, _as_error(task.path, result) if isinstance(result, Lost) else result):
                    self._progress.tell(1, current=task.path, failures=len(self._failures))
        self._go_on()

    def _not_done_meanwhile(self, tasks: Iterator[_Task]) -> Iterator[_Task]:
        """Leave out what another scan of the same library has dealt with since we looked."""
        for task in tasks:
            self._go_on()
            past = self._meanwhile.known(task.path)
            if past and self._failed_before(past, task):
                self._note_old_failure(task.path, past)
            elif past and self._is_stored(past, task):
                self._counts["unchanged"] += 1
            else:
                yield task
                continue
            self._progress.tell(1, current=task.path, failures=len(self._failures))

    def _unheard(self) -> Iterator[_Task]:
        """The tracks that the model has still to hear, whichever folder they lie in."""
        roots = self._catalogue.folders()
        in_work: deque[str] = deque(maxlen=2 * MOST_WORKERS)
        for track in self._catalogue.iterate_unheard(self._model.id):
            self._go_on()
            # a copy is being heard, or it or another scan has brought the vector since that page was read
            if track.content_id in in_work or self._catalogue.vector(track.track_id, self._model.id) is not None:
                continue
            in_work.append(track.content_id)
            try:
                there = track.path.stat()
            except (FileNotFoundError, NotADirectoryError):
                # Of a folder that is not there, perhaps not mounted, the next scan of its root decides.
                parent = track.path.parent
                if parent.is_dir() or not any(parent.is_relative_to(root) for root in roots):
                    self._catalogue.mark_missing([track.track_id])
                    self._gone.append(track.track_id)
            except OSError as error:
                self._fail(UnreadableError(track.path, _why(error)), track.size, track.mtime_ns)
            else:
                yield _Task(track.path, there.st_size, there.st_mtime_ns, again=True)
                continue
            self._progress.tell(1, current=track.path, failures=len(self._failures))

    def _is_stored(self, past: KnownFile, task: _Task) -> bool:
        if past.failure or past.missing or past.track_id is None or not _is_same(past, task):
            return False
        return self._catalogue.vector(past.track_id, self._model.id) is not None

    def _store(self, task: _Task, result: Analysis | AudioError) -> bool:
        """False when the track has to be heard again."""
        if isinstance(result, AudioError):
            gone = isinstance(result, VanishedError)  # its size and time are no longer those of a file
            self._fail(result, 0 if gone else task.size, 0 if gone else task.mtime_ns)
            return True
        try:
            outcome = self._catalogue.record(result, size=task.size, mtime_ns=task.mtime_ns)
        except InputError as error:
            self._fail(AudioError(task.path, str(error)), task.size, task.mtime_ns)
            return True
        if outcome == "needs-analysis":
            self._again.append(task)
            return False
        self._counts["reheard" if task.again else outcome] += 1
        if result.info.partial and not task.again:
            self._partial.append(FileNote(task.path, "partial", result.info.partial))
        return True

    def _fail(self, error: AudioError, size: int, mtime_ns: int) -> None:
        self._catalogue.record_failure(error, size=size, mtime_ns=mtime_ns)
        self._failures.append(FileNote(error.path, error.kind, error.reason))

    def report(self) -> ScanReport:
        """What was done."""
        chunks = (self._gone[start : start + _CHUNK] for start in range(0, len(self._gone), _CHUNK))
        return ScanReport(
            model_id=self._model.id,
            found=self._counts["found"],
            analysed=self._counts["analysed"],
            unchanged=self._counts["unchanged"],
            retagged=self._counts["updated"],
            moved=self._counts["moved"],
            copied=self._counts["copy"],
            returned=self._counts["returned"],
            reheard=self._counts["reheard"],
            missing=sum(track.missing for ids in chunks for track in self._catalogue.tracks(ids)),
            partial=tuple(self._partial),
            failures=tuple(self._failures),
            unreadable_folders=tuple(self._unreadable),
            empty_folders=tuple(self._empty),
            seconds=time.monotonic() - self._started,
            stopped=self._stopped,
        )


class _Meanwhile:
    """What the library knows of a file now, without asking it for the same folder over and over."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._folder: Path | None = None
        self._known: dict[str, KnownFile] = {}
        self._until = 0.0

    def known(self, path: Path) -> KnownFile | None:
        now = time.monotonic()
        if path.parent != self._folder or now > self._until:
            self._folder, self._known = path.parent, self._catalogue.known_files(path.parent)
            asked = time.monotonic()
            self._until = asked + 20 * (asked - now)  # so that asking takes at most a twentieth of the time
        return self._known.get(path.name)


@contextlib.contextmanager
def _space_for_plan() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        place = tempfile.gettempdir()
        raise LibraryFullError(
            f"the list of what to hear cannot be written to {place}: {error.strerror}; free some space there"
        ) from error


def _is_same(past: KnownFile, file: FoundFile | _Task) -> bool:
    return past.size == file.size and past.mtime_ns == file.mtime_ns


def _why(error: OSError) -> str:
    return error.strerror or str(error)


def _as_error(path: Path, lost: Lost) -> AudioError:
    if lost.why == "timeout":
        return DecodeTimeoutError(path, f"it was not done after {lost.detail}, and was stopped")
    if lost.why == "died":
        return DecoderCrashError(path, f"the decoder crashed ({lost.detail})")
    return AudioError(path, f"the analysis failed with {lost.detail}; this is a fault of soundkin, please report it")


# --- in a worker -----------------------------------------------------------------------------------------------------


def _make_listener(
    analyse: Callable[..., Analysis],
    load_model: Callable[[str | Path], Model],
    model_name_or_path: str | Path,
    excerpts: ExcerptPlan | None,
    niceness: int,
    heard: Container[str],
) -> Callable[[Path], Analysis]:
    if niceness and hasattr(os, "nice"):
        os.nice(niceness)
    return functools.partial(analyse, model=load_model(model_name_or_path), excerpts=excerpts, known=heard)


def _hear(listener: Callable[[Path], Analysis], task: _Task) -> Analysis | AudioError:
    try:
        return listener(task.path)
    except AudioError as error:
        return error
