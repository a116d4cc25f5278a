"""The API's media: sound, covers, waves, tags over time; of the library's files, and of nothing else."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import pictures
from served import served
from sound import FORMATS, noise
from soundkin.library import Library
from soundkin.web import streaming
from soundkin.web.streaming import Unsatisfiable, byte_range
from tagger_file import write_tagger
from web_client import TestClient, client_of, error_of

XSS = "<img src=x onerror=alert(1)>"


@dataclass(frozen=True)
class Place:
    """A library of some files, and a client of its service."""

    music: Path
    library: Library
    client: TestClient

    def url(self, name: str, what: str) -> str:
        track = self.library.catalogue.track_by_path(self.music / name)
        assert track is not None
        return f"/api/v1/tracks/{track.id}/{what}"


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory, encoded: Callable[[str], Path]) -> Path:
    """A folder with a library and its music."""
    folder = tmp_path_factory.mktemp("library")
    music = folder / "music"
    music.mkdir()
    for name, form in (("plain.mp3", "mp3"), ("other.flac", "flac"), ("third.wma", "wma"), ("gone.opus", "opus")):
        shutil.copy(encoded(form), music / name)
    odd = FORMATS["flac"].write(music / "odd.flac", noise(5), tags={"title": XSS, "artist": "not UTF-8: ??"})
    odd.write_bytes(odd.read_bytes().replace(b"not UTF-8: ??", b"not UTF-8: \xed\xa0", 1))
    pictures.embed(music / "plain.mp3", pictures.png(300, 300))
    with Library.open(folder / "library.db", model=write_tagger(folder / "tiny.onnx")) as library:
        assert library.scan(music, workers=0).analysed == 5
    return folder


@pytest.fixture(scope="module")
def place(scanned: Path) -> Iterator[Place]:
    with (
        Library.open(scanned / "library.db", model=scanned / "tiny.onnx") as library,
        client_of(library) as client,
    ):
        yield Place(scanned / "music", library, client)


# --- sound -----------------------------------------------------------------------------------------------------------


def test_a_file_is_sent_whole_with_its_type(place: Place) -> None:
    data = (place.music / "plain.mp3").read_bytes()
    answer = place.client.get(place.url("plain.mp3", "audio"))
    assert (answer.status_code, answer.content) == (200, data)
    assert answer.headers["content-type"] == "audio/mpeg"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-length"] == str(len(data))
    head = place.client.head(place.url("plain.mp3", "audio"))
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-type", "content-length", "etag", "last-modified", "accept-ranges"):
        assert head.headers[name] == answer.headers[name]
    assert place.client.get(place.url("other.flac", "audio")).headers["content-type"] == "audio/flac"
    assert place.client.get(place.url("gone.opus", "audio")).headers["content-type"] == "audio/ogg"


@pytest.mark.parametrize("asked", ["bytes=0-0", "bytes=100-199", "bytes=100-", "bytes=-50", "bytes=5-99999999999999"])
def test_a_range_is_sent_as_asked(place: Place, asked: str) -> None:
    data = (place.music / "plain.mp3").read_bytes()
    answer = place.client.get(place.url("plain.mp3", "audio"), headers={"Range": asked})
    assert answer.status_code == 206
    begin, end, size = map(int, re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", answer.headers["content-range"]).groups())
    assert size == len(data)
    assert answer.content == data[begin : end + 1]
    assert answer.headers["content-length"] == str(len(answer.content))
    assert place.client.head(place.url("plain.mp3", "audio"), headers={"Range": asked}).status_code == 206


def test_a_range_behind_the_end_is_refused_in_the_usual_shape(place: Place) -> None:
    size = (place.music / "plain.mp3").stat().st_size
    for asked in (f"bytes={size}-", "bytes=-0"):
        answer = place.client.get(place.url("plain.mp3", "audio"), headers={"Range": asked})
        assert (answer.status_code, answer.json()["error"]["code"]) == (416, "no-such-range")
        assert answer.headers["content-range"] == f"bytes */{size}"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("", None),
        ("bytes=-", None),
        ("bytes=5-2", None),
        ("bytes=0-1,5-6", None),
        ("items=0-5", None),
        ("bytes=\u0661-\u0662", None),
        ("bytes=" + "9" * 5000 + "-", None),
        ("bytes=-5000", (0, 1000)),
        ("BYTES = 2 - 3", (2, 4)),
        ("bytes=999-", (999, 1000)),
    ],
)
def test_what_is_no_range_counts_as_none(header: str | None, expected: tuple[int, int] | None) -> None:
    assert byte_range(header, 1000) == expected
    with pytest.raises(Unsatisfiable):
        byte_range("bytes=0-", 0)


def test_a_part_of_another_version_is_never_sent(place: Place) -> None:
    url = place.url("plain.mp3", "audio")
    told = place.client.head(url).headers
    for validator in (told["etag"], told["last-modified"]):
        assert place.client.get(url, headers={"Range": "bytes=0-9", "If-Range": validator}).status_code == 206
    for validator in ('"other"', f"W/{told['etag']}", "Sat, 01 Jan 2000 00:00:00 GMT"):
        assert place.client.get(url, headers={"Range": "bytes=0-9", "If-Range": validator}).status_code == 200
    for tags in (told["etag"], f'"a", W/{told["etag"]}'):
        answer = place.client.get(url, headers={"If-None-Match": tags})
        assert (answer.status_code, answer.content) == (304, b"")
    assert place.client.get(url, headers={"If-None-Match": '"a"'}).status_code == 200


def test_what_a_browser_cannot_play_comes_as_mp3(place: Place) -> None:
    url = place.url("third.wma", "audio?transcode=mp3")
    answer = place.client.get(url)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/mpeg")
    assert len(answer.content) == pytest.approx(12 * 24_000, rel=0.05)
    assert "content-length" not in answer.headers
    later = place.client.get(f"{url}&start=9")
    assert len(later.content) == pytest.approx(3 * 24_000, rel=0.15)
    assert place.client.head(url).status_code == 200


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("transcode=mp3&start=99", 400),
        ("transcode=mp3&start=-1", 422),
        ("transcode=mp3&start=nan", 422),
        ("transcode=mp3&start=inf", 422),
        ("transcode=exe", 422),
        ("transcode=", 422),
    ],
)
def test_what_cannot_be_transcoded_is_refused(place: Place, query: str, status: int) -> None:
    answer = place.client.get(place.url("third.wma", f"audio?{query}"))
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


# --- nothing but the library's files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["audio", "audio?transcode=mp3", "cover", "waveform", "timeline"])
@pytest.mark.parametrize("track", ["0", "-1", "999", "9" * 30, "1e3", "..%2f..%2fetc%2fpasswd", "%2e%2e", "library.db"])
def test_only_tracks_are_served_whatever_is_asked_for(place: Place, track: str, what: str) -> None:
    answer = place.client.get(f"/api/v1/tracks/{track}/{what}")
    assert answer.status_code in (404, 422)
    assert "error" in answer.json()
    assert b"root:" not in answer.content


@pytest.mark.parametrize("what", ["audio", "audio?transcode=mp3", "cover", "waveform", "timeline"])
def test_a_file_that_is_gone_or_was_replaced_by_a_link_is_refused(place: Place, scanned: Path, what: str) -> None:
    path = place.music / "gone.opus"
    url = place.url("gone.opus", what)
    kept = path.rename(scanned / "kept.opus")  # out of the library, as it was
    try:
        answer = place.client.get(url)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "vanished")
        assert str(scanned) not in answer.text
        if os.name != "nt":
            secret = scanned / "secret.opus"
            secret.write_bytes(kept.read_bytes() + b"secret")
            path.symlink_to(secret)
            answer = place.client.get(url)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "unreadable")
            assert b"secret" not in answer.content
            path.unlink()
    finally:
        path.unlink(missing_ok=True)
        kept.rename(path)


def test_a_text_in_the_place_of_a_track_is_sound_to_every_browser(place: Place) -> None:
    path = place.music / "other.flac"
    kept = path.read_bytes()
    url = place.url("other.flac", "")
    try:
        path.write_text(f"{XSS}<script>alert(1)</script>" * 100)
        answer = place.client.get(f"{url}audio")
        assert answer.headers["content-type"] == "audio/flac"
        for what in ("audio?transcode=mp3", "waveform"):
            answer = place.client.get(url + what)
            assert answer.status_code == 422
            assert answer.json()["error"]["code"] in ("not-audio", "no-audio-stream")
        assert place.client.get(f"{url}cover").status_code == 204
        path.write_bytes(b"")
        assert place.client.get(f"{url}audio").content == b""
        assert place.client.get(f"{url}audio?transcode=mp3").status_code == 422
    finally:
        path.write_bytes(kept)


def test_odd_tags_do_not_disturb_anything(place: Place) -> None:
    for what in ("audio", "audio?transcode=mp3", "waveform", "timeline"):
        assert place.client.get(place.url("odd.flac", what)).status_code == 200
    assert place.client.get(place.url("odd.flac", "cover")).status_code == 204


# --- pictures, waves, tags over time ---------------------------------------------------------------------------------


def test_a_cover_is_made_small_and_not_sent_twice(place: Place) -> None:
    answer = place.client.get(place.url("plain.mp3", "cover?size=100"))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert pictures.read(answer.content).shape == (192, 192, 3)
    assert pictures.read(place.client.get(place.url("plain.mp3", "cover")).content).shape == (300, 300, 3)
    again = place.client.get(
        place.url("plain.mp3", "cover?size=100"), headers={"If-None-Match": answer.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    for size in ("0", "99999", "x"):
        assert place.client.get(place.url("plain.mp3", f"cover?size={size}")).status_code == 422


def test_a_new_cover_is_noticed(place: Place) -> None:
    url = place.url("third.wma", "cover")
    answer = place.client.get(url)  # none is no error
    assert (answer.status_code, answer.content) == (204, b"")
    assert "max-age" in answer.headers["cache-control"] and answer.headers["etag"]
    again = place.client.get(url, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.headers["cache-control"]) == (304, answer.headers["cache-control"])
    error_of(place.client.get("/api/v1/tracks/999/cover"), 404)
    picture = place.music / "folder.png"
    try:
        picture.write_bytes(pictures.png(30, 30))
        assert place.client.get(url).status_code == 200
    finally:
        picture.unlink()


def test_a_waveform_is_made_once_and_has_as_many_points_as_asked_for(place: Place) -> None:
    url = place.url("plain.mp3", "waveform")
    first = place.client.get(f"{url}?points=40").json()
    assert first["duration"] == pytest.approx(12, abs=0.1)
    assert len(first["peaks"]) == len(first["rms"]) == 40
    assert all(0 <= rms <= peak <= 1 for rms, peak in zip(first["rms"], first["peaks"], strict=True))
    started = time.perf_counter()
    again = place.client.get(f"{url}?points=40").json()
    assert time.perf_counter() - started < 5
    assert again["peaks"] == pytest.approx(first["peaks"], abs=0.01)
    assert -60 < first["loudness"] == again["loudness"] < 0
    assert first["tempo"] is None
    assert len(place.client.get(f"{url}?points=4000").json()["peaks"]) == 1200
    assert place.client.get(f"{url}?points=0").status_code == 422
    assert list((place.music.parent / "library.db-media").rglob("*-wave.npz"))


def test_a_tempo_that_is_written_into_a_file_later_is_told(place: Place) -> None:
    path = place.music / "other.flac"
    kept = path.read_bytes()
    url = place.url("other.flac", "waveform")
    assert place.client.get(url).json()["tempo"] is None
    try:
        FORMATS["flac"].write(path, noise(12), tags={"BPM": "93"})
        assert place.client.get(url).json()["tempo"] == 93
    finally:
        path.write_bytes(kept)


def test_a_timeline_tells_tags_over_time(place: Place) -> None:
    url = place.url("plain.mp3", "timeline")
    told = place.client.get(url).json()
    assert told["window"] == pytest.approx(12 / 5, abs=0.1)
    assert told["starts"] == pytest.approx([told["window"] * i for i in range(5)], abs=0.01)
    assert {tag["label"] for tag in told["tags"]} == {"low", "high", "bright"}
    assert all(len(tag["probabilities"]) == 5 for tag in told["tags"])
    assert place.client.get(url).json() == told


def test_a_model_without_tags_tells_none(scanned: Path) -> None:
    with Library.open(scanned / "library.db", model="timbre") as library, client_of(library) as client:
        told = client.get("/api/v1/tracks/1/timeline")
        assert told.status_code == 200
        assert told.json()["tags"] == []


# --- under load ------------------------------------------------------------------------------------------------------


def ask_for(address: tuple[str, int], url: str) -> socket.socket:
    """A client that asks and reads nothing of the answer yet."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(60)
    client.connect(address)
    client.sendall(f"GET {url} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    return client


def test_so_many_songs_are_transcoded_at_a_time_and_who_goes_away_makes_room(tmp_path: Path) -> None:
    music = tmp_path / "music"
    music.mkdir()
    FORMATS["wav-16"].write(music / "long.wav", noise(600, sr=8000))  # 14 MB of MP3: more than fits between the two
    url = "/api/v1/tracks/1/audio?transcode=mp3"
    with Library.open(tmp_path / "library.db", model="timbre") as library, contextlib.ExitStack() as opened:
        library.scan(music, workers=0)
        address = opened.enter_context(served(library, most_transcodes=2))
        first, second = (opened.enter_context(ask_for(address, url)) for _ in range(2))
        assert first.recv(12) == second.recv(12) == b"HTTP/1.1 200"
        third = opened.enter_context(ask_for(address, url))
        told = third.recv(100_000).decode()
        assert told.startswith("HTTP/1.1 503") and "retry-after: 10" in told.lower()
        for refused in ("start=1e6", "start=-1"):  # which takes no place
            assert opened.enter_context(ask_for(address, f"{url}&{refused}")).recv(10) == b"HTTP/1.1 4"
        assert opened.enter_context(ask_for(address, url.partition("?")[0])).recv(12) == b"HTTP/1.1 200"
        first.close()
        end = time.monotonic() + 30
        while opened.enter_context(ask_for(address, url)).recv(12) != b"HTTP/1.1 200":
            assert time.monotonic() < end, "a transcode outlives its client"
            time.sleep(0.1)
        assert opened.enter_context(ask_for(address, url)).recv(12) == b"HTTP/1.1 503"


def test_a_song_is_not_transcoded_long_before_it_is_heard(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    url = place.url("third.wma", "audio?transcode=mp3")  # 12 s
    whole = place.client.get(url).content
    monkeypatch.setattr(streaming, "AHEAD", 2.0)
    monkeypatch.setattr(streaming, "PACE", 5.0)
    began = time.monotonic()
    assert place.client.get(url).content == whole
    assert time.monotonic() - began >= 1.5  # 12 s less the last chunk and 2 s, at 5 s a second


def test_what_cannot_be_transcoded_gives_its_place_back(place: Place) -> None:
    path = place.music / "other.flac"
    kept = path.read_bytes()
    try:
        path.write_text("no song\n" * 1000)
        with client_of(place.library, most_transcodes=1) as client:
            for _ in range(3):
                error_of(client.get(place.url("other.flac", "audio?transcode=mp3")), 422)
            for _ in range(3):
                assert client.get(place.url("third.wma", "audio?transcode=mp3")).status_code == 200
    finally:
        path.write_bytes(kept)


def test_slow_clients_hold_up_nobody(tmp_path: Path) -> None:
    """A hundred clients, more than there are threads, ask for sound and read none of it: others are still answered."""
    music = tmp_path / "music"
    music.mkdir()
    FORMATS["wav-16"].write(music / "long.wav", noise(150, sr=22050))  # 6 MB: more than fits between the two
    with Library.open(tmp_path / "library.db", model="timbre") as library, contextlib.ExitStack() as slow:
        library.scan(music, workers=0)
        address = slow.enter_context(served(library, most_transcodes=50))
        clients = [slow.enter_context(socket.socket()) for _ in range(100)]
        for i, one in enumerate(clients):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.settimeout(120)
            one.connect(address)
            query = "?transcode=mp3" if i % 2 else ""
            one.sendall(f"GET /api/v1/tracks/1/audio{query} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        for one in clients:
            assert one.recv(12) == b"HTTP/1.1 200"
        for _ in range(5):
            with socket.create_connection(address, timeout=30) as asking:
                asking.sendall(b"GET /api/v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                assert asking.recv(12) == b"HTTP/1.1 200"
