"""Each command through the real command line, on a small library that was composed and scanned by it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from soundkin.cli import main as cli
from soundkin.demo import compose


@pytest.fixture(scope="session")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pieces in three styles."""
    folder = tmp_path_factory.mktemp("music")
    compose(folder, styles=["nocturne", "chiptune", "house"], per_style=4)
    return folder


@pytest.fixture(scope="session")
def library(music: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("library") / "library.db"
    done = soundkin("--library", path, "scan", music)
    assert done.returncode == 0, done.stderr
    assert "0 failed" in done.stdout
    return path


def soundkin(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the program as a person does, in a process of its own."""
    command = [sys.executable, "-m", "soundkin.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)  # type: ignore[call-overload]


@pytest.fixture
def ask(library: Path, capsys: pytest.CaptureFixture[str]) -> object:
    """Run one command line on the library, in this process: (exit code, stdout, stderr)."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = cli.run(["--library", str(library), *map(str, arguments)])
        out = capsys.readouterr()
        return code, out.out, out.err

    return run


def style_of(track: dict[str, object]) -> object:
    return track["genre"]


def test_similar_answers_mostly_in_the_style_of_the_seed(ask) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = ask("similar", "1", "-n", "3", "--json")
    seed = json.loads(ask("info", "1", "--json")[1])
    rows = json.loads(out)
    assert code == 0 and [row["rank"] for row in rows] == [1, 2, 3]
    assert all(0 <= row["similarity"] <= 1 and row["reason"] for row in rows)
    assert seed["id"] not in [row["track"]["id"] for row in rows]
    assert sum(style_of(row["track"]) == seed["genre"] for row in rows) >= 2


def test_similar_in_a_pipe_is_one_line_a_song(ask) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = ask("similar", "1", "-n", "4")
    assert code == 0
    assert [line.split("\t")[0] for line in out.splitlines()] == ["1", "2", "3", "4"]


def test_a_seed_may_be_words_or_a_file_inside_or_outside(ask, music: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    track = json.loads(ask("info", "1", "--json")[1])
    by_id = ask("similar", "1", "--json")[1]
    assert ask("similar", track["path"], "--json")[1] == by_id
    assert ask("similar", track["title"], "--json")[1] == by_id
    outside = tmp_path / f"somewhere else{Path(track['path']).suffix}"
    shutil.copy(track["path"], outside)
    code, out, _ = ask("similar", outside, "--json")
    assert code == 0  # the same content: so the copy in the library is not an answer
    assert track["id"] not in [row["track"]["id"] for row in json.loads(out)]


def test_a_seed_that_names_nothing_or_several_is_a_usage_error(ask) -> None:  # type: ignore[no-untyped-def]
    code, out, err = ask("similar", "no such song anywhere")
    assert code == 2 and not out and "no such song anywhere" in err
    artist = json.loads(ask("info", "1", "--json")[1])["artist"]
    code, _, err = ask("similar", artist)
    assert code == 2 and artist in err and "id" in err


def test_a_title_without_quotes_is_told_about_quotes(ask) -> None:  # type: ignore[no-untyped-def]
    code, _, err = ask("similar", "nosuch", "title")
    assert code == 2 and '"nosuch title"' in err
    assert "quotes" not in ask("similar", "nosuch")[2]


def test_filters_hold_and_bad_ones_say_the_rule(ask) -> None:  # type: ignore[no-untyped-def]
    genre = json.loads(ask("info", "1", "--json")[1])["genre"]
    rows = json.loads(ask("similar", "1", "--exclude", f"genre:{genre}", "--json")[1])
    assert rows and all(row["track"]["genre"] != genre for row in rows)
    rows = json.loads(ask("similar", "1", "--only", f"genre:{genre}", "--max-per-artist", "1", "--json")[1])
    artists = [row["track"]["artist"] for row in rows]
    assert rows and len(artists) == len(set(artists))
    code, _, err = ask("similar", "1", "--only", "colour:blue")
    assert code == 2 and "colour" in err and "genre" in err


def test_path_leads_from_the_first_to_the_last(ask, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = ask("path", "1", "12", "-n", "6", "--json")
    ids = [row["track"]["id"] for row in json.loads(out)]
    assert code == 0 and ids[0] == 1 and ids[-1] == 12
    assert len(ids) == len(set(ids))


def test_blend_and_radio(ask) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = ask("blend", "--like", "1", "--like", "2", "--unlike", "12", "-n", "3", "--json")
    ids = [row["track"]["id"] for row in json.loads(out)]
    assert code == 0 and len(ids) == 3 and not {1, 2, 12} & set(ids)
    one, two = (ask("radio", "1", "-n", "6", "--random-seed", "5", "--json")[1] for _ in range(2))
    assert one == two and len(json.loads(one)) == 6


def test_playlists_are_written_in_three_formats(ask, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    files = {kind: tmp_path / f"list.{kind}" for kind in ("m3u8", "xspf", "jspf")}
    code, _, err = ask(
        "similar", "1", "-n", "5", "--m3u", files["m3u8"], "--xspf", files["xspf"], "--jspf", files["jspf"]
    )
    assert code == 0 and err.count("wrote 5 songs") == 3
    assert files["m3u8"].read_text(encoding="utf-8").startswith("#EXTM3U")
    assert files["xspf"].read_text(encoding="utf-8").count("<location>") == 5
    assert len(json.loads(files["jspf"].read_text(encoding="utf-8"))["playlist"]["track"]) == 5
    code, _, err = ask("similar", "1", "--m3u", tmp_path / "no such folder" / "list.m3u8")
    assert code == 1 and "no such folder" in err


def test_list_info_failures_prune_doctor(ask) -> None:  # type: ignore[no-untyped-def]
    everything = json.loads(ask("list", "--json")[1])
    title = everything[0]["title"]
    assert title in ask("list", *title.split())[1]
    info = json.loads(ask("info", "--json")[1])
    assert info["songs"] == len(everything) and info["failed"] == 0 and list(info["models"])
    assert "no file has failed" in ask("failures")[1]
    assert "nothing to forget" in ask("prune", "--yes")[1]
    code, out, _ = ask("doctor")
    assert code == 0 and "all well" in out and "FLAC" in out


def test_missing_songs_leave_the_answers_and_are_pruned(music: Path, tmp_path: Path) -> None:
    folder, library = tmp_path / "music", tmp_path / "library.db"
    shutil.copytree(music, folder)
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    for file in files[6:]:
        file.unlink()
    (folder / "broken.mp3").write_bytes(b"this is no music" * 100)
    done = soundkin("--library", library, "scan", folder, "--json", "-j", "1")
    report = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 3 and report["analysed"] == 6, done.stderr
    assert [note["kind"] for note in report["failures"]] == ["not-audio"]
    assert "broken.mp3" in soundkin("--library", library, "failures").stdout
    files[0].unlink()
    again = soundkin("--library", library, "scan")  # the folders of earlier scans
    assert again.returncode == 3 and "5 unchanged" in again.stdout and "1 missing" in again.stdout
    assert len(soundkin("--library", library, "list").stdout.splitlines()) == 5
    declined = soundkin("--library", library, "prune", input="n\n")
    assert declined.returncode != 0 and "1 missing song" in declined.stdout
    assert "forgot 1 song" in soundkin("--library", library, "prune", "--yes").stdout


def test_a_remembered_folder_that_is_gone_stops_nothing(music: Path, tmp_path: Path) -> None:
    library, stays, goes = tmp_path / "library.db", tmp_path / "stays", tmp_path / "goes"
    files = sorted(file for file in music.rglob("*") if file.is_file())
    for folder, file in ((stays, files[0]), (goes, files[1])):
        folder.mkdir()
        shutil.copy(file, folder)
    assert soundkin("--library", library, "scan", stays, goes).returncode == 0
    shutil.rmtree(goes)
    done = soundkin("--library", library, "scan")
    assert done.returncode == 0 and "1 missing" in done.stdout and str(goes) in done.stdout
    assert "forgot 1 song" in soundkin("--library", library, "prune", "-y").stdout
    assert str(goes) not in soundkin("--library", library, "scan").stdout


def test_exit_codes_of_a_scan(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    library = tmp_path / "library.db"
    nothing = soundkin("--library", library, "scan", empty)
    assert nothing.returncode == 1 and "no audio files" in nothing.stdout
    (empty / "text.flac").write_text("words")
    assert soundkin("--library", library, "scan", empty).returncode == 1
    assert soundkin("--library", library, "scan", tmp_path / "not there").returncode == 2
    assert soundkin("--library", library, "scan", empty, "--excerpts", "much").returncode == 2
    assert soundkin("--library", library, "scan", "--no-such-option").returncode == 2


def test_a_library_that_is_not_there_is_a_clear_message(tmp_path: Path) -> None:
    done = soundkin("--library", tmp_path / "none.db", "similar", "1")
    assert done.returncode == 2 and "none.db" in done.stderr and "scan" in done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "none.db").exists()


def test_help_and_version() -> None:
    shown = soundkin("--help").stdout
    assert all(name in shown for name in cli.COMMANDS)
    assert soundkin("--version").stdout.startswith("soundkin ")
    for name in cli.COMMANDS:
        assert soundkin(name, "--help").returncode == 0


def test_a_reader_that_stops_early_is_no_error(library: Path) -> None:
    command = [sys.executable, "-m", "soundkin.cli.main", "--library", str(library), "list", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to whole consoles, the test runner included")
def test_ctrl_c_ends_a_scan_cleanly(music: Path, tmp_path: Path) -> None:
    folder, library = tmp_path / "music", tmp_path / "library.db"
    for copy in range(8):
        shutil.copytree(music, folder / str(copy))
    command = [sys.executable, "-m", "soundkin.cli.main", "--library", str(library), "scan", str(folder)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr
    process.stderr.readline()  # it has begun
    time.sleep(1.5)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130 and "what was done is kept" in err and "Traceback" not in err
    rest = soundkin("--library", library, "scan", folder, "--json")
    assert rest.returncode == 0 and json.loads(rest.stdout.splitlines()[-1])["found"] == 8 * 12 + 8
