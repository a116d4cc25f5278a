"""The page in a real browser: what a person does, from the first look to the exported playlist."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys

from browser import HOSTILE, SONGS, Browser, make_library, needed, served
from sound import FORMATS, music
from soundkin.library import Library

pytestmark = [needed(), pytest.mark.xdist_group("browser"), pytest.mark.timeout(300)]

VIEWS = ["/", "/?q=a", "/?tag=rock", "/song/1", "/playlists", "/path/1/6", "/radio/2?s=1", "/library", "/nowhere"]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(make_library(tmp_path_factory.mktemp("page"))) as address:
        yield address


@pytest.fixture(scope="module")
def one_browser(service: str) -> Iterator[Browser]:
    browser = Browser(service)
    yield browser
    browser.close()


@pytest.fixture
def page(one_browser: Browser) -> Iterator[Browser]:
    one_browser.size(1280, 900)
    one_browser.scheme("light")
    one_browser.forget()
    one_browser.complaints()
    yield one_browser
    assert one_browser.complaints() == []


def id_of(page: Browser, title: str) -> int:
    found = json.loads(page.fetch(f"/search?q={title.replace(' ', '%20')}"))
    return int(found["items"][0]["id"])


def playing(page: Browser) -> float:
    """Seconds into the song that the player shows, once it plays."""
    page.until(lambda: page.all("#player.playing"), "sound")
    return float(page.see(".bar-seek").get_attribute("value") or 0)


def advances(page: Browser) -> None:
    start = playing(page)
    page.until(lambda: playing(page) > start, "time to pass in the player")


def search(page: Browser, text: str) -> None:
    page.see("#search").send_keys(text)
    page.until(lambda: f"q={text.split()[0]}" in page.address(), "the search in the address")


# --- what a person does ----------------------------------------------------------------------------------------------


def test_search_play_similar_playlist_reload_export(page: Browser, tmp_path: Path) -> None:
    page.open("/")
    page.see(".card-title")  # a stranger has songs to click before doing anything
    search(page, "amber")
    page.click(".row-title", "Amber Road")
    page.see("h1", "Amber Road")
    page.see(".similar-rows .row .match-value", "%")

    page.see(".wave-figures", "LUFS")
    page.click(".play-button")
    advances(page)
    assert "Amber Road" in page.see("#player .bar-title").text

    second = page.see(".similar-rows .row-title").text
    page.click(".song-actions .button", "Add to playlist")
    page.see("dialog .field").send_keys("Evening" + Keys.ENTER)
    page.see(".toast", "Evening")
    page.see(".similar-rows .row .icon-button[aria-haspopup=menu]").click()
    page.click("[role=menuitem]", "Add to playlist")
    page.click("dialog .choice", "Evening")
    page.see(".toast", "1 song added")
    page.click(".toast-action")
    page.see("h1", "Evening")
    assert [row.text for row in page.all(".ordered .row-title")] == ["Amber Road", second]
    assert in_both_schemes(page) == []

    page.driver.refresh()
    page.see("h1", "Evening")
    assert "Amber Road" in page.see("#player .bar-title", "Amber").text, "the player goes on after a reload"
    assert not page.all("#player.playing"), "but waits"
    page.click(".bar-toggle")
    advances(page)

    link = page.see(".exports a", "XSPF").get_attribute("href")
    assert link
    with urllib.request.urlopen(link) as answer:
        assert "Amber Road" in answer.read().decode() and answer.headers["content-type"].startswith("application/xspf")


def test_less_like_this_ranks_anew_and_stays_in_the_address(page: Browser) -> None:
    page.open(f"/song/{id_of(page, 'Early Tram')}")
    first = page.see(".similar-rows .row-title").text
    page.click(".similar-rows .tool-unlike")
    page.until(lambda: first not in [row.text for row in page.all(".similar-rows .row-title")], "another order")
    assert page.see(".wishes .chip-unlike", first) and "unlike=" in page.address()
    page.driver.refresh()
    page.see(".wishes .chip-unlike", first).click()
    page.see(".similar-rows .row-title", first)
    page.see(".filters .chip-toggle", "One per artist").click()
    page.until(lambda: "spaced=1" in page.address(), "the filter in the address")
    page.click(".filters .chip-add", "Year")
    page.see("dialog .chip", "1990s").click()
    page.until(lambda: len(page.all(".similar-rows .row")) == 1, "one song of the nineties, for there is one artist")
    page.click(".filters .chip-add", "Length")
    page.see("dialog .chip", "over 6 min").click()
    page.see(".similar .empty", "Nothing passes these filters.")
    page.click(".similar .empty .button", "Remove the filters")
    page.see(".similar-rows .row")
    assert all("409" in one for one in page.complaints()), "to the browser every refusal is an error"


def test_what_the_browser_cannot_play_is_transcoded(page: Browser) -> None:
    page.open(f"/song/{id_of(page, 'Iris Waltz')}")
    page.click(".play-button")
    advances(page)
    page.run("const s = document.querySelector('.bar-seek'); s.value = 15; s.dispatchEvent(new Event('change'))")
    page.until(lambda: playing(page) >= 16, "the song to go on from where it was sent")


def test_the_next_song_follows(page: Browser) -> None:
    page.open(f"/song/{id_of(page, 'Copper Field')}")
    page.see(".similar-rows .row-title")
    titles = [row.text for row in page.all(".similar-rows .row-title")]
    page.run(
        "window.begun = []; const play = HTMLMediaElement.prototype.play;"
        "HTMLMediaElement.prototype.play = function () { begun.push(this.readyState); return play.call(this) }"
    )
    page.click(".similar .section-head .button", "Play all")
    page.see("#player .bar-title", titles[0])
    playing(page)
    page.run("const s = document.querySelector('.bar-seek'); s.value = 20; s.dispatchEvent(new Event('change'))")
    page.see("#player .bar-title", titles[1])
    assert page.run("return begun.at(-1)") == 4, "the next song was there before the first ended, so there is no gap"
    advances(page)


def test_enter_opens_what_was_typed_not_what_was_shown_before(page: Browser) -> None:
    page.open("/?q=amber")
    page.see(".row-title", "Amber Road")
    field = page.see("#search")
    page.run("arguments[0].value = 'grey'; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))", field)
    field.send_keys(Keys.ENTER)
    page.see("h1", "Grey Signal")
    page.click(".song-actions .button", "Path to")
    page.see("dialog .choice")
    page.see("dialog input").send_keys("copper" + Keys.ENTER)
    page.see("h1", "From Grey Signal to Copper Field")


def test_a_queue_that_nothing_began_can_be_played(page: Browser) -> None:
    page.open("/?q=copper")
    page.click(".row .icon-button[aria-haspopup=menu]")
    page.click("[role=menuitem]", "Add to queue")
    page.see("#player .bar-title", "Copper Field")
    assert not page.all("#player.playing")
    page.click(".bar-toggle")
    advances(page)


def test_passages_that_are_alike_play_one_after_the_other(one_browser: Browser, tmp_path: Path) -> None:
    page, here = one_browser, one_browser.base
    library = make_library(tmp_path, songs=SONGS[:6])
    first, other = music(24, seed=90), music(24, seed=91)
    last = 2 * len(first) // 3  # a song of 24 s is heard in three passages
    for title, y in (("One", first), ("Two", np.concatenate([first[last:], other[:last]]))):
        FORMATS["flac"].write(tmp_path / "music" / f"{title}.flac", y, tags={"title": title})
    with Library.open(library) as opened:
        opened.scan(tmp_path / "music", workers=0)
    with served(library) as page.base:
        try:
            page.open("/")
            song, like = two_with_passages_alike(page)
            page.open(f"/song/{song['id']}")
            page.see(".similar-rows .row", "≈")
            page.click(".similar-rows .passages")
            page.see("#player .bar-title", song["title"])
            assert playing(page) > 0, "not from its beginning"
            page.see("#player .bar-title", like["title"])
            advances(page)
        finally:
            page.base = here
    page.complaints()  # the service has gone


def two_with_passages_alike(page: Browser) -> tuple[dict[str, Any], dict[str, Any]]:
    """A song, and the first in the list of those like it whose passages are named."""
    for song in json.loads(page.fetch("/tracks"))["items"]:
        question = json.dumps({"seeds": [song["id"]], "n": 10})
        for one in json.loads(page.fetch("/similar", method="POST", body=question))["items"]:
            if one["passages"] and one["passages"][0] > 0:
                return song, one["track"]
    pytest.fail("no two songs have passages alike")


def test_a_file_is_asked_about_and_is_not_added(page: Browser, tmp_path: Path) -> None:
    before = json.loads(page.fetch("/status"))["tracks"]
    file = FORMATS["mp3"].write(tmp_path / "Señor Ørn.mp3", music(20, seed=77))
    page.open("/")
    drop(page, file)
    page.see("h1", "Señor Ørn")
    page.see(".similar-rows .match-value", "%")
    assert page.address().startswith("/ask/")
    assert in_both_schemes(page) == []
    page.click(".play-button")  # from the user's own copy: the service has forgotten it
    advances(page)
    page.driver.refresh()
    page.see(".similar-rows .match-value", "%")
    assert json.loads(page.fetch("/status"))["tracks"] == before


def test_a_file_without_sound_says_why(page: Browser, tmp_path: Path) -> None:
    file = tmp_path / "notes.mp3"
    file.write_bytes(b"these are words\n" * 200)
    page.open("/")
    drop(page, file)
    assert page.see(".ask-problem").text
    page.keys(Keys.ESCAPE)
    page.until(lambda: not page.all("dialog"), "the dialog to close")
    page.complaints()  # the browser notes each answer that is an error


def drop(page: Browser, file: Path) -> None:
    """Drop a file from disk on the page, as a person does."""
    page.run(
        "const input = document.createElement('input'); input.type = 'file'; input.id = 'dropped';"
        "input.addEventListener('change', () => { const data = new DataTransfer(); data.items.add(input.files[0]);"
        "  input.remove(); for (const name of ['dragenter', 'dragover', 'drop'])"
        "  document.body.dispatchEvent(new DragEvent(name, {dataTransfer: data, bubbles: true, cancelable: true})) });"
        "document.body.append(input)"
    )
    page.all("#dropped")[0].send_keys(str(file))


def test_hostile_tags_are_text(page: Browser) -> None:
    page.open("/?q=onerror")
    page.click(".row-title", HOSTILE)
    page.see("h1", HOSTILE)
    page.click(".play-button")
    page.see("#player .bar-title", HOSTILE)
    page.click(".song-actions .icon-button")
    page.see("[role=menu]")
    page.keys(Keys.ESCAPE)
    assert page.driver.title != "owned" and not page.all("img[src=x]") and not page.all("#main b")


# --- playlists -------------------------------------------------------------------------------------------------------


def test_a_playlist_is_ordered_by_keyboard_renamed_deleted_and_brought_back(page: Browser) -> None:
    ids = [id_of(page, title) for title in ("Amber Road", "Copper Field", "Early Tram")]
    made = json.loads(page.fetch("/playlists", method="POST", body=json.dumps({"name": "Order", "tracks": ids})))

    def order() -> list[str]:
        return [row.text for row in page.all(".ordered .row-title")]

    page.open(f"/playlists/{made['id']}")
    page.all("[data-act=down]")[0].send_keys(Keys.ENTER)
    page.until(lambda: order() == ["Copper Field", "Amber Road", "Early Tram"], "the new order")
    page.keys(Keys.ENTER)  # the focus went along
    page.until(lambda: order() == ["Copper Field", "Early Tram", "Amber Road"], "the next order")
    page.all("[data-act=remove]")[0].click()
    page.until(lambda: order() == ["Early Tram", "Amber Road"], "one song fewer")
    page.click(".toast-action", "Undo")
    page.until(lambda: len(order()) == 3, "the song to be back")

    def stored() -> list[int]:
        return [track["id"] for track in json.loads(page.fetch(f"/playlists/{made['id']}"))["tracks"]]

    page.until(lambda: stored() == [ids[1], ids[2], ids[0]], "the order to be stored")
    page.click(".song-actions .button", "Rename")
    field = page.see("dialog .field")
    field.clear()
    field.send_keys("Kept" + Keys.ENTER)
    page.see("h1", "Kept")
    page.click(".song-actions .button", "Delete")
    page.see("h1", "Playlists")
    page.click(".toast-action", "Undo")
    page.see("h1", "Kept")
    assert len(order()) == 3


def test_a_row_is_dragged_to_its_place(page: Browser) -> None:
    ids = [id_of(page, title) for title in ("Amber Road", "Copper Field", "Early Tram")]
    made = json.loads(page.fetch("/playlists", method="POST", body=json.dumps({"name": "Drag", "tracks": ids})))
    page.open(f"/playlists/{made['id']}")
    grip = page.see(".grip")
    height = page.see(".ordered .row").size["height"]
    ActionChains(page.driver).click_and_hold(grip).move_by_offset(0, height).move_by_offset(
        0, height
    ).release().perform()
    page.until(
        lambda: [row.text for row in page.all(".ordered .row-title")] == ["Copper Field", "Early Tram", "Amber Road"],
        "the order after dragging",
    )


def test_a_path_and_a_radio_become_playlists(page: Browser) -> None:
    page.open("/playlists")
    page.click(".way", "Path between two songs")
    page.see("dialog input").send_keys("amber")
    page.see("dialog .choice", "Amber Road")
    page.keys(Keys.ENTER)
    page.until(lambda: "does it lead" in page.see("dialog h2").text, "the second question")
    page.see("dialog input").send_keys("grey")
    page.click("dialog .choice", "Grey Signal")
    page.see("h1", "From Amber Road to Grey Signal")
    page.until(lambda: len(page.all(".ordered .row-title")) > 2, "the path")
    assert page.all(".ordered .row-title")[0].text == "Amber Road"
    page.click(".song-actions .button", "Save as playlist")
    page.see("dialog .field").send_keys(Keys.ENTER)
    page.click(".toast-action", "Open")
    page.see("h1", "From Amber Road to Grey Signal")
    page.see(".exports a", "M3U8")


# --- map, library, password ------------------------------------------------------------------------------------------


def test_the_map_plays_what_is_clicked_and_keeps_what_is_ringed(page: Browser) -> None:
    page.open("/map")
    page.see(".map-place.drawn iframe")  # it is made without being asked for
    assert sum(int(one.text.split()[-1]) for one in page.all(".legend-item")) == 10
    assert page.see("iframe").get_attribute("sandbox") == "allow-scripts"
    assert in_both_schemes(page) == []

    def at(point: int) -> tuple[int, int]:
        """Where a point lies, in pixels from the middle of the frame."""
        page.driver.switch_to.frame(page.all("iframe")[0])
        x, y = page.run(
            "const p = document.getElementById('plot'), l = p._fullLayout, box = p.getBoundingClientRect();"
            "const t = p._fullData.find((one) => one.x.length), i = arguments[0];"
            "return [box.x + l.xaxis.l2p(t.x[i]) - innerWidth / 2, box.y + l.yaxis.l2p(t.y[i]) - innerHeight / 2]",
            point,
        )
        page.driver.switch_to.default_content()
        return round(x), round(y)

    frame = page.see("iframe")
    page.until(lambda: at(0), "the points")
    ActionChains(page.driver).move_to_element_with_offset(frame, *at(0)).pause(0.3).perform()
    title = page.see(".map-tip strong").text
    ActionChains(page.driver).click().perform()
    advances(page)
    assert page.see("#player .bar-title").text == title

    page.click(".map-over .chip", "Select")
    width, height = frame.size["width"] // 2 - 10, frame.size["height"] // 2 - 10
    ring = ActionChains(page.driver).move_to_element_with_offset(frame, -width, height).click_and_hold()
    for x, y in ((0, -2 * height), (2 * width, 0), (0, 2 * height), (-2 * width, 0)):
        for _ in range(8):
            ring = ring.move_by_offset(x // 8, y // 8)
    ring.release().perform()
    page.see(".map-chosen", "10 songs selected")
    page.click(".map-chosen .button", "Save as playlist")
    page.see("dialog")
    if page.all("dialog .choice"):
        page.click("dialog .choice", "New playlist")
    page.see("dialog .field").send_keys(Keys.ENTER)
    page.see(".toast", "From the map")


def test_an_empty_library_is_filled_from_the_page(
    one_browser: Browser, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    page, here = one_browser, one_browser.base
    music_folder = tmp_path / "my music"
    music_folder.mkdir()
    for i in range(2):
        FORMATS["flac"].write(music_folder / f"{i}.flac", music(12, seed=50 + i), tags={"title": f"Found {i}"})
    (music_folder / "broken.flac").write_bytes(b"fLaC" + bytes(4000))
    with served(tmp_path / "new.db") as page.base:
        try:
            page.open("/")
            page.click(".empty .button", "Add music")
            page.see("h1", "Library")
            page.see("[name=folder]").send_keys(str(music_folder) + Keys.ENTER)
            page.see(".panel h2", "The scan is done")
            page.see(".scan-line", "2 new · 1 failed")
            page.see(".folders", "my music")
            page.see(".failures li", "broken.flac")
            page.until(
                lambda: "2\nsongs" in page.see(".numbers").text or "songs\n2" in page.see(".numbers").text, "two songs"
            )
            assert page.violations() == []
            page.click(".nav-link", "Map")
            page.see(".map-place.drawn iframe")
            FORMATS["flac"].write(music_folder / "2.flac", music(12, seed=52), tags={"title": "Found 2"})
            page.fetch("/library/scan", method="POST", body="{}")
            page.until(
                lambda: sum(int(one.text.split()[-1]) for one in page.all(".legend-item")) == 3, "the map to follow"
            )
            page.click(".nav-link", "Find")
            page.see(".card-title", "Found")
        finally:
            page.base = here
    page.complaints()  # the service has gone


def test_a_new_model_hears_the_library_again(one_browser: Browser, tmp_path: Path) -> None:
    page, here = one_browser, one_browser.base
    (tmp_path / "music").mkdir()
    for i in range(2):
        FORMATS["flac"].write(tmp_path / "music" / f"{i}.flac", music(12, seed=i), tags={"title": f"Song {i}"})
    with Library.open(tmp_path / "old.db", model="timbre") as library:
        library.scan(tmp_path / "music", workers=0)
    with served(tmp_path / "old.db") as page.base:
        try:
            page.open("/library")
            page.see(".models li", "has heard 2 of 2")
            assert "better model" in page.see(".panel .hint", "better").text
            page.click(".section-head .button", "Scan for changes")
            page.see(".scan-line", "2 heard again")
            page.until(lambda: "better model" not in page.text(), "the new model to answer")
            assert "answers now" in page.see(".models li", "soundkin").text
        finally:
            page.base = here
    page.complaints()  # the service has gone


def test_a_song_whose_file_has_gone_says_so(one_browser: Browser, tmp_path: Path) -> None:
    page, here = one_browser, one_browser.base
    with served(make_library(tmp_path, songs=SONGS[:2])) as page.base:
        try:
            next((tmp_path / "music").glob("00*")).unlink()
            page.open("/song/1")
            page.see(".wave-figures", "no longer there")
        finally:
            page.base = here
    page.complaints()  # the file has gone, and the service


def test_a_password_is_asked_for_once(one_browser: Browser, service: str, tmp_path: Path) -> None:
    page, here = one_browser, one_browser.base
    words = tmp_path / "password"
    words.write_text("open sesame\n")
    words.chmod(0o600)
    library = make_library(tmp_path, songs=[("Amber Road", "Vera Lind", "Roads", 1988, "Folk", "flac")])
    with served(library, "--password-file", str(words)) as page.base:
        try:
            page.driver.get(f"{page.base}/playlists")
            page.see("[name=password]").send_keys("wrong" + Keys.ENTER)
            page.until(lambda: page.see("[role=alert]").text, "the refusal")
            assert in_both_schemes(page) == []
            field = page.see("[name=password]")
            field.clear()
            field.send_keys("open sesame" + Keys.ENTER)
            page.see("h1", "Playlists")
            page.open("/")
            page.see(".card-title", "Amber Road")
        finally:
            page.base = here
    page.complaints()  # refusals are errors to the browser, and the service has gone


# --- keyboard, small screens, everyone -------------------------------------------------------------------------------


def test_everything_by_keyboard(page: Browser) -> None:
    page.open("/library")
    page.see(".folders li")
    page.run("document.activeElement.blur()")
    page.keys("/")
    page.until(lambda: page.run("return document.activeElement.id") == "search", "the search to have the focus")
    page.keys("copper")
    page.see(".row-title", "Copper Field")
    page.until(lambda: len(page.all(".row-title")) == 1, "the answer")
    page.keys(Keys.ARROW_DOWN, Keys.ENTER)
    page.see("h1", "Copper Field")
    page.until(lambda: page.run("return document.activeElement.tagName") == "H1", "the focus on the heading")
    page.see(".similar-rows .row-title")
    for _ in range(12):
        page.keys(Keys.TAB)
        if "play-button" in page.run("return document.activeElement.className"):
            break
    page.keys(Keys.ENTER)
    playing(page)
    page.run("document.activeElement.blur()")
    page.keys(" ")
    page.until(lambda: not page.all("#player.playing"), "a pause")
    page.keys(" ", Keys.ARROW_RIGHT)
    page.until(lambda: playing(page) >= 5, "five seconds forward")
    page.keys("m")
    page.see("[aria-label=Unmute]")
    page.keys("?")
    page.see("dialog kbd")
    page.keys(Keys.ESCAPE)


@pytest.mark.parametrize("path", VIEWS)
def test_a_phone_needs_no_sideways_scrolling(page: Browser, path: str) -> None:
    page.size(360, 740)
    page.open(path)
    settled(page)
    assert page.run("return document.documentElement.scrollWidth") <= 360
    assert page.see(".bar-toggle").size["width"] >= 40 and page.see("nav").is_displayed()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", [*VIEWS, "/docs"])
def test_axe_finds_nothing(page: Browser, path: str, scheme: str) -> None:
    page.scheme(scheme)
    page.open(path)
    settled(page)
    assert page.violations() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_what_opens(page: Browser, scheme: str) -> None:
    page.scheme(scheme)
    page.open(f"/song/{id_of(page, 'Amber Road')}")
    page.click(".similar .section-head .button", "Play all")
    playing(page)
    found = []
    for opener in (
        ".song-actions [aria-haspopup=menu]",
        "[aria-label=Queue]",
        ".side-tools [aria-label=Keyboard]",
        ".chip-add",
    ):
        page.click(opener)
        page.see("dialog, [role=menu]")
        page.until(lambda: not page.all("dialog .row-skeleton"), "the dialog to be filled")
        found += page.violations()
        page.keys(Keys.ESCAPE)
        page.until(lambda: not page.all("dialog, [role=menu]"), "it to close")
    assert found == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_pointed_at_can_be_read(page: Browser, scheme: str) -> None:
    page.scheme(scheme)
    page.open(f"/song/{id_of(page, 'Amber Road')}")
    settled(page)
    found = []
    for selector in (".play-button", ".song-actions .button:not(.primary)", ".chip-add", ".row", ".nav-link"):
        ActionChains(page.driver).move_to_element(page.see(selector)).perform()
        page.until(lambda one=selector: page.all(f"{one}:hover"), "the pointer there")
        found += [f"{selector}: {one}" for one in page.violations()]
    assert found == []


def in_both_schemes(page: Browser) -> list[str]:
    """What axe finds in what is shown, in light and in dark."""
    found = page.violations()
    page.scheme("dark")
    found += page.violations()
    page.scheme("light")
    return found


def settled(page: Browser) -> None:
    page.until(lambda: not page.all(".row-skeleton"), "the lists to be filled")


def test_the_theme_is_chosen_and_remembered(page: Browser) -> None:
    def background() -> Any:
        return page.run("return getComputedStyle(document.body).backgroundColor")

    page.open("/")
    light = background()
    page.click("[aria-label='Dark colours']")
    dark = background()
    assert dark != light
    page.driver.refresh()
    page.see("h1")
    assert background() == dark


@pytest.mark.parametrize("path", ["/", "/song/1", "/path/1/6", "/library"])
def test_nothing_jumps_while_it_loads(page: Browser, path: str) -> None:
    page.driver.get(page.base + path)
    settled(page)
    if path == "/song/1":
        page.see(".wave-figures", "LUFS")
        page.see("button.lane-name")
    shift = page.driver.execute_async_script(
        "const done = arguments[0]; let sum = 0;"
        "const add = (list) => { for (const one of list.getEntries()) sum += one.hadRecentInput ? 0 : one.value };"
        "new PerformanceObserver(add).observe({type: 'layout-shift', buffered: true}); setTimeout(() => done(sum), 500)"
    )
    assert shift <= 0.05, "half of what browsers call good"
