"""What worker processes are given to do in tests; they import it by name. The task's name says how it ends."""

from __future__ import annotations

import os
import signal
import time
from typing import Any


def make_context(*words: str) -> str:
    if "fail" in words:
        raise ValueError("no context today")
    if "exit" in words:
        os._exit(3)
    return "-".join(words)


def do(context: str, task: str) -> Any:
    misbehave(task)
    if task == "lambda":
        return lambda: None
    if task == "threads":
        return os.environ.get("OMP_NUM_THREADS"), os.environ.get("OPENBLAS_NUM_THREADS")
    return f"{context}:{task}", os.getpid()


def misbehave(name: str) -> None:
    """Be slow, hang, crash or raise, if `name` says so."""
    if "slow" in name:
        time.sleep(0.2)
    if "hang" in name:
        time.sleep(600)
    if "spin" in name:
        while True:
            sum(range(10**8))  # never looks up from its work
    if "crash" in name:
        os._exit(7)
    if "killed" in name:
        os.kill(os.getpid(), signal.SIGKILL)
    if "bug" in name:
        raise ZeroDivisionError("division by zero")
    if "memory" in name:
        raise MemoryError
    if "recursion" in name:
        misbehave(name)
