import json
import os
import sys
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import m3u8
import pytest
import xspf_lib
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from soundkin.catalogue import Track
from soundkin.errors import PlaylistError
from soundkin.playlist import XSPF, read_playlist, write_playlist
from soundkin.tags import Tags

FORMATS = ["m3u8", "xspf", "jspf"]
MUSIC = Path("/music").absolute()


def track(path, *, duration=200.4, **tags):
    return Track(1, Path(path), "0" * 32, duration, Tags(**tags), None, missing=False)


SONGS = [
    track(MUSIC / "Ada" / "01 - Größe & Glück.mp3", title="Größe & Glück", artist="Ada", album="<One>", track_number=1),
    track(MUSIC / "#1 100% [live].flac", title="Two\nlines\r\n#EXT", artist="B\x07o\x00", duration=61.6),
    track(MUSIC / "no tags?.ogg"),
    track(MUSIC / "日本.wav", title="日本", mb_recording_id="b1a9c0e9-d987-4042-ae91-78d6a3267d69"),
]


@pytest.fixture(params=FORMATS)
def format(request):
    return request.param


# --- read back by programs that are not ours -------------------------------------------------------------------------


def test_m3u8_is_read_by_another_parser(tmp_path):
    path = tmp_path / "list.m3u8"
    write_playlist(path, SONGS, title="Like “Größe”")
    found = m3u8.loads(path.read_text(encoding="utf-8"))
    assert [segment.uri for segment in found.segments] == [str(song.path) for song in SONGS]
    assert [segment.duration for segment in found.segments] == [200, 62, 200, 200]
    assert [segment.title for segment in found.segments] == [
        "Ada - Größe & Glück",
        "B o - Two lines #EXT",
        "no tags?",
        "日本",
    ]
    assert path.read_bytes().startswith(b"#EXTM3U\n#PLAYLIST:Like \xe2\x80\x9cGr")


def test_xspf_is_read_by_another_parser(tmp_path):
    path = tmp_path / "list.xspf"
    write_playlist(path, SONGS, title="Like <this>")
    found = xspf_lib.Playlist.parse(str(path))
    assert found.title == "Like <this>"
    # this parser gives URIs without their percent signs
    assert [row.location for row in found.trackList] == [[unquote(song.path.as_uri())] for song in SONGS]
    assert [row.title for row in found.trackList] == ["Größe & Glück", "Two lines #EXT", "no tags?", "日本"]
    assert [row.creator for row in found.trackList] == ["Ada", "B o", None, None]
    assert [row.album for row in found.trackList] == ["<One>", None, None, None]
    assert [row.trackNum for row in found.trackList] == [1, None, None, None]
    assert [row.duration for row in found.trackList] == [200400, 61600, 200400, 200400]
    assert found.trackList[3].identifier == ["https://musicbrainz.org/recording/b1a9c0e9-d987-4042-ae91-78d6a3267d69"]


def test_jspf_has_the_form_of_its_specification(tmp_path):
    path = tmp_path / "list.jspf"
    write_playlist(path, SONGS, title="Like this")
    playlist = json.loads(path.read_bytes())["playlist"]
    assert playlist["title"] == "Like this"
    assert playlist["track"][0] == {
        "location": [SONGS[0].path.as_uri()],
        "title": "Größe & Glück",
        "creator": "Ada",
        "album": "<One>",
        "trackNum": 1,
        "duration": 200400,
    }
    assert playlist["track"][3]["identifier"] == [
        "https://musicbrainz.org/recording/b1a9c0e9-d987-4042-ae91-78d6a3267d69"
    ]


# --- there and back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("relative", [False, True])
def test_what_is_written_is_read_back(tmp_path, format, relative):
    path = tmp_path / f"list.{format.upper()}"
    write_playlist(path, SONGS, relative=relative)
    assert read_playlist(path) == [song.path for song in SONGS]


def test_relative_names_move_with_the_playlist(tmp_path, format):
    names = ["a b.mp3", "sub/ü#1.mp3", "../up?.mp3", "c:d.mp3" if os.name != "nt" else "cd.mp3", "#first.mp3"]
    old, new = tmp_path / "old" / "lists", tmp_path / "new" / "lists"
    for folder in (old, new):
        folder.mkdir(parents=True)
    songs = [track((old / name).resolve()) for name in names]
    write_playlist(old / f"list.{format}", songs, relative=True)
    assert str(tmp_path) not in (old / f"list.{format}").read_text(encoding="utf-8")
    (old / f"list.{format}").replace(new / f"list.{format}")
    assert read_playlist(new / f"list.{format}") == [(new / name).resolve() for name in names]


def test_a_relative_playlist_may_be_named_from_here(tmp_path, monkeypatch, format):
    monkeypatch.chdir(tmp_path)
    write_playlist(f"list.{format}", [track(tmp_path / "a.mp3")], relative=True)
    assert read_playlist(f"list.{format}") == [tmp_path / "a.mp3"]


NAME = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"])
    | st.sampled_from("#%? &<>:;\n\r\t\\\u2028\x85ä"),
    min_size=1,
    max_size=12,
).filter(lambda name: name not in (".", ".."))
BYTES = st.binary(min_size=1, max_size=8).filter(lambda b: b"/" not in b and b"\0" not in b and b not in (b".", b".."))
TEXT = st.none() | st.text(max_size=10)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not allow these names")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(st.lists(NAME | BYTES.map(os.fsdecode), min_size=1, max_size=3), max_size=5),
    tags=st.tuples(TEXT, TEXT, TEXT, TEXT),
    relative=st.booleans(),
)
@example(
    names=[["http:", "x"], ["#"], ["~"], [" lead"], ["trail "], ["a\nb"], ["\udcff.mp3"]],
    tags=("\ud800",) * 4,
    relative=True,
)
@example(names=[["file:", "x"], ["a\rb"], ["\\"], ["%41"], ["\ufeff"], ["..x"]], tags=("\x0b]]>&",) * 4, relative=True)
def test_any_name_and_any_tags_survive(tmp_path, names, tags, relative):
    title, artist, album, name = tags
    songs = [track(tmp_path.joinpath(*parts), title=title, artist=artist, album=album) for parts in names]
    for form in FORMATS:
        path = tmp_path / f"list.{form}"
        write_playlist(path, songs, title=name, relative=relative)
        assert read_playlist(path) == [song.path for song in songs]
        assert path.read_bytes().decode("utf-8")
    ElementTree.parse(tmp_path / "list.xspf")
    lines = (tmp_path / "list.m3u8").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + (len(lines) % 2 == 0) + 2 * len(songs)  # a title, perhaps; no tag begins a line of its own


@pytest.mark.skipif(sys.platform == "win32", reason="names are text there")
def test_a_name_that_is_not_utf8_keeps_its_bytes(tmp_path, format):
    song = track(tmp_path / os.fsdecode(b"caf\xe9.mp3"))
    write_playlist(tmp_path / f"list.{format}", [song])
    assert "caf%E9.mp3" in (tmp_path / f"list.{format}").read_text(encoding="utf-8")
    assert os.fsencode(read_playlist(tmp_path / f"list.{format}")[0].name) == b"caf\xe9.mp3"


# --- playlists of other programs -------------------------------------------------------------------------------------


def read(tmp_path, content, *, suffix):
    path = tmp_path / f"foreign.{suffix}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [found.relative_to(tmp_path).as_posix() for found in read_playlist(path)]


def test_a_foreign_m3u(tmp_path):
    text = "\ufeff#EXTM3U\r\n\r\n#EXTINF:1,x\r\n  a b.mp3 \r\n# note\rhttp://example.org/x.mp3\nsub/100%.mp3\n"
    assert read(tmp_path, text, suffix="m3u8") == ["a b.mp3", "sub/100%.mp3"]
    assert read(tmp_path, text, suffix="m3u") == ["a b.mp3", "sub/100%.mp3"]
    assert read(tmp_path, b"caf\xe9.mp3\n", suffix="m3u") == ["café.mp3"]
    assert read(tmp_path, "", suffix="m3u") == []


def test_a_foreign_xspf(tmp_path):
    text = f"""<?xml version="1.0" encoding="iso-8859-1"?>
    <x:playlist version="1" xmlns:x="{XSPF}" xmlns:y="urn:other">
      <x:location>not-a-track.mp3</x:location>
      <x:trackList>
        <x:track><x:location> a%20b<!-- c -->.mp3 </x:location><x:location>c.mp3</x:location></x:track>
        <x:track><x:title>without a place</x:title></x:track>
        <x:track><y:location>other.mp3</y:location><x:location>http://example.org/d.mp3</x:location></x:track>
        <x:track><x:extension><x:location>deep.mp3</x:location></x:extension><x:location>\xe9&amp;.mp3</x:location></x:track>
      </x:trackList>
    </x:playlist>"""
    assert read(tmp_path, text.encode("iso-8859-1"), suffix="xspf") == ["a b.mp3", "é&.mp3"]


def test_a_foreign_jspf(tmp_path):
    rows = [{"location": "a%20b.mp3"}, {"location": ["c.mp3", "d.mp3"]}, {"title": "x"}, {"location": []}]
    assert read(tmp_path, json.dumps({"playlist": {"track": rows}}), suffix="jspf") == ["a b.mp3", "c.mp3"]


@pytest.mark.skipif(sys.platform == "win32", reason="these are POSIX paths")
def test_uris_of_all_spellings(tmp_path):
    lines = ["file:///a%20b", "FILE://localhost/c", "file:/d", "/e", "file:///%E4.mp3", "file:///f?g#h"]
    (tmp_path / "list.m3u8").write_text("\n".join(lines))
    found = [os.fsencode(path) for path in read_playlist(tmp_path / "list.m3u8")]
    assert found == [b"/a b", b"/c", b"/d", b"/e", b"/\xe4.mp3", b"/f?g#h"]


ENTITIES = f"""<?xml version="1.0"?><!DOCTYPE playlist [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>
<playlist version="1" xmlns="{XSPF}"><trackList><track><location>&b;</location></track></trackList></playlist>"""
EXTERNAL = f"""<?xml version="1.0"?><!DOCTYPE playlist [<!ENTITY a SYSTEM "file:///etc/passwd">]>
<playlist version="1" xmlns="{XSPF}"><trackList><track><location>&a;</location></track></trackList></playlist>"""


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        ("xspf", ENTITIES.encode()),
        ("xspf", ENTITIES.replace("?>", ' encoding="utf-16"?>', 1).encode("utf-16")),
        ("xspf", EXTERNAL.encode()),
        ("xspf", b""),
        ("xspf", b"<playlist/>"),
        ("xspf", b"<html><body>404</body></html>"),
        ("xspf", f'<playlist version="1" xmlns="{XSPF}"><trackList>'.encode()),
        ("xspf", f'<playlist version="1" xmlns="{XSPF}">&undefined;</playlist>'.encode()),
        ("xspf", b'<?xml version="1.0" encoding="no-such"?><playlist/>'),
        ("jspf", b""),
        ("jspf", b"{}"),
        ("jspf", b"[]"),
        ("jspf", b'{"playlist": {"track": 5}}'),
        ("jspf", b'{"playlist": {"track": ["a.mp3"]}}'),
        ("jspf", b'{"playlist": {"track": [{"location": [5]}]}}'),
        ("jspf", b'{"playlist": {"track": [{"location": {"a": 1}}]}}'),
        ("jspf", b"\xff\xfe"),
        ("jspf", b"[" * 200_000),
    ],
)
def test_what_is_no_playlist_is_refused(tmp_path, suffix, content):
    path = tmp_path / f"bad.{suffix}"
    path.write_bytes(content)
    with pytest.raises(PlaylistError, match=rf"bad\.{suffix} is no {suffix.upper()} playlist: .*; the suffix must fit"):
        read_playlist(path)


def test_a_file_too_large_to_be_a_playlist_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("soundkin.playlist._LARGEST", 2**20)
    (tmp_path / "big.m3u8").write_bytes(b"#" * (2**20 + 1))
    with pytest.raises(PlaylistError, match="larger than 1 MB"):
        read_playlist(tmp_path / "big.m3u8")


# --- what cannot be done ---------------------------------------------------------------------------------------------


def test_the_format_may_be_named(tmp_path):
    write_playlist(tmp_path / "list.txt", SONGS, format="xspf")
    assert xspf_lib.Playlist.parse(str(tmp_path / "list.txt")).trackList[0].creator == "Ada"
    assert read_playlist(tmp_path / "list.txt", format="XSPF") == [song.path for song in SONGS]


@pytest.mark.parametrize("name", ["list.pls", "list", "list.mp3"])
def test_a_suffix_that_is_no_format_is_refused(tmp_path, name):
    for call in (lambda: write_playlist(tmp_path / name, SONGS), lambda: read_playlist(tmp_path / name)):
        with pytest.raises(PlaylistError, match="there are: m3u8, m3u, xspf, jspf; not"):
            call()
    with pytest.raises(PlaylistError, match=r"no format of playlists.*'pls'"):
        write_playlist(tmp_path / "list.m3u8", SONGS, format="pls")
    assert list(tmp_path.iterdir()) == []


def test_a_playlist_replaces_another_in_one_step(tmp_path, format, monkeypatch):
    path = tmp_path / f"list.{format}"
    write_playlist(path, SONGS[:1])
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(PlaylistError, match="No space left on device"):
            write_playlist(path, SONGS)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    write_playlist(path, SONGS)
    assert len(read_playlist(path)) == len(SONGS)


def test_places_that_cannot_be_written_or_read(tmp_path, format):
    folder = tmp_path / f"folder.{format}"
    (folder / "full").mkdir(parents=True)
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "none" / f"list.{format}", folder, tmp_path / "file" / f"list.{format}"):
        with pytest.raises(PlaylistError) as caught:
            write_playlist(path, SONGS)
        assert str(path) in str(caught.value)
        assert "name a file in a folder that is there" in str(caught.value)
        with pytest.raises(PlaylistError, match="cannot be read"):
            read_playlist(path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", f"folder.{format}"]


def test_a_playlist_of_nothing(tmp_path, format):
    write_playlist(tmp_path / f"list.{format}", [], title="Nothing")
    assert read_playlist(tmp_path / f"list.{format}") == []


def test_a_song_is_never_replaced_by_a_playlist(tmp_path):
    song = tmp_path / "song.flac"
    song.write_bytes(b"fLaC" + bytes(100))
    for name in ("m3u8", "xspf", "jspf"):
        with pytest.raises(PlaylistError, match="is no playlist"):
            write_playlist(song, SONGS, format=name)
    assert song.read_bytes().startswith(b"fLaC")
    for suffix in ("m3u8", "xspf", "jspf"):  # an older playlist is
        write_playlist(tmp_path / f"list.{suffix}", SONGS)
        write_playlist(tmp_path / f"list.{suffix}", SONGS[:1])
        assert len(read_playlist(tmp_path / f"list.{suffix}")) == 1
