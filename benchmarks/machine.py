"""What the figures were measured on, and a table that shows each beside its target."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

# Read when NumPy is loaded, so programs import this module first: one core means one thread.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[_name] = "1"


def describe() -> str:
    """One line: processor, cores, memory, system, versions."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        processor = names[0] if names else processor
    memory = ""
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = f", {os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB"
    packages = ", ".join(f"{name} {version(name)}" for name in ("av", "numpy", "scipy", "sqlalchemy"))
    return (
        f"{processor}, {os.cpu_count()} cores{memory}, {platform.system()}, "
        f"Python {platform.python_version()}, {packages}"
    )


def use_one_core() -> None:
    """Stay on one core, where the system lets a program say so."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def show(title: str, rows: Sequence[tuple[str, str, str]]) -> None:
    """Print (what, measured, target or peer) as a Markdown table."""
    print(f"\n### {title}\n\n| what | measured | target or peer |\n|---|---|---|")
    for what, measured, target in rows:
        print(f"| {what} | {measured} | {target} |")
    print(flush=True)
