"""Contents that a text names by hash come back: from beside the file, from the store, and only if they are the same."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from glowviz.compiler.graph import Graph, Node, Output, constant
from glowviz.compiler.irgen import irgen
from glowviz.compiler.ops import Identity
from glowviz.compiler.text import (
    Contents,
    contents,
    hashed_payloads,
    keep,
    parse_graph,
    parse_program,
    text_of,
    write_glow,
)
from glowviz.compiler.types import of_array

KINDS = [np.float32, np.float64, np.int64, np.uint8, np.bool_, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn]


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GLOWVIZ_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "contents"


def graph_of(array: np.ndarray) -> Graph:
    """A public constant and a small one that the text spells out."""
    kept = {"c": constant("c", array), "small": constant("small", np.ones(3, np.float32))}
    nodes = {"y": Node(Identity("c"), ("y",), (of_array(array),))}
    return Graph("g", {}, kept, nodes, (Output("c", "y"), Output("small", "small")))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: np.dtype(kind).name)
def test_contents_beside_the_file(tmp_path: Path, kind: type) -> None:
    array = np.random.default_rng(1).integers(0, 2, (5, 7)).astype(kind)
    beside = write_glow(tmp_path / "g.glow", graph_of(array))
    assert beside == tmp_path / "g.npz"
    back = parse_graph((tmp_path / "g.glow").read_text(), Contents(tmp_path / "g.glow"))
    assert back.constants["c"].array.dtype == array.dtype
    np.testing.assert_array_equal(back.constants["c"].array, array)


def test_a_text_that_says_everything_needs_no_second_file(tmp_path: Path) -> None:
    assert write_glow(tmp_path / "g.glow", graph_of(np.ones(3, np.float32))) is None
    assert not (tmp_path / "g.npz").exists()


def test_contents_from_the_store(store: Path) -> None:
    graph = graph_of(np.arange(100, dtype=np.float32))
    keep(graph)
    keep(graph)
    assert len(list(store.iterdir())) == 1
    assert text_of(parse_graph(text_of(graph), Contents())) == text_of(graph)
    program = irgen(graph)
    assert text_of(parse_program(text_of(program), Contents())) == text_of(program)


def test_other_contents_under_the_same_name_are_not_taken(tmp_path: Path, store: Path) -> None:
    graph = graph_of(np.arange(100, dtype=np.float32))
    (digest,) = hashed_payloads(graph)
    np.savez(tmp_path / "g.npz", **{f"{digest} f32": np.zeros(100, np.float32)})
    assert Contents(tmp_path / "g.glow")(digest) is None
    (tmp_path / "g.npz").write_bytes(b"no archive at all")
    assert Contents(tmp_path / "g.glow")(digest) is None
    assert Contents()("../../etc/passwd") is None
    keep(graph)
    found = Contents(tmp_path / "g.glow")(digest)
    assert found is not None
    assert found.digest == digest


def test_the_store_stays_within_its_limit(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "STORE_LIMIT", 3000)
    for k in range(5):
        keep(graph_of(np.full(200, k, np.float32) + np.arange(200, dtype=np.float32)))
    assert sum(path.stat().st_size for path in store.iterdir()) <= 3000
    assert len(list(store.iterdir())) == 2


def test_a_store_that_cannot_be_written_costs_nothing_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GLOWVIZ_CACHE", str(tmp_path / "file"))
    keep(graph_of(np.arange(100, dtype=np.float32)))
