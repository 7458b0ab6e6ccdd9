"""After this pass padding that a Conv or a pool can do itself has no node of its own."""

from __future__ import annotations

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.ops import AveragePool, Conv, MaxPool, Pad
from glowviz.compiler.rewrite import Edit, Keep, Rewrite, apply, graph_pass, rule
from glowviz.compiler.rewrite.facts import named, ready, splat, users_text


@rule(Conv, AveragePool, MaxPool)
def pad_into_window(edit: Edit, node: Node) -> Rewrite | None:
    """Conv | AveragePool | MaxPool(Pad(x, pads)) -> the same with larger pads"""
    pad = edit.maker(node.op.x)
    if pad is None or not isinstance(pad.op, Pad) or not ready(edit, node) or not ready(edit, pad):
        return None
    begins, ends = _spatial_sides(edit, node, pad)
    op = node.op
    _check_fill(edit, node, pad)
    if op.auto_pad not in ("NOTSET", "VALID"):
        raise Keep(f"{named(node)} has auto_pad={op.auto_pad}: its own pads follow from the padded size.")
    if edit.use_count(pad.name) != 1:
        raise Keep(f"{users_text(edit, pad.name)}, so it would stay.")
    if isinstance(op, AveragePool) and any(op.pads) and not op.count_include_pad:
        raise Keep(f"{named(node)} does not count its own padding, but it counts the zeros of {named(pad)}.")
    if not isinstance(op, Conv) and op.ceil_mode:
        raise Keep(f"{named(node)} rounds its size up: it ignores windows that start in padding of its own.")
    rank = len(begins)
    own = tuple(op.pads) or (0,) * (2 * rank)
    pads = tuple(a + b for a, b in zip(own, (*begins, *ends), strict=True))
    changes: dict[str, object] = {"x": pad.op.x, "pads": pads, "auto_pad": "NOTSET"}
    if isinstance(op, AveragePool):
        changes["count_include_pad"] = True
    reason = f"{named(node)} pads by itself now, {list(pads)} instead of {list(own)}; {named(pad)} had no other user"
    return Rewrite(op.evolve(**changes), reason, absorbs=(pad,))


def _spatial_sides(edit: Edit, node: Node, pad: Node) -> tuple[tuple[int, ...], tuple[int, ...]]:
    pads, axes = edit.constant_array(pad.op.pads), edit.constant_array(pad.op.axes)
    if pads is None or (pad.op.axes is not None and axes is None):
        raise Keep(f"The pads of {named(pad)} are not known when compiling.")
    sides = pad.op.sides(pad.type.rank, [int(n) for n in pads], () if axes is None else [int(n) for n in axes])
    if any(sides[0]) or any(sides[1]):
        raise Keep(f"{named(pad)} pads batch or channels too, which {named(node)} cannot.")
    if any(n < 0 for pair in sides for n in pair):
        raise Keep(f"{named(pad)} takes elements away (negative pads).")
    return tuple(b for b, _ in sides[2:]), tuple(e for _, e in sides[2:])


def _check_fill(edit: Edit, node: Node, pad: Node) -> None:
    """The pad must write what the window reads where nothing is: 0, or -inf for a maximum."""
    if pad.op.mode != "constant":
        raise Keep(f"{named(pad)} has mode {pad.op.mode}, {named(node)} pads with a constant.")
    value = 0.0 if pad.op.value is None else splat(edit, pad.op.value)
    needed = float("-inf") if isinstance(node.op, MaxPool) else 0.0
    if value != needed:
        shown = f"%{pad.op.value}" if value is None else f"{value:g}"
        raise Keep(f"{named(pad)} fills with {shown}, {named(node)} pads with {needed:g}.")
    if isinstance(node.op, MaxPool) and len(node.results) > 1:
        raise Keep(f"%{node.results[1]} counts positions in the padded %{pad.name}.")


@graph_pass(rules=(pad_into_window,))
def merge_pad(graph: Graph) -> Graph:
    """Conv(Pad(x, zeros)) -> Conv(x) with larger pads; AveragePool alike, MaxPool where the fill is -inf."""
    return apply(graph, merge_pad.rules)
