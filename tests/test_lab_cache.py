"""What is kept of each clip: computed once for a content, a function and its settings, whatever goes wrong."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from clip_tasks import first_bytes
from soundkin.errors import AudioError, DecoderCrashError, DecodeTimeoutError, NonFiniteError, TooShortError
from soundkin.lab.cache import for_each_clip


class Work:
    """Files, a cache, and a record of what was computed."""

    def __init__(self, folder: Path) -> None:
        self.files, self.cache, self.log = folder / "files", folder / "cache", folder / "log"
        self.files.mkdir()

    def write(self, *names: str) -> list[Path]:
        for name in names:
            (self.files / name).write_bytes(name.encode() + b"....")
        return [self.files / name for name in names]

    def run(
        self, paths: list[Path], *, key: str = "bytes 1", workers: int = 0, **more: object
    ) -> dict[Path, np.ndarray | Exception]:
        function = functools.partial(first_bytes, log=self.log)
        return for_each_clip(paths, function, folder=self.cache, key=key, workers=workers, **more)  # type: ignore[arg-type]

    def computed(self) -> list[str]:
        """Names of the files computed since the last time this was asked."""
        names = sorted(self.log.read_text(encoding="utf-8").split()) if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return names


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path)


def test_each_clip_is_computed_once(work: Work) -> None:
    paths = work.write("a", "b", "c")
    seen: list[tuple[int, int]] = []
    first = work.run([*paths, paths[0]], progress=lambda done, total: seen.append((done, total)))
    assert work.computed() == ["a", "b", "c"] and seen == [(1, 3), (2, 3), (3, 3)]
    assert list(first) == paths
    np.testing.assert_array_equal(first[paths[1]], np.frombuffer(b"b...", np.uint8))
    assert all(x.dtype == np.float32 for x in first.values() if isinstance(x, np.ndarray))
    seen.clear()
    again = work.run(paths, progress=lambda done, total: seen.append((done, total)))
    assert work.computed() == [] and seen == [(1, 3), (2, 3), (3, 3)]
    for path in paths:
        np.testing.assert_array_equal(again[path], first[path])


def test_nothing_is_kept_without_a_folder(work: Work) -> None:
    for _ in range(2):
        result = for_each_clip(work.write("a"), first_bytes, folder=None, key="bytes", workers=0)
        assert len(result) == 1
    assert not work.cache.exists()


def test_other_settings_are_another_entry(work: Work) -> None:
    paths = work.write("a")
    for key in ("bytes 1", "bytes 2", "bytes 1"):
        work.run(paths, key=key)
    assert work.computed() == ["a", "a"]


def test_content_counts_and_not_the_name(work: Work) -> None:
    (path,) = work.write("a")
    work.run([path])
    moved = path.rename(work.files / "z")
    assert isinstance(work.run([moved])[moved], np.ndarray)
    assert work.computed() == ["a"]
    before = moved.stat()
    moved.write_bytes(b"changed")
    os.utime(moved, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    np.testing.assert_array_equal(work.run([moved])[moved], np.frombuffer(b"chan", np.uint8))
    assert work.computed() == ["z"]


def damage_entry(cache: Path) -> None:
    (entry,) = cache.glob("*/*.npz")
    entry.write_bytes(entry.read_bytes()[:-30])


def damage_list(cache: Path) -> None:
    (cache / "contents.json").write_text('["what', encoding="utf-8")


def poison_list(cache: Path) -> None:
    """A list whose rows are not what they should be."""
    kept = json.loads((cache / "contents.json").read_text(encoding="utf-8"))
    (cache / "contents.json").write_text(json.dumps({path: ["../..", 3] for path in kept}), encoding="utf-8")


@pytest.mark.parametrize(("damage", "again"), [(damage_entry, ["a"]), (damage_list, []), (poison_list, [])])
def test_what_is_damaged_is_made_again(work: Work, damage: Callable[[Path], None], again: list[str]) -> None:
    paths = work.write("a")
    work.run(paths)
    work.computed()
    damage(work.cache)
    np.testing.assert_array_equal(work.run(paths)[paths[0]], np.frombuffer(b"a...", np.uint8))
    assert work.computed() == again
    work.run(paths)
    assert work.computed() == []


def test_a_cache_that_cannot_be_written_costs_time_only(work: Work) -> None:
    work.cache.write_text("a file where the folder should be", encoding="utf-8")
    paths = work.write("a", "b")
    for _ in range(2):
        assert all(isinstance(x, np.ndarray) for x in work.run(paths).values())
    assert work.computed() == ["a", "a", "b", "b"]


def test_one_bad_clip_costs_one_clip(work: Work) -> None:
    paths = work.write("a", "short", "bug", "nan", "b")
    missing = work.files / "missing"
    result = work.run([*paths, missing])
    kinds = {path.name: type(x) for path, x in result.items()}
    assert kinds == {
        "a": np.ndarray,
        "short": TooShortError,
        "bug": AudioError,
        "nan": NonFiniteError,
        "b": np.ndarray,
        "missing": AudioError,
    }
    assert "ZeroDivisionError: division by zero" in str(result[paths[2]])
    assert "1 of its 4 numbers" in str(result[paths[3]])
    work.computed()
    work.run(paths)  # a failure is tried again: the next version may read it
    assert work.computed() == ["bug", "nan", "short"]


def test_a_stopped_run_goes_on_where_it_ended(work: Work) -> None:
    paths = work.write("a", "b", "c", "d")

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work.run(paths, progress=stop)
    assert work.computed() == ["a", "b"]
    work.run(paths)
    assert work.computed() == ["c", "d"]


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Workers find the tests' modules."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
    yield


@pytest.mark.usefixtures("importable")
def test_processes_that_hang_or_die_cost_their_clip(work: Work) -> None:
    paths = work.write("a", "crash", "hang", "short", "b")
    result = work.run(paths, workers=2, time_limit=4)
    kinds = {path.name: type(x) for path, x in result.items()}
    assert kinds == {
        "a": np.ndarray,
        "crash": DecoderCrashError,
        "hang": DecodeTimeoutError,
        "short": TooShortError,
        "b": np.ndarray,
    }
    assert "exit code 7" in str(result[paths[1]])
    assert "4 s" in str(result[paths[2]])
    work.computed()
    again = work.run(work.write("a", "b"), workers=2)
    assert work.computed() == []  # what the workers made is kept
    np.testing.assert_array_equal(again[paths[0]], np.frombuffer(b"a...", np.uint8))
