"""The pictures of the page in docs/images, made from any library with real Chromium.

    python benchmarks/screenshots.py --library music.db --out docs/images [--song "unsent window"]

Serves a copy of the library, so that the playlist it needs for a picture stays out of yours; needs Debian's chromium
and chromedriver, and the extras `dev` and `lab`. The pictures have 256 colours, most of them exactly those of the page.
It ends with an error where one has more than 300 kB, or where the page's console told of one.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from browser import Browser, served

WIDE, PHONE = (1280, 860), (390, 844)
LARGEST = 300_000  # bytes of a picture
EXACT, OTHERS = 160, 96  # colours of a picture: the commonest as they are, and a choice of the rest
SONGS = 9  # of the playlist


def shoot(page: Browser, path: Path) -> int:
    """Keep what is shown as a small PNG; its size in bytes."""
    picture = Image.open(io.BytesIO(page.driver.get_screenshot_as_png())).convert("RGB")
    pixels = np.asarray(picture).reshape(-1, 3)
    colours, which, counts = np.unique(pixels, axis=0, return_inverse=True, return_counts=True)
    exact = colours[np.argsort(-counts)[:EXACT]]
    others = np.array(picture.quantize(OTHERS).getpalette()[: 3 * OTHERS], np.uint8).reshape(-1, 3)
    palette = np.concatenate([exact, others])
    nearest = [np.square(palette.astype(int) - colour).sum(axis=1).argmin() for colour in colours]  # Pillow's own errs
    small = Image.fromarray(np.array(nearest, np.uint8)[which.ravel()].reshape(picture.height, picture.width))
    small.putpalette(palette.tobytes())
    small.save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path}: {picture.width} × {picture.height}, {size / 1000:.0f} kB")
    return size


def fill(page: Browser) -> None:
    """Wait until nothing is on its way: lists, waves, covers."""
    page.until(lambda: not page.all(".row-skeleton, .cards-wait, div.chips-wait"), "the lists to be filled")
    page.until(
        lambda: page.run("return [...document.images].every((one) => one.complete || one.loading === 'lazy')"), "covers"
    )
    time.sleep(1.0)  # until transitions and lazy covers are done


def song(page: Browser, number: int) -> None:
    page.open(f"/song/{number}")
    page.see(".wave-figures span")
    page.see("button.lane-name")
    page.see(".similar-rows .match-value")


def play_a_while(page: Browser) -> None:
    page.run("document.querySelector('.play-button').click()")  # without the pointer, which would colour it
    page.until(lambda: page.all("#player.playing"), "sound")
    seek = "const s = document.querySelector('.bar-seek'); s.value = s.max * 0.38; s.dispatchEvent(new Event('change'))"
    page.run(seek)
    page.until(lambda: float(page.see(".bar-seek").get_attribute("value") or 0) > 5, "the song to go on from there")


def take(page: Browser, out: Path, wanted: str) -> list[int]:
    """All pictures, in light and dark by turns; their sizes."""
    found = json.loads(page.fetch(f"/search?limit=1&q={wanted}"))["items"] if wanted else []
    first = found[0] if found else json.loads(page.fetch("/tracks?order=title&limit=1"))["items"][0]
    alike = json.loads(page.fetch("/similar", method="POST", body=json.dumps({"seeds": [first["id"]], "n": SONGS})))
    ids = [first["id"], *(one["track"]["id"] for one in alike["items"])][:SONGS]
    made = json.loads(
        page.fetch("/playlists", method="POST", body=json.dumps({"name": "Quiet evening", "tracks": ids}))
    )
    sizes = []

    page.scheme("light")
    song(page, first["id"])
    play_a_while(page)
    fill(page)
    sizes.append(shoot(page, out / "page-song.png"))
    page.run("document.querySelector('.bar-toggle').click()")

    page.open(f"/playlists/{made['id']}")
    page.see(".ordered .row")
    fill(page)
    sizes.append(shoot(page, out / "page-playlist.png"))

    page.open("/map")
    page.until(lambda: page.all("iframe.map-frame, .map-place .button.primary, .map-place progress"), "the map")
    if page.all(".map-place .button.primary"):
        page.click(".map-place .button.primary")  # a large library asks first
    page.see(".map-place.drawn iframe")
    page.until(lambda: not page.all(".map-note progress"), "the map of now")
    time.sleep(2.0)  # until its frame has drawn the points
    sizes.append(shoot(page, out / "page-map.png"))

    page.scheme("dark")
    page.open("/")
    page.see(".card-title")
    fill(page)
    sizes.append(shoot(page, out / "page-find.png"))
    page.open("/library")
    page.see(".numbers dd")
    fill(page)
    sizes.append(shoot(page, out / "page-library.png"))

    page.scheme("light")
    page.size(*PHONE)
    song(page, first["id"])
    fill(page)
    sizes.append(shoot(page, out / "page-phone.png"))
    return sizes


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the pictures of the page.")
    parser.add_argument("--library", type=Path, required=True, metavar="FILE", help="of music whose files are there")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), metavar="FOLDER")
    parser.add_argument("--song", default="", metavar="WORDS", help="the song that is shown, or the first by title")
    wish = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "library.db"
        shutil.copyfile(wish.library, copy)
        with served(copy) as address:
            page = Browser(address)
            try:
                page.size(*WIDE)
                page.driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
                page.open("/")
                sizes = take(page, wish.out, wish.song.replace(" ", "%20"))
                complaints = page.complaints()
            finally:
                page.close()
    if complaints or max(sizes) > LARGEST:
        sys.exit(f"the page complained: {complaints}" if complaints else f"a picture has more than {LARGEST} bytes")


if __name__ == "__main__":
    main()
