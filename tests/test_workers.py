"""Worker processes: what hangs or dies costs its own task, and nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import worker_tasks
from soundkin.errors import SoundkinError
from soundkin.workers import Lost, run_in_workers


def run(
    tasks: Iterable[str], *, workers: int = 2, time_limit: float = 60.0, words: tuple[str, ...] = ("a", "b")
) -> Any:
    return run_in_workers(
        worker_tasks.do,
        tasks,
        workers=workers,
        time_limit=time_limit,
        setup=worker_tasks.make_context,
        setup_args=words,
    )


def is_running(pid: int) -> bool:
    """Not for Windows, where os.kill(pid, 0) would end the process."""
    with contextlib.suppress(FileNotFoundError, IndexError):
        if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return False  # dead, and not yet collected by whoever inherited it
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_every_task_gives_its_result_once() -> None:
    tasks = [str(i) for i in range(50)]
    results = dict(run(tasks))
    assert {task: text for task, (text, _) in results.items()} == {task: f"a-b:{task}" for task in tasks}
    assert 1 <= len({pid for _, pid in results.values()} - {os.getpid()}) <= 2


def test_without_tasks_no_worker_starts() -> None:
    assert list(run([], words=("exit",))) == []


def test_without_workers_everything_happens_here() -> None:
    results = dict(run(["1", "bug"], workers=0))
    assert results["1"] == ("a-b:1", os.getpid())
    assert results["bug"] == Lost("raised", "ZeroDivisionError: division by zero")


def test_tasks_that_crash_hang_or_raise_cost_only_themselves() -> None:
    bad = ["crash", "hang", "spin", "bug", "memory", "recursion", "lambda"]
    tasks = [word for i, name in enumerate(bad) for word in (f"fine {i}", name)]
    results = dict(run(tasks, time_limit=1.5))
    assert results["crash"] == Lost("died", "exit code 7")
    assert results["hang"] == results["spin"] == Lost("timeout", "1.5 s")
    assert results["bug"] == Lost("raised", "ZeroDivisionError: division by zero")
    assert results["memory"] == Lost("raised", "MemoryError")
    assert results["recursion"].detail.startswith("RecursionError")
    assert results["lambda"].why == "raised"  # a result that cannot be pickled
    assert all(results[f"fine {i}"][0] == f"a-b:fine {i}" for i in range(len(bad)))


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals there")
def test_a_killed_worker_is_named_by_its_signal() -> None:
    assert dict(run(["killed"], workers=1)) == {"killed": Lost("died", "SIGKILL")}


def test_crash_after_crash_loses_nothing_else() -> None:
    tasks = [f"crash {i}" if i % 2 else f"fine {i}" for i in range(16)]
    results = dict(run(tasks))
    assert len(results) == 16
    assert all(isinstance(result, Lost) == task.startswith("crash") for task, result in results.items())


def test_the_time_limit_runs_from_the_start_of_the_task() -> None:
    results = dict(run([f"slow {i}" for i in range(12)], time_limit=1.0))  # 1.2 s a worker in all
    assert not [result for result in results.values() if isinstance(result, Lost)]


def test_tasks_are_read_only_as_fast_as_they_are_done() -> None:
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield str(taken)

    with contextlib.closing(run(endless())) as results:
        for _ in range(20):
            next(results)
    assert taken <= 20 + 3 * 2 + 2


def test_results_that_came_in_time_are_kept_however_late_they_are_fetched() -> None:
    with contextlib.closing(run(["1", "2", "3", "4"], time_limit=0.5)) as results:
        fetched = [next(results)]
        time.sleep(1.0)
        fetched += results
    assert not [result for _, result in fetched if isinstance(result, Lost)]


@pytest.mark.skipif(sys.platform == "win32", reason="is_running asks by signal")
def test_closing_kills_workers_in_the_middle_of_a_task() -> None:
    results = run(["1", "2", "3", "4", "hang", "spin"])
    pids = {next(results)[1][1] for _ in range(4)}
    results.close()  # a worker that hangs would never end by itself
    assert not [pid for pid in pids if is_running(pid)]


def test_a_setup_that_fails_is_an_error_at_once() -> None:
    with pytest.raises(SoundkinError, match="cannot set itself up: ValueError: no context today"):
        list(run(["1"], words=("fail",)))


def test_workers_that_die_while_starting_are_an_error() -> None:
    with pytest.raises(SoundkinError, match=r"end before they are ready \(exit code 3\).*__main__"):
        list(run(["1"], words=("exit",)))


def test_workers_compute_on_one_thread_and_our_own_environment_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    assert dict(run(["threads"])) == {"threads": ("1", "1")}
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "OPENBLAS_NUM_THREADS" not in os.environ


def test_an_unguarded_script_is_told_what_to_do(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from worker_tasks import do, make_context\n"
        "from soundkin.workers import refuse_in_worker, run_in_workers\n"
        "refuse_in_worker()\n"
        "print(list(run_in_workers(do, ['1'], workers=1, time_limit=9, setup=make_context)))\n"
    )
    done = subprocess.run([sys.executable, script], env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "put what it does under if __name__ == '__main__'" in done.stderr
    assert done.stderr.count("Traceback") == 2  # of the one worker, and of the script


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
