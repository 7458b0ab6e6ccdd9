"""Hostile files end in one kind of refusal, within seconds and without much memory; harmless oddities load."""

from __future__ import annotations

import pickle
import time
from pathlib import Path

import numpy as np
import pytest

from glowviz.compiler.importer import UNFORESEEN, ImportProblem, inspect_model, read_model
from glowviz.compiler.problem import Problem
from glowviz.compiler.verify import verify_graph
from tests.compiler.importer.hostile import FILES, Hostile, bomb, relu
from tests.compiler.importer.small import model, node, value


def test_there_are_enough() -> None:
    assert sum(one.says is not None for one in FILES) >= 60
    assert len({one.name for one in FILES}) == len(FILES)


@pytest.mark.parametrize("one", FILES, ids=lambda one: one.name)
def test_hostile_file(one: Hostile, tmp_path: Path) -> None:
    path = tmp_path / "hostile.onnx"
    path.write_bytes(one.content)
    started = time.process_time()
    if one.says is None:
        verify_graph(read_model(path))
    else:
        with pytest.raises(Problem) as caught:
            read_model(path)
        problem = caught.value
        assert one.says in str(problem)
        assert UNFORESEEN not in str(problem)
        assert problem.what
        assert problem.do or problem.expected
        assert "Traceback" not in str(problem)
        assert str(pickle.loads(pickle.dumps(problem))) == str(problem)
    assert time.process_time() - started < 5


def test_a_refusal_names_file_node_and_remedy() -> None:
    proto = model([node("Add", ["x", "w"], ["y"], name="add_7")], [value("x")], ["y"], {"w": np.ones(7, np.float32)})
    with pytest.raises(ImportProblem) as caught:
        read_model(proto.SerializeToString())
    assert caught.value.where == "model, node add_7 (Add)"
    assert "export it again" in caught.value.do


def test_control_characters_do_not_reach_the_message() -> None:
    proto = model([node("Add", ["x", "a\x1b[31m\n"], ["y"])], [value("x")], ["y"])
    with pytest.raises(ImportProblem) as caught:
        read_model(proto.SerializeToString())
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert r"a\x1b[31m\n" in str(caught.value)


def test_long_names_are_cut_in_messages() -> None:
    proto = model([node("Add", ["x", "n" * 5000], ["y"])], [value("x")], ["y"])
    with pytest.raises(ImportProblem) as caught:
        read_model(proto.SerializeToString())
    assert len(str(caught.value)) < 600


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(ImportProblem, match="cannot be read"):
        read_model(tmp_path / "none.onnx")
    with pytest.raises(ImportProblem, match="is no file"):
        read_model(tmp_path)
    (tmp_path / "empty.onnx").touch()
    with pytest.raises(ImportProblem, match="is empty"):
        inspect_model(str(tmp_path / "empty.onnx"))


def test_inspection_refuses_like_reading() -> None:
    with pytest.raises(ImportProblem, match="opset 9999"):
        inspect_model(relu(opset=9999))
    with pytest.raises(ImportProblem, match="when its functions"):
        inspect_model(bomb(40, 2))


def _mutant(content: bytes, rng: np.random.Generator) -> bytes:
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 6))):
        place = int(rng.integers(len(data)))
        kind = rng.integers(4)
        if kind == 0:
            data[place] = int(rng.integers(256))
        elif kind == 1:
            data[place] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            del data[place : place + int(rng.integers(1, 9))]
        else:
            data[place:place] = rng.bytes(int(rng.integers(1, 9)))
        if not data:
            return b"\0"
    return bytes(data)


@pytest.mark.parametrize("seed", range(4))
def test_mutants_are_refused_or_read(seed: int) -> None:
    """Bytes changed, dropped and put in: nothing but a Problem comes out."""
    rng = np.random.default_rng(seed)
    seeds = [one.content for one in FILES if one.says is None and len(one.content) < 4000]
    refusals: list[str] = []
    for _ in range(250):
        content = _mutant(seeds[int(rng.integers(len(seeds)))], rng)
        try:
            read_model(content)
        except Problem as problem:
            refusals.append(str(problem))
    assert 50 < len(refusals) < 250
    assert not [text for text in refusals if UNFORESEEN in text]


def test_a_fault_of_ours_is_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr("glowviz.compiler.importer.finished", broken)
    with pytest.raises(ImportProblem, match="fault of glowviz") as caught:
        read_model(relu())
    assert isinstance(caught.value.__cause__, KeyError)
