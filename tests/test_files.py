import numpy as np
import pytest

from soundkin.files import read_cache, replacing, write_cache


def test_the_new_file_takes_the_place_of_the_old_one_at_the_end(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with replacing(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_others_may_read_it_as_any_new_file(tmp_path):
    (tmp_path / "usual").write_bytes(b"")
    with replacing(tmp_path / "new"):
        pass
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_cache_answers_to_its_stamp_and_kinds_only(tmp_path):
    path = tmp_path / "a.npz"
    kinds = {"numbers": np.int64, "words": np.str_}
    assert read_cache(path, kinds, stamp="1") is None
    write_cache(path, {"numbers": np.arange(3), "words": np.array(["a", "bc"])}, stamp="1")
    found = read_cache(path, kinds, stamp="1")
    assert found["numbers"].tolist() == [0, 1, 2]
    assert found["words"].tolist() == ["a", "bc"]
    assert read_cache(path, kinds, stamp="2") is None
    assert read_cache(path, {**kinds, "more": np.int64}, stamp="1") is None
    assert read_cache(path, {"numbers": np.float64}, stamp="1") is None


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path):
    write_cache(tmp_path / "no such folder" / "a.npz", {"numbers": np.arange(3)}, stamp="1")
    assert list(tmp_path.iterdir()) == []


def test_an_array_apart_is_checked_against_the_rest(tmp_path):
    path, kinds = tmp_path / "a.npz", {"small": np.int64, "large": np.float32}

    def read():
        return read_cache(path, kinds, stamp="1", apart="large")

    def keep(value):
        arrays = {"small": np.arange(3), "large": np.full((1000, 7), value, np.float32)}
        write_cache(path, arrays, stamp="1", apart="large")

    keep(1)
    assert read()["large"].shape == (1000, 7)
    assert read()["small"].tolist() == [0, 1, 2]
    first = path.read_bytes()
    keep(2)
    assert read()["large"].min() == 2

    latest = path.read_bytes()
    path.write_bytes(first)  # as when two programs write at once
    assert read() is None
    path.write_bytes(latest)
    large = tmp_path / "a.npy"
    content = large.read_bytes()
    for damaged in (b"", content[:-1], content[:-1] + b"!", latest):
        large.write_bytes(damaged)
        assert read() is None
    large.unlink()
    assert read() is None
    keep(3)
    assert read()["large"].max() == 3
    write_cache(path, {"small": np.arange(0), "large": np.empty((0, 7), np.float32)}, stamp="1", apart="large")
    assert read()["large"].shape == (0, 7)
