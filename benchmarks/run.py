"""Every benchmark in turn, each in a process of its own: what `make bench` runs.

    python benchmarks/run.py [--music FOLDER]

Brings the evaluation soundtracks first (330 MB of Debian packages, see music.py); without `apt-get` the benchmarks
on real music are left out, and said to be.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
ON_MUSIC = ("analysis_speed.py", "precision.py")
ON_GENERATED = ("demo_styles.py", "startup.py", "similar_100k.py", "scan_memory.py", "serving.py")
IN_A_BROWSER = ("page_speed.py",)
OF_THE_LAB = ("feature_table.py",)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--music", type=Path, default=ROOT / "bench" / "music", help="where the soundtracks lie or go")
    music = parser.parse_args().music
    failed = []
    if shutil.which("apt-get") and shutil.which("dpkg-deb"):
        failed += _run("music.py", music)
    if music.is_dir():
        failed += _run("analysis_speed.py", music) + _run("precision.py", music, "--plans", "whole")
    else:
        print(f"left out, for want of music in {music}: {', '.join(ON_MUSIC)}")
    failed += [name for script in ON_GENERATED for name in _run(script)]
    if all(map(shutil.which, ("chromium", "chromedriver"))):
        failed += [name for script in IN_A_BROWSER for name in _run(script)]
    else:
        print(f"left out, for want of chromium and chromedriver: {', '.join(IN_A_BROWSER)}")
    if all(importlib.util.find_spec(name) for name in ("librosa", "torch")):
        failed += [name for script in OF_THE_LAB for name in _run(script)]
    else:
        print(f"left out, for want of the extra lab: {', '.join(OF_THE_LAB)}")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _run(script: str, *arguments: object) -> list[str]:
    """Run one benchmark with one thread a process; its name if it failed."""
    print(f"\n## {script}\n", flush=True)
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = {**os.environ, **threads} if script in ON_MUSIC else None
    done = subprocess.run([sys.executable, HERE / script, *map(str, arguments)], cwd=ROOT, env=environment)
    return [script] if done.returncode else []


if __name__ == "__main__":
    sys.exit(main())
