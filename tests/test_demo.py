"""The demo library: real files with the right tags, the same samples at every call, styles that sound apart."""

from __future__ import annotations

import errno
import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import librosa
import numpy as np
import pytest
from numpy.typing import NDArray

from soundkin import audio, demo
from soundkin.demo import harmony, synth
from soundkin.errors import InputError, UnknownNameError

# one style for each format: flac, wav, mp3, ogg, m4a
FEW = ["nocturne", "chiptune", "metal", "dub", "folk"]


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path], list[demo.Piece]]:
    """A demo of one piece for each of FEW, its files, and what they should be. Not to be changed by a test."""
    folder = tmp_path_factory.mktemp("demo")
    return folder, demo.compose(folder, styles=FEW, per_style=1), demo.plan(styles=FEW, per_style=1)


def _decoded(path: Path) -> NDArray[np.float32]:
    """(2, n) float32 at the rate of the file."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="fltp", layout="stereo")
        frames = [new for old in container.decode(audio=0) for new in resampler.resample(old)]
    return np.concatenate([frame.to_ndarray() for frame in frames], axis=1)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _timbre(y: NDArray[np.float32], sr: int) -> NDArray[np.float64]:
    """(40,) mean and deviation of the MFCCs at 16 kHz."""
    mono = librosa.resample(y.mean(axis=0), orig_sr=sr, target_sr=16_000)
    mfcc = librosa.feature.mfcc(y=mono, sr=16_000, n_mfcc=20)
    return np.concatenate([mfcc.mean(axis=1), mfcc.std(axis=1)]).astype(np.float64)


def test_the_whole_demo_is_about_sixty_pieces_in_mixed_formats() -> None:
    pieces = demo.plan()
    assert len(pieces) == 61
    assert len({piece.style for piece in pieces}) == 10
    formats = Counter(piece.format.suffix for piece in pieces)
    assert set(formats) == {".mp3", ".m4a", ".ogg", ".flac", ".wav"}
    assert max(formats.values()) < 30
    assert len({str(piece.path).casefold() for piece in pieces}) == 61
    for style in demo.STYLES:
        assert len({piece.artist for piece in pieces if piece.style == style}) == 3
        assert len({piece.title for piece in pieces if piece.style == style}) == 6


def test_every_seed_gives_paths_that_every_system_takes() -> None:
    for seed in range(20):
        paths = [piece.path for piece in demo.plan(seed=seed)]
        assert len({str(path).casefold() for path in paths}) == len(paths)
        for part in itertools.chain.from_iterable(path.parts for path in paths):
            assert part.isascii() and not set(part) & set('<>:"/\\|?*') and part == part.strip(" .")


def test_files_carry_their_tags_and_length(few: tuple[Path, list[Path], list[demo.Piece]]) -> None:
    folder, paths, pieces = few
    assert _files(folder) == sorted(paths)
    assert {path.suffix for path in paths} == {".flac", ".wav", ".mp3", ".ogg", ".m4a"}
    for path, piece in zip(paths, pieces, strict=True):
        info = audio.read_info(path)
        assert info.duration == pytest.approx(demo.render(piece).shape[1] / synth.SR, abs=0.15)
        assert info.partial is None
        assert info.channels == 2
        tags = info.tags
        assert (tags.title, tags.artist, tags.album) == (piece.title, piece.artist, piece.album)
        assert (tags.track_number, tags.year) == (piece.track_number, piece.year)
        assert tags.genre == demo.SCENES[piece.style].genre
        if path.suffix != ".wav":  # RIFF has no field for it
            assert tags.album_artist == piece.album_artist


def test_files_hold_what_was_composed(few: tuple[Path, list[Path], list[demo.Piece]]) -> None:
    for path, piece in zip(few[1], few[2], strict=True):
        y, composed = _decoded(path), demo.render(piece)
        assert np.isfinite(y).all()
        assert np.abs(y).max() < 1.0
        if piece.format.bit_rate is None:
            np.testing.assert_allclose(y, composed, atol=1.5 / 32768)
        else:
            level = np.sqrt(np.mean(np.square(y))) / np.sqrt(np.mean(np.square(composed)))
            assert level == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("style", demo.STYLES)
def test_a_style_is_the_same_at_every_call_and_sounds_sane(style: str) -> None:
    first, other = demo.plan(styles=[style], per_style=2)[:2]
    y = demo.render(first)
    assert y.dtype == np.float32
    assert y.shape[0] == 2
    assert 20.0 <= y.shape[1] / synth.SR <= 30.0
    assert np.isfinite(y).all()
    assert np.abs(y).max() <= 0.89
    assert -26.0 < 20.0 * np.log10(np.sqrt(np.mean(np.square(y)))) < -10.0
    assert abs(float(y.mean())) < 0.01
    assert not np.array_equal(y[0], y[1])
    # no long hole before the end rings out
    seconds = y[:, : (y.shape[1] - int(synth.TAIL * synth.SR)) // synth.SR * synth.SR].reshape(2, -1, synth.SR)
    assert np.sqrt(np.mean(np.square(seconds), axis=(0, 2))).min() > 1e-3
    np.testing.assert_array_equal(y, demo.render(first))
    assert demo.render(other).shape != y.shape or not np.allclose(demo.render(other), y)


def test_another_seed_is_other_music() -> None:
    one, two = (demo.render(demo.plan(seed=seed, styles=["dub"], per_style=1)[0]) for seed in (7, 8))
    n = min(one.shape[1], two.shape[1])
    assert abs(np.corrcoef(one[0, :n], two[0, :n])[0, 1]) < 0.5


def test_styles_sound_apart_and_only_the_copy_sounds_the_same(
    few: tuple[Path, list[Path], list[demo.Piece]],
) -> None:
    pieces = [piece for piece in demo.plan(per_style=3) if piece.album_artist != "Various Artists"]
    vectors = np.stack([_timbre(demo.render(piece), synth.SR) for piece in pieces])
    mean, deviation = vectors.mean(axis=0), vectors.std(axis=0)
    scored = (vectors - mean) / deviation
    distances = np.linalg.norm(scored[:, None] - scored[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    styles = np.array([piece.style for piece in pieces])
    assert np.mean(styles[distances.argmin(axis=1)] == styles) >= 0.9

    original, copy = few[1][0], few[1][-1]
    assert (original.suffix, copy.suffix) == (".flac", ".mp3")
    pair = [(_timbre(_decoded(path), synth.SR) - mean) / deviation for path in (original, copy)]
    assert np.linalg.norm(pair[0] - pair[1]) < 0.3 * distances.min()


def test_a_second_call_leaves_the_files_alone_and_completes_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    paths = demo.compose(tmp_path, styles=["dub", "jazz"], per_style=1)
    before = {path: path.stat().st_mtime_ns for path in paths}
    paths[0].unlink()
    seen: list[tuple[int, int]] = []
    again = demo.compose(
        tmp_path, styles=["dub", "jazz"], per_style=1, on_progress=lambda done, total: seen.append((done, total))
    )
    assert again == paths
    assert seen == [(1, 2), (2, 2)]
    assert paths[0].exists()
    assert paths[1].stat().st_mtime_ns == before[paths[1]]
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("content", ["text", "music"])
def test_a_foreign_file_is_never_overwritten(tmp_path: Path, content: str) -> None:
    piece = demo.plan(styles=["dub", "jazz"], per_style=1)[1]
    foreign = tmp_path / piece.path
    foreign.parent.mkdir(parents=True)
    data = b"not the demo's"
    if content == "music":
        data = demo.encode(np.zeros((2, 64_000), dtype=np.float32), piece=piece).replace(
            b"soundkin demo", b"somebody else"
        )
    foreign.write_bytes(data)
    with pytest.raises(InputError, match="only its own files"):
        demo.compose(tmp_path, styles=["dub", "jazz"], per_style=1)
    assert _files(tmp_path) == [foreign]
    assert foreign.read_bytes() == data


@pytest.mark.parametrize("style", FEW)
def test_a_file_of_another_seed_is_replaced(tmp_path: Path, style: str) -> None:
    piece = demo.plan(styles=[style], per_style=1)[0]
    path = tmp_path / piece.path
    path.parent.mkdir(parents=True)
    old = demo.encode(np.zeros((2, 64_000), dtype=np.float32), piece=replace(piece, key=(0, 8)))
    path.write_bytes(old)
    demo.compose(tmp_path, styles=[style], per_style=1)
    assert len(path.read_bytes()) > len(old)


def _disk_full(self: Path, data: bytes) -> int:
    with self.open("wb") as file:
        file.write(data[: len(data) // 2])
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_told_and_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "write_bytes", _disk_full)
    with pytest.raises(InputError, match="No space left on device"):
        demo.compose(tmp_path, styles=["dub"], per_style=1)
    assert _files(tmp_path) == []


def test_an_interruption_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        demo.compose(tmp_path, styles=["dub"], per_style=1)
    assert _files(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(InputError, match=r"cannot (read|write)"):
        demo.compose(tmp_path / "taken", styles=["dub"], per_style=1)
    assert (tmp_path / "taken").read_text() == "a file"


@pytest.mark.parametrize(
    ("encoders", "suffixes"),
    [({"flac", "aac"}, {".flac", ".m4a"}), ({"pcm_s16le"}, {".wav"}), (set(), {".wav"})],
)
def test_a_missing_encoder_falls_back_to_lossless(
    encoders: set[str], suffixes: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(av, "codecs_available", encoders)
    pieces = demo.plan(styles=FEW)
    assert {piece.format.suffix for piece in pieces} == suffixes
    assert len({piece.path for piece in pieces}) == len(pieces)


def test_unusable_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"polka.*nocturne"):
        demo.compose(tmp_path, styles=["polka"])
    with pytest.raises(InputError, match="-1"):
        demo.compose(tmp_path, seed=-1)
    with pytest.raises(InputError, match="per_style at least 1"):
        demo.compose(tmp_path, per_style=0)
    assert _files(tmp_path) == []


@pytest.mark.parametrize(
    "play",
    [
        lambda freq: synth.pluck(freq, 2.0, np.random.default_rng(0)),
        lambda freq: synth.tone(freq, 2.0, partials=[1.0, 0.5, 0.25]),
        lambda freq: synth.saw(freq, 2.0),
        lambda freq: synth.pulse(freq, 2.0),
        lambda freq: synth.triangle(freq, 2.0),
    ],
    ids=["pluck", "tone", "saw", "pulse", "triangle"],
)
@pytest.mark.parametrize("pitch", [40, 57, 69, 76])
def test_instruments_are_in_tune(play: Callable[[float], NDArray[np.float32]], pitch: int) -> None:
    freq = synth.hz(pitch)
    y = play(freq)
    spectrum = np.abs(np.fft.rfft(y * np.hanning(y.size), n=1 << 20))
    bins = np.fft.rfftfreq(1 << 20, 1.0 / synth.SR)
    near = (bins > freq / 2**0.25) & (bins < freq * 2**0.25)
    heard = bins[near][spectrum[near].argmax()]
    assert abs(1200.0 * np.log2(heard / freq)) < 5.0  # cents: what an ear hears at best


def test_a_tone_has_no_partials_above_the_nyquist_frequency() -> None:
    y = synth.tone(5000.0, 1.0, partials=[1.0] * 12)
    spectrum = np.abs(np.fft.rfft(y * np.hanning(y.size)))
    assert set(np.flatnonzero(spectrum > 0.05 * spectrum.max()) // 100) <= {49, 50, 99, 100}


def test_a_melody_keeps_to_its_key_and_ends_on_the_tonic() -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        key = harmony.Key.choose(rng, "major", "minor", "dorian")
        chords = harmony.progression(rng, [[0, 5, 3, 4]], bars=9)
        assert len(chords) == 9 and chords[-1] == 0
        notes = harmony.melody(rng, key, chords, rhythms=[[1.0, -1.0, 2.0], [0.5, 0.5, 3.0]], centre=72)
        allowed = {(key.tonic + step) % 12 for step in key.scale}
        assert {note.pitch % 12 for note in notes} <= allowed
        assert all(abs(note.pitch - 72) <= 24 for note in notes)
        assert notes[-1].bar == 8 and (notes[-1].pitch - key.tonic) % 12 == 0
