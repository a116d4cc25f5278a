"""Who may ask the service, and what browsers may do with its answers."""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.datastructures import Headers

from served import served
from soundkin.catalogue.playlists import LONGEST_NAME, MOST_TRACKS
from soundkin.errors import InputError
from soundkin.library import Library
from soundkin.web import security
from soundkin.web.passwords import hash_password, is_password, read_password_file, write_password_file
from soundkin.web.schemas import LARGEST
from soundkin.web.security import COOKIE, MOST_BODY, session_token
from soundkin.web.sessions import Attempts, Sessions, network_of
from soundkin.web.settings import Settings
from soundkin.web.streaming import byte_range
from web_client import HOST, OWN, TestClient, client_of, error_of

API = "/api/v1"
PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def client(library: Library) -> Iterator[TestClient]:
    with client_of(library, allowed_hosts=("music.home.example",)) as client:
        yield client


@pytest.fixture(scope="module")
def password_hash() -> str:
    return hash_password(PASSWORD)


@pytest.fixture
def locked(library: Library, password_hash: str) -> Iterator[TestClient]:
    """A client of a service with a password, not logged in."""
    with client_of(library, password_hash=password_hash, host="0.0.0.0", login_attempts=3) as client:
        yield client


# --- Host ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8765", "localhost", "LOCALHOST:1", "[::1]:80", "192.168.1.5:8765", "Music.Home.Example."]
)
def test_own_names_and_numbers_are_answered(client: TestClient, host: str) -> None:
    assert client.get(f"{API}/status", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", "localhost.evil.example", "0.0.0.0", "1", "[::]"],
)
def test_a_name_that_was_pointed_here_is_refused(client: TestClient, host: str) -> None:
    for path in (f"{API}/status", "/", "/static/index.html", "/openapi.json"):
        assert error_of(client.get(path, headers={"Host": host}), 421)["code"] == "wrong-host"


@pytest.mark.parametrize("host", ["", ":80", "a b", "127.0.0.1:x", "user@127.0.0.1", "127.0.0.1/x", "[::1", "@", "?"])
def test_a_host_that_is_none_is_refused(client: TestClient, host: str) -> None:
    response = client.get(f"{API}/status", headers={"Host": host})
    assert response.status_code in (400, 421)


# --- other sites -----------------------------------------------------------------------------------------------------


def test_what_changes_something_needs_the_header(library: Library) -> None:
    with client_of(library, headers={}) as client:
        assert error_of(client.post(f"{API}/similar", json={"seeds": [1]}), 403)["code"] == "no-intent"
        for header in ("0", "", "1, 1"):
            error_of(client.post(f"{API}/similar", json={"seeds": [1]}, headers={"X-Soundkin": header}), 403)
        for method in ("POST", "PUT", "PATCH", "DELETE", "BREW"):
            assert error_of(client.request(method, f"{API}/nothing"), 403)["code"] == "no-intent"
        assert client.post(f"{API}/similar", json={"seeds": [1]}, headers=OWN).status_code == 200


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://127.0.0.1:1", "http://127.0.0.1", f"ftp://{HOST}", f"http://{HOST}.x", "["],
)
def test_another_origin_changes_nothing(client: TestClient, origin: str) -> None:
    answer = client.post(f"{API}/similar", json={"seeds": [1]}, headers={"Origin": origin})
    assert error_of(answer, 403)["code"] == "cross-site"


def test_the_own_origin_does(client: TestClient) -> None:
    for origin in (f"http://{HOST}", f"https://{HOST}"):
        answer = client.post(f"{API}/similar", json={"seeds": [1]}, headers={"Origin": origin})
        assert answer.status_code == 200


@pytest.mark.parametrize(
    ("site", "status"), [("cross-site", 403), ("same-site", 403), ("none", 200), ("same-origin", 200)]
)
def test_the_api_is_not_for_pages_of_other_sites(client: TestClient, site: str, status: int) -> None:
    assert client.get(f"{API}/status", headers={"Sec-Fetch-Site": site}).status_code == status
    assert client.get("/", headers={"Sec-Fetch-Site": site}).status_code == 200  # a link may lead here


def test_no_other_origin_is_invited(client: TestClient) -> None:
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    answer = client.options(f"{API}/similar", headers=asked)
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


# --- headers ---------------------------------------------------------------------------------------------------------


def policy(client: TestClient, path: str) -> dict[str, list[str]]:
    parts = client.get(path).headers["content-security-policy"].split(";")
    return {name: values for name, *values in (part.split() for part in parts)}


@pytest.mark.parametrize("path", ["/", "/song/5", "/static/index.html", "/docs", "/nothing.at.all", "/static/nothing"])
def test_the_page_runs_its_own_scripts_only(client: TestClient, path: str) -> None:
    found = policy(client, path)
    assert found["default-src"] == ["'none'"]
    assert found["script-src"] == found["style-src"] == found["connect-src"] == ["'self'"]
    assert found["frame-ancestors"] == found["base-uri"] == ["'none'"]
    assert "'unsafe-inline'" not in str(found) and "'unsafe-eval'" not in str(found)


def test_the_frame_of_the_map_may_evaluate_but_reach_nothing(client: TestClient) -> None:
    found = policy(client, "/static/map/index.html")
    assert found["script-src"] == ["'self'", "'unsafe-eval'"]
    assert found["sandbox"] == ["allow-scripts"] and found["frame-ancestors"] == ["'self'"]
    assert found["default-src"] == ["'none'"] and "connect-src" not in found


@pytest.mark.parametrize("path", [f"{API}/status", f"{API}/tracks/99", f"{API}/tracks?limit=0", f"{API}/nothing"])
def test_data_is_neither_run_nor_kept(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "script-src" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "server" not in headers


def test_a_failure_inside_says_nothing_of_the_inside(
    library: Library, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("a secret of the inside")

    with client_of(library) as client:
        monkeypatch.setattr(library, "shelf", fail)
        answer = client.get(f"{API}/status")
        assert error_of(answer, 500)["code"] == "internal"
        assert "secret" not in answer.text and "secret" in caplog.text
        assert answer.headers["content-security-policy"] and answer.headers["x-content-type-options"] == "nosniff"


# --- size ------------------------------------------------------------------------------------------------------------


def test_no_header_keeps_the_service_busy(locked: TestClient) -> None:
    """What is sent before logging in, or with every question, is read in a time that grows as its length does."""
    began = time.monotonic()
    for cookie in ('a="' + "\\" * 60_000 + '"', f'{COOKIE}="' + "\\" * 60_000, "=;" * 30_000, '"' * 60_000):
        session_token(Headers({"cookie": cookie}))
        error_of(locked.get(f"{API}/status", headers={"Cookie": cookie}), 401)
    for asked in ("bytes=" + " " * 60_000 + "x", "bytes" + " " * 60_000, "bytes=1" + " " * 60_000 + "2"):
        assert byte_range(asked, 1000) is None
    assert time.monotonic() - began < 10


def test_no_body_keeps_the_service_busy(client: TestClient) -> None:
    keys = b",".join(b'"%x":1' % i for i in range(MOST_BODY // 8))[: MOST_BODY - 100]
    body = b'{"seeds":[1],' + keys[: keys.rindex(b",")] + b"}"
    began = time.monotonic()
    answer = client.post(f"{API}/similar", content=body, headers={"Content-Type": "application/json"})
    assert len(error_of(answer, 422)["message"]) < 2000
    assert time.monotonic() - began < 8
    most = json.dumps({"name": "x" * LONGEST_NAME, "tracks": [LARGEST] * MOST_TRACKS}, indent=4).encode()
    assert len(most) < MOST_BODY


def test_a_session_is_found_among_other_cookies() -> None:
    for line in (f"{COOKIE}=abc", f"a=b; {COOKIE}=abc;c", f'x="1;2"; {COOKIE}=abc', f"{COOKIE}=abc; {COOKIE}=other"):
        assert session_token(Headers({"cookie": line})) == "abc"
    assert session_token(Headers({"cookie": f"x{COOKIE}=abc; {COOKIE}"})) in (None, "")
    assert session_token(Headers({})) is None


def test_who_is_not_logged_in_can_send_little_and_not_slowly(
    library: Library, password_hash: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(security, "SILENCE", 0.5)
    head = f"POST {API}/login HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Soundkin: 1\r\nContent-Type: application/json\r\n"
    with served(library, password_hash=password_hash) as address:
        for length, body in ((50_000, b""), (2000, b'{"password": "')):
            with socket.create_connection(address, timeout=30) as sending:
                sending.sendall(f"{head}Content-Length: {length}\r\n\r\n".encode() + body)
                answer = sending.recv(12)
                assert answer == (b"HTTP/1.1 413" if length > 20_000 else b"HTTP/1.1 408")


def test_what_is_too_large_is_not_read(client: TestClient) -> None:
    large = b" " * (MOST_BODY + 1)
    assert error_of(client.post(f"{API}/similar", content=large), 413)["code"] == "too-large"

    def parts() -> Iterator[bytes]:  # without a Content-Length
        for _ in range(MOST_BODY // 100_000 + 2):
            yield b" " * 100_000

    kind = {"Content-Type": "application/json"}
    assert error_of(client.post(f"{API}/similar", content=parts(), headers=kind), 413)["code"] == "too-large"


# --- the password ----------------------------------------------------------------------------------------------------


def test_others_are_let_in_by_a_password_only(password_hash: str) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.5", "music.example", ""):
        with pytest.raises(InputError, match="password"):
            Settings(host=host)
        assert Settings(host=host, password_hash=password_hash).host == host
    for host in ("127.0.0.1", "127.1.2.3", "::1", "localhost"):
        assert Settings(host=host).host == host


def test_without_a_session_the_api_is_shut(locked: TestClient) -> None:
    document = locked.get("/openapi.json").json()
    asked = 0
    for path, methods in document["paths"].items():
        for method in methods:
            if path != f"{API}/login":
                answer = locked.request(method, re.sub(r"\{\w+\}", "1", path))
                assert error_of(answer, 401)["code"] == "login-needed", (method, path)
                asked += 1
    assert asked >= 10
    assert error_of(locked.get(f"{API}/nothing"), 401)
    for path in ("/", "/song/5", "/static/index.html"):  # the page, which asks for the password
        assert locked.get(path).status_code == 200


def test_the_password_opens_and_logging_out_shuts(locked: TestClient) -> None:
    answer = locked.post(f"{API}/login", json={"password": PASSWORD})
    assert answer.status_code == 204 and answer.content == b""
    cookie = answer.headers["set-cookie"]
    for part in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age="):
        assert part in cookie
    assert "Secure" not in cookie and PASSWORD not in cookie
    body = locked.get(f"{API}/status").json()
    assert body["password"] is True
    token = locked.cookies[COOKIE]
    assert locked.post(f"{API}/logout").status_code == 204
    assert COOKIE not in locked.cookies
    locked.cookies.set(COOKIE, token)  # whoever kept a copy of it
    error_of(locked.get(f"{API}/status"), 401)


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "é", '"'])
def test_a_made_up_session_is_none(locked: TestClient, token: str) -> None:
    answer = locked.get(f"{API}/status", headers={"Cookie": f"{COOKIE}={token}".encode()})
    assert error_of(answer, 401)["code"] == "login-needed"


def test_wrong_passwords_are_slowed_down(locked: TestClient) -> None:
    for _ in range(3):
        assert error_of(locked.post(f"{API}/login", json={"password": "wrong guess"}), 401)["code"] == "wrong-password"
    answer = locked.post(f"{API}/login", json={"password": PASSWORD})
    assert error_of(answer, 429)["code"] == "too-many-attempts"
    assert 0 < int(answer.headers["retry-after"]) <= 300


def test_logging_in_is_no_business_of_other_sites(locked: TestClient) -> None:
    bare = {"X-Soundkin": ""}
    error_of(locked.post(f"{API}/login", json={"password": PASSWORD}, headers=bare), 403)
    error_of(locked.post(f"{API}/login", json={"password": PASSWORD}, headers={"Origin": "http://evil.example"}), 403)


def test_behind_https_the_cookie_is_for_https_alone(library: Library, password_hash: str) -> None:
    with client_of(library, password_hash=password_hash, https=True) as client:
        assert "Secure" in client.post(f"{API}/login", json={"password": PASSWORD}).headers["set-cookie"]


def test_without_a_password_there_is_nothing_to_log_in_to(client: TestClient) -> None:
    assert error_of(client.post(f"{API}/login", json={"password": "x"}), 409)["code"] == "no-password"


def test_the_password_is_in_no_answer_and_no_log(locked: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    texts = [
        locked.post(f"{API}/login", json={"password": "secret-guess", "x": 1}).text,
        locked.post(f"{API}/login", json={"password": ["secret-guess"]}).text,
        locked.post(f"{API}/login", content=b'{"password": "secret-guess').text,
        locked.post(f"{API}/login", json={"password": "secret-guess" * 1000}).text,
    ]
    assert "secret-guess" not in json.dumps(texts) + caplog.text


def test_hashes_differ_and_tell_right_from_wrong(password_hash: str) -> None:
    assert PASSWORD not in password_hash and hash_password(PASSWORD) != password_hash
    assert is_password(PASSWORD, password_hash)
    for wrong in ("", "Correct horse", PASSWORD + " ", "\udcff" * 9):
        assert not is_password(wrong, password_hash)
    with pytest.raises(InputError, match="8"):
        hash_password("short")


@pytest.mark.parametrize(
    "damage", ["", "x", "scrypt$1$2$3", "scrypt$a$8$1$AAAA$AAAA", "scrypt$99999999999$8$1$AA==$A="]
)
def test_what_is_no_hash_is_refused(damage: str) -> None:
    with pytest.raises(InputError, match="hash"):
        is_password(PASSWORD, damage)


def test_password_files(tmp_path: Path) -> None:
    path = tmp_path / "password"
    write_password_file(path, PASSWORD)
    assert PASSWORD not in path.read_text()
    assert is_password(PASSWORD, read_password_file(path))
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text(f"{PASSWORD}\nsomething else\n")
    assert is_password(PASSWORD, read_password_file(path))
    for text, rule in (("", "empty"), ("\n", "empty"), ("short", "8"), ("scrypt$x", "hash")):
        path.write_text(text)
        with pytest.raises(InputError, match=rule):
            read_password_file(path)
    path.write_bytes(b"\xff\xff")
    with pytest.raises(InputError, match="UTF-8"):
        read_password_file(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_password_file(tmp_path / "none")
    with pytest.raises(InputError, match="cannot be written"):
        write_password_file(tmp_path / "none" / "password", PASSWORD)


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_sessions_last_from_their_last_use() -> None:
    clock = Clock()
    sessions = Sessions(10, clock=clock)
    token = sessions.begin()
    for clock.now in (9, 18, 27):
        assert sessions.is_open(token)
    clock.now = 38
    assert not sessions.is_open(token)
    clock.now = 0
    assert not sessions.is_open(token)  # forgotten, not only old


def test_sessions_are_bounded() -> None:
    sessions = Sessions(10)
    first, second = sessions.begin(), sessions.begin()
    for _ in range(998):
        sessions.begin()
    assert sessions.is_open(first)
    sessions.begin()
    assert sessions.is_open(first) and not sessions.is_open(second)


def test_attempts_are_counted_for_each_address_and_for_all() -> None:
    clock = Clock()
    attempts = Attempts(2, 100, clock=clock)
    assert attempts.begin("a") is None
    clock.now = 40
    assert attempts.begin("a") is None
    assert attempts.begin("a") == 60 and attempts.begin("b") is None
    clock.now = 101
    assert attempts.begin("a") is None  # the first is long ago
    attempts.succeeded("a")
    assert attempts.begin("a") is None and attempts.begin("a") is None and attempts.begin("a") == 100
    clock.now = 1000
    assert [attempts.begin(str(i)) for i in range(20)] == [None] * 20
    assert attempts.begin("another") == 100


def test_addresses_of_one_household_are_one() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1") != network_of("2001:db8:0:1::1")
    assert network_of("::ffff:10.0.0.1") == network_of("10.0.0.1") == "10.0.0.1"
    assert network_of("fe80::1%eth0") == network_of("fe80::2")
    assert network_of("testclient") == "testclient"
