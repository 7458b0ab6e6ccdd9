"""Arrays come from .npz and .npy files, whose headers are read first and of which nothing is ever executed."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from glowviz.compiler.problem import Problem, told

MOST_BYTES = 2 << 30
"""Of all arrays of one file, as their headers announce them."""
NUMPY, ZIP = b"\x93NUMPY", b"PK\x03\x04"
SAVE = "Write it with numpy.savez(file, name=array)"


@dataclass(frozen=True)
class Header:
    """What a file says of one array before its numbers are read."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        return prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{self.dtype}[{'x'.join(map(str, self.shape))}]"


def is_array_file(path: Path) -> bool:
    """Whether the first bytes are those of an .npz or .npy file, whatever it is called."""
    with path.open("rb") as file:
        return file.read(6).startswith((NUMPY, ZIP))


def headers(path: Path, name: str = "") -> tuple[Header, ...]:
    """The arrays that a file holds; an .npy file holds one, called as the file (`name` where that is another)."""
    name = name or path.name
    with _told(path, name):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return tuple(_headers_of(archive, name))
        with path.open("rb") as file:
            return (_header(file, Path(name).stem, name),)


def arrays_of(path: Path, name: str = "") -> Mapping[str, np.ndarray]:
    """All arrays of an .npz or .npy file by name; a Problem says what is wrong with the file."""
    name = name or path.name
    found = headers(path, name)
    announced = sum(one.bytes for one in found)
    if announced > MOST_BYTES:
        raise Problem(f"The arrays of {told(name)} take {announced / 2**30:.1f} GiB", name,
                      f"at most {MOST_BYTES / 2**30:.0f} GiB", "Leave out the arrays that the model does not have")
    with _told(path, name):
        loaded: Any = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {Path(name).stem: loaded}
        with loaded:
            return {one.name: loaded[one.name] for one in found}


def _headers_of(archive: zipfile.ZipFile, name: str) -> Iterator[Header]:
    members = [one for one in archive.namelist() if one.endswith(".npy")]
    if not members:
        torch = any(one.endswith("data.pkl") for one in archive.namelist())
        raise Problem(f"{told(name)} holds no arrays of numpy" + (": it was written by torch.save" if torch else ""),
                      name, "arrays by name",
                      "Write it with numpy.savez(file, name=tensor.numpy())" if torch else SAVE)
    for member in members:
        with archive.open(member) as file:
            yield _header(file, member.removesuffix(".npy"), name)


def _header(file: IO[bytes], name: str, where: str) -> Header:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.hasobject:
        raise Problem(f"The array {told(name)} of {told(where)} holds Python objects", where, "numbers",
                      "Convert it with numpy.asarray(…, numpy.float32)")
    return Header(name, dtype, tuple(shape))


@contextmanager
def _told(path: Path, name: str) -> Iterator[None]:
    """What numpy and zipfile say of a damaged file, in one sentence."""
    try:
        yield
    except Problem:
        raise
    except (ValueError, EOFError, AttributeError, KeyError, zipfile.BadZipFile, zlib.error):
        what = "empty" if not path.stat().st_size else "not an .npz or .npy file, or a damaged one"
        raise Problem(f"{told(name)} is {what}", name, "arrays by name", SAVE) from None
