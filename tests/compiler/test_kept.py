"""A model compiled before is found whole in the cache, unless something that decides its code has changed."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import glowviz
from glowviz.compiler import kept
from glowviz.compiler.backends.cpu import regions
from glowviz.compiler.backends.cpu.registry import GENERAL, KERNELS
from glowviz.compiler.ops.base import OPS
from glowviz.compiler.rewrite import PASSES, graph_pass
from glowviz.compiler.specialize import CompiledAgain
from glowviz.compiler.text import print_program

INPUT = {"x": np.random.default_rng(3).standard_normal((1, 8, 12, 12)).astype(np.float32)}
FOUND = "Kept: compiled before, found in the cache"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own, and nothing that wants to see every pass."""
    monkeypatch.setenv("GLOWVIZ_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GLOWVIZ_VERIFY", raising=False)
    monkeypatch.delenv("GLOWVIZ_DEBUG", raising=False)
    for table in (PASSES, OPS, KERNELS, GENERAL):  # other tests declare some of their own, and those keep nothing
        for name, made in list(table.items()):
            if not getattr(made, "function", made).__module__.startswith("glowviz."):
                monkeypatch.delitem(table, name)  # type: ignore[arg-type]  # each table has its own values
    for name in [name for name in sys.modules if name.startswith("glowviz_loaded_")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A convolution with a Relu and a product."""
    path = tmp_path / "model.onnx"
    onnx.save(_proto(seed=0), path)
    return path


def _proto(seed: int) -> onnx.ModelProto:
    rng = np.random.default_rng(seed)
    kernel = numpy_helper.from_array(rng.standard_normal((16, 8, 3, 3)).astype(np.float32), "kernel")
    matrix = numpy_helper.from_array(rng.standard_normal((16, 40)).astype(np.float32), "matrix")
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["map"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["map"], ["positive"]),
        helper.make_node("ReduceMean", ["positive"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["mean", "matrix"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "small", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8, 12, 12])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 40])], [kernel, matrix],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])


def _compiled(source: Any, **choices: Any) -> tuple[glowviz.Executable, bool]:
    """The executable, and whether it was found."""
    told: list[str] = []
    made = glowviz.compile(source, progress=told.append, **choices)
    assert (FOUND in told) == (len(told) == 1), "either it is found or all passes run"
    return made, FOUND in told


def _answers(executable: glowviz.Executable) -> Mapping[str, np.ndarray]:
    return executable.run(INPUT)


def test_the_second_compilation_finds_the_first(model: Path) -> None:
    first, found_first = _compiled(model)
    second, found_second = _compiled(str(model))
    assert (found_first, found_second) == (False, True)
    np.testing.assert_array_equal(_answers(first)["y"], _answers(second)["y"])


def test_what_is_found_tells_all_that_the_first_told(model: Path) -> None:
    first, second = _compiled(model)[0], _compiled(model)[0]
    assert print_program(first.program) == print_program(second.program)
    assert first.plan.buffers == second.plan.buffers
    assert [one.llvm for one in first.listing()] == [one.llvm for one in second.listing()]
    assert [one.assembly for one in first.listing()] == [one.assembly for one in second.listing()]
    names = [[i.origin.names for i in e.program.instructions] for e in (first, second)]
    assert names[0] == names[1]
    assert first.account().weights == second.account().weights


def test_bytes_of_a_model_are_found_too(model: Path) -> None:
    _compiled(model.read_bytes())
    assert _compiled(model.read_bytes())[1]


@pytest.mark.parametrize(
    "choices",
    [{"threads": 2}, {"disable": ["fuse"]}, {"target": "cpu-baseline"},
     {"options": {"choose_schedules": {"winograd": "off"}}}],
    ids=["threads", "disable", "target", "options"],
)  # fmt: skip
def test_another_choice_is_compiled(model: Path, choices: dict[str, Any]) -> None:
    _compiled(model)
    assert not _compiled(model, **choices)[1]
    assert _compiled(model, **choices)[1]


def test_another_model_at_the_same_place_is_compiled(model: Path) -> None:
    first = _answers(_compiled(model)[0])["y"]
    onnx.save(_proto(seed=1), model)
    second, found = _compiled(model)
    assert not found
    assert not np.array_equal(first, _answers(second)["y"])


def test_tuned_schedules_count_as_a_choice(model: Path, tmp_path: Path) -> None:
    _compiled(model)
    (tmp_path / "cache" / "tuned.json").write_text('{"some kernel": {"algorithm": "direct"}}')
    assert not _compiled(model)[1]


def test_a_changed_side_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "outside.onnx"
    onnx.save(_proto(seed=0), path, save_as_external_data=True, location="weights.data", size_threshold=0)
    data = path.with_name("weights.data")
    os.utime(data, (1e9, 1e9))  # a file that has just changed is not trusted
    first = _answers(_compiled(path)[0])["y"]
    assert _compiled(path)[1]
    data.write_bytes(np.zeros(data.stat().st_size // 4, np.float32).tobytes())
    os.utime(data, (1e9 + 1, 1e9 + 1))
    second, found = _compiled(path)
    assert not found
    assert first.any()
    assert not _answers(second)["y"].any()


def test_a_recording_runs_every_pass(model: Path, tmp_path: Path) -> None:
    _compiled(model)
    assert not _compiled(model, record=tmp_path / "steps.glowrec")[1]


@pytest.mark.parametrize(("variable", "value"), [("GLOWVIZ_VERIFY", "all"), ("GLOWVIZ_KEEP", "0")])
def test_whoever_wants_to_see_it_done_sees_it(
    model: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    _compiled(model)
    monkeypatch.setenv(variable, value)
    assert not _compiled(model)[1]


def test_a_pass_from_elsewhere_keeps_nothing(model: Path) -> None:
    _compiled(model)

    def stranger(graph: glowviz.Graph) -> glowviz.Graph:
        """x -> x"""
        return graph

    graph_pass(enters_bodies=False)(stranger)
    try:
        assert not _compiled(model)[1]
    finally:
        del PASSES["stranger"]
    assert _compiled(model)[1]


@pytest.mark.parametrize("file", ["program.pickle", "weights.bin", "files.json"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_entry_is_made_anew(model: Path, file: str, damage: str) -> None:
    right = _answers(_compiled(model)[0])["y"]
    (entry,) = kept.kept_folder().iterdir()
    if damage == "gone":
        (entry / file).unlink()
    else:
        (entry / file).write_bytes((entry / file).read_bytes()[:-1])
    again, found = _compiled(model)
    assert not found
    np.testing.assert_array_equal(right, _answers(again)["y"])
    assert _compiled(model)[1]


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="files have no owners here")
def test_what_others_could_have_written_is_not_run(model: Path) -> None:
    _compiled(model)
    (entry,) = kept.kept_folder().iterdir()
    entry.chmod(entry.stat().st_mode | stat.S_IWOTH)
    assert not _compiled(model)[1]


def test_big_weights_are_mapped_and_cannot_be_spoiled(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regions, "COPIED", 0)
    first, second = _compiled(model)[0], _compiled(model)
    assert second[1]
    np.testing.assert_array_equal(_answers(first)["y"], _answers(second[0])["y"])
    for executable in (first, second[0]):
        region = executable._first.memory.regions["weights"]  # type: ignore[attr-defined]  # the way to look inside
        assert isinstance(region, regions.FileRegion)
        assert not region.bytes.flags.writeable


def test_a_full_disk_costs_time_only(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    right = _answers(_compiled(model, threads=2)[0])["y"]
    monkeypatch.setattr(regions, "COPIED", 0)
    monkeypatch.setattr(os, "posix_fallocate", full)
    made, found = _compiled(model)
    assert not found
    np.testing.assert_array_equal(right, _answers(made)["y"])
    assert not _compiled(model)[1]


def test_a_cache_that_cannot_be_written_costs_time_only(model: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    made, found = _compiled(model)
    assert not found
    assert _answers(made)["y"].shape == (1, 40)


def test_the_models_unused_for_longest_go_first(tmp_path: Path) -> None:
    for age, name in enumerate(["new", "old", "older"]):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights.bin").write_bytes(bytes(100))
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")  # as if another process had deleted it just now
    kept.prune(tmp_path, 250)
    (tmp_path / "gone").unlink()
    assert {path.name for path in tmp_path.iterdir()} == {"new", "old"}
    kept.prune(tmp_path, 10)
    assert {path.name for path in tmp_path.iterdir()} == {"new"}


def test_what_a_killed_process_left_is_tidied_up(tmp_path: Path) -> None:
    for name, age in ((".new-old", 2 * kept.ABANDONED), (".new-young", 0)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    kept.prune(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {".new-young"}


def test_another_shape_is_kept_as_well(tmp_path: Path) -> None:
    proto = _proto(seed=0)
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    proto.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    path = tmp_path / "open.onnx"
    onnx.save(proto, path)
    wide = {"x": np.repeat(INPUT["x"], 3, axis=0)}
    told: list[str] = []
    for _ in range(2):
        executable = glowviz.compile(path, progress=told.append)
        with pytest.warns(CompiledAgain):
            executable.run(wide)
    assert told.count(FOUND) == 2
