"""MP3 on the fly."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from sound import FORMATS, music, noise, sine
from soundkin.errors import NoAudioStreamError, NotAudioError
from soundkin.transcode import transcode


def mp3(path: Path, *, start: float = 0.0) -> bytes:
    return b"".join(transcode(path, path.open("rb"), start=start))


def decoded(data: bytes) -> tuple[np.ndarray, int]:
    """(channels, n) and its rate."""
    with av.open(io.BytesIO(data), mode="r", format="mp3") as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
        return np.concatenate(frames, axis=1), container.streams.audio[0].codec_context.sample_rate


@pytest.mark.parametrize("name", ["wav-16", "flac", "opus", "wma", "aac", "wavpack", "amr", "wav-64", "mp3"])
def test_any_format_becomes_mp3_of_the_same_sound(encoded: Callable[[str], Path], name: str) -> None:
    y, sr = decoded(mp3(encoded(name)))
    assert len(y) == 1
    assert y.shape[1] / sr == pytest.approx(12, abs=0.2)
    if name != "amr":  # which is for speech
        loudness = np.sqrt(np.mean(np.square(y)))
        assert loudness == pytest.approx(np.sqrt(np.mean(np.square(music(12)))), rel=0.1)


def test_rates_that_mp3_knows_are_kept(tmp_path: Path) -> None:
    for sr, expected in ((48000, 48000), (96000, 44100), (11025, 44100)):
        path = tmp_path / f"{sr}.wav"
        form = FORMATS["wav-16"]
        type(form)(form.suffix, form.codec, sr=sr).write(path, sine(3, sr=sr))
        assert decoded(mp3(path))[1] == expected


@pytest.mark.parametrize("name", ["wav-16", "flac", "opus", "mp3-vbr", "aac", "wma"])
def test_it_begins_where_it_is_asked_to(encoded: Callable[[str], Path], name: str) -> None:
    y, sr = decoded(mp3(encoded(name), start=8.0))
    assert y.shape[1] / sr == pytest.approx(4, abs=0.3)
    whole, _ = decoded(mp3(encoded(name)))
    strength = [np.sqrt(np.mean(np.square(part[:, -3 * sr :]))) for part in (y, whole)]
    assert strength[0] == pytest.approx(strength[1], rel=0.05)
    assert len(mp3(encoded(name), start=100.0)) < 3000


def test_left_and_right_stay_what_they_are(tmp_path: Path) -> None:
    path = FORMATS["flac"].write(tmp_path / "two.flac", np.stack([sine(3, level=0.5), 0.1 * sine(3, level=0.5)]))
    y = decoded(mp3(path))[0]
    np.testing.assert_allclose(np.abs(y[:, 44100:88200]).max(axis=1), [0.5, 0.05], atol=0.02)


def test_eight_channels_are_mixed_to_two(tmp_path: Path) -> None:
    path = FORMATS["flac"].write(tmp_path / "many.flac", np.stack([0.1 * sine(3, hz=100 * i) for i in range(1, 9)]))
    y = decoded(mp3(path))[0]
    assert y.shape[0] == 2
    assert np.abs(y).max() > 0.01


def test_nothing_is_done_ahead_and_the_file_is_closed_when_nobody_listens_any_more(tmp_path: Path) -> None:
    path = FORMATS["flac"].write(tmp_path / "long.flac", noise(60))
    file = path.open("rb")
    chunks = transcode(path, file)
    first = next(chunks)
    assert len(first) < 10_000
    assert not file.closed
    assert file.tell() < path.stat().st_size / 2
    chunks.close()
    assert file.closed
    file = path.open("rb")
    assert sum(map(len, transcode(path, file))) == pytest.approx(60 * 192_000 / 8, rel=0.02)
    assert file.closed


def test_what_is_damaged_is_heard_as_far_as_it_goes(encoded: Callable[[str], Path], tmp_path: Path) -> None:
    whole = bytearray(encoded("mp3").read_bytes())
    cut = tmp_path / "cut.mp3"
    cut.write_bytes(whole[: len(whole) // 2])
    y, sr = decoded(mp3(cut))
    assert y.shape[1] / sr == pytest.approx(6, abs=0.3)
    whole[len(whole) // 3 : len(whole) // 2] = np.random.default_rng(0).bytes(len(whole) // 2 - len(whole) // 3)
    cut.write_bytes(whole)
    y, sr = decoded(mp3(cut))
    assert 9 < y.shape[1] / sr < 13


def test_what_is_no_audio_says_so_before_the_first_chunk(tmp_path: Path) -> None:
    text = tmp_path / "text.mp3"
    text.write_text("#EXTM3U\nfile:///etc/passwd\n" * 100)
    file = text.open("rb")
    with pytest.raises(NotAudioError):
        next(transcode(text, file))
    assert file.closed
    silent = tmp_path / "film.mkv"
    with av.open(str(silent), "w", format="matroska") as out:
        stream = out.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 32
        for _ in range(5):
            out.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        out.mux(stream.encode(None))
    with pytest.raises(NoAudioStreamError):
        mp3(silent)
