"""What the service of `soundkin serve` bears: a large library, 50 clients for a minute, a scan at the same time.

    python benchmarks/serving.py [--tracks 100000] [--clients 50] [--seconds 60] [--place FOLDER]

The library is generated as in similar_100k.py, with vectors of the bundled model's size and its tags; the demo's pieces
are scanned into it, with a picture for each album, so that there is sound to stream. The service is the whole command
in a process of its own, the clients are threads of another process; both share the machine and the loopback network. A
client comes within the first ten seconds, asks, reads the answer to its end, thinks for a second on the average, and
asks something else. `/openapi.json`, a text that lies ready, is the floor: what a request costs without anything to
find out. With --place everything is kept, and used again the next time.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import io
import json
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import machine  # first: it sets the number of threads

# isort: split
import av
import numpy as np

from similar_100k import WORDS, generate

SEARCH, API_P99 = 100.0, 250.0  # ms: the targets
MEDIA = ("stream, first byte", "cover")  # all other kinds are the API's own answers
KINDS = {"search": 0.3, "similar": 0.2, "song": 0.1, "browse": 0.1, MEDIA[0]: 0.15, MEDIA[1]: 0.15}
"""What clients ask for, and how often."""
PART = 256 * 1024  # bytes of a song that a client takes at once
THINKING = 1.0  # s
ARRIVAL = 10.0  # s, within which the clients come
COMMAND = (sys.executable, "-m", "soundkin.cli.main")


# --- the library ---------------------------------------------------------------------------------------------------


def prepare(place: Path, *, tracks: int) -> tuple[Path, list[int]]:
    """The library and the ids of the tracks in it that have files."""
    from soundkin import demo
    from soundkin.library import Library
    from soundkin.model import load_model

    model = load_model()
    library, music = place / f"{model.id}-{tracks}.db", place / "music"
    if not library.exists():
        generate(library, tracks=tracks, model=model)
        demo.compose(music)
        for number, folder in enumerate(sorted({path.parent for path in music.rglob("*") if path.is_file()})):
            (folder / "cover.jpg").write_bytes(picture(number))
        subprocess.run([*COMMAND, "--library", library, "scan", music], check=True)
    with Library.open(library) as opened:
        opened.index()  # kept beside the library, as after a scan
        found = opened.catalogue.tracks(range(tracks + 1, tracks + 200))
        ids = [track.id for track in found if track.path.is_relative_to(music)]
    return library, ids


def picture(number: int) -> bytes:
    """A JPEG of 600 × 600 pixels."""
    pixels = np.kron(np.random.default_rng(number).integers(0, 255, (12, 12, 3), np.uint8), np.ones((50, 50, 1)))
    file = io.BytesIO()
    with av.open(file, "w", format="image2pipe") as container:
        stream = container.add_stream("mjpeg", rate=1)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 600, 600, "yuvj444p"
        frame = av.VideoFrame.from_ndarray(pixels.astype(np.uint8), format="rgb24")
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return file.getvalue()


# --- the service ---------------------------------------------------------------------------------------------------


class Service:
    """`soundkin serve` in a process of its own."""

    def __init__(self, library: Path) -> None:
        began = time.perf_counter()
        command = [*COMMAND, "--library", library, "serve", "--port", "0", "--no-browser"]
        self.process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        found = re.search(r"http://\S+?/", self.process.stdout.readline())
        assert found, "soundkin serve did not start"
        self.started = time.perf_counter() - began
        self.address = urlsplit(found[0]).netloc

    def memory(self) -> float | None:
        """Resident size in MB, or None where the system does not tell."""
        try:
            lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        except OSError:
            return None
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

    def processor_time(self) -> float | None:
        """Milliseconds of a processor that it has taken so far, or None where the system does not tell."""
        try:
            tasks = list(Path(f"/proc/{self.process.pid}/task").iterdir())
            return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e6
        except OSError:
            return None

    def end(self) -> float:
        """Seconds from SIGTERM to the end."""
        began = time.perf_counter()
        self.process.terminate()
        self.process.wait(30)
        return time.perf_counter() - began


class Client:
    """One connection that is kept, and what was asked over it."""

    def __init__(self, address: str) -> None:
        self._connection = http.client.HTTPConnection(address, timeout=60)
        self._used = time.monotonic()

    def ask(self, path: str, body: dict[str, Any] | None = None, *, method: str = "", **headers: str) -> bytes:
        """The answer; anything but success raises ValueError."""
        self._fresh()
        send = json.dumps(body).encode() if body is not None else None
        usual = {"X-Soundkin": "1", "Content-Type": "application/json"}
        self._connection.request(
            method or ("GET" if body is None else "POST"), f"/api/v1{path}", send, {**usual, **headers}
        )
        answer = self._connection.getresponse()
        data = answer.read()
        if answer.status >= 300:
            raise ValueError(f"{path}: {answer.status}: {data[:200]!r}")
        return data

    def _fresh(self) -> None:
        """A connection that nobody used for a while is about to be closed by the service: begin another."""
        if time.monotonic() - self._used > 4:
            self._connection.close()
        self._used = time.monotonic()

    def floor(self) -> None:
        self._connection.request("GET", "/openapi.json")
        self._connection.getresponse().read()

    def first_byte(self, track: int, rng: random.Random) -> float:
        """Milliseconds to the first byte of a part of a song, which is then read to its end."""
        self._fresh()
        began = time.perf_counter()
        first = rng.randrange(0, 8192)
        path = f"/api/v1/tracks/{track}/audio"
        self._connection.request("GET", path, headers={"Range": f"bytes={first}-{first + PART - 1}"})
        answer = self._connection.getresponse()
        answer.read(1)
        waited = 1000 * (time.perf_counter() - began)
        answer.read()
        if answer.status != 206:
            raise ValueError(f"{path}: {answer.status}")
        return waited


# --- the load ------------------------------------------------------------------------------------------------------


def ask_once(client: Client, kind: str, ids: list[int], rng: random.Random) -> float:
    """Ask for something of that kind, other songs every time; milliseconds until the answer, or its first byte."""
    if kind == MEDIA[0]:
        return client.first_byte(rng.choice(ids), rng)
    began = time.perf_counter()
    if kind == "search":
        word = rng.choice(WORDS)
        client.ask(f"/search?q={quote(rng.choice((word, word[:3], f'{word} {rng.choice(WORDS)}')))}")
    elif kind == "similar":
        client.ask("/similar", {"seeds": [rng.randrange(1, ids[0])], "n": 20})
    elif kind == "song":
        client.ask(f"/tracks/{rng.choice(ids)}")
    elif kind == "browse":
        client.ask(f"/tracks?order=title&offset={rng.randrange(ids[0])}")
    else:
        client.ask(f"/tracks/{rng.choice(ids)}/cover?size={rng.choice((96, 384))}")
    return 1000 * (time.perf_counter() - began)


def visit(address: str, ids: list[int], *, seed: int, until: float, told: list[tuple[str, float]]) -> None:
    """What one client does: (kind, milliseconds) of each answer goes to `told`, errors as -1."""
    rng, client = random.Random(seed), Client(address)
    time.sleep(rng.uniform(0, min(ARRIVAL, (until - time.time()) / 4)))
    while time.time() < until:
        kind = rng.choices(tuple(KINDS), weights=tuple(KINDS.values()))[0]
        try:
            told.append((kind, ask_once(client, kind, ids, rng)))
        except (OSError, ValueError, http.client.HTTPException) as error:
            print(f"error: {error!r}", file=sys.stderr)
            told.append((kind, -1.0))
            client = Client(address)
        time.sleep(rng.expovariate(1 / THINKING))


def load(address: str, ids: list[int], *, clients: int, seconds: float) -> None:
    """Be so many clients for so long; what was told goes to standard output as JSON."""
    told: list[tuple[str, float]] = []
    until = time.time() + seconds
    threads = [
        threading.Thread(target=visit, args=(address, ids), kwargs={"seed": seed, "until": until, "told": told})
        for seed in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    json.dump(told, sys.stdout)


@contextlib.contextmanager
def clients_of(service: Service, ids: list[int], *, clients: int, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """The clients, in a process of their own, at work."""
    command = [sys.executable, __file__, "--visit", service.address, "--clients", clients, "--seconds", seconds]
    process = subprocess.Popen(
        [*map(str, command), "--ids", *map(str, ids)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def answers(process: subprocess.Popen[str]) -> list[tuple[str, float]]:
    output, _ = process.communicate()
    return [(kind, taken) for kind, taken in json.loads(output)]


# --- the figures ---------------------------------------------------------------------------------------------------


def times(work: Any, *, count: int) -> list[float]:
    """Milliseconds of each of `count` calls."""
    found = []
    for _ in range(count):
        began = time.perf_counter()
        work()
        found.append(1000 * (time.perf_counter() - began))
    return found


def spread(values: list[float]) -> str:
    return f"{np.median(values):.0f} / {np.percentile(values, 99):.0f} / {max(values):.0f} ms"


def by_kind(told: list[tuple[str, float]]) -> list[tuple[str, str, str]]:
    """Rows: the answers of each kind, of the API in all, and the errors."""
    rows = []
    for kind in sorted({kind for kind, _ in told}):
        values = [taken for one, taken in told if one == kind and taken >= 0]
        rows.append((f"{kind}, {len(values)} answers", spread(values), ""))
    api = [taken for kind, taken in told if kind not in MEDIA and taken >= 0]
    rows.append((f"the API in all, {len(api)} answers", f"**{spread(api)}**", f"p99 ≤ {API_P99:.0f} ms"))
    rows.append(("errors", f"**{sum(taken < 0 for _, taken in told)}**", "0"))
    return rows


def first_answers(service: Service, *, tracks: int) -> list[tuple[str, str, str]]:
    client, rows = Client(service.address), [("start, until it says where it is", f"{service.started:.2f} s", "")]
    asked: tuple[tuple[str, str, dict[str, Any] | None], ...] = (
        ("the newest tracks, what the page shows first", "/tracks?order=added&limit=30", None),
        ("a search", "/search?q=kalo", None),
        ("similar", "/similar", {"seeds": [tracks // 2], "n": 20}),
        ("the tags and how many tracks have them", "/tags", None),
    )
    for what, path, body in asked:
        one = times(lambda path=path, body=body: client.ask(path, body), count=1)[0]
        rows.append((f"first answer: {what}", f"{one:.0f} ms", ""))
    return rows


def typing(service: Service) -> list[tuple[str, str, str]]:
    """One person types: after each letter there is a search."""
    client, rng = Client(service.address), random.Random(1)
    texts = [
        text[:end] for text in (f"{rng.choice(WORDS)} {rng.choice(WORDS)}" for _ in range(40)) for end in range(1, 9)
    ]
    found = [times(lambda text=text: client.ask(f"/search?q={quote(text)}"), count=1)[0] for text in texts]
    floor = times(client.floor, count=200)
    return [
        (f"search as one types, {len(texts)} texts", f"**{spread(found)}**", f"≤ {SEARCH:.0f} ms"),
        ("floor: a text that lies ready", spread(floor), ""),
    ]


def effort(service: Service, ids: list[int], *, count: int = 100) -> list[tuple[str, str, str]]:
    """What an answer of each kind takes of a processor, which other programs on the machine change little."""
    client, rng, rows = Client(service.address), random.Random(2), []
    for kind in KINDS:
        for _ in range(count // 5):  # what is made once is made
            ask_once(client, kind, ids, rng)
        before = service.processor_time()
        for _ in range(count):
            ask_once(client, kind, ids, rng)
        after = service.processor_time()
        if before is not None and after is not None:
            rows.append((kind, f"{(after - before) / count:.1f} ms", ""))
    return rows


def crowd(service: Service, ids: list[int], *, clients: int, seconds: float) -> None:
    with clients_of(service, ids, clients=clients, seconds=seconds) as process:
        sizes = []
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            sizes.append(service.memory())
            time.sleep(1)
        told = answers(process)
    rows = by_kind(told)
    rows.append(("answers a second", f"{len(told) / seconds:.0f}", ""))
    after = sizes[len(sizes) // 6 :]
    if after and after[0] is not None:
        known = [size for size in after if size is not None]
        rows.append(("memory of the service after a sixth, at the most, at the end",
                     f"{known[0]:.0f}, {max(known):.0f}, {known[-1]:.0f} MB", "flat"))  # fmt: skip
    machine.show(f"{clients} clients for {seconds:.0f} s (median / p99 / longest)", rows)


def beside_a_scan(service: Service, ids: list[int], place: Path, *, clients: int = 20) -> None:
    """Some clients while new music is scanned."""
    import machine
    from soundkin import demo

    fresh = place / f"new music {time.time():.0f}"
    demo.compose(fresh, seed=int(time.time()) % 100_000 + 8, per_style=10)
    client = Client(service.address)
    client.ask("/library/scan", {"folders": [str(fresh)]})
    began = time.monotonic()
    with clients_of(service, ids, clients=clients, seconds=20) as process:
        told = answers(process)
    while json.loads(client.ask("/library"))["scan"] is not None:
        time.sleep(0.2)
    seconds = time.monotonic() - began
    rows = [*by_kind(told), ("seconds that the scan of 101 files took", f"{seconds:.0f}", "")]
    machine.show(f"{clients} clients while a scan runs (median / p99 / longest)", rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--place", type=Path)
    parser.add_argument("--visit", help=argparse.SUPPRESS)
    parser.add_argument("--ids", type=int, nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.visit:
        load(options.visit, options.ids, clients=options.clients, seconds=options.seconds)
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        place = options.place or Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        library, ids = prepare(place, tracks=options.tracks)
        print(machine.describe())
        service = Service(library)
        try:
            rows = first_answers(service, tracks=options.tracks)
            machine.show(f"{options.tracks:,} tracks: the first answers", rows)
            machine.show("One person types (median / p99 / longest)", typing(service))
            machine.show("One after the other, what an answer takes of a processor", effort(service, ids))
            crowd(service, ids, clients=options.clients, seconds=options.seconds)
            beside_a_scan(service, ids, place)
        finally:
            ended = service.end()
        machine.show("The end", [("from SIGTERM to the end", f"{ended:.1f} s", "≤ 5 s")])


if __name__ == "__main__":
    main()
