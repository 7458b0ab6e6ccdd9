"""Array files are read as their headers announce them; a damaged, foreign or dangerous one is refused in words."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from glowviz.compiler import array_files
from glowviz.compiler.array_files import arrays_of, headers, is_array_file
from glowviz.compiler.problem import Problem


def test_arrays_come_by_name_and_headers_before_them(tmp_path: Path) -> None:
    path = tmp_path / "0.bin"
    np.savez(tmp_path / "in.npz", a=np.arange(6, dtype=np.int32).reshape(2, 3), b=np.ones(2, np.float32))
    (tmp_path / "in.npz").rename(path)
    assert [str(one) for one in headers(path)] == ["int32[2x3]", "float32[2]"]
    assert arrays_of(path)["a"][1, 2] == 5
    assert is_array_file(path)


def test_one_array_is_called_as_its_file(tmp_path: Path) -> None:
    np.save(tmp_path / "0.npy", np.zeros((1, 2), np.float16))
    assert list(arrays_of(tmp_path / "0.npy", "noise.npy")) == ["noise"]


def _pickled(path: Path) -> None:
    np.save(path, np.array([{}], object), allow_pickle=True)


def _torch(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"")


def _damaged(path: Path) -> None:
    np.savez(path, a=np.arange(1000))
    body = bytearray(path.read_bytes())
    body[200:400] = bytes(200)
    path.write_bytes(body)


@pytest.mark.parametrize(("write", "words"), [
    (lambda path: path.write_bytes(b""), "is empty"), (lambda path: path.write_bytes(b"nonsense"), "not an .npz"),
    (_pickled, "Python objects"), (_torch, "torch.save"), (_damaged, "damaged")])
def test_what_is_no_array_file_is_refused(tmp_path: Path, write: object, words: str) -> None:
    path = tmp_path / ("a.npz" if write is _damaged else "a.npy")
    write(path)  # type: ignore[operator]
    with pytest.raises(Problem, match=words):
        arrays_of(path)


def test_what_announces_too_much_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "bomb.npz", zeros=np.zeros(1 << 20, np.uint8))
    assert (tmp_path / "bomb.npz").stat().st_size < 1 << 13
    monkeypatch.setattr(array_files, "MOST_BYTES", 1 << 19)
    with pytest.raises(Problem, match="at most"):
        arrays_of(tmp_path / "bomb.npz")
