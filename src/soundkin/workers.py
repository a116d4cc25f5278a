"""Run a function over many tasks in worker processes that may hang or die, and lose only the task that did it.

`concurrent.futures` gives up when one worker dies. Pools whose workers share one queue (multiprocessing.Pool, pebble)
learn of a death and of the task a worker took over two roads, and confuse them when a worker dies at once: of 60
tasks that crash two times out of three, pebble 5.2 with four workers lost itself after some 40. Here each worker has a
pipe of its own and gets one task at a time, so there is nothing to confuse, nothing shared that a dying worker could
leave locked, and a task's time runs from when it is handed over. No threads, no queues: a few dozen tasks a second
need neither.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, Literal, TypeVar

from soundkin.errors import SoundkinError

Context = TypeVar("Context")
Task = TypeVar("Task")
Result = TypeVar("Result")

MOST_WORKERS = 60  # Windows waits for at most 63 pipes at once
_START_LIMIT = 300.0  # s a worker may take to start and set itself up
_STOP_LIMIT = 1.5  # s to wait for killed workers: one that waits for a dead disk only goes when the disk answers
_GLANCE = 0.2  # s between two looks at whether to stop
_FALSE_STARTS = 3  # workers in a row that may die before they are ready
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass(frozen=True, slots=True)
class Lost:
    """Stands for the result of a task that gave none."""

    why: Literal["died", "timeout", "raised"]
    detail: str
    """The signal or exit code, the time limit, or the exception: a part of a sentence."""


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_in_workers(
    function: Callable[[Context, Task], Result],
    tasks: Iterable[Task],
    *,
    workers: int,
    time_limit: float,
    setup: Callable[..., Context],
    setup_args: tuple[Any, ...] = (),
    stop: Callable[[], bool] | None = None,
) -> Generator[tuple[Task, Result | Lost], None, None]:
    """Yield (task, `function(context, task)`) as tasks end, in no fixed order.

    Each worker makes its context once, by `setup(*setup_args)`. `tasks` is read only as fast as workers come free, so
    it may be endless; a None in it says that there is no further task before one that is under way has ended. The
    functions must be importable by name; arguments and results travel by pipe. A task that raises, kills its worker or
    runs longer than `time_limit` seconds yields a Lost, and the worker is replaced. Close the generator
    (`contextlib.closing`) to kill the workers at once; they also end by themselves when this process is killed.

    `stop` is asked a few times a second; once it says yes, the workers are killed and nothing more comes.

    With `workers` 0 everything happens in this process, without protection and without a time limit.

    Raises SoundkinError when workers cannot start or set themselves up, and whatever `tasks` raises.
    """
    if workers == 0:
        return _run_here(function, tasks, setup, setup_args, stop)
    team: _Team[Task, Result] = _Team((function, setup, setup_args), min(workers, MOST_WORKERS), time_limit, stop)
    return team.run(iter(tasks))


def refuse_in_worker() -> None:
    """Raise SoundkinError when a worker that is just starting runs this, which only an unguarded script makes it do."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise SoundkinError(
            "worker processes import the script that started them; put what it does under if __name__ == '__main__':"
        )


def _run_here(
    function: Callable[[Context, Task], Result],
    tasks: Iterable[Task],
    setup: Callable[..., Context],
    setup_args: tuple[Any, ...],
    stop: Callable[[], bool] | None,
) -> Generator[tuple[Task, Result | Lost], None, None]:
    context: Context | None = None
    for task in tasks:
        if stop is not None and stop():
            return
        if context is None:  # like a worker, made only when there is something to do
            context = setup(*setup_args)
        result: Result | Lost
        try:
            result = function(context, task)
        except Exception as error:
            result = Lost("raised", _describe(error))
        yield task, result


# --- in the process that has the tasks -------------------------------------------------------------------------------


@dataclass(slots=True)
class _Worker(Generic[Task]):
    process: BaseProcess
    deadline: float
    """On the monotonic clock: when it must be ready, or have done its task."""
    ready: bool = False
    task: Task | None = None

    @property
    def due(self) -> bool:
        return not self.ready or self.task is not None


class _Team(Generic[Task, Result]):
    def __init__(self, orders: tuple[Any, ...], size: int, time_limit: float, stop: Callable[[], bool] | None) -> None:
        self._orders = orders  # function, setup, setup_args
        self._size = size
        self._time_limit = time_limit
        self._stop = stop
        self._members: dict[Any, _Worker[Task]] = {}  # by their pipe
        self._false_starts = _FALSE_STARTS  # none of them is forgiven before one worker has started well

    def run(self, tasks: Iterator[Task]) -> Generator[tuple[Task, Result | Lost], None, None]:
        waiting: deque[Task] = deque()
        try:
            while self._stop is None or not self._stop():
                while len(waiting) < self._size and (task := next(tasks, None)) is not None:
                    waiting.append(task)
                if not waiting and not any(worker.task is not None for worker in self._members.values()):
                    return
                self._hand_out(waiting)
                ended = self._collect()
                self._hand_out(waiting)  # the workers go on while the caller deals with what has ended
                yield from ended
        finally:
            self._dismiss(*self._members)

    def _hand_out(self, waiting: deque[Task]) -> None:
        for pipe, worker in self._members.items():
            if waiting and not worker.due:
                try:
                    pipe.send(waiting[0])
                except OSError:
                    continue  # it died idle, which `_collect` will notice
                worker.task = waiting.popleft()
                worker.deadline = time.monotonic() + self._time_limit
        starting = sum(not worker.ready for worker in self._members.values())
        for _ in range(min(len(waiting) - starting, self._size - len(self._members))):
            self._hire()

    def _hire(self) -> None:
        context = multiprocessing.get_context("spawn")
        pipe, its_end = context.Pipe()
        process = context.Process(target=_work, args=(its_end, *self._orders), name="soundkin worker", daemon=True)
        with inherited():
            process.start()
            self._members[pipe] = _Worker(process, time.monotonic() + _START_LIMIT)
        its_end.close()  # or the pipe would stay open when the worker dies

    def _collect(self) -> list[tuple[Task, Result | Lost]]:
        """Wait until something has ended; what has."""
        ended: list[tuple[Task, Result | Lost]] = []
        now = time.monotonic()
        soonest = min((worker.deadline for worker in self._members.values() if worker.due), default=now)
        patience = soonest - now if self._stop is None else min(soonest - now, _GLANCE)
        readable: list[Any] = wait(list(self._members), timeout=max(0.0, patience))
        for pipe in readable:
            worker = self._members[pipe]
            try:
                message, content = pipe.recv()
            except (EOFError, OSError):
                message, content = "died", None
            if message == "ready":
                worker.ready, self._false_starts = True, 0
            elif message == "setup":
                raise SoundkinError(f"a worker process cannot set itself up: {content}")
            elif message == "died":
                self._dismiss(pipe)
                if not worker.ready:
                    self._count_false_start(worker)
                elif worker.task is not None:
                    ended.append((worker.task, Lost("died", _how_it_ended(worker.process))))
            elif worker.task is not None:
                ended.append((worker.task, Lost("raised", content) if message == "raised" else content))
                worker.task = None
        # After the messages, so that a result that came while the caller was busy is not thrown away.
        now = time.monotonic()
        for pipe, worker in list(self._members.items()):
            if worker.due and now >= worker.deadline:
                self._dismiss(pipe)
                if worker.task is None:
                    raise SoundkinError(f"a worker process was not ready after {_START_LIMIT:g} s")
                ended.append((worker.task, Lost("timeout", f"{self._time_limit:g} s")))
        return ended

    def _count_false_start(self, worker: _Worker[Task]) -> None:
        self._false_starts += 1
        if self._false_starts > _FALSE_STARTS:
            raise SoundkinError(
                f"worker processes end before they are ready ({_how_it_ended(worker.process)}); what they printed may "
                "say why. A script must start the work under if __name__ == '__main__':, for workers import it too"
            )

    def _dismiss(self, *pipes: Any) -> None:
        """Kill workers. They hold nothing that would have to be put away."""
        workers = [self._members.pop(pipe) for pipe in pipes]
        for pipe, worker in zip(pipes, workers, strict=True):
            worker.process.kill()
            pipe.close()
        deadline = time.monotonic() + _STOP_LIMIT
        for worker in workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """NumPy, where it is loaded within, and processes that are started within compute with one thread each."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def inherited() -> Iterator[None]:
    """What a worker must be born with, because it is too late once it runs: one thread, deaf to Ctrl-C."""
    if os.name == "posix":
        resource_tracker.ensure_running()  # which the first worker would start, and that lets Ctrl-C through again
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if hasattr(signal, "pthread_sigmask") else None
    try:
        with one_thread():
            yield
    finally:
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _how_it_ended(process: BaseProcess) -> str:
    code = process.exitcode
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code}" if code is None or code < 256 else f"exit code {code:#x}"


# --- in a worker -----------------------------------------------------------------------------------------------------


def _work(
    pipe: Connection,
    function: Callable[[Any, Any], object],
    setup: Callable[..., object],
    setup_args: tuple[Any, ...],
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent decides what it means
    threading.Thread(target=end_with_parent, daemon=True).start()
    with contextlib.suppress(EOFError, OSError):  # the parent has gone, or has closed the pipe
        try:
            context = setup(*setup_args)
        except Exception as error:
            pipe.send(("setup", _describe(error)))
            return
        pipe.send(("ready", None))
        while True:
            task = pipe.recv()
            try:
                pipe.send(("done", function(context, task)))
            except Exception as error:  # of the function, or of a result that cannot be pickled
                pipe.send(("raised", _describe(error)))


def end_with_parent() -> None:
    """End this process when the parent is gone, even in the middle of a task."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _describe(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
