"""Hashes of files and mapped weights are computed once for each state of a file, and never believed of another."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from glowviz.compiler import hashes
from glowviz.compiler.folders import CACHE_VARIABLE
from glowviz.compiler.graph import Payload
from glowviz.compiler.hashes import FileIdentity, HashTable, array_hash, file_hash, map_file
from glowviz.compiler.importer import read_model

LONG_AGO = 1_000_000_000
DIGEST = "ab" * 32


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "cache"
    monkeypatch.setenv(CACHE_VARIABLE, str(folder))
    yield folder / "hashes.sqlite"
    hashes.close_table()


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is really hashed."""
    done: list[str] = []
    real = hashlib.file_digest

    def digest(file: object, name: str) -> object:
        done.append(name)
        return real(file, name)  # type: ignore[arg-type]  # an open file

    monkeypatch.setattr(hashlib, "file_digest", digest)
    return done


def aged(path: Path, content: bytes, seconds: int = LONG_AGO) -> Path:
    """A file that was last changed long ago."""
    path.write_bytes(content)
    os.utime(path, (seconds, seconds))
    return path


def big(value: int) -> bytes:
    return bytes([value]) * hashes.SMALL


def test_a_file_is_hashed_once(tmp_path: Path, counted: list[str]) -> None:
    path = aged(tmp_path / "model", big(1))
    expected = hashlib.sha256(big(1)).hexdigest()
    assert [file_hash(path), file_hash(path)] == [expected] * 2
    hashes.close_table()  # as another process would
    assert file_hash(str(path)) == expected
    assert len(counted) == 1


def test_what_changed_is_hashed_again(tmp_path: Path) -> None:
    path = aged(tmp_path / "model", big(1))
    first = file_hash(path)
    assert file_hash(aged(path, big(2), LONG_AGO + 1)) != first
    assert file_hash(aged(path, big(2) + b"x")) not in (first, file_hash(aged(path, big(3), LONG_AGO + 2)))


def test_a_file_written_just_now_is_not_believed(tmp_path: Path, cache: Path) -> None:
    """Two changes within one tick of the file system's clock have the same time."""
    path = tmp_path / "model"
    path.write_bytes(big(1))
    first = file_hash(path)
    status = path.stat()
    path.write_bytes(big(2))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file_hash(path) != first
    assert not cache.exists()


def test_small_files_are_not_kept(tmp_path: Path, cache: Path) -> None:
    file_hash(aged(tmp_path / "small", b"abc"))
    assert not cache.exists()


def model(path: Path, *weights: np.ndarray) -> Path:
    """A file with big weights that was written long ago."""
    stored = [numpy_helper.from_array(w, f"w{k}") for k, w in enumerate(weights)]
    nodes = [helper.make_node("Add", ["x", w.name], [f"y{k}"]) for k, w in enumerate(stored)]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, weights[0].shape)
    outputs = [helper.make_tensor_value_info(f"y{k}", TensorProto.FLOAT, w.shape) for k, w in enumerate(weights)]
    graph = helper.make_graph(nodes, "g", [x], outputs, stored)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def test_weights_of_a_model_are_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(256, 256)).astype(np.float32) for _ in range(2)]
    path = model(tmp_path / "model.onnx", *weights)
    first = [c.payload.digest for c in read_model(path).constants.values()]
    assert first == [Payload(w).digest for w in weights]
    hashes.close_table()
    monkeypatch.setattr("glowviz.compiler.graph._content_hash", lambda *_: pytest.fail("hashed again"))
    assert [c.payload.digest for c in read_model(path).constants.values()] == first


def test_one_part_of_a_file_seen_as_two_kinds_has_two_hashes(tmp_path: Path) -> None:
    with aged(tmp_path / "weights", big(1) * 2).open("rb") as file:
        whole = map_file(file)
    half = whole[: hashes.SMALL]
    other = np.asarray(whole)[hashes.SMALL :]  # a plain view finds the map below it too
    arrays = [half, half.view(np.float32), half.view(np.float32).reshape(128, 128), other]
    digests = [Payload(array).digest for array in arrays]
    assert digests == [Payload(np.array(array)).digest for array in arrays]
    assert len(set(digests)) == 3  # both halves hold the same bytes
    assert [array_hash(array, "uint8[65536]", lambda: DIGEST) for array in (half[::-1], half.copy())] == [DIGEST] * 2


@pytest.mark.parametrize("content", [b"no database at all" * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_table_is_ignored_and_made_again(tmp_path: Path, cache: Path, content: bytes) -> None:
    cache.parent.mkdir()
    cache.write_bytes(content)
    path = aged(tmp_path / "model", big(1))
    expected = hashlib.sha256(big(1)).hexdigest()
    assert [file_hash(path), file_hash(path)] == [expected] * 2
    hashes.close_table()
    assert file_hash(path) == expected
    with sqlite3.connect(cache) as database:
        assert database.execute("SELECT digest FROM hashes").fetchall() == [(expected,)]
    database.close()


def test_a_nonsense_entry_is_ignored(tmp_path: Path, cache: Path) -> None:
    path = aged(tmp_path / "model", big(1))
    expected = file_hash(path)
    with sqlite3.connect(cache) as database:
        database.execute("UPDATE hashes SET digest = 'abc'")
    database.close()
    assert file_hash(path) == expected


def test_without_a_folder_to_write_in_everything_still_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file"))
    assert file_hash(aged(tmp_path / "model", big(1))) == hashlib.sha256(big(1)).hexdigest()


def test_the_table_stays_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashes, "MOST", 100)
    table = HashTable(tmp_path / "hashes.sqlite")
    file = FileIdentity("1", "2", 3, 4)
    for start in range(1000):
        table.keep(file, start, "k", DIGEST)
    assert [table.find(file, start, "k") for start in (899, 900, 999)] == [None, DIGEST, DIGEST]
    table.close()
    monkeypatch.setattr(hashes, "MOST", 10)
    table = HashTable(tmp_path / "hashes.sqlite")
    assert [table.find(file, start, "k") for start in (989, 990)] == [None, DIGEST]
    table.close()
    assert table.find(file, 990, "k") is None


def test_threads_share_the_table(tmp_path: Path) -> None:
    paths = [aged(tmp_path / f"model{k}", big(k)) for k in range(8)]
    expected = [hashlib.sha256(big(k)).hexdigest() for k in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(file_hash, paths)) == expected
        assert list(pool.map(file_hash, paths)) == expected
