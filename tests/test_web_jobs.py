"""Behind the answers: scans that are told of and stopped, and listeners however slow they are."""

from __future__ import annotations

import asyncio
import importlib
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from soundkin.catalogue import Catalogue
from soundkin.library import Library
from soundkin.web.events import Broadcast
from soundkin.web.failures import Refusal
from soundkin.web.jobs import END, Jobs
from soundkin.web.settings import Settings
from soundkin.web.state import State

scan_module = importlib.import_module("soundkin.scan")


# --- listeners -------------------------------------------------------------------------------------------------------


async def take(stream: AsyncIterator[str], count: int) -> list[tuple[str, Any]]:
    """The next events of a stream: name and data."""
    found: list[tuple[str, Any]] = []
    while len(found) < count:
        message = await asyncio.wait_for(anext(stream), 10)
        if not message.startswith(":"):
            assert message.endswith("\n\n")
            name, data = message.strip().split("\n")
            found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def test_every_listener_hears_what_is_told_from_any_thread() -> None:
    async def scene() -> None:
        broadcast = Broadcast()
        streams = [broadcast.listen(first=lambda: {"scan": {"done": 0}}, stop=lambda: False) for _ in range(3)]
        for stream in streams:
            assert await take(stream, 1) == [("scan", {"done": 0})]
        teller = threading.Thread(target=broadcast.tell, args=("scan", {"current": "é\n\ndata: x"}))
        teller.start()
        for stream in streams:
            assert await take(stream, 1) == [("scan", {"current": "é\n\ndata: x"})]
            await stream.aclose()  # type: ignore[attr-defined]
        teller.join()
        assert len(broadcast) == 0

    asyncio.run(scene())


def test_a_slow_listener_gets_the_newest_of_each_and_costs_no_more_memory() -> None:
    async def scene() -> None:
        broadcast = Broadcast()
        stream = broadcast.listen(first=lambda: {"changed": {}}, stop=lambda: False)
        await take(stream, 1)
        for number in range(10_000):
            broadcast.tell("scan", {"done": number})
        broadcast.tell("scan-ended", {"found": 3})
        broadcast.tell("map", {"progress": 1.0})
        assert await take(stream, 3) == [
            ("scan", {"done": 9999}),
            ("scan-ended", {"found": 3}),
            ("map", {"progress": 1.0}),
        ]

    asyncio.run(scene())


def test_a_quiet_stream_says_that_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soundkin.web.events._COMMENT_EVERY", 0.3)

    async def scene() -> None:
        stream = Broadcast().listen(first=dict, stop=lambda: False)
        heard = [await asyncio.wait_for(anext(stream), 10) for _ in range(3)]
        assert heard[1:] == [": still here\n\n"] * 2

    asyncio.run(scene())


def test_listeners_end_with_the_service() -> None:
    async def scene() -> float:
        stop = threading.Event()
        stream = Broadcast().listen(first=dict, stop=stop.is_set)
        await anext(stream)
        threading.Timer(0.2, stop.set).start()
        began = time.monotonic()
        assert [message async for message in stream] == []
        return time.monotonic() - began

    assert asyncio.run(scene()) < 5


# --- scans -----------------------------------------------------------------------------------------------------------


class Service:
    """The jobs of a library that hears with `fake_analysis`, and what they told."""

    def __init__(self, library: Library, music: Path, **settings: Any) -> None:
        self.music = music
        self.state = State(library, Settings(**settings))
        self.jobs = Jobs(self.state)
        self.told: list[tuple[str, Any]] = []
        self.jobs.events.tell = lambda event, data: self.told.append((event, data))  # type: ignore[method-assign]

    def put(self, *names: str) -> None:
        for name in names:
            (self.music / name).write_text(name)

    def wait(self, until: Callable[[], object]) -> None:
        deadline = time.monotonic() + 90
        while not until():
            assert time.monotonic() < deadline, "nothing happens"
            time.sleep(0.02)

    def ended(self) -> dict[str, Any]:
        """What the scan told at its end."""
        self.wait(lambda: self.jobs.scanning is None)
        self.wait(lambda: [event for event, _ in self.told if event == "scan-ended"])
        return next(data for event, data in reversed(self.told) if event == "scan-ended")


@pytest.fixture(autouse=True)
def in_earnest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without stepping back: on a busy machine, tests would wait for everybody else."""
    monkeypatch.setattr("soundkin.web.jobs._NICENESS", 0)


@pytest.fixture
def service(tmp_path: Path, fake_hearing: Path) -> Iterator[Service]:
    (tmp_path / "music").mkdir()
    with Catalogue.open(tmp_path / "library.db") as catalogue:
        opened = Service(Library(catalogue), tmp_path / "music")
        yield opened
        opened.jobs.close()


def test_a_scan_is_told_of_from_beginning_to_end(service: Service) -> None:
    service.put("1.mp3", "2.mp3", "damaged.mp3")
    assert service.jobs.start_scan([str(service.music)]) == [service.music]
    assert service.state.scanning and service.jobs.current()["scan"]["phase"] == "looking"
    ended = service.ended()
    assert (ended["error"], ended["found"], ended["analysed"], ended["failed"]) == (None, 3, 2, 1)
    assert not service.state.scanning and service.jobs.last_report == ended and "scan" not in service.jobs.current()
    scans = [data for event, data in service.told if event == "scan"]
    assert scans[-1] | {"rate": 0, "eta": 0, "current": ""} == {
        "phase": "listening",
        "done": 3,
        "total": 3,
        "failures": 1,
        "current": "",
        "rate": 0,
        "eta": 0,
    }
    service.wait(lambda: service.told[-1][0] == "changed")
    assert service.told[-1][1] == {"generation": service.state.library.catalogue.generation()}
    assert len(service.state.library.index()) == 2


def test_without_folders_all_that_are_known_are_scanned(service: Service) -> None:
    with pytest.raises(Refusal, match="knows no folder yet"):
        service.jobs.start_scan([])
    service.put("1.mp3")
    service.jobs.start_scan([str(service.music)])
    service.ended()
    service.told.clear()
    service.put("2.mp3")
    assert service.jobs.start_scan([]) == [service.music]
    assert service.ended()["analysed"] == 1


def test_one_scan_at_a_time(service: Service) -> None:
    service.put("hang.mp3")
    service.jobs.start_scan([str(service.music)])
    with pytest.raises(Refusal) as refused:
        service.jobs.start_scan([str(service.music)])
    assert (refused.value.status, refused.value.code) == (409, "scanning")


def test_a_scan_is_stopped_on_request_and_keeps_what_it_has(service: Service) -> None:
    assert not service.jobs.stop_scan()
    service.put("1.mp3", "2.mp3", "hang.mp3")
    service.jobs.start_scan([str(service.music)])
    service.wait(lambda: service.state.library.catalogue.statistics().tracks == 2)
    assert service.jobs.stop_scan()
    ended = service.ended()
    assert (ended["stopped"], ended["analysed"], ended["failed"]) == (True, 2, 0)
    assert len(service.state.library.index()) == 2
    assert not service.jobs.stop_scan()


def test_a_scan_ends_with_the_service(service: Service) -> None:
    service.put("1.mp3", "hang.mp3")
    service.jobs.start_scan([str(service.music)])
    service.wait(lambda: service.state.library.catalogue.statistics().tracks == 1)
    began = time.monotonic()
    service.jobs.close()
    assert time.monotonic() - began < END and service.jobs.scanning is None
    assert service.state.library.catalogue.statistics().tracks == 1 and service.state.library.catalogue.check() == []


def test_answers_go_on_during_a_scan(service: Service) -> None:
    service.put("1.mp3", "2.mp3", "3.mp3")
    service.jobs.start_scan([str(service.music)])
    service.ended()
    library = service.state.library
    library.patience = 60.0
    library.index()
    service.told.clear()
    service.put("hang.mp3", "4.mp3")
    service.jobs.start_scan([])
    service.wait(lambda: library.catalogue.statistics().tracks == 4)
    assert len(library.similar(1, n=5)) == 2, "the index of before answers"
    service.jobs.stop_scan()
    service.ended()
    assert len(library.similar(1, n=5)) == 3


def test_what_goes_wrong_is_told(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.put("1.mp3")
    service.state.library._named = "broken"
    monkeypatch.setattr(type(service.state.library), "model", property(lambda _: type("M", (), {"source": "broken"})))
    service.jobs.start_scan([str(service.music)])
    assert service.ended()["error"] == "broken.onnx is not a model file"
    monkeypatch.setattr(type(service.state.library), "scan", None)  # a fault of the program
    service.told.clear()
    service.jobs.start_scan([str(service.music)])
    error = service.ended()["error"]
    assert "something went wrong" in error and "NoneType" not in error


# --- folders ---------------------------------------------------------------------------------------------------------

SECRET = {"password_hash": "scrypt$x"}


@pytest.mark.parametrize(
    "settings",
    [
        {"host": "0.0.0.0", **SECRET},
        {"allowed_hosts": ("music.example",), **SECRET},
        {"https": True, **SECRET},
    ],
)
def test_a_service_that_others_reach_scans_only_what_is_known(
    service: Service, tmp_path: Path, settings: dict[str, Any]
) -> None:
    service.put("1.mp3")
    (service.music / "inside").mkdir()
    (tmp_path / "other").mkdir()
    service.state.library.catalogue.add_folder(service.music)
    far = Service(service.state.library, service.music, **settings)
    for folder in (tmp_path / "other", tmp_path, service.music / ".." / "other", tmp_path / "music2", Path("/none")):
        with pytest.raises(Refusal) as refused:
            far.jobs.start_scan([str(service.music), str(folder)])
        assert (refused.value.status, refused.value.code) == (403, "folder-not-known")
        assert "soundkin scan" in refused.value.message
    assert far.jobs.start_scan([str(service.music / "inside")]) == [service.music / "inside"]
    far.ended()


@pytest.mark.parametrize("folder", ["Music", "./x", "", " ", "~nobody-of-that-name/x", "x" * 5000])
def test_a_folder_is_named_by_its_whole_path(service: Service, folder: str) -> None:
    with pytest.raises(Refusal, match="whole path"):
        service.jobs.start_scan([folder])


def test_a_folder_that_is_not_there(service: Service) -> None:
    service.put("1.mp3")
    for folder in (service.music / "none", service.music / "1.mp3", Path("/" + "x" * 5000)):
        with pytest.raises(Refusal, match="there is no folder") as refused:
            service.jobs.start_scan([str(folder)])
        assert refused.value.status == 404
