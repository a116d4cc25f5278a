"""A worker process that stays ready: questions come one by one, from any thread, and are answered in turn.

What decodes files that nobody has looked at, or keeps a processor busy for a second, happens here rather than in the
process that answers everybody: a decoder that hangs or crashes costs its own question only, and the others are not
slowed down by Python's lock.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from soundkin.errors import SoundkinError
from soundkin.workers import Lost, run_in_workers

Context = TypeVar("Context")
Task = TypeVar("Task")
Result = TypeVar("Result")

MOST_WAITING = 500
"""Questions that may wait for their turn."""


class LostError(SoundkinError):
    """A question that got no answer: `why` is 'died', 'timeout' or 'raised'."""

    def __init__(self, lost: Lost) -> None:
        super().__init__(
            {"timeout": "it took longer than ", "died": "its process ended with "}.get(lost.why, "") + lost.detail
        )
        self.why = lost.why


class CrowdedError(SoundkinError):
    """More questions wait than can be answered soon."""


class Standby(Generic[Task, Result]):
    """One worker process, started for the first question and ended after `idle_limit` seconds without one.

    `function`, `setup` and `time_limit` are those of `soundkin.workers.run_in_workers`.
    """

    def __init__(
        self,
        function: Callable[[Context, Task], Result],
        *,
        setup: Callable[..., Context],
        setup_args: tuple[Any, ...] = (),
        time_limit: float,
        idle_limit: float = 600.0,
    ) -> None:
        self._orders: dict[str, Any] = {"setup": setup, "setup_args": setup_args, "time_limit": time_limit}
        self._function = function
        self._idle_limit = idle_limit
        self._waiting: deque[tuple[Task, Future[Result]]] = deque()
        self._current: Future[Result] | None = None
        self._changed = threading.Condition()
        self._serving = False
        self._closed = False

    def ask(self, task: Task, *, urgent: bool = False) -> Future[Result]:
        """The answer to `task` (not None), once it is there; cancel it while it waits if nobody wants it any more.

        What is `urgent` comes before all that waits.

        It fails with LostError for a task that raised, took too long or killed the process, and with SoundkinError
        when no process can be started. Raises CrowdedError when MOST_WAITING questions wait already.
        """
        future: Future[Result] = Future()
        with self._changed:
            if self._closed:
                raise SoundkinError("it has been closed and answers no more")
            if len(self._waiting) >= MOST_WAITING:
                raise CrowdedError(f"{MOST_WAITING} questions wait already; ask again later")
            (self._waiting.appendleft if urgent else self._waiting.append)((task, future))
            self._changed.notify()
            if not self._serving:
                self._serving = True
                threading.Thread(target=self._serve, name="soundkin standby", daemon=True).start()
        return future

    def close(self) -> None:
        """Answer nothing more; what waits is cancelled, and the process ends when its present task has ended."""
        with self._changed:
            self._closed = True
            waiting, self._waiting = list(self._waiting), deque()
            self._changed.notify_all()
        for _, future in waiting:
            future.cancel()

    def _serve(self) -> None:
        try:
            with contextlib.closing(run_in_workers(self._function, self._tasks(), workers=1, **self._orders)) as ended:
                for _, result in ended:
                    future, self._current = self._current, None
                    assert future is not None
                    if isinstance(result, Lost):
                        future.set_exception(LostError(result))
                    else:
                        future.set_result(result)
        except Exception as error:  # no process can be started: whoever waits must learn of it
            with self._changed:
                self._serving = False
                waiting, self._waiting = [future for _, future in self._waiting], deque()
            current, self._current = self._current, None
            for future in waiting if current is None else [current, *waiting]:
                if future.running() or future.set_running_or_notify_cancel():
                    future.set_exception(error)

    def _tasks(self) -> Iterator[Any]:
        """The questions, None while one is being answered; it waits for the next, and ends when none comes."""
        while True:
            if self._current is not None:
                yield None
                continue
            with self._changed:
                if not self._changed.wait_for(lambda: self._waiting or self._closed, self._idle_limit) or self._closed:
                    self._serving = False
                    return
                task, future = self._waiting.popleft()
            if future.set_running_or_notify_cancel():
                self._current = future
                yield task
