"""`soundkin serve`, through the real command line and over loopback."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sound import FORMATS, noise
from soundkin.cli.main import run
from soundkin.library import Library
from web_client import some_songs

SOURCE = Path(__file__).parents[1] / "src"
ENDS_BY_SIGNAL = pytest.mark.skipif(os.name != "posix", reason="Windows ends a process without telling it")


@contextlib.contextmanager
def serving(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """`soundkin ARGUMENTS` in a process of its own, and the port that it says it listens on."""
    code = "from soundkin.cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(SOURCE), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        assert process.stdout is not None and process.stderr is not None
        said = process.stdout.readline()
        found = re.search(r"http://\S+?:(\d+)/", said)
        assert found is not None, said + process.stderr.read()
        yield process, int(found[1])
    finally:
        process.kill()
        process.communicate()


def ask(port: int, path: str, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_without_a_library_it_starts_with_an_empty_one(tmp_path: Path) -> None:
    library = tmp_path / "new" / "library.db"
    with serving("--library", library, "serve", "--port", "0", "--no-browser") as (_, port):
        status, body = ask(port, "/api/v1/status")
        assert status == 200 and json.loads(body)["tracks"] == 0
        assert ask(port, "/")[0] == 200
        assert ask(port, "/", Host="evil.example")[0] == 421
    assert library.exists()


@ENDS_BY_SIGNAL
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_it_in_order(tmp_path: Path, number: signal.Signals, code: int) -> None:
    some_songs(tmp_path).close()
    with serving("--library", tmp_path / "library.db", "serve", "--port", "0", "--no-browser") as (process, port):
        with socket.create_connection(("127.0.0.1", port)) as idle:  # a browser that keeps its connection
            idle.sendall(b"GET /api/v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert idle.recv(12) == b"HTTP/1.1 200"
            begun = time.monotonic()
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
        assert process.returncode == code, err
        assert "Traceback" not in err + out
        assert time.monotonic() - begun < 30  # 5 s where nothing else runs
    with socket.socket() as other:
        assert other.connect_ex(("127.0.0.1", port)) != 0


@ENDS_BY_SIGNAL
def test_who_is_being_answered_gets_the_answer_first(tmp_path: Path) -> None:
    some_songs(tmp_path).close()
    question = json.dumps({"name": "Evening", "tracks": [1]}).encode()
    head = (
        f"POST /api/v1/playlists HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Soundkin: 1\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(question)}\r\n\r\n"
    )
    with (
        serving("--library", tmp_path / "library.db", "serve", "--port", "0", "--no-browser") as (process, port),
        socket.create_connection(("127.0.0.1", port), timeout=30) as asking,
    ):
        asking.sendall(head.encode() + question[:9])
        time.sleep(0.5)  # it has begun to read
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)  # it has begun to end
        asking.sendall(question[9:])
        with asking.makefile("rb") as answer:
            assert answer.readline() == b"HTTP/1.1 201 Created\r\n"
        assert process.wait(60) == 0
    with Library.open(tmp_path / "library.db") as library:
        assert [one.name for one in library.catalogue.playlists.all()] == ["Evening"]


@ENDS_BY_SIGNAL
def test_a_song_that_is_broken_off_by_the_end_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    FORMATS["flac"].write(tmp_path / "music" / "1.flac", noise(90, seed=0))  # longer than what is made ahead
    with Library.open(tmp_path / "library.db", model="timbre") as library:
        library.scan(tmp_path / "music", workers=0)
    with (
        serving("--library", tmp_path / "library.db", "serve", "--port", "0", "--no-browser") as (process, port),
        socket.create_connection(("127.0.0.1", port), timeout=30) as listening,
    ):
        listening.sendall(b"GET /api/v1/tracks/1/audio?transcode=mp3 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert listening.recv(12) == b"HTTP/1.1 200"
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


def test_a_port_that_is_taken_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["--library", str(tmp_path / "library.db"), "serve", "--port", str(port), "--no-browser"]) == 2
    said = capsys.readouterr().err
    assert str(port) in said and "--port" in said and "already" in said
    assert not (tmp_path / "library.db").exists()


def test_an_address_of_another_computer_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "password").write_text("correct horse")
    shared = ["--library", str(tmp_path / "library.db"), "serve", "--no-browser"]
    assert run([*shared, "--password-file", str(tmp_path / "password"), "--host", "203.0.113.1", "--port", "0"]) == 2
    assert "no address of this computer" in capsys.readouterr().err


def test_others_are_let_in_by_a_password_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shared = ["--library", str(tmp_path / "library.db"), "serve", "--no-browser", "--host", "0.0.0.0"]
    assert run(shared) == 2
    assert "--password-file" in capsys.readouterr().err
    assert run([*shared, "--password-file", str(tmp_path / "none")]) == 2
    assert "cannot be read" in capsys.readouterr().err
    (tmp_path / "short").write_text("short")
    assert run([*shared, "--password-file", str(tmp_path / "short")]) == 2
    assert "8 characters" in capsys.readouterr().err


def test_with_a_password_it_asks_for_it(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("correct horse\n")
    shared = ("--library", tmp_path / "library.db", "serve", "--port", "0", "--no-browser")
    with serving(*shared, "--password-file", tmp_path / "password", "--allow-host", "music.example") as (_, port):
        assert ask(port, "/api/v1/status")[0] == 401
        assert ask(port, "/", Host="music.example")[0] == 200
        body = json.dumps({"password": "correct horse"})
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", "/api/v1/login", body, {"X-Soundkin": "1", "Content-Type": "application/json"})
        cookie = connection.getresponse().headers["Set-Cookie"].partition(";")[0]
        connection.close()
        assert ask(port, "/api/v1/status", Cookie=cookie)[0] == 200


def test_a_password_is_set_as_a_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("typer.prompt", lambda *_, **__: "correct horse")
    path = tmp_path / "password"
    assert run(["serve", "--set-password", "--password-file", str(path)]) == 0
    assert path.read_text().startswith("scrypt$") and "horse" not in path.read_text()
    assert str(path) in capsys.readouterr().err
    assert run(["serve", "--set-password"]) == 2
    assert "--password-file" in capsys.readouterr().err


def test_a_library_that_cannot_be_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "library.db").write_bytes(b"x" * 5000)
    assert run(["--library", str(tmp_path / "library.db"), "serve", "--port", "0", "--no-browser"]) == 1
    assert "library" in capsys.readouterr().err
