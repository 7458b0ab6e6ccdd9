"""Products are done by Strassen's blocks where that pays; errors and memory stay bounded, and the reason is told."""

from __future__ import annotations

import json

import numpy as np
import pytest
from kernel_harness import targets

from glowviz.compiler.backends.cpu import choose_products
from glowviz.compiler.backends.cpu.build import load_kernels
from glowviz.compiler.backends.cpu.choose_schedules import choose_schedules
from glowviz.compiler.backends.cpu.pack_weights import pack_weights
from glowviz.compiler.backends.cpu.registry import lower
from glowviz.compiler.backends.cpu.tuned import fitting
from glowviz.compiler.graph import Node, Output, Payload, Region
from glowviz.compiler.interpreter.machine import run_program
from glowviz.compiler.ops import Add, Fused, Gemm, MatMul, Op, Relu
from glowviz.compiler.program import Alloc, Buffer, Dealloc, Instr, Program, PublicOutput
from glowviz.compiler.target import Target
from glowviz.compiler.types import Type
from glowviz.compiler.verify import verify_program

load_kernels()
TARGET = targets()[0]


def program(op: Op, x: tuple[int, ...] = (1, 96, 512), w: tuple[int, int] = (512, 768), uneven: float = 1) -> Program:
    """%y = op(%x, %w, %b) with constant weights; `uneven` is how much larger the first half of the columns is."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=w).astype(np.float32)
    weights[:, : w[1] // 2] *= uneven
    columns = w[0] if isinstance(op, Gemm) and op.trans_b else w[1]
    buffers = (
        Buffer("x", Type("f32", x), "input"),
        Buffer("w", Type("f32", w), "weight", payload=Payload(weights)),
        Buffer("b", Type("f32", (columns,)), "weight", payload=Payload(rng.normal(size=columns).astype(np.float32))),
        Buffer("y", Type("f32", (*x[:-1], columns)), "output"),
    )
    body = (Instr(op, ("y",), value="y"),)
    return Program("p", {b.name: b for b in buffers}, body, (PublicOutput("y", "y"),))


def fused() -> Program:
    """relu(x · w + b + x): the rows of A are read once more by the epilogue."""
    start = program(MatMul("x", "w"), w=(512, 512))
    inputs = {name: start.buffers[name].type for name in ("x", "w", "b")}
    result = start.buffers["y"].type
    steps = {"m": MatMul("x", "w"), "s": Add("m", "b"), "t": Add("s", "x"), "r": Relu("t")}
    nodes = {name: Node(op, (name,), (result,)) for name, op in steps.items()}
    body = Region(name="body", inputs=inputs, nodes=nodes, outputs=(Output("r", "r"),))
    return start.evolve(body=(start.instructions[0].evolve(op=Fused(("x", "w", "b"), body)),))


def chosen(start: Program, target: Target = TARGET, **options: str) -> dict[str, object]:
    return dict(choose_schedules.run(start, target, **options)[0].instructions[-1].schedule)


PROGRAMS = {
    "matmul": program(MatMul("x", "w")),
    "rows that leave a rest": program(MatMul("x", "w"), (2, 61, 512), (512, 700)),
    "gemm": program(Gemm("x", "w", "b"), (96, 512)),
    "transposed gemm": program(Gemm("x", "w", "b", trans_b=True), (96, 512), (768, 512)),
    "epilogue": fused(),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_product_by_blocks_is_the_product(name: str) -> None:
    start = PROGRAMS[name]
    packed, log = pack_weights.run(choose_schedules.run(start, TARGET)[0], TARGET)
    verify_program(packed)
    first, second = packed.instructions
    assert first.name == "strassen_sums"
    assert second.name in ("strassen_product", "fused")
    assert {c.rule for c in log.changes} == {"pack", "transform_apart"}
    for instr in packed.instructions:
        assert lower(instr.name, instr, packed, TARGET) is not None
    x = np.random.default_rng(2).normal(size=start.buffers["x"].type.dims).astype(np.float32)
    found, wanted = (run_program(p, {"x": x})["y"] for p in (packed, start))
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_the_reason_tells_products_cycles_and_errors() -> None:
    schedule = chosen(PROGRAMS["matmul"])
    assert json.loads(json.dumps(schedule)) == schedule
    assert schedule["algorithm"] == "strassen"
    assert "products of blocks instead of" in str(schedule["why"])
    assert "times its rounding error" in str(schedule["why"])
    assert chosen(PROGRAMS["matmul"], strassen="off")["algorithm"] == "panels"


def siblings(rewritten: bool) -> Program:
    """%y = %x · %w; perhaps %x = relu(%x); %z = %x · %v."""
    start = program(MatMul("x", "w"))
    x, w, y = (start.buffers[name] for name in "xwy")
    kind = "activation" if rewritten else "input"
    buffers = {**start.buffers, "x": x.evolve(kind=kind), "v": w.evolve(name="v"), "z": y.evolve(name="z")}
    body = [Instr(MatMul("x", "w"), ("y",), value="y"), Instr(MatMul("x", "v"), ("z",), value="z")]
    if rewritten:
        buffers["in"] = x.evolve(name="in")
        body.insert(1, Instr(Relu("x"), ("x",), value="x"))
        body.insert(0, Instr(Relu("in"), ("x",), value="x"))
    outputs = (PublicOutput("y", "y"), PublicOutput("z", "z"))
    statements = (Alloc("x"), *body, Dealloc("x")) if rewritten else tuple(body)
    return Program("p", buffers, statements, outputs)


@pytest.mark.parametrize("rewritten", [False, True])
def test_products_of_the_same_rows_share_their_sums(rewritten: bool) -> None:
    start = siblings(rewritten)
    verify_program(start)
    packed, _ = pack_weights.run(choose_schedules.run(start, TARGET)[0], TARGET)
    verify_program(packed)
    names = [i.name for i in packed.instructions]
    assert names.count("strassen_sums") == 1 + rewritten
    ends = [s.buffer for s in packed.body if isinstance(s, Dealloc)]
    assert len([name for name in ends if name.endswith(".tiles")]) == 1 + rewritten
    x = np.random.default_rng(2).normal(size=(1, 96, 512)).astype(np.float32)
    for name in ("y", "z"):
        found, wanted = (run_program(p, {"in" if rewritten else "x": x})[name] for p in (packed, start))
        assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()


PLAIN = {
    "few rows": program(MatMul("x", "w"), (1, 4, 512)),
    "small": program(MatMul("x", "w"), (1, 96, 32), (32, 32)),
    "odd depth": program(MatMul("x", "w"), (1, 96, 511), (511, 768)),
    "transposed rows": program(Gemm("x", "w", "b", trans_a=True), (512, 96)),
    "a factor": program(Gemm("x", "w", "b", alpha=0.5), (96, 512)),
    "uneven columns": program(MatMul("x", "w"), uneven=100.0),
}


@pytest.mark.parametrize("name", PLAIN)
def test_others_stay_plain(name: str) -> None:
    start = PLAIN[name]
    if name == "transposed rows":
        start = start.evolve(buffers={**start.buffers, "y": start.buffers["y"].evolve(type=Type("f32", (96, 768)))})
    assert chosen(start)["algorithm"] == "panels"


def test_depth_is_given_back_for_memory_and_for_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    start = program(MatMul("x", "w"), (1, 128, 768), (768, 1536))
    monkeypatch.setattr(choose_products, "MORE", 10.0)
    assert chosen(start)["levels"] == 2
    monkeypatch.setattr(choose_products, "GROWTH", 1 << 20)
    assert chosen(start)["levels"] == 1
    monkeypatch.setattr(choose_products, "MORE", 0.5)
    assert chosen(start)["algorithm"] == "panels"


def test_a_tuned_schedule_goes_no_deeper_than_what_was_chosen_here() -> None:
    one, two = ({"algorithm": "strassen", "levels": n, "rows": 8} for n in (1, 2))
    assert fitting(two, two) is two
    assert fitting(two, one) is None
    assert fitting(one, None) is None
    assert fitting({"algorithm": "panels"}, two) == {"algorithm": "panels"}
