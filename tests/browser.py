"""A real service and a real browser, for tests of the page: headless Chromium, driven by Selenium."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
from selenium import webdriver
from selenium.common.exceptions import ElementClickInterceptedException, StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from sound import FORMATS, music
from soundkin.library import Library

Answer = TypeVar("Answer")

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
DRIVER = shutil.which("chromedriver") or ""
PATIENCE = 60.0
"""Seconds that something may take to happen, on a busy machine."""

HOSTILE = """<img src=x onerror="document.title='owned'">"""
"""A title that would run as a script if it were not shown as text."""

SONGS = (
    ("Amber Road", "Vera Lind", "Roads", 1988, "Folk", "flac"),
    ("Blue Harbour", "Vera Lind", "Roads", 1988, "Folk", "mp3"),
    ("Copper Field", "Ostrava Strings", "Fields", 1995, "Classical", "opus"),
    ("Distant Mill", "Ostrava Strings", "Fields", 1995, "Classical", "wav-16"),
    ("Early Tram", "Casa Lumen", "City", 2004, "House", "mp3"),
    ("Fallow Ground", "Casa Lumen", "City", 2004, "House", "flac"),
    ("Grey Signal", "Night Ferry", "Signals", 2011, "Drum and Bass", "vorbis"),
    ("Hollow Oath", "Iron Cairn", "Oaths", 2017, "Metal", "aac"),
    (HOSTILE, "Mallory <b>Bold</b>", "Scripts & Tags", 2020, "Noise", "flac"),
    ("Iris Waltz", "Aldine Quartet", "Waltzes", 1979, "Classical", "wma"),  # no browser plays this one
)


def needed() -> pytest.MarkDecorator:
    """Skips, with a reason, where there is no browser to drive."""
    missing = [name for name, found in (("chromium", CHROMIUM), ("chromedriver", DRIVER)) if not found]
    return pytest.mark.skipif(bool(missing), reason=f"no {' and no '.join(missing)} on this computer")


def make_library(folder: Path, *, songs: Sequence[tuple[str, str, str, int, str, str]] = SONGS) -> Path:
    """A library of `songs`, heard by the bundled model; the path of its file."""
    place = folder / "music"
    place.mkdir(parents=True)
    for i, (title, artist, album, year, genre, form) in enumerate(songs):
        tags = {
            "title": title,
            "artist": artist,
            "album": album,
            "date": str(year),
            "genre": genre,
            "track": str(i + 1),
        }
        writer = FORMATS[form]
        writer.write(place / f"{i:02d}{writer.suffix}", music(24, sr=writer.sr, seed=i), tags=tags)
    path = folder / "library.db"
    with Library.open(path) as library:
        library.scan(place, workers=0)
    return path


@contextlib.contextmanager
def served(library: Path, *options: str) -> Iterator[str]:
    """The address of `soundkin serve` in a process of its own."""
    command = [sys.executable, "-c", "from soundkin.cli.main import main; main()", "--library", str(library)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [*command, "serve", "--port", "0", "--no-browser", *options], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://\S+?/", line)
        assert found, f"soundkin serve said {line!r}"
        yield found[0].rstrip("/")
    finally:
        process.terminate()
        process.communicate(timeout=30)


class Browser:
    """A browser on the page; every wait has a limit, and says what it waited for."""

    def __init__(self, base: str) -> None:
        self.base = base
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for argument in (
            "--headless=new",
            "--no-sandbox",  # which refuses to run as root, as in a container
            "--disable-dev-shm-usage",
            "--autoplay-policy=no-user-gesture-required",
            "--enable-unsafe-swiftshader",  # WebGL without a graphics card
            "--mute-audio",
        ):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        self.size(1280, 900)

    def close(self) -> None:
        self.driver.quit()
        self.driver.service.stop()

    def open(self, path: str) -> None:
        self.driver.get(self.base + path)
        self.see("h1")

    def forget(self) -> None:
        """As a browser that was never here."""
        self.driver.get(f"{self.base}/static/icons/icon.svg")  # the page itself remembers what plays when it is left
        self.run("localStorage.clear(); sessionStorage.clear()")

    def size(self, width: int, height: int) -> None:
        self._devtools(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500},
        )

    def scheme(self, name: str) -> None:
        """`light` or `dark`, as the system would say; without motion, so that nothing is looked at half-way."""
        features = [
            {"name": "prefers-color-scheme", "value": name},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self._devtools("Emulation.setEmulatedMedia", {"features": features})

    def run(self, script: str, *values: Any) -> Any:
        return self.driver.execute_script(script, *values)

    def until(self, check: Callable[[], Answer], what: str) -> Answer:
        """What `check` gives once it is true; elements that vanish while it looks are looked for again."""
        end = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(StaleElementReferenceException):
                if answer := check():
                    return answer
            if time.monotonic() > end:
                pytest.fail(f"{what} did not come about; the page says: {self.text()[:800]!r}; {self.complaints()}")
            time.sleep(0.05)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def see(self, selector: str, text: str = "") -> WebElement:
        """The first element that is shown, matches, and holds `text`."""

        def shown() -> WebElement | None:
            return next((one for one in self.all(selector) if one.is_displayed() and text in one.text), None)

        found = self.until(shown, f"{selector} with {text!r}")
        assert found is not None
        return found

    def click(self, selector: str, text: str = "") -> None:
        """Click it as soon as it can be clicked: what is drawn anew, or still moves, is tried again."""

        def clicked() -> bool:
            one = self.see(selector, text)
            self.run("arguments[0].scrollIntoView({block: 'center'})", one)
            try:
                one.click()
            except ElementClickInterceptedException:
                return False
            return True

        self.until(clicked, f"a click on {selector}")

    def text(self) -> str:
        return str(self.run("return document.body.innerText"))

    def address(self) -> str:
        return self.driver.current_url.removeprefix(self.base)

    def keys(self, *keys: str) -> None:
        """Press keys wherever the focus is."""
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)

    def fetch(self, path: str, **options: Any) -> Any:
        """What the API answers the page."""
        headers = {"X-Soundkin": "1", "Content-Type": "application/json"}
        return self.driver.execute_async_script(
            "const [path, options, done] = arguments; fetch(path, options).then((r) => r.text()).then(done, done)",
            f"/api/v1{path}",
            {"headers": headers, **options},
        )

    def violations(self) -> list[str]:
        """What axe finds against WCAG 2.2 AA in what is shown."""
        self.run(axe_source())
        found = self.driver.execute_async_script(
            "const [rules, done] = arguments;"
            "const wish = {runOnly: rules, resultTypes: ['violations'], iframes: false};"
            "axe.run(document, wish).then(done, (error) => done({violations: [{id: String(error), nodes: []}]}))",
            ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
        )
        return [f"{one['id']}: {[_of_node(node) for node in one['nodes'][:3]]}" for one in found["violations"]]

    def complaints(self) -> list[str]:
        """Errors of the page's console since it was last asked."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def _devtools(self, command: str, parameters: dict[str, Any]) -> None:
        self.driver.execute_cdp_cmd(command, parameters)


def _of_node(node: dict[str, Any]) -> str:
    return f"{node['target'][0]}: {node.get('failureSummary', '')}"


def axe_source() -> str:
    """axe-core, from the newest package that carries it."""
    for package, inside in (
        ("axe_playwright_python", "axe.min.js"),
        ("axe_selenium_python", "node_modules/axe-core/axe.min.js"),
    ):
        found = importlib.util.find_spec(package)
        if found is not None and found.submodule_search_locations:
            return (Path(found.submodule_search_locations[0]) / inside).read_text(encoding="utf-8")
    pytest.skip("no package with axe-core is installed")
