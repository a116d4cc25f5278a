"""Worker processes that stay ready."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest

import worker_tasks
from soundkin import standby as subject
from soundkin.errors import SoundkinError
from soundkin.standby import CrowdedError, LostError, Standby


@contextlib.contextmanager
def standby(*words: str, time_limit: float = 60.0, idle_limit: float = 60.0) -> Iterator[Standby[str, Any]]:
    made: Standby[str, Any] = Standby(
        worker_tasks.do,
        setup=worker_tasks.make_context,
        setup_args=words,
        time_limit=time_limit,
        idle_limit=idle_limit,
    )
    try:
        yield made
    finally:
        made.close()


def test_one_process_answers_question_after_question() -> None:
    with standby("a", "b") as ready:
        first = ready.ask("one").result(60)
        assert first[0] == "a-b:one"
        time.sleep(0.1)
        assert ready.ask("two").result(60) == ("a-b:two", first[1])
        together = [ready.ask(f"slow{i}") for i in range(3)]
        assert [one.result(60) for one in together] == [(f"a-b:slow{i}", first[1]) for i in range(3)]


def test_what_hangs_crashes_or_raises_costs_its_own_question() -> None:
    with standby("a", time_limit=2.0) as ready:
        pid = ready.ask("fine").result(60)[1]
        for task, why in (("crash", "died"), ("hang", "timeout"), ("bug", "raised"), ("lambda", "raised")):
            with pytest.raises(LostError) as told:
                ready.ask(task).result(60)
            assert told.value.why == why
        with pytest.raises(LostError, match="longer than 2 s"):
            ready.ask("hang").result(60)
        other = ready.ask("fine").result(60)
        assert other[0] == "a:fine"
        assert other[1] != pid


def test_a_worker_that_cannot_be_set_up_is_told_to_all_who_wait_and_tried_again() -> None:
    with standby("fail") as ready:
        for _ in range(2):
            waiting = [ready.ask("a"), ready.ask("b")]
            for one in waiting:
                with pytest.raises(SoundkinError, match="no context today"):
                    one.result(60)


def test_the_process_ends_when_nobody_asks_and_starts_again() -> None:
    with standby("a", idle_limit=0.1) as ready:
        pid = ready.ask("one").result(60)[1]
        deadline = time.monotonic() + 30
        while ready._serving and time.monotonic() < deadline:
            time.sleep(0.02)
        assert ready.ask("two").result(60)[1] != pid


def test_a_question_that_was_given_up_is_not_answered_and_an_urgent_one_comes_first() -> None:
    with standby("a") as ready:
        slow = ready.ask("slow")
        order: list[str] = []
        for name, urgent in (("b", False), ("c", False), ("d", True)):
            future = ready.ask(name, urgent=urgent)
            future.add_done_callback(lambda done, name=name: order.append(f"{name} {done.cancelled()}"))
            if name == "b":
                assert future.cancel()
        slow.result(60)
        ready.ask("e").result(60)
        assert order == ["b True", "d False", "c False"]


def test_no_more_may_wait_than_can_be_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "MOST_WAITING", 2)
    with standby("a") as ready:
        ready.ask("one").result(60)
        busy = ready.ask("slow")
        while not busy.running():
            time.sleep(0.01)
        waiting = [ready.ask("b"), ready.ask("c")]
        with pytest.raises(CrowdedError, match="2 questions"):
            ready.ask("d")
        assert [one.result(60)[0] for one in waiting] == ["a:b", "a:c"]


def test_what_waits_is_cancelled_when_it_is_closed() -> None:
    with standby("a") as ready:
        ready.ask("one").result(60)
        busy, waiting = ready.ask("slow"), ready.ask("b")
        ready.close()
        assert waiting.cancelled()
        assert busy.cancelled() or busy.result(60)[0] == "a:slow"
        with pytest.raises(SoundkinError, match="closed"):
            ready.ask("c")
