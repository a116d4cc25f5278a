"""What a person at the page of `soundkin serve` waits for: the first look, each letter typed, the map.

    python benchmarks/page_speed.py [--tracks 100000] [--place FOLDER]

In headless Chromium (Debian's chromium and chromium-driver), on the library of serving.py, the same one with the same
--place, with a made-up map kept in it: laying a real one out takes minutes, and drawing it does not depend on where the
points lie. The browser and the service share the machine; where it has no graphics card, Chromium draws the map in
software. Paints are what the browser itself reports.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import machine  # first: it sets the number of threads

# isort: split
import numpy as np
from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.chrome.service import Service as Driver

from serving import Service, prepare

PAINT, TYPED, FRAMES = 1.0, 100.0, 30.0  # s, ms, frames/s: the targets
VISITS, TEXTS = 7, 12
WORDS_TYPED = ("kalo", "tenra", "pista", "dormi", "selva", "nugre")

PAINTS = """
const done = arguments[0];
const first = performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? -1;
new PerformanceObserver((list) => done([first, list.getEntries().at(-1).startTime]))
    .observe({ type: "largest-contentful-paint", buffered: true });
"""
SHIFT = """
const done = arguments[0];
let sum = 0;
new PerformanceObserver((list) => { for (const e of list.getEntries()) if (!e.hadRecentInput) sum += e.value; })
    .observe({ type: "layout-shift", buffered: true });
setTimeout(() => done(sum), 300);
"""
TYPE = """
const [text, done] = arguments;
const input = document.querySelector("#search");
const began = performance.now();
const seen = new MutationObserver(() => {
    if (!document.querySelector(".found .track-row, .found li, .found .empty")) return;
    seen.disconnect();
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
});
seen.observe(document.querySelector(".found"), { childList: true, subtree: true });
input.value = text;
input.dispatchEvent(new Event("input", { bubbles: true }));
"""
COUNT_FRAMES = """
window.frameTimes = [];
cancelAnimationFrame(window.framesCounted);
(function next(now) {
    window.frameTimes.push(now);
    window.framesCounted = requestAnimationFrame(next);
})(performance.now());
"""


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--enable-unsafe-swiftshader"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Driver(shutil.which("chromedriver")))
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    try:
        yield driver
    finally:
        driver.quit()


def keep_a_map(library: Path, *, seed: int = 0) -> None:
    """A map of 60 heaps in the library, unless there is one."""
    from soundkin.catalogue import SongMap
    from soundkin.library import Library
    from soundkin.songmap import digest_of

    with Library.open(library) as opened:
        index = opened.index()
        outline = opened.map_outline()
        if outline is not None and outline.generation == index.generation:
            return
        rng = np.random.default_rng(seed)
        heaps = rng.normal(0, 30, (60, 2))[rng.integers(0, 60, len(index))]
        positions = (heaps + rng.normal(0, 4, heaps.shape)).astype(np.float32)
        made = SongMap(index.model_id, index.generation, digest_of(index), index.track_ids, positions)
        opened.catalogue.song_maps.put(made)


def until(driver: Any, selector: str, *, seconds: float = 60) -> float:
    """Seconds until something that matches is there."""
    began = time.perf_counter()
    while not driver.find_elements("css selector", selector):
        if time.perf_counter() - began > seconds:
            raise TimeoutError(f"{selector} did not appear within {seconds} s")
        time.sleep(0.02)
    return time.perf_counter() - began


def views(driver: Any, address: str, *, song: int) -> list[tuple[str, str, str]]:
    rows = []
    for what, path in (("Find", "/"), ("a song", f"/song/{song}"), ("Library", "/library")):
        paints = []
        for _ in range(VISITS):
            driver.get("about:blank")
            driver.get(f"http://{address}{path}")
            until(driver, "h1")
            time.sleep(1.5)
            paints.append(driver.execute_async_script(PAINTS))
        first, largest = np.median(paints, axis=0) / 1000
        shift = driver.execute_async_script(SHIFT)
        target = f"≤ {PAINT:g} s"
        rows.append((f"{what}: first, largest contentful paint", f"**{first:.2f}**, **{largest:.2f} s**", target))
        rows.append((f"{what}: layout shift", f"{shift:.3f}", "≤ 0.1 is good"))
    return rows


def typed(driver: Any, address: str) -> list[tuple[str, str, str]]:
    driver.get(f"http://{address}/")
    until(driver, "#search")
    time.sleep(1)
    taken = [driver.execute_async_script(TYPE, word[:end]) for word in WORDS_TYPED for end in range(1, len(word) + 1)]
    return [
        (
            f"from a letter to the songs found, {len(taken)} letters, median and longest",
            f"**{np.median(taken):.0f}**, {max(taken):.0f} ms",
            f"≤ {TYPED:.0f} ms for the answer",
        )
    ]


class MapFrame:
    """Counts the frames that the map's own document shows."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self.element = driver.find_element("css selector", "iframe")

    def run(self, script: str) -> Any:
        self._driver.switch_to.frame(self.element)
        try:
            return self._driver.execute_script(script)
        finally:
            self._driver.switch_to.default_content()

    def frames(self, work: Any) -> str:
        self.run(COUNT_FRAMES)
        began = time.perf_counter()
        work()
        seconds = time.perf_counter() - began
        gaps = np.diff(self.run("return window.frameTimes"))
        return f"**{len(gaps) / seconds:.0f}** a second, longest gap {gaps.max():.0f} ms"


def map_view(driver: Any, address: str) -> list[tuple[str, str, str]]:
    began = time.perf_counter()
    driver.get(f"http://{address}/map")
    until(driver, ".map-place.drawn", seconds=120)
    rows = [("map: until it is drawn", f"{time.perf_counter() - began:.1f} s", "")]
    time.sleep(3)
    frame = MapFrame(driver)

    def pan() -> None:
        ActionChains(driver, duration=16).move_to_element(frame.element).click_and_hold().perform()
        moves = ActionChains(driver, duration=16)
        for step in range(120):
            moves.move_by_offset(4 if step < 60 else -4, 1 if step % 2 else -1)
        moves.perform()

    def zoom() -> None:
        for step in range(40):
            wheel = {"type": "mouseWheel", "x": 640, "y": 450, "deltaX": 0, "deltaY": -30 if step < 20 else 30}
            driver.execute_cdp_cmd("Input.dispatchMouseEvent", wheel)
            time.sleep(0.03)

    def hover() -> None:
        moves = ActionChains(driver, duration=16)
        for step in range(120):
            moves.move_by_offset(3 if step < 60 else -3, 1 if step % 2 else -1)
        moves.perform()

    target = f"≥ {FRAMES:.0f} a second"
    rows.append(("map: frames while it lies still", frame.frames(lambda: time.sleep(2)), "what the browser can"))
    rows.append(("map: frames while dragged", frame.frames(pan), target))
    ActionChains(driver).release().perform()
    time.sleep(2)
    rows.append(("map: frames while zoomed", frame.frames(zoom), target))
    time.sleep(2)
    rows.append(("map: frames while hovered", frame.frames(hover), target))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--place", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        place = options.place or Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        library, ids = prepare(place, tracks=options.tracks)
        keep_a_map(library)
        service = Service(library)
        try:
            with chromium() as driver:
                driver.get(f"http://{service.address}/")
                until(driver, "h1")
                time.sleep(10)  # the service has read what it warms up with
                rows = views(driver, service.address, song=ids[0]) + typed(driver, service.address)
                rows += map_view(driver, service.address)
        finally:
            service.end()
        print(machine.describe())
        machine.show(f"The page on {options.tracks:,} tracks", rows)


if __name__ == "__main__":
    main()
