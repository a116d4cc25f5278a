"""Real, freely licensed music for the benchmarks: soundtracks of free games, from Debian's packages.

`python benchmarks/music.py FOLDER` brings the evaluation albums; `--tuning` brings others, on which choices
are made so that the figures of the evaluation albums stay untouched. Needs `apt-get` and `dpkg-deb` (any Debian or
Ubuntu); nothing is installed. Elsewhere, put the packages' music there by hand, a folder each.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

EVALUATION = ("wesnoth-1.16-music", "hedgewars-data", "freedroidrpg-data", "asc-music")
"""The albums that same-album precision is reported on."""
TUNING = (
    "warzone2100-music",
    "unknown-horizons",
    "megaglest-data",
    "drascula-music",
    "planetblupi-music-ogg",
    "ardentryst",
    "zaz-data",
    "supertuxkart-data",
    "widelands-data",
)
"""Albums that settings are chosen on."""
_SUFFIXES = (".ogg", ".opus", ".mp3", ".flac")
_SMALLEST = 300_000  # bytes: shorter files are sound effects


def bring(folder: Path, packages: tuple[str, ...]) -> None:
    """Download what is not there yet into `folder`/package."""
    folder.mkdir(parents=True, exist_ok=True)
    for package in packages:
        if (folder / package).is_dir():
            continue
        with tempfile.TemporaryDirectory(dir=folder) as work:
            subprocess.run(["apt-get", "download", "-q", package], cwd=work, check=True, stdout=subprocess.DEVNULL)
            archive = next(Path(work).glob("*.deb"))
            subprocess.run(["dpkg-deb", "-x", str(archive), f"{work}/tree"], check=True)
            album = Path(work) / "album"
            album.mkdir()
            for file in sorted(Path(work, "tree").rglob("*")):
                if file.suffix in _SUFFIXES and file.is_file() and file.stat().st_size > _SMALLEST:
                    shutil.copy(file, album / file.name)
            notice = Path(work, "tree/usr/share/doc", package, "copyright")
            if notice.exists():
                shutil.copy(notice, album / "LICENSES.txt")
            album.rename(folder / package)
        print(f"{package}: {len(tracks(folder, (package,)))} tracks", flush=True)


def tracks(folder: Path, packages: tuple[str, ...] = EVALUATION) -> list[Path]:
    """The tracks of these albums that are there, sorted."""
    return [file for name in packages for file in sorted((folder / name).glob("*")) if file.suffix in _SUFFIXES]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tuning", action="store_true", help="also the albums that settings are chosen on (1.7 GB)")
    arguments = parser.parse_args()
    bring(arguments.folder, EVALUATION + (TUNING if arguments.tuning else ()))
