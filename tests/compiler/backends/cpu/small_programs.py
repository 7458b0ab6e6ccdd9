"""Small programs made by hand, for tests of everything around the kernels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from glowviz.compiler.backends.cpu.build import build
from glowviz.compiler.backends.cpu.cpu_targets import host_target
from glowviz.compiler.backends.cpu.executable import CpuExecutable
from glowviz.compiler.backends.cpu.objects import ObjectCache
from glowviz.compiler.graph import Origin, Payload
from glowviz.compiler.ops import Add, Gather, LayerNormalization, Op, ReduceSum, Relu, Softmax, Transpose, Value
from glowviz.compiler.program import Buffer, Instr, MemoryPlan, Program, PublicOutput
from glowviz.compiler.types import Type, of_array


def program_of_ops(
    name: str,
    inputs: dict[str, Type],
    steps: Sequence[tuple[tuple[str, ...], Op]],
    outputs: Sequence[str],
    weights: dict[str, np.ndarray] | None = None,
    states: dict[str, np.ndarray] | None = None,
    updates: dict[str, str] | None = None,
) -> Program:
    """Buffers follow from the ops' types; every result that is not an output is an activation."""
    buffers = {n: Buffer(n, t, "input") for n, t in inputs.items()}
    contents = (weights or {}) | (states or {})
    for n, array in contents.items():
        kind = "weight" if n in (weights or {}) else "state"
        buffers[n] = Buffer(n, of_array(array), kind, payload=Payload(array))
    body: list[Instr] = []
    for results, op in steps:
        types = op.infer_types(lambda n: buffers[n].type, contents.get)
        for result, type_ in zip(results, types, strict=False):
            kind = "output" if result in outputs else "activation"
            buffers[result] = Buffer(result, type_, kind)
        body.append(Instr(op, results, Origin.of(f"node_{results[0]}"), value=results[0]))
    public = tuple(PublicOutput(o, o) for o in outputs)
    return Program(name, buffers, tuple(body), public, updates or {})


def encoder_like(rows: int = 48, width: int = 80) -> Program:
    """layer_normalization, transpose, softmax, add, relu, reduce_sum: enough work to be shared by threads."""
    rng = np.random.default_rng(3)
    scale, bias = (rng.normal(size=width).astype(np.float32) for _ in range(2))
    return program_of_ops(
        "encoder_like",
        {"x": Type("f32", (rows, width))},
        [
            (("n",), LayerNormalization("x", "scale", "bias")),
            (("t",), Transpose("n", perm=(1, 0))),
            (("s",), Softmax("t", axis=0)),
            (("a",), Add("s", "t")),
            (("y",), Relu("a")),
            (("z",), ReduceSum("y", axes=(1,), keepdims=False)),
        ],
        ["y", "z"],
        {"scale": scale, "bias": bias},
    )


class SortedRows(Op, abstract=True):
    """Every row in ascending order, and where each element came from: an op that no backend has a kernel for."""

    x: Value
    outputs = ("values", "places")

    def infer(self, x: Type) -> tuple[Type, Type]:
        return x, Type("i64", x.shape)

    def reference(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.sort(x, -1), np.argsort(x, -1, kind="stable")


def with_host_call() -> Program:
    """relu, then sorted_rows (no kernel), then add."""
    return program_of_ops(
        "with_host_call",
        {"x": Type("f32", (3, 17))},
        [(("r",), Relu("x")), (("v", "i"), SortedRows("r")), (("y",), Add("v", "v"))],
        ["y", "i"],
    )


def lookup() -> Program:
    """gather of rows."""
    table = np.arange(20, dtype=np.float32).reshape(5, 4)
    return program_of_ops(
        "lookup", {"ids": Type("i64", (3,))}, [(("rows",), Gather("table", "ids"))], ["rows"], {"table": table}
    )


def counter() -> Program:
    """A state that grows by x at every run, and what it was before."""
    return program_of_ops(
        "counter",
        {"x": Type("f32", (4,))},
        [(("next",), Add("sum", "x")), (("y",), Relu("sum"))],
        ["y"],
        states={"sum": np.zeros(4, np.float32)},
        updates={"sum": "next"},
    )


def built(program: Program, threads: int = 1, objects: ObjectCache | None = None) -> CpuExecutable:
    """Compiled for this machine, without a plan."""
    return build(program, MemoryPlan(), host_target(), threads, objects)


def normal(program: Program, seed: int = 0) -> dict[str, np.ndarray]:
    """Inputs of normal numbers."""
    rng = np.random.default_rng(seed)
    return {b.name: rng.normal(size=b.type.dims).astype(b.type.dtype) for b in program.of_kind("input")}
