"""Playlist files: M3U8, XSPF (https://xspf.org/spec) and JSPF (https://xspf.org/jspf), written and read.

Files are named by path in M3U8 and by URI in the other two. A name that a line of UTF-8 cannot hold, because it is
not UTF-8 itself or has a line break in it, is a file:// URI in M3U8 too, which percent-encodes its bytes.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes
from xml.etree import ElementTree
from xml.parsers.expat import ExpatError, ParserCreate

from soundkin.catalogue import Track, absolute
from soundkin.errors import PlaylistError
from soundkin.files import replacing

XSPF = "http://xspf.org/ns/0/"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")  # two letters at least: 'C:' is a drive
_LARGEST = 64 * 2**20  # bytes that are read


def write_playlist(
    path: Path | str,
    tracks: Sequence[Track],
    *,
    title: str | None = None,
    relative: bool = False,
    format: str | None = None,
) -> None:
    """Write `tracks` in their order to `path`, in one step: m3u8, xspf or jspf as its suffix says, or as `format`.

    With `relative`, files are named as seen from the playlist's folder, so that both can move together (on Windows
    only on one drive). An older playlist of that name is replaced, any other file is not. Raises PlaylistError.
    """
    path = Path(path)
    chosen = _format(path, format)
    _refuse_to_lose(path)
    content = playlist_content(tracks, format=chosen, title=title, folder=absolute(path).parent if relative else None)
    try:
        with replacing(path) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL character
        reason = getattr(error, "strerror", None) or error
        raise PlaylistError(
            f"the playlist {path} cannot be written: {reason}; name a file in a folder that is there and may be written"
        ) from error


def playlist_content(
    tracks: Sequence[Track], *, format: str, title: str | None = None, folder: Path | None = None
) -> bytes:
    """A playlist file of `tracks` in their order; `format` is m3u8, xspf or jspf.

    Files are named as seen from `folder`, or absolutely. Raises PlaylistError for a format that there is not.
    """
    write = _FORMATS[_format(Path(), format)][0]
    return write([(_place(track.path, folder), track) for track in tracks], title)


def _refuse_to_lose(path: Path) -> None:
    """A slip of the keyboard must not replace a song, or anything else that is no playlist."""
    try:
        with path.open("rb") as file:
            head = file.read(4096).lstrip(b"\xef\xbb\xbf \r\n\t")
    except OSError:
        return  # nothing is there, or writing will say what is wrong
    if head and not head.startswith(b"#EXT") and b"<playlist" not in head and b'"playlist"' not in head:
        raise PlaylistError(f"{path} is there already and is no playlist; choose another name, or remove it first")


def read_playlist(path: Path | str, *, format: str | None = None) -> list[Path]:
    """The files that a playlist names, absolute, in order; entries that are no files (web addresses) are left out.

    The files need not exist. Raises PlaylistError.
    """
    path = Path(path)
    read = _FORMATS[_format(path, format)][1]
    try:
        if path.stat().st_size > _LARGEST:
            raise PlaylistError(f"the playlist {path} is larger than {_LARGEST >> 20} MB: it is no playlist")
        names = read(path.read_bytes())
    except OSError as error:
        raise PlaylistError(
            f"the playlist {path} cannot be read: {error.strerror or error}; check its name and who may read it"
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, ExpatError) as error:
        raise PlaylistError(
            f"{path} is no {_format(path, format).upper()} playlist: {error}; the suffix must fit what is in it"
        ) from error
    folder = absolute(path).parent
    return [absolute(folder / name) for name in names if name and "\0" not in name]


def _format(path: Path, name: str | None) -> str:
    chosen = name or path.suffix[1:]
    if chosen.casefold() not in _FORMATS:
        rule = "the suffix of a playlist says what it is" if name is None else "that is no format of playlists"
        raise PlaylistError(f"{path}: {rule}; there are: {', '.join(_FORMATS)}; not {chosen!r}")
    return chosen.casefold()


# --- names of files --------------------------------------------------------------------------------------------------


def _place(path: Path, folder: Path | None) -> Path:
    """`path` as seen from `folder`, or as it is where there is none, or another drive."""
    try:
        return Path(os.path.relpath(path, folder)) if folder else path
    except ValueError:
        return path


def _uri(path: Path) -> str:
    """A file:// URI, or a relative reference for a relative path; bytes that are no text are percent-encoded."""
    if path.is_absolute():
        return path.as_uri()
    # './' keeps a colon in the first part from being taken for the end of a scheme (RFC 3986, 4.2)
    return "./" + quote_from_bytes(os.fsencode(path.as_posix()))


def _from_uri(uri: str) -> str | None:
    """Path that a file:// URI or a relative reference names; None for an address that is no file."""
    match = re.fullmatch(r"(?:file:(?://([^/]*))?)?(.*)", uri, re.IGNORECASE | re.DOTALL)
    if match is None or _SCHEME.match(match[2]):
        return None
    name = os.fsdecode(unquote_to_bytes(match[2]))
    if os.name == "nt" and match[1] is not None:  # /C:/Music, or a share on another machine
        name = name.lstrip("/") if match[1] in ("", "localhost") else f"//{match[1]}{name}"
    return name


def _line(text: str | None) -> str:
    """`text` in one line, without what neither XML nor UTF-8 may hold."""
    printable = re.sub("[\0-\x1f\x7f-\x9f\u2028\u2029]+", " ", text or "")
    return " ".join(re.sub("[\ud800-\udfff\ufffe\uffff]", "", printable).split())


def _tags(track: Track) -> dict[str, str | int]:
    """What XSPF and JSPF say of a track beside its location, in the order of the specification; nothing empty."""
    tags = track.tags
    identifier = f"https://musicbrainz.org/recording/{tags.mb_recording_id}" if tags.mb_recording_id else ""
    found: dict[str, str | int | None] = {
        "identifier": identifier if re.fullmatch(r"[!-~]+", identifier) else None,
        "title": _line(track.title),
        "creator": _line(track.artist),
        "album": _line(track.album),
        "trackNum": tags.track_number,
        "duration": round(1000 * track.duration),  # ms
    }
    return {name: value for name, value in found.items() if value}


# --- formats ---------------------------------------------------------------------------------------------------------

Entry = tuple[Path, Track]
"""Where a track is, absolute or as seen from the playlist, and the track."""
Names = list[str | None]
"""Paths as a playlist names them; None for what is no file."""


def _write_m3u8(entries: Sequence[Entry], title: str | None) -> bytes:
    lines = ["#EXTM3U", *([f"#PLAYLIST:{_line(title)}"] if title else [])]
    for place, track in entries:
        artist = f"{_line(track.artist)} - " if track.artist else ""
        lines += [f"#EXTINF:{round(track.duration)},{artist}{_line(track.title)}", _m3u8_place(place, track)]
    return "".join(f"{line}\n" for line in lines).encode()


def _m3u8_place(place: Path, track: Track) -> str:
    text = str(place) if place.is_absolute() else place.as_posix()
    if text != text.strip() or any(c < " " or c in "\x7f\x85\u2028\u2029" or "\ud800" <= c <= "\udfff" for c in text):
        return _uri(track.path)
    return f"./{text}" if text.startswith("#") or _SCHEME.match(text) else text


def _read_m3u8(content: bytes) -> Names:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:  # a plain M3U has no declared encoding
        text = content.decode("latin-1")
    lines = [line.strip() for line in text.replace("\r", "\n").split("\n")]
    return [_from_uri(line) if _SCHEME.match(line) else line for line in lines if not line.startswith("#")]


def _write_xspf(entries: Sequence[Entry], title: str | None) -> bytes:
    root = ElementTree.Element("playlist", {"version": "1", "xmlns": XSPF})
    if title:
        ElementTree.SubElement(root, "title").text = _line(title)
    rows = ElementTree.SubElement(root, "trackList")
    for place, track in entries:
        row = ElementTree.SubElement(rows, "track")
        for name, value in {"location": _uri(place), **_tags(track)}.items():
            ElementTree.SubElement(row, name).text = str(value)
    ElementTree.indent(root)
    content: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return content + b"\n"


def _read_xspf(content: bytes) -> Names:
    """First location of each track. A document type, and with it every entity of its own, is refused."""
    parser = ParserCreate(namespace_separator=" ")
    inside: list[str] = []
    rows: list[list[str]] = []

    def begin(name: str, attributes: dict[str, str]) -> None:
        if not inside and name != f"{XSPF} playlist":
            raise ValueError(f"its root is {name.split()[-1]!r}, not a playlist of {XSPF}")
        inside.append(name.removeprefix(f"{XSPF} "))
        if inside[1:] == ["trackList", "track"]:
            rows.append([])
        elif inside[1:] == ["trackList", "track", "location"]:
            rows[-1].append("")

    def text(data: str) -> None:
        if inside[1:] == ["trackList", "track", "location"]:
            rows[-1][-1] += data

    def refuse(*_: Any) -> None:
        raise ValueError("it declares a document type, which a playlist has no use for")

    parser.StartElementHandler = begin
    parser.EndElementHandler = lambda name: inside.pop()
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = refuse
    parser.Parse(content, True)
    return [_from_uri(row[0].strip()) for row in rows if row]


def _write_jspf(entries: Sequence[Entry], title: str | None) -> bytes:
    rows = []
    for place, track in entries:
        row: dict[str, Any] = {"location": [_uri(place)], **_tags(track)}
        if "identifier" in row:
            row["identifier"] = [row["identifier"]]
        rows.append(row)
    playlist = {**({"title": _line(title)} if title else {}), "track": rows}
    return json.dumps({"playlist": playlist}, ensure_ascii=False, indent=1).encode() + b"\n"


def _read_jspf(content: bytes) -> Names:
    names: Names = []
    for row in json.loads(content.decode("utf-8-sig"))["playlist"]["track"]:
        location = row.get("location") or []
        first = location if isinstance(location, str) else location[0] if location else ""  # some write it bare
        if not isinstance(first, str):
            raise TypeError(f"a location is text, not {first!r}")
        names.append(_from_uri(first))
    return names


_FORMATS: dict[str, tuple[Callable[[Sequence[Entry], str | None], bytes], Callable[[bytes], Names]]] = {
    "m3u8": (_write_m3u8, _read_m3u8),
    "m3u": (_write_m3u8, _read_m3u8),
    "xspf": (_write_xspf, _read_xspf),
    "jspf": (_write_jspf, _read_jspf),
}
