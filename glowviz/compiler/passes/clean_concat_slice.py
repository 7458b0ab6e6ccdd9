"""After this pass nothing is cut that was just put together, or put together that was just cut."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.ops import Concat, Slice, Split
from glowviz.compiler.rewrite import Build, Edit, Keep, Rewrite, apply, graph_pass, rule
from glowviz.compiler.rewrite.facts import named, need_only_user, ready


@dataclass(frozen=True)
class Piece:
    """The elements of `source` at these indices of every axis."""

    source: str
    ranges: tuple[range, ...]


@rule(Concat)
def concat_of_concat(edit: Edit, node: Node) -> Rewrite | None:
    """Concat(Concat(a, b), c) along one axis -> Concat(a, b, c)"""
    if not ready(edit, node):
        return None
    axis = node.op.axis % node.type.rank
    parts: list[str] = []
    inner: list[Node] = []
    for operand in node.op.xs:
        maker = edit.maker(operand)
        if maker is None or not isinstance(maker.op, Concat) or maker.op.axis % node.type.rank != axis:
            parts.append(operand)
            continue
        need_only_user(edit, maker, "Joining both would keep its parts alive longer and save no copy.")
        parts.extend(maker.op.xs)
        inner.append(maker)
    if not inner:
        return None
    reason = f"{' and '.join(named(m) for m in inner)} joins along the same axis {axis} and has one user"
    return Rewrite(Concat(tuple(parts), axis=axis), reason, absorbs=tuple(inner))


@rule(Slice)
def slice_of_concat(edit: Edit, node: Node) -> Rewrite | None:
    """Slice(Concat(a, b, …)) that lies in one part -> Slice of that part, or the part; whole parts -> their Concat"""
    concat = edit.maker(node.op.x)
    piece = piece_of(edit, node.name)
    if concat is None or not isinstance(concat.op, Concat) or piece is None:
        return None
    axis = concat.op.axis % node.type.rank
    wanted = piece.ranges[axis]
    low, high = (min(wanted), max(wanted) + 1) if wanted else (0, 0)
    touched: list[tuple[str, int]] = []
    offset = 0
    for part in concat.op.xs:
        size = edit.type(part).dims[axis]
        if size and offset < high and offset + size > low:
            touched.append((part, offset))
        offset += size
    if not touched:
        return None
    build = edit.build(node)
    if len(touched) == 1:
        part, offset = touched[0]
        moved = range(wanted.start - offset, wanted.stop - offset, wanted.step)
        ranges = tuple(moved if a == axis else r for a, r in enumerate(piece.ranges))
        reason = f"{named(node)} takes only elements of %{part} from {named(concat)}"
        return Rewrite(_cut(edit, build, Piece(part, ranges)), reason)
    end = touched[-1][1] + edit.type(touched[-1][0]).dims[axis]
    dims = concat.type.dims
    whole = all(r == range(n) for a, (r, n) in enumerate(zip(piece.ranges, dims, strict=True)) if a != axis)
    if wanted != range(touched[0][1], end) or not whole or len(touched) == len(concat.op.xs):
        raise Keep(f"{named(node)} takes elements of {len(touched)} operands of {named(concat)}, not whole ones.")
    parts = tuple(part for part, _ in touched)
    return Rewrite(Concat(parts, axis=axis), f"{named(node)} takes whole operands of {named(concat)}")


@rule(Concat)
def concat_of_slices(edit: Edit, node: Node) -> Rewrite | None:
    """Concat(Slice(x, a:b), Slice(x, b:c)) -> Slice(x, a:c), or x where that is all of it; parts of Split alike"""
    if not ready(edit, node) or not any(isinstance(edit.op(x), (Slice, Split)) for x in node.op.xs):
        return None
    axis = node.op.axis % node.type.rank
    pieces: list[Piece] = []
    known: list[str | None] = []
    for operand in node.op.xs:
        piece = piece_of(edit, operand) or _whole(edit, operand)
        joined = _join(pieces[-1], piece, axis) if pieces else None
        if joined is None:
            pieces.append(piece)
            known.append(operand)
        else:
            pieces[-1], known[-1] = joined, None
    if len(pieces) == len(node.op.xs):
        return None
    build = edit.build(node)
    absorbed = tuple(dict.fromkeys(m for x in node.op.xs if (m := edit.maker(x)) is not None))
    absorbed = tuple(m for m in absorbed if isinstance(m.op, (Slice, Split)))
    values = tuple(name or _cut(edit, build, piece) for name, piece in zip(known, pieces, strict=True))
    sources = dict.fromkeys(p.source for p, name in zip(pieces, known, strict=True) if name is None)
    told = " and ".join(f"%{source}" for source in sources)
    reason = f"neighbouring operands of {named(node)} are neighbouring parts of {told}"
    if len(values) == 1:
        return Rewrite(values[0], reason, absorbs=absorbed)
    return Rewrite(build.one(Concat(values, axis=axis)), reason, absorbs=absorbed)


@rule(Slice)
def slice_of_slice(edit: Edit, node: Node) -> Rewrite | None:
    """Slice(Slice(x)) -> Slice(x)"""
    inner = edit.maker(node.op.x)
    if inner is None or not isinstance(inner.op, (Slice, Split)):
        return None
    outer_piece, inner_piece = piece_of(edit, node.name), piece_of(edit, node.op.x)
    if outer_piece is None or inner_piece is None:
        return None
    ranges = tuple(i[slice_of(o, len(i))] for o, i in zip(outer_piece.ranges, inner_piece.ranges, strict=True))
    build = edit.build(node)
    reason = f"a part of {named(inner)}, which is a part of %{inner_piece.source}, is a part of that"
    return Rewrite(_cut(edit, build, Piece(inner_piece.source, ranges)), reason, absorbs=(inner,))


@rule(Split)
def split_of_concat(edit: Edit, node: Node) -> Rewrite | None:
    """Split(Concat(a, b)) at the seams -> a, b"""
    concat = edit.maker(node.op.x)
    if concat is None or not isinstance(concat.op, Concat) or not ready(edit, node):
        return None
    rank = concat.type.rank
    same_axis = concat.op.axis % rank == node.op.axis % rank
    if not same_axis or [edit.type(x) for x in concat.op.xs] != list(node.types):
        raise Keep(f"{named(node)} does not cut where {named(concat)} put its operands together.")
    reason = f"{named(node)} cuts exactly where {named(concat)} put its operands together"
    return Rewrite(concat.op.xs, reason, absorbs=(concat,))


def piece_of(edit: Edit, value: str) -> Piece | None:
    """What a Slice or a part of a Split takes from its operand; None for everything else."""
    maker = edit.maker(value)
    if maker is None or not isinstance(maker.op, (Slice, Split)) or not ready(edit, maker):
        return None
    op, dims = maker.op, edit.type(maker.op.x).dims
    if isinstance(op, Split):
        axis = op.axis % len(dims)
        start = sum(t.dims[axis] for t in maker.types[: maker.results.index(value)])
        end = start + edit.type(value).dims[axis]
        return Piece(op.x, tuple(range(start, end) if a == axis else range(n) for a, n in enumerate(dims)))
    contents = [edit.constant_array(v) for v in (op.starts, op.ends, op.axes, op.steps)]
    if any(c is None and v is not None for c, v in zip(contents, (op.starts, op.ends, op.axes, op.steps), strict=True)):
        return None
    cuts = op.cuts(dims, *([] if c is None else [int(n) for n in c.reshape(-1)] for c in contents))
    return Piece(op.x, tuple(range(n)[cut] for n, cut in zip(dims, cuts, strict=True)))


def slice_of(indices: range, size: int) -> slice:
    """The Python slice that takes these indices from a sequence of `size`."""
    if indices.step < 0 and indices.stop < 0:
        return slice(indices.start, None, indices.step)
    return slice(indices.start, min(indices.stop, size), indices.step)


def _whole(edit: Edit, value: str) -> Piece:
    return Piece(value, tuple(range(n) for n in edit.type(value).dims))


def _join(left: Piece, right: Piece, axis: int) -> Piece | None:
    """Both as one piece where they are neighbours along the axis."""
    if left.source != right.source:
        return None
    for a, (one, other) in enumerate(zip(left.ranges, right.ranges, strict=True)):
        if a == axis and not (one.step == other.step == 1 and one.stop == other.start):
            return None
        if a != axis and one != other:
            return None
    ranges = list(left.ranges)
    ranges[axis] = range(left.ranges[axis].start, right.ranges[axis].stop)
    return Piece(left.source, tuple(ranges))


def _cut(edit: Edit, build: Build, piece: Piece) -> str:
    """The piece as a value: its source, or a new Slice of it."""
    dims = edit.type(piece.source).dims
    axes = [a for a, (r, n) in enumerate(zip(piece.ranges, dims, strict=True)) if r != range(n)]
    if not axes:
        return piece.source
    cut = [piece.ranges[a] for a in axes]
    # counted backwards, an end before the first element has to be told as one from behind
    ends = [-dims[a] - 1 if r.step < 0 and r.stop < 0 else r.stop for a, r in zip(axes, cut, strict=True)]
    told = {"starts": [r.start for r in cut], "ends": ends, "axes": axes, "steps": [r.step for r in cut]}
    if all(r.step == 1 for r in cut):
        del told["steps"]
    operands = [build.const(np.array(numbers, np.int64), name=name) for name, numbers in told.items()]
    return build.one(Slice(piece.source, *operands))


@graph_pass(rules=(concat_of_concat, concat_of_slices, slice_of_concat, slice_of_slice, split_of_concat))
def clean_concat_slice(graph: Graph) -> Graph:
    """Concat(Concat) -> Concat; Slice(Concat) -> Slice; Concat(Slice, Slice) -> Slice; Slice(Slice) -> Slice."""
    return apply(graph, clean_concat_slice.rules)
