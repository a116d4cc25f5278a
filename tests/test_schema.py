"""The library file: text in it, versions and migrations, and every way of opening it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import sqlite3
import sys
from pathlib import Path
from types import SimpleNamespace

import hypothesis.strategies as st
import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given

from soundkin.analysis import Analysis
from soundkin.audio import AudioInfo
from soundkin.catalogue import Catalogue, Outcome, database, fold, schema
from soundkin.catalogue.schema import read_text, store_text
from soundkin.errors import (
    EmptyLibraryError,
    LibraryCorruptError,
    LibraryError,
    LibraryReadOnlyError,
    NewerSchemaError,
    SilentError,
)
from soundkin.excerpts import Passages
from soundkin.model import Space
from soundkin.tags import Tags

NOW = schema.SCHEMA_VERSION


def record(catalogue: Catalogue, number: int, *, passages: Passages | None = None) -> Outcome:
    """Store track `number` as a scan would."""
    info = AudioInfo(
        Path(f"/m/{number}.mp3"), 9.0, 44100, 2, "mp3", "mp3", None, Tags(title=str(number)), f"{number:032x}", None
    )
    vector = np.full(2, number, np.float32)
    return catalogue.record(Analysis(info, "net", vector, None, b"print", passages), size=1, mtime_ns=1)


def register(catalogue: Catalogue) -> None:
    with catalogue._write() as connection:
        row = {"id": "net", "name": "net", "version": "1", "dimension": 2, "tags": "[]"}
        connection.execute(schema.models.insert(), row)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A library of three tracks, closed."""
    path = tmp_path / "shelf" / "library.db"
    with Catalogue.open(path) as catalogue:
        register(catalogue)
        for number in (1, 2, 3):
            record(catalogue, number)
    return path


def execute(path: Path, script: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


# --- text ------------------------------------------------------------------------------------------------------------

_TEXT = st.text(st.characters() | st.sampled_from("\ud800\udfff\U0010f7ff\U0010f800\U0010ffff\ue000\ud7ff"))


@given(_TEXT)
def test_stored_text_is_valid_and_comes_back(text: str) -> None:
    stored = store_text(text)
    stored.encode()  # no lone surrogate is left
    assert read_text(stored) == text


@given(_TEXT, _TEXT)
def test_two_names_are_never_stored_as_one(one: str, other: str) -> None:
    assert (store_text(one) == store_text(other)) == (one == other)


def test_ordinary_text_is_stored_as_it_is() -> None:
    for text in ("plain", "Motörhead", "日本語", "😀", "\ue000"):
        assert store_text(text) == text


def test_fold() -> None:
    assert fold("  Sigur\tRÓS  ") == "sigur ros"
    assert fold("ﬁne Œuvre Æther Łódź ıI İ") == "fine oeuvre aether lodz ii i"
    assert fold("が") == fold("か\u3099")  # composed or not
    assert fold("") == ""


def test_tag_columns_are_the_fields_of_tags() -> None:
    assert tuple(field.name for field in dataclasses.fields(Tags)) == schema.TAG_COLUMNS


# --- versions --------------------------------------------------------------------------------------------------------


def test_every_earlier_version_has_its_migration() -> None:
    assert sorted(schema.MIGRATIONS) == list(range(1, schema.SCHEMA_VERSION))


def add_mood(connection: sa.Connection) -> None:
    connection.execute(sa.text("ALTER TABLE tracks ADD COLUMN mood TEXT"))
    connection.execute(sa.text("UPDATE tracks SET mood = 'calm'"))


def fail(connection: sa.Connection) -> None:
    connection.execute(sa.text("CREATE TABLE half_done (x INTEGER)"))
    connection.execute(sa.text("DELETE FROM tracks"))
    raise RuntimeError("the power is gone")


@pytest.fixture
def engine(place: Path):
    opened = database._engine(place, "", 1.0)
    yield opened
    opened.dispose()


def version(engine: sa.Engine, place: Path) -> int | None:
    with engine.connect() as connection:
        return schema.version_of(connection, place)


def test_migrations_run_in_order_and_keep_the_rows(engine: sa.Engine, place: Path) -> None:
    order = []

    def rename(connection: sa.Connection) -> None:
        order.append(schema.version_of(connection, place))
        connection.execute(sa.text("UPDATE tracks SET mood = mood || ' indeed'"))

    schema.bring_up_to_date(engine, place, target=NOW + 2, migrations={NOW: add_mood, NOW + 1: rename})
    assert version(engine, place) == NOW + 2 and order == [NOW + 1]
    with engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT title, mood FROM tracks ORDER BY id")).all()
    assert rows == [("1", "calm indeed"), ("2", "calm indeed"), ("3", "calm indeed")]
    schema.bring_up_to_date(engine, place, target=NOW + 2, migrations={})  # nothing is left to do


def test_a_step_that_fails_leaves_the_library_as_the_last_step_left_it(engine: sa.Engine, place: Path) -> None:
    with pytest.raises(RuntimeError, match="power"):
        schema.bring_up_to_date(engine, place, target=NOW + 2, migrations={NOW: add_mood, NOW + 1: fail})
    assert version(engine, place) == NOW + 1
    with engine.connect() as connection:
        assert "half_done" not in sa.inspect(connection).get_table_names()
        assert connection.scalar(sa.text("SELECT count(*) FROM tracks WHERE mood = 'calm'")) == 3
    schema.bring_up_to_date(engine, place, target=NOW + 2, migrations={NOW + 1: lambda _: None})  # it goes on
    assert version(engine, place) == NOW + 2


def test_opening_runs_the_migrations(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "SCHEMA_VERSION", NOW + 1)
    monkeypatch.setitem(schema.MIGRATIONS, NOW, add_mood)
    with Catalogue.open(place, create=False) as catalogue:
        assert [t.id for t in catalogue.list_tracks()] == [1, 2, 3]
        with catalogue._read() as connection:
            assert connection.scalar(sa.text("SELECT count(mood) FROM tracks")) == 3
    monkeypatch.undo()
    with pytest.raises(NewerSchemaError, match=rf"schema {NOW + 1}.*up to {NOW}.*Upgrade soundkin"):
        Catalogue.open(place)


TO_VERSION_3 = """
    DROP TABLE playlist_rows; DROP TABLE playlists; DROP TABLE song_maps;
    UPDATE meta SET value = 3 WHERE key = 'schema_version';
"""
TO_VERSION_2 = f"""
    {TO_VERSION_3}
    ALTER TABLE models DROP COLUMN source; ALTER TABLE models DROP COLUMN space; ALTER TABLE models DROP COLUMN card;
    UPDATE meta SET value = 2 WHERE key = 'schema_version';
"""


def test_a_library_of_version_2_learns_where_its_models_come_from_when_they_are_loaded(place: Path) -> None:
    execute(place, TO_VERSION_2)
    model = SimpleNamespace(
        id="net", name="net", version="1", space=Space(2), tags=(), source="/m/\udcff.onnx", card={"licence": "MIT"}
    )
    with Catalogue.open(place) as catalogue:
        (stored,) = catalogue.models()
        assert (stored.source, stored.space, stored.card, stored.vectors) == (None, None, {}, 3)
        catalogue.register_model(model)
        before = catalogue.generation()
        catalogue.register_model(model)
        (stored,) = catalogue.models()
        assert (stored.source, stored.card, stored.vectors) == ("/m/\udcff.onnx", {"licence": "MIT"}, 3)
        assert stored.space == Space(2).as_json() and catalogue.generation() == before


def test_a_library_of_version_1_gets_room_for_passages(place: Path) -> None:
    execute(place, f"{TO_VERSION_2} DROP TABLE passages; UPDATE meta SET value = 1 WHERE key = 'schema_version'")
    with Catalogue.open(place) as catalogue:
        assert [t.id for t in catalogue.list_tracks()] == [1, 2, 3]
        assert catalogue.passages("net", [1, 2, 3]) == {} and catalogue.check() == []
        record(catalogue, 4, passages=Passages(np.array([7.5], np.float32), np.ones((1, 2), np.float32)))
        assert catalogue.passages("net", [1, 4])[4].start.tolist() == [7.5]
        with catalogue._read() as connection:
            made = connection.scalar(sa.text("SELECT sql FROM sqlite_master WHERE name = 'passages'"))
    with Catalogue.open(place.with_name("new.db")) as new, new._read() as connection:
        assert connection.scalar(sa.text("SELECT sql FROM sqlite_master WHERE name = 'passages'")) == made


def test_a_library_of_version_3_gets_room_for_playlists_and_maps(place: Path) -> None:
    execute(place, TO_VERSION_3)
    with Catalogue.open(place) as catalogue:
        assert [t.id for t in catalogue.list_tracks()] == [1, 2, 3]
        assert catalogue.playlists.all() == [] and catalogue.song_maps.get("net") is None
        made = catalogue.playlists.create("Evening", [3, 1])
        assert [t.id for t in catalogue.playlists.tracks(made.id)] == [3, 1] and catalogue.check() == []
        found = made_tables(catalogue)
    with Catalogue.open(place.with_name("new.db")) as new:
        assert made_tables(new) == found and len(found) == 4


def made_tables(catalogue: Catalogue) -> list[str]:
    """How the tables of version 4, and their indexes, were made."""
    with catalogue._read() as connection:
        asked = "SELECT sql FROM sqlite_master WHERE tbl_name LIKE 'playlist%' OR tbl_name = 'song_maps' ORDER BY name"
        return [sql for (sql,) in connection.execute(sa.text(asked)) if sql]


def test_a_newer_schema_is_refused_and_left_alone(place: Path) -> None:
    execute(place, "UPDATE meta SET value = 99 WHERE key = 'schema_version'; PRAGMA journal_mode = DELETE")
    before = place.read_bytes()
    with pytest.raises(NewerSchemaError, match=r"library\.db has schema 99"):
        Catalogue.open(place)
    assert place.read_bytes() == before


# --- opening ---------------------------------------------------------------------------------------------------------


def test_a_closed_library_is_one_file(place: Path) -> None:
    assert [file.name for file in place.parent.iterdir()] == ["library.db"]


def test_settings_of_every_connection(place: Path) -> None:
    with Catalogue.open(place) as catalogue, catalogue._engine.connect() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 1, "busy_timeout": 30_000}


def test_no_library_and_none_to_be_made(tmp_path: Path) -> None:
    with pytest.raises(EmptyLibraryError, match="soundkin scan"):
        Catalogue.open(tmp_path / "none" / "library.db", create=False)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty.db").touch()
    with pytest.raises(EmptyLibraryError):
        Catalogue.open(tmp_path / "empty.db", create=False)
    with Catalogue.open(tmp_path / "empty.db") as catalogue:  # an empty file is a library that nothing is in yet
        assert catalogue.statistics().tracks == 0


def test_a_folder_is_no_library(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="is a folder"):
        Catalogue.open(tmp_path)


def test_a_place_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(LibraryError, match=r"cannot be made.*--library"):
        Catalogue.open(tmp_path / "file" / "deep" / "library.db")


def test_names_with_characters_that_addresses_treat_specially(tmp_path: Path) -> None:
    for name in ("a b#c%20é.db", os.fsdecode(b"caf\xe9.db")):
        try:
            (tmp_path / name).touch()
        except OSError:
            continue  # this file system takes only UTF-8 names
        with Catalogue.open(tmp_path / name) as catalogue:
            register(catalogue)
            record(catalogue, 1)
        engine = database._open_read_only(tmp_path / name, 1.0)
        with engine.connect() as connection:
            assert connection.scalar(sa.text("SELECT count(*) FROM tracks")) == 1
        engine.dispose()


@pytest.mark.parametrize("data", [b"ID3\x04 no database at all" * 100, b"x", b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_file_that_is_no_database(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "song.mp3"
    path.write_bytes(data)
    with pytest.raises(LibraryCorruptError, match=r"song\.mp3 is damaged, or is no soundkin library"):
        Catalogue.open(path)
    assert path.read_bytes() == data


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "photos.db"
    execute(path, "CREATE TABLE photos (id INTEGER)")
    before = path.read_bytes()
    with pytest.raises(LibraryCorruptError, match="not a soundkin library"):
        Catalogue.open(path)
    assert path.read_bytes() == before


def test_a_damaged_library_is_reported(place: Path) -> None:
    data = bytearray(place.read_bytes())
    page = 4096
    for start in range(2 * page, len(data), page):  # the tables' pages, not the first one that lists them
        data[start : start + 200] = b"\xa5" * 200
    place.write_bytes(data)
    with pytest.raises(LibraryCorruptError, match=r"library\.db is damaged"), Catalogue.open(place) as catalogue:
        catalogue.columns()


def test_check_finds_damage(place: Path) -> None:
    with contextlib.closing(sqlite3.connect(place)) as connection:
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'tracks_by_folder'").fetchone()[0]
    data = bytearray(place.read_bytes())
    data[root * 4096 - 600 : root * 4096] = bytes(600)  # rows of an index, which nothing else here reads
    place.write_bytes(data)
    with Catalogue.open(place) as catalogue:
        assert any("the file is damaged" in line for line in catalogue.check())


def test_every_kind_of_database_error_has_its_own_advice(place: Path) -> None:
    codes = {
        sqlite3.SQLITE_IOERR | (10 << 8): "check the disk",  # extended codes fall under their primary one
        sqlite3.SQLITE_PROTOCOL: "network share",
        sqlite3.SQLITE_CANTOPEN: "make the file and its folder writable",
        sqlite3.SQLITE_LOCKED: "wait until",
        sqlite3.SQLITE_TOOBIG: "cannot be used",
    }
    for code, advice in codes.items():
        error = sqlite3.OperationalError("as SQLite says")
        error.sqlite_errorcode = code
        with pytest.raises(LibraryError, match=advice) as caught, database.translated(place):
            raise error
        assert str(place) in str(caught.value) and caught.value.__cause__ is error


def test_a_full_disk_while_the_library_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(schema.metadata, "create_all", full)
        with pytest.raises(LibraryError, match="is full"):
            Catalogue.open(tmp_path / "library.db")
    with Catalogue.open(tmp_path / "library.db") as catalogue:  # what is left behind does not stand in the way
        assert catalogue.statistics().tracks == 0


# --- read-only media, network shares ---------------------------------------------------------------------------------


def refuse_writing(engine: sa.Engine, path: Path) -> None:
    raise LibraryReadOnlyError(f"{path} may not be written")


def answers(catalogue: Catalogue) -> None:
    assert not catalogue.writable
    assert [t.id for t in catalogue.search("2")] == [2]
    assert catalogue.vectors("net")[0].tolist() == [1, 2, 3]
    assert catalogue.check() == []
    with pytest.raises(LibraryReadOnlyError, match="may not be written"):
        record(catalogue, 4)
    with pytest.raises(LibraryReadOnlyError):
        catalogue.record_failure(SilentError("/m/x.mp3", "it is silent"), size=1, mtime_ns=1)


def test_a_library_that_may_not_be_written_still_answers(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_prepare", refuse_writing)
    with Catalogue.open(place, create=False) as catalogue:
        answers(catalogue)


def test_a_library_in_a_folder_without_the_right_to_write(place: Path) -> None:
    place.chmod(0o444)
    place.parent.chmod(0o555)
    try:
        if os.access(place.parent, os.W_OK):
            pytest.skip("this user, or this system, may write in spite of the folder's mode")
        with Catalogue.open(place) as catalogue:
            answers(catalogue)
        with pytest.raises(LibraryReadOnlyError, match="--library"):
            Catalogue.open(place.parent / "new.db")
        with pytest.raises(LibraryReadOnlyError, match="--library"):
            Catalogue.open(place.parent / "deep" / "new.db")
    finally:
        place.parent.chmod(0o755)
        place.chmod(0o644)


def test_read_only_media_without_room_for_a_log_beside_the_library(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where even reading through the log is refused, the file is read as one that nobody can change."""
    make = database._engine
    ways = []

    def make_as_on_a_cd(path: Path, query: str, busy_timeout: float) -> sa.Engine:
        ways.append(query)
        return make(path if query == "immutable=1" else path.parent / "none" / "x.db", query or "mode=ro", busy_timeout)

    monkeypatch.setattr(database, "_engine", make_as_on_a_cd)
    with Catalogue.open(place) as catalogue:
        answers(catalogue)
    assert ways == ["", "mode=ro", "immutable=1"]


def test_what_only_the_log_holds_is_never_passed_over(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that was killed while writing, then put on read-only media: rather an error than an old answer."""
    copy = place.parent / "copy.db"
    with Catalogue.open(place) as catalogue:
        record(catalogue, 4)
        for end in ("", "-wal"):
            shutil.copy(f"{place}{end}", f"{copy}{end}")
    make = database._engine

    def make_as_on_a_cd(path: Path, query: str, busy_timeout: float) -> sa.Engine:
        assert query != "immutable=1"
        return make(path.parent / "none" / "x.db", query or "mode=ro", busy_timeout)

    with monkeypatch.context() as patch:
        patch.setattr(database, "_engine", make_as_on_a_cd)
        with pytest.raises(LibraryReadOnlyError, match="may not be written"):
            Catalogue.open(copy)
    with Catalogue.open(copy) as catalogue:
        assert [t.id for t in catalogue.list_tracks()] == [1, 2, 3, 4]


def test_an_older_schema_on_read_only_media_says_what_to_do(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_prepare", refuse_writing)
    monkeypatch.setattr(schema, "SCHEMA_VERSION", NOW + 1)
    with pytest.raises(LibraryError, match=f"must be brought to {NOW + 1}"):
        Catalogue.open(place)


@pytest.mark.skipif(sys.platform == "win32", reason="the lock style is one of SQLite's for Unix")
def test_where_no_write_ahead_log_is_possible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    make = database._engine
    # locks kept as files, as on shares that know no other: SQLite then has no memory to share between processes
    monkeypatch.setattr(database, "_engine", lambda path, query, timeout: make(path, "vfs=unix-dotfile", timeout))
    with Catalogue.open(tmp_path / "library.db") as catalogue:
        register(catalogue)
        assert record(catalogue, 1) is Outcome.ANALYSED
        assert "local disk" in caplog.text
        assert catalogue.check() == ["no write-ahead log is possible where it lies: answers wait while a scan writes"]
    with Catalogue.open(tmp_path / "library.db") as catalogue:
        assert catalogue.track(1).title == "1"
