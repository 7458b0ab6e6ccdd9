"""A Graph becomes a Program that computes the same: buffers, halos, views and outputs are what the graph asks for."""

from __future__ import annotations

import numpy as np
import pytest

from glowviz.compiler.graph import Graph
from glowviz.compiler.interpreter import run_graph, run_program, sample_inputs
from glowviz.compiler.irgen import irgen
from glowviz.compiler.ops import Copy, FillHalo
from glowviz.compiler.program import Program, View
from glowviz.compiler.recording.records import PassLog, logging_to
from glowviz.compiler.target import Target
from glowviz.compiler.text import parse_graph
from glowviz.compiler.verify import verify_graph, verify_program

HALOED = Target("machine", orders=(("Conv", "NCHW4c"),))


def graph(body: str, inputs: str = "%x: f32[1x2x4x4]", returns: str = '"y"=%y') -> Graph:
    made = parse_graph(f"graph @g({inputs}) {{\n{body}\nreturn {returns}\n}}")
    verify_graph(made)
    return made


def generated(source: Graph, target: Target | None = None) -> Program:
    """The verified program; it computes what the graph computes."""
    program = irgen(source, target=target)
    verify_program(program)
    inputs = sample_inputs(source)
    wanted, found = run_graph(source, inputs), run_program(program, inputs)
    assert wanted.keys() == found.keys()
    for name in wanted:
        assert np.array_equal(wanted[name], found[name]), name
    return program


def kinds(program: Program) -> list[str]:
    return [i.name for i in program.instructions]


CONV = "const %w: f32[2x2x3x3] = normal(seed=1)\n"


def test_every_node_is_one_instruction_with_its_origin() -> None:
    program = generated(graph(CONV + "%c: f32[1x2x4x4] = Conv(%x, %w) {pads=[1, 1, 1, 1]}  as stem  from conv1, bn1\n"
                              "%y: f32[1x2x4x4] = Relu(%c)  from relu1"))
    assert kinds(program) == ["conv", "relu", "copy"]
    conv = program.instructions[0]
    assert (conv.value, conv.label, conv.origin.names) == ("c", "stem", ("conv1", "bn1"))
    assert program.buffers["w"].kind == "weight"
    assert all(i.origin.names for i in program.instructions)


def test_constants_are_weights_only_where_they_are_read() -> None:
    program = generated(graph("const %w: f32[1] = [2.0]\nconst %unused: f32[1] = [3.0]\n"
                              "%y: f32[1x2x4x4] = Mul(%x, %w)"))
    assert set(program.buffers) == {"x", "w", "y", "y.out"}


@pytest.mark.parametrize(("returns", "copies"), [
    ('"y"=%x', 1), ('"y"=%x, "z"=%x', 2), ('"y"=%w', 1), ('"x"=%r', 1), ('"y"=%r, "z"=%r', 2), ('"r"=%x, "x"=%r', 2),
    ('"y"=%v', 1), ('"y"=%r, "z"=%v', 2),
], ids=["input", "input twice", "constant", "named like the input", "twice", "names change places", "view", "both"])
def test_outputs_have_memory_of_their_own(returns: str, copies: int) -> None:
    program = generated(graph(
        "const %w: f32[2] = [1.0, 2.0]\nconst %s: i64[1] = [4]\n%r: f32[4] = Relu(%x)\n%v: f32[4] = Reshape(%r, %s)",
        "%x: f32[4]", returns))
    assert sum(isinstance(i.op, Copy) for i in program.instructions) == copies
    outputs = [o.buffer for o in program.outputs]
    assert len(set(outputs)) == len(outputs)
    assert all(program.buffers[name].kind == "output" for name in outputs)


def test_states_are_renewed_from_the_buffer_of_their_next_value() -> None:
    program = irgen(graph("state %s: f32[4] = splat 1.0\n%n: f32[4] = Add(%s, %x)\n%y: f32[4] = Relu(%s)\nnext %s = %n",
                          "%x: f32[4]"))
    verify_program(program)
    assert program.updates == {"s": "n"}
    states: dict[str, np.ndarray] = {}
    x = np.arange(4, dtype=np.float32)
    first = run_program(program, {"x": x}, states=states)["y"]
    assert np.array_equal(states["s"], 1 + x)
    assert np.array_equal(first, np.ones(4))
    assert np.array_equal(run_program(program, {"x": x}, states=states)["y"], 1 + x)


# views --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", [
    "%v: f32[2x16] = Reshape(%r, %s)", "%v: f32[2x16] = Flatten(%q) {axis=2}",
    "%v: f32[2x16] = Squeeze(%u) {axes=[0]}",
])
def test_the_same_bytes_are_a_view(line: str) -> None:
    body = {
        "Reshape": "const %s: i64[2] = [2, 16]\n%r: f32[1x2x4x4] = Relu(%x)\n",
        "Flatten": "const %s: i64[4] = [1, 2, 4, 4]\n%q: f32[1x2x4x4] = Relu(%x)\n",
        "Squeeze": "const %s: i64[3] = [1, 2, 16]\n%r: f32[1x2x4x4] = Relu(%x)\n"
                   "%u: f32[1x2x16] = Reshape(%r, %s)\n",
    }
    name = next(n for n in body if n in line)
    program = generated(graph(body[name] + line + "\n%y: f32[2x16] = Neg(%v)"))
    assert "reshape" not in kinds(program)
    assert program.root("v").kind == "activation"
    assert any(isinstance(s, View) and s.buffer == "v" for s in program.body)


def test_a_reshape_of_another_order_moves_data() -> None:
    program = generated(graph("const %s: i64[2] = [4, 8]\n%r: f32[1x2x4x4]@NHWC = Reorder(%x) {order=@NHWC}\n"
                              "%p: f32[1x2x4x4] = Reorder(%r)\n%y: f32[4x8] = Reshape(%p, %s)"))
    assert kinds(program) == ["reorder", "reorder", "copy"]


def test_a_reshape_of_a_constant_is_an_instruction() -> None:
    program = generated(graph("const %w: f32[4] = [1.0, 2.0, 3.0, 4.0]\nconst %s: i64[2] = [2, 2]\n"
                              "%v: f32[2x2] = Reshape(%w, %s)\n%y: f32[2x2] = Add(%v, %x)", "%x: f32[2x2]"))
    assert kinds(program) == ["reshape", "add", "copy"]


# halos --------------------------------------------------------------------------------------------

PADDED = "%{0}: f32[1x2x4x4] = Conv({1}, %w) {{pads=[1, 1, 1, 1]}}\n"


def test_a_padded_read_gets_a_halo_and_a_fill() -> None:
    program = generated(graph(CONV + "%r: f32[1x2x4x4] = Relu(%x)\n" + PADDED.format("y", "%r")), HALOED)
    halo = program.buffers["r"].halo
    assert halo is not None
    assert (halo.top, halo.left, halo.bottom, halo.right, halo.fill) == (1, 1, 1, 1, 0.0)
    assert program.buffers["r"].physical == (1, 2, 6, 6)
    (fill,) = [k for k, i in enumerate(program.instructions) if isinstance(i.op, FillHalo)]
    assert fill < kinds(program).index("relu") < kinds(program).index("conv")


def test_the_halo_is_the_largest_that_anybody_needs() -> None:
    program = generated(graph(
        CONV + "const %k: f32[2x2x5x3] = normal(seed=2)\n%r: f32[1x2x4x4] = Relu(%x)\n" + PADDED.format("a", "%r")
        + "%b: f32[1x2x4x4] = Conv(%r, %k) {pads=[2, 0, 2, 2]}\n%y: f32[1x2x4x4] = Add(%a, %b)"), HALOED)
    halo = program.buffers["r"].halo
    assert halo is not None
    assert (halo.top, halo.left, halo.bottom, halo.right) == (2, 1, 2, 2)


def test_an_input_that_is_read_beyond_its_border_gets_a_halo() -> None:
    program = generated(graph(CONV + PADDED.format("y", "%x")), HALOED)
    assert program.buffers["x"].halo is not None
    assert kinds(program)[0] == "fill_halo"


def test_an_output_has_no_halo() -> None:
    program = generated(graph(CONV + "%r: f32[1x2x4x4] = Relu(%x)\n" + PADDED.format("y", "%r"),
                              returns='"y"=%y, "r"=%r'), HALOED)
    assert all(b.halo is None for b in program.of_kind("output"))


def test_a_machine_without_orders_needs_no_halo() -> None:
    program = generated(graph(CONV + PADDED.format("y", "%x")), Target("plain"))
    assert all(b.halo is None for b in program.buffers.values())


def test_a_padded_read_inside_of_a_fusion_needs_a_halo_too() -> None:
    program = generated(graph(
        CONV + "%r: f32[1x2x4x4] = Neg(%x)\n%y: f32[1x2x4x4] = Fused(%r, %w) {body=graph @body(%i: f32[1x2x4x4], "
        "%k: f32[2x2x3x3]) {\n%c: f32[1x2x4x4] = Conv(%i, %k) {pads=[1, 1, 1, 1]}\n%q: f32[1x2x4x4] = Relu(%c)\n"
        'return "q"=%q\n}}'), HALOED)
    assert program.buffers["r"].halo is not None


def test_the_reason_names_the_orders_that_were_tried() -> None:
    with logging_to(PassLog()) as log:
        irgen(graph("%y: f32[1x2x4x4] = Relu(%x)"))
    (change,) = log.changes
    for word in ("graph order", "depth first", "greedy", "at most 128 B"):
        assert word in change.reason
