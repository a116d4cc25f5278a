"""Every error soundkin raises on purpose.

    SoundkinError
    ├── InputError (also ValueError)   an argument that cannot be used
    │   ├── UnknownNameError           a name that is in no registry; lists the names there are
    │   │   └── UnknownTagError        a tag that the model does not tell; lists those of a like name
    │   ├── DatasetError               a dataset that is missing, incomplete or of the wrong form
    │   ├── ExperimentError            an experiment file, a run folder or a setting that cannot be used
    │   ├── SeedError                  no track, or several, answer to a seed
    │   └── EmptyLibraryError          nothing has been scanned yet
    │       └── NothingFitsError       there are tracks, but none passes the filters or is left to answer with
    ├── AudioError                     one file that cannot be analysed; carries path and reason
    │   ├── VanishedError              it was there when the folder was walked, and is not now
    │   ├── UnreadableError            the operating system refuses to read it
    │   ├── EmptyFileError             0 bytes
    │   ├── NotAudioError              no decoder recognises it
    │   ├── NoAudioStreamError         a container without an audio stream
    │   ├── DamagedError               recognised, but too little of it decodes
    │   ├── TooShortError              shorter than the shortest track that is analysed
    │   ├── SilentError                digital zero, or nothing above the floor of hearing
    │   ├── NonFiniteError             NaN or infinite samples
    │   ├── DecodeTimeoutError         the decoder was stopped after its time limit
    │   └── DecoderCrashError          the decoder killed its process
    ├── ModelError                     a model file that cannot be loaded or run
    │   ├── ModelMismatchError         vectors of two models were to be compared
    │   └── WeightsError               a weight file that is missing, damaged or of another network
    ├── LibraryError                   the library cannot be opened, read or written
    │   ├── NewerSchemaError           written by a newer soundkin
    │   ├── LibraryCorruptError        not a soundkin library, or a damaged one
    │   ├── LibraryReadOnlyError       may not be written
    │   ├── LibraryFullError           the disk is full
    │   └── LibraryBusyError           another program held it for too long
    └── PlaylistError                  a playlist that cannot be written, read or changed
        ├── UnknownPlaylistError       the library has no playlist of that id
        └── PlaylistChangedError       it was changed elsewhere meanwhile

The library raises these; only the command line turns them into messages and exit codes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


class SoundkinError(Exception):
    """Base of every error in this package."""


class InputError(SoundkinError, ValueError):
    """An argument that cannot be used: what was wrong, the rule, and the value received."""


class UnknownNameError(InputError):
    """A name that is in no registry."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        self.what, self.name, self.known = what, name, tuple(known)
        super().__init__(what, name, self.known)

    def __str__(self) -> str:
        return f"unknown {self.what} {self.name!r}; there are: {', '.join(self.known) or 'none'}"


class UnknownTagError(UnknownNameError):
    """A tag that the model does not tell; `near` are the tags of a like name, which may be none."""

    def __init__(self, name: str, known: Iterable[str], near: Iterable[str] = ()) -> None:
        super().__init__("tag of this model", name, known)
        self.near = tuple(near)
        self.args = (name, self.known, self.near)

    def __str__(self) -> str:
        few = self.near or (self.known if len(self.known) <= 12 else ())
        hint = f"there is: {', '.join(few)}" if few else f"it has {len(self.known)} others"
        return f"unknown tag of this model {self.name!r}; {hint} (`soundkin tags SEED --all` shows every one)"


class DatasetError(InputError):
    """A dataset of the lab that is missing, incomplete or of the wrong form: what, where, and how to mend it."""


class ExperimentError(InputError):
    """An experiment file, a run folder or a setting of the lab that cannot be used."""


class SeedError(InputError):
    """No track, or more than one, answers to a seed.

    `candidates` holds the ids of the tracks that a set of words matches (empty: nothing matched).
    """

    def __init__(self, message: str, *, candidates: Iterable[int] = ()) -> None:
        super().__init__(message)
        self.candidates = tuple(candidates)


class EmptyLibraryError(InputError):
    """The library holds nothing to answer with."""


class NothingFitsError(EmptyLibraryError):
    """The library holds tracks, but none that may answer: the filters let none pass, or none is left."""


class AudioError(SoundkinError):
    """One file that cannot be analysed. `path` is the file, `reason` a sentence part without the path."""

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        # both go to Exception so that the error survives the pipe between worker and scan
        super().__init__(os.fspath(path), reason)
        self.path = Path(path)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"

    @property
    def kind(self) -> str:
        """Short stable name for reports and the database: 'not-audio', 'too-short', …"""
        return _KINDS[type(self)]


class VanishedError(AudioError):
    """The file was there when the folder was walked, and is not now."""


class UnreadableError(AudioError):
    """The operating system refuses to read the file."""


class EmptyFileError(AudioError):
    """The file has 0 bytes."""


class NotAudioError(AudioError):
    """No decoder recognises the file."""


class NoAudioStreamError(AudioError):
    """A container without an audio stream: a picture, a film without sound."""


class DamagedError(AudioError):
    """Recognised as audio, but too little of it decodes to be used."""


class TooShortError(AudioError):
    """Shorter than the shortest track that is analysed."""


class SilentError(AudioError):
    """Digital zero, or nothing above the floor of hearing."""


class NonFiniteError(AudioError):
    """NaN or infinite samples."""


class DecodeTimeoutError(AudioError):
    """The decoder was stopped after its time limit."""


class DecoderCrashError(AudioError):
    """The decoder killed its process."""


_KINDS: dict[type[AudioError], str] = {
    AudioError: "audio",
    VanishedError: "vanished",
    UnreadableError: "unreadable",
    EmptyFileError: "empty",
    NotAudioError: "not-audio",
    NoAudioStreamError: "no-audio-stream",
    DamagedError: "damaged",
    TooShortError: "too-short",
    SilentError: "silent",
    NonFiniteError: "non-finite",
    DecodeTimeoutError: "timeout",
    DecoderCrashError: "crash",
}


class ModelError(SoundkinError):
    """A model file that cannot be loaded or run."""


class ModelMismatchError(ModelError):
    """Vectors of two models were to be compared."""


class WeightsError(ModelError):
    """A weight file of the lab that is missing, damaged or of another network."""


class LibraryError(SoundkinError):
    """The library cannot be opened, read or written."""


class NewerSchemaError(LibraryError):
    """The library was written by a newer soundkin."""


class LibraryCorruptError(LibraryError):
    """The file is not a soundkin library, or a damaged one."""


class LibraryReadOnlyError(LibraryError):
    """The library may not be written."""


class LibraryFullError(LibraryError):
    """The disk that holds the library is full."""


class LibraryBusyError(LibraryError):
    """Another program held the library for too long."""


class PlaylistError(SoundkinError):
    """A playlist that cannot be written, read or changed."""


class UnknownPlaylistError(PlaylistError):
    """The library has no playlist of that id."""


class PlaylistChangedError(PlaylistError):
    """The playlist was changed elsewhere since the version that a change was made from."""
