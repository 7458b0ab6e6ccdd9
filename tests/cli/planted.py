"""Twenty miscompiles of five kinds, and one for any network, as somebody outside would write them."""

import numpy as np

from glowviz.compiler.graph import Graph, Node, Output, constant
from glowviz.compiler.ops import (
    AveragePool,
    BatchNormalization,
    Conv,
    Div,
    GlobalMaxPool,
    LeakyRelu,
    MatMul,
    Pad,
    Relu,
    Slice,
    Sub,
)
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.rewrite import Edit, Rewrite, apply, expect, graph_pass, program_pass, rule


def with_op(graph: Graph, name: str, **fields: object) -> Graph:
    """The graph with other operands or attributes at one node."""
    node = graph.nodes[name]
    return graph.evolve(nodes={**graph.nodes, name: node.evolve(op=node.op.evolve(**fields))})


def of_kind(graph: Graph, kind: type) -> Node:
    """The first node of that op; KeyError where there is none."""
    for node in graph:
        if isinstance(node.op, kind):
            return node
    raise KeyError(f"no {kind.__name__} here")


def with_constant(graph: Graph, name: str, array: np.ndarray) -> Graph:
    return graph.evolve(constants={**graph.constants, name: constant(name, array)})


def with_instr(program: Program, value: str, **fields: object) -> Program:
    body = tuple(
        s.evolve(op=s.op.evolve(**fields)) if isinstance(s, Instr) and s.value == value else s for s in program.body
    )
    return program.evolve(body=body)


# wrong constant ------------------------------------------------------------------------------------


def bias_one_percent(graph: Graph) -> Graph:
    """One bias of many is 1 % larger."""
    bias = graph.constants["bf"].array.copy()
    bias[0] *= 1.01
    return with_constant(graph, "bf", bias)


@rule(BatchNormalization)
def variance_without_root(g: Edit, node: Node) -> Rewrite | None:
    """BatchNormalization(x) -> BatchNormalization(x) with another epsilon, so scales are 1 % off"""
    return Rewrite(node.op.evolve(epsilon=0.02), f"%{node.name} has a variance of one")


@graph_pass(rules=(variance_without_root,), tolerance=1e-5)
def swap_relu_maxpool(graph: Graph) -> Graph:
    """Takes the place of a pass that comes with glowviz, inside of which it does harm."""
    batch = [n for n in graph if isinstance(n.op, BatchNormalization) and n.op.epsilon != 0.02]
    return apply_once(graph, variance_without_root) if batch else graph


def apply_once(graph: Graph, one: object) -> Graph:
    """A rule whose result it would match again."""
    from glowviz.compiler.rewrite.rules import attempt, perform

    edit = Edit(graph)
    for node in list(edit.nodes()):
        if isinstance(node.op, one.anchors):
            found = attempt(edit, node, one)
            if found is not None:
                perform(edit, node, one, found)
    return edit.finish()


def scale_of_attention(graph: Graph) -> Graph:
    """1 / √8 became 1 / √8.2."""
    return with_constant(graph, "scale", np.float32(1 / np.sqrt(8.2)).reshape(()))


def weight_in_the_program(program: Program) -> Program:
    """One weight of a kernel is 1 % larger."""
    name = next(b.name for b in program.of_kind("weight") if b.type.shape == (6, 6))
    buffer = program.buffers[name]
    array = buffer.payload.array.copy()
    array[2, 3] *= np.float32(1.01)
    made = buffer.evolve(payload=constant(name, array).payload)
    return program.evolve(buffers={**program.buffers, name: made})


def any_weight(graph: Graph) -> Graph:
    """The largest weight of the network's first product is 1 % larger, wherever it is planted."""
    node = next(n for n in graph if n.kind in ("Conv", "Gemm", "MatMul") and n.op.operands[1] in graph.constants)
    name = node.op.operands[1]
    array = graph.constants[name].array.copy()
    array.flat[np.abs(array).argmax()] *= np.float32(1.01)
    return with_constant(graph, name, array)


# swapped operands ----------------------------------------------------------------------------------


def swap_sub(graph: Graph) -> Graph:
    sub = of_kind(graph, Sub)
    return with_op(graph, sub.name, x=sub.op.y, y=sub.op.x)


@rule(Div)
def quotient_upside_down(g: Edit, node: Node) -> Rewrite | None:
    """x / y -> y / x, where both are computed"""
    return Rewrite(Div(node.op.y, node.op.x), f"%{node.op.x} and %{node.op.y} are of one shape")


@graph_pass(rules=(quotient_upside_down,))
def tidy_quotients(graph: Graph) -> Graph:
    """A new pass of a rule."""
    return apply_once(graph, quotient_upside_down)


def swap_matmul(graph: Graph) -> Graph:
    product = next(n for n in graph if isinstance(n.op, MatMul) and graph.type(n.op.a) == graph.type(n.op.b))
    return with_op(graph, product.name, a=product.op.b, b=product.op.a)


def swap_in_the_program(program: Program) -> Program:
    sub = next(s for s in program.instructions if isinstance(s.op, Sub))
    return with_instr(program, sub.value, x=sub.op.y, y=sub.op.x)


# dropped pad ---------------------------------------------------------------------------------------


@rule(Conv)
def conv_without_border(g: Edit, node: Node) -> Rewrite | None:
    """Conv(x) {pads=1} -> Conv(x) in front of a pooling of the whole map, where nobody sees the size"""
    if not any(node.op.pads):
        return None
    users = g.users(node.name)
    if len(users) != 1 or not any(isinstance(u.op, GlobalMaxPool) for r in users[0].results for u in g.users(r)):
        return None
    return Rewrite(node.op.evolve(pads=(0, 0, 0, 0)), f"the border of %{node.name} is only pooled")


@graph_pass(rules=(conv_without_border,))
def clean_clips(graph: Graph) -> Graph:
    """Takes the place of a pass that comes with glowviz."""
    return apply(graph, (conv_without_border,))


@rule(Conv)
def pad_is_forgotten(g: Edit, node: Node) -> Rewrite | None:
    """Conv(Pad(x)) -> Conv(x), without the pads"""
    pad = expect(g, node.op.x, Pad)
    return Rewrite(node.op.evolve(x=pad.x), f"%{node.op.x} only pads", absorbs=(g.maker(node.op.x),))


@graph_pass(rules=(pad_is_forgotten,))
def merge_pad(graph: Graph) -> Graph:
    """Conv(Pad(x)) -> Conv(x), which is wrong."""
    return apply(graph, (pad_is_forgotten,))


def pad_on_one_side(graph: Graph) -> Graph:
    """The top and left pads of a pooling go, bottom and right are larger: the shape stays."""
    return with_op(graph, of_kind(graph, AveragePool).name, pads=(0, 0, 2, 2))


def pad_is_zero(graph: Graph) -> Graph:
    """Pad forgets its value."""
    return with_op(graph, of_kind(graph, Pad).name, value=None)


# slice off by one ----------------------------------------------------------------------------------


def slice_from_zero(graph: Graph) -> Graph:
    """[1:9] became [0:8]."""
    op = graph.nodes["a"].op
    moved = {name: graph.constants[name].array - 1 for name in (op.starts, op.ends)}
    return with_constant(with_constant(graph, op.starts, moved[op.starts]), op.ends, moved[op.ends])


@rule(Slice)
def slice_later(g: Edit, node: Node) -> Rewrite | None:
    """Slice(x) {from k} -> Slice(x) {from k + 1}, where the end is far"""
    starts, ends = g.constant_array(node.op.starts), g.constant_array(node.op.ends)
    if starts is None or ends is None or node.name != "b":
        return None
    b = g.build(node)
    return Rewrite(node.op.evolve(starts=b.const(starts + 1), ends=b.const(ends + 1)), f"%{node.name} counts from one")


@graph_pass(rules=(slice_later,))
def count_from_one(graph: Graph) -> Graph:
    """A new pass of a rule."""
    return apply_once(graph, slice_later)


def slice_of_columns(graph: Graph) -> Graph:
    """The strided slice starts one column later."""
    op = graph.nodes["odd"].op
    late = constant("late", graph.constants[op.starts].array + 1)
    graph = graph.evolve(constants={**graph.constants, "late": late})
    return with_op(graph, "odd", starts="late")


@program_pass()
def view_later(program: Program) -> Program:
    """A view lies one number behind where it belongs."""
    view = next(b for b in program.buffers.values() if b.base is not None and b.offset)
    moved = view.evolve(offset=view.offset - 64)
    return program.evolve(buffers={**program.buffers, view.name: moved})


# lost user -----------------------------------------------------------------------------------------


def second_user(graph: Graph) -> Graph:
    """The second reader of %q reads %z, of the same type."""
    return with_op(graph, "l2", x="z")


@rule(LeakyRelu)
def same_but_for_alpha(g: Edit, node: Node) -> Rewrite | None:
    """LeakyRelu(x), LeakyRelu(x) -> one of them, whatever their slopes"""
    twin = next((u for u in g.users(node.op.x) if isinstance(u.op, LeakyRelu) and u.name < node.name), None)
    return None if twin is None else Rewrite(twin.name, f"%{twin.name} computes it already")


@graph_pass(rules=(same_but_for_alpha,))
def cse(graph: Graph) -> Graph:
    """Takes the place of a pass that comes with glowviz."""
    return apply(graph, (same_but_for_alpha,))


def user_in_the_program(program: Program) -> Program:
    """The residual is added to the wrong buffer of the same type."""
    return with_instr(program, "y", y="v")


def another_result(graph: Graph) -> Graph:
    """What is returned is the value before the last Relu."""
    last = graph.maker(graph.outputs[0].value)
    assert last is not None
    assert isinstance(last.op, Relu)
    return graph.evolve(outputs=(Output(graph.outputs[0].public, last.op.x), *graph.outputs[1:]))
