"""The API's question about a file: heard, answered, forgotten."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import select
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from served import served
from sound import FORMATS, noise
from soundkin.library import Library
from soundkin.web import uploads
from soundkin.web.failures import Refusal
from soundkin.web.uploads import Uploads, file_name
from tagger_file import write_tagger
from web_client import TestClient, client_of

ASK = "/api/v1/ask"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("asked")
    (folder / "music").mkdir()
    for i in range(3):
        FORMATS["wav-16"].write(folder / "music" / f"{i}.wav", noise(3, seed=i), tags={"title": f"Song {i}"})
    with Library.open(folder / "library.db", model=write_tagger(folder / "tiny.onnx")) as opened:
        opened.scan(folder / "music", workers=0)
        yield opened


@pytest.fixture(scope="module")
def client(library: Library) -> Iterator[TestClient]:
    with client_of(library, max_upload=3_000_000) as opened:
        yield opened


def receive(chunks: AsyncIterator[bytes], path: Path, **limits: Any) -> None:
    asyncio.run(uploads.receive(chunks, path, **limits))


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where uploads lie meanwhile; nothing is left there, whatever happened."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    assert list(tmp_path.glob("soundkin-asked-*")) == []


def test_a_file_is_heard_and_its_token_is_a_seed(client: TestClient, encoded: Callable[[str], Path]) -> None:
    answer = client.post(ASK, content=encoded("mp3").read_bytes(), headers={"X-File-Name": "My%20S%C3%B6ng.mp3"})
    assert answer.status_code == 200
    told = answer.json()
    assert (told["track"]["id"], told["track"]["title"], told["track"]["has_file"]) == (0, "My Söng", False)
    assert told["track"]["folder"] is None, "where uploads lie is nobody's business"
    assert told["track"]["duration"] == pytest.approx(12, abs=0.1)
    assert {tag["label"] for tag in told["tags"]} <= {"low", "high", "bright"}
    similar = client.post("/api/v1/similar", json={"seeds": [f"ask:{told['token']}"], "n": 3})
    assert similar.status_code == 200
    assert len(similar.json()["items"]) == 3
    assert len(told["token"]) >= 20


def test_the_files_own_tags_come_first(client: TestClient, tmp_path: Path) -> None:
    path = FORMATS["flac"].write(tmp_path / "a.flac", noise(3), tags={"title": "<img src=x onerror=alert(1)>"})
    answer = client.post(ASK, content=path.read_bytes(), headers={"X-File-Name": "b.flac"})
    assert answer.json()["track"]["title"] == "<img src=x onerror=alert(1)>"
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (b"just words\n" * 1000, "not-audio"),
        (b"#EXTM3U\nfile:///etc/passwd\n", "not-audio"),
        (b"RIFF\xff\xff\xff\x7fWAVEfmt ", "not-audio"),
        (b"fLaC" + b"\0" * 1000, "not-audio"),
    ],
)
def test_what_cannot_be_heard_says_why(client: TestClient, content: bytes, code: str) -> None:
    answer = client.post(ASK, content=content, headers={"X-File-Name": "song.mp3"})
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["code"] == code
    assert tempfile.gettempdir() not in answer.text


def test_too_much_is_refused_by_its_promise(client: TestClient) -> None:
    answer = client.post(ASK, content=bytes(3_000_001))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too-large")


def test_what_never_ends_is_refused_as_it_comes(library: Library) -> None:
    head = f"POST {ASK} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Soundkin: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
    with served(library, max_upload=1_000_000) as address, socket.create_connection(address, timeout=60) as sending:
        sending.sendall(head.encode())
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                sending.sendall(b"10000\r\n" + bytes(0x10000) + b"\r\n")
                if select.select([sending], [], [], 0)[0]:
                    break
            else:
                pytest.fail("65 MB were taken, and the limit is 1")
        assert sending.recv(12) == b"HTTP/1.1 413"


def test_more_than_the_limit_is_not_written(tmp_path: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield bytes(1000)

    with pytest.raises(Refusal) as told:
        receive(chunks(), tmp_path / "a", limit=4000)
    assert told.value.status == 413
    receive(chunks(), tmp_path / "b", limit=5000)
    assert (tmp_path / "b").read_bytes() == bytes(5000)


def test_a_client_that_stops_sending_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def stuck() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.sleep(600)

    monkeypatch.setattr(uploads, "_SILENCE", 0.05)
    with pytest.raises(Refusal) as told:
        receive(stuck(), tmp_path / "a", limit=4000)
    assert (told.value.status, told.value.code) == (408, "too-slow")
    assert "without a byte" in told.value.message
    monkeypatch.setattr(uploads, "_SILENCE", 60)
    monkeypatch.setattr(uploads, "_LONGEST", 0.05)
    with pytest.raises(Refusal) as told:
        receive(stuck(), tmp_path / "b", limit=4000)
    assert told.value.code == "too-slow"


def test_a_full_disk_is_said_so(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "mkdtemp", full)
        answer = client.post(ASK, content=bytes(100))
        assert (answer.status_code, answer.json()["error"]["code"]) == (507, "disk-full")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        answer = client.post(ASK, content=bytes(100))
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "disk-full")


@pytest.mark.skipif(os.name != "posix", reason="the size of files cannot be limited here")
def test_a_part_is_never_taken_for_the_whole(tmp_path: Path) -> None:
    """A disk that is nearly full takes a part of what is written, and says nothing of the rest."""
    import resource

    async def chunks() -> AsyncIterator[bytes]:
        yield bytes(2_000_000)

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, before[1]))
    try:
        with pytest.raises(Refusal) as told:
            receive(chunks(), tmp_path / "a", limit=3_000_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (told.value.status, told.value.code) == (507, "cannot-store")


def test_what_a_killed_service_left_is_deleted(temporary: Path) -> None:
    for name in ("soundkin-asked-left", "soundkin-asked-now", "other"):
        (temporary / name).mkdir()
        (temporary / name / "upload").write_bytes(b"song")
    hours_ago = time.time() - 3 * 3600
    for name in ("soundkin-asked-left", "other"):
        os.utime(temporary / name, (hours_ago, hours_ago))
    elsewhere = temporary / "soundkin-asked-link"
    with contextlib.suppress(OSError):  # as anybody may put it into a folder that all share
        elsewhere.symlink_to(temporary / "other")
        os.utime(elsewhere, (hours_ago, hours_ago), follow_symlinks=False)
    with Uploads().place():
        assert not (temporary / "soundkin-asked-left").exists()
        assert (temporary / "soundkin-asked-now" / "upload").exists()  # of another service that runs
        assert (temporary / "other" / "upload").exists()
    elsewhere.unlink(missing_ok=True)
    shutil.rmtree(temporary / "soundkin-asked-now")


def test_only_a_few_are_looked_at_at_the_same_time(
    client: TestClient, encoded: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    state = client.app.state.soundkin  # type: ignore[attr-defined]
    kept: Uploads = uploads.uploads_of(state)
    held = [kept.place() for _ in range(uploads.MOST)]
    for one in held:
        one.__enter__()
    try:
        answer = client.post(ASK, content=b"x")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "busy")
    finally:
        for one in held:
            one.__exit__(None, None, None)
    assert client.post(ASK, content=encoded("flac").read_bytes()).status_code == 200


def test_an_analysis_that_takes_too_long_is_stopped(library: Library, encoded: Callable[[str], Path]) -> None:
    with client_of(library, upload_time_limit=0.001) as impatient:
        answer = impatient.post(ASK, content=encoded("flac").read_bytes())
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "timeout")


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (None, "a file without a name"),
        ("", "a file without a name"),
        ("..", "a file without a name"),
        ("a.mp3", "a.mp3"),
        ("..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("C%3A%5CMusic%5Csong.mp3", "song.mp3"),
        ("%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E.mp3", "<img src=x onerror=alert(1)>.mp3"),
        ("a%00b%0Ac%ED%A0%80.mp3", "ab c\ufffd\ufffd\ufffd.mp3"),
        ("%FF%FE", "\ufffd\ufffd"),
        ("%E2%80%AEgpj.mp3", "gpj.mp3"),
        ("x" * 500, "x" * 200),
    ],
)
def test_a_name_is_one_part_and_safe_to_show(header: str | None, name: str) -> None:
    assert file_name(header) == Path(name)
