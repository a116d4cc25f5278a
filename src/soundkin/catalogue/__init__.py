"""The catalogue: which files there are, what they contain, and what each model heard in them, in one SQL database.

A *track* is one file, a *recording* one content; exact copies are several tracks of one recording. Whatever was
computed belongs to the content, so a file that moves or gets new tags costs no analysis, and the vectors of several
models lie side by side.

    records.py    what is handed out: Track, KnownFile, Columns, …
    schema.py     tables, how paths are stored, versions
    database.py   opening the file; what the database says, as a LibraryError
    reading.py    queries, as functions of a connection
    heard.py      which model has heard what
    passages.py   the excerpts of a track, packed small
    writing.py    storing one analysed file, as a function of a connection
    playlists.py  playlists kept in the library
    songmaps.py   maps of it
    store.py      Catalogue: each method one transaction
"""

from soundkin.catalogue.heard import Unheard
from soundkin.catalogue.playlists import Playlist
from soundkin.catalogue.records import (
    Columns,
    Failure,
    KnownFile,
    Outcome,
    Recording,
    ShelfRow,
    Statistics,
    StoredModel,
    Track,
)
from soundkin.catalogue.schema import SCHEMA_VERSION, absolute, fold, spellings
from soundkin.catalogue.songmaps import SongMap
from soundkin.catalogue.store import Catalogue, default_path

__all__ = [
    "SCHEMA_VERSION",
    "Catalogue",
    "Columns",
    "Failure",
    "KnownFile",
    "Outcome",
    "Playlist",
    "Recording",
    "ShelfRow",
    "SongMap",
    "Statistics",
    "StoredModel",
    "Track",
    "Unheard",
    "absolute",
    "default_path",
    "fold",
    "spellings",
]
