"""Operators that move numbers about: their results are exactly what they read."""

from __future__ import annotations

from math import prod

import numpy as np

from tests.fuzz.growing import Growing, NotValid, Val
from tests.fuzz.registry import operator

MOVED = ("f32", "f64", "i64", "i32", "u8", "bool", "f16", "i8")


def moved(g: Growing, op: str, x: Val, *more: Val | str, results: int = 1, **attributes: object) -> list[Val]:
    return g.node(op, [x, *more], exact=True, low=min(x.low, 0), high=max(x.high, 0), results=results, **attributes)


@operator("Transpose")
def transpose(g: Growing, op: str) -> None:
    x = g.value(MOVED, least=1)
    order = list(range(len(x.shape)))
    perm = [order.pop(g.number(0, len(order) - 1)) for _ in range(len(order))]
    moved(g, op, x, perm=perm)


@operator("Reshape")
def reshape(g: Growing, op: str) -> None:
    x = g.value(MOVED)
    dims = list(x.shape)
    if len(dims) > 1 and g.flag():
        at = g.number(0, len(dims) - 2)
        dims[at : at + 2] = [dims[at] * dims[at + 1]]
    elif dims:
        at = g.number(0, len(dims) - 1)
        splits = [d for d in (1, 2, 3, 4, 7, 8) if d and dims[at] % d == 0]
        by = g.one_of(splits)
        dims[at : at + 1] = [by, dims[at] // by]
    if dims and prod(dims) and g.flag(40):
        dims[g.number(0, len(dims) - 1)] = -1
    moved(g, op, x, g.ints(*dims), allowzero=1)


@operator("Flatten")
def flatten(g: Growing, op: str) -> None:
    x = g.value(("f32", "i64", "u8"), least=1)
    moved(g, op, x, axis=g.number(-len(x.shape), len(x.shape)))


@operator("Squeeze")
def squeeze(g: Growing, op: str) -> None:
    x = g.value(MOVED, lambda v: 1 in v.shape)
    axes = [i for i, d in enumerate(x.shape) if d == 1]
    moved(g, op, x, g.ints(g.one_of(axes)))


@operator("Unsqueeze")
def unsqueeze(g: Growing, op: str) -> None:
    x = g.value(MOVED, lambda v: len(v.shape) < 5)
    moved(g, op, x, g.ints(g.number(-len(x.shape) - 1, len(x.shape))))


@operator("Concat")
def concat(g: Growing, op: str) -> None:
    x = g.value(MOVED, lambda v: v.elem != "i8", least=1)
    axis = g.number(0, len(x.shape) - 1)
    parts = [x]
    for _ in range(g.number(0, 2)):
        shape = tuple(g.number(0, 5) if i == axis else d for i, d in enumerate(x.shape))
        parts.append(g.value((x.elem,), shape=shape))
    low, high = min(p.low for p in parts), max(p.high for p in parts)
    g.node(op, parts, exact=True, low=low, high=high, axis=axis - len(x.shape) * g.flag(30))


@operator("Split")
def split(g: Growing, op: str) -> None:
    x = g.value(("f32", "i64", "i32", "u8"), least=1)
    axis = g.number(0, len(x.shape) - 1)
    first = g.number(0, x.shape[axis])
    second = g.number(0, x.shape[axis] - first)
    sizes = [first, second, x.shape[axis] - first - second]
    moved(g, op, x, g.ints(*sizes), results=3, axis=axis)


@operator("Slice")
def slices(g: Growing, op: str) -> None:
    x = g.value(MOVED, least=1)
    axes = sorted({g.number(0, len(x.shape) - 1) for _ in range(2)})
    starts = [g.number(-x.shape[a] - 2, x.shape[a] + 2) for a in axes]
    ends = [g.one_of((g.number(-x.shape[a] - 2, x.shape[a] + 2), 1 << 62, -(1 << 62))) for a in axes]
    steps = [g.one_of((1, 1, 2, -1, 3, -2)) for _ in axes]
    moved(g, op, x, g.ints(*starts), g.ints(*ends), g.ints(*axes), g.ints(*steps))


@operator("Pad")
def pad(g: Growing, op: str) -> None:
    x = g.value(("f32", "f64", "i32", "i64", "u8"), least=1)
    mode = g.one_of(("constant", "reflect", "edge", *(("wrap",) if g.opset >= 19 else ())))
    if mode != "constant" and 0 in x.shape:
        raise NotValid
    most = [3 if mode in ("constant", "edge") else min(3, d - 1) for d in x.shape]
    least = [-min(1, d // 2) if mode == "constant" and g.flag(15) else 0 for d in x.shape]
    pads = [g.number(low, m) for _ in range(2) for low, m in zip(least, most, strict=True)]
    fill = np.array(g.one_of((0, 1, 2)), {"f32": "f4", "f64": "f8", "i32": "i4", "i64": "i8", "u8": "u1"}[x.elem])
    more = [g.constant(fill)] if mode == "constant" and g.flag(70) else []
    g.node(op, [x, g.ints(*pads), *more], exact=True, low=min(x.low, 0), high=max(x.high, 2), mode=mode)


@operator("Expand")
def expand(g: Growing, op: str) -> None:
    x = g.value(("f32", "i64", "i32", "bool"), lambda v: v.count <= 200)
    dims = [g.one_of((2, 3)) if d == 1 and g.flag() else d for d in x.shape]
    moved(g, op, x, g.ints(*([2] if g.flag(30) else []), *dims))


@operator("Tile")
def tile(g: Growing, op: str) -> None:
    x = g.value(("f32", "i64", "u8"), lambda v: v.count <= 400, least=1)
    moved(g, op, x, g.ints(*(g.one_of((1, 1, 2, 3, 0) if g.flag(10) else (1, 2, 3)) for _ in x.shape)))


@operator("Shape", "Size")
def shape_of(g: Growing, op: str) -> None:
    g.node(op, [g.value(MOVED)], low=0, high=9)


@operator("ConstantOfShape")
def filled(g: Growing, op: str) -> None:
    from onnx import numpy_helper

    content = np.array([g.one_of((0, 1, 2))], g.one_of(("f4", "i8", "i4", "u1")))
    shape = g.shape()
    g.node(op, [g.ints(*shape)], exact=True, value=numpy_helper.from_array(content))


@operator("Range")
def counting(g: Growing, op: str) -> None:
    start, step = g.number(-5, 5), g.one_of((1, 2, -1))
    limit = start + step * g.number(0, 9) + (0 if abs(step) == 1 else g.number(0, 1))
    operands = [g.constant(np.array(n, np.int64)) for n in (start, limit, step)]
    g.node(op, operands, low=-20, high=20)


@operator("Gather")
def gather(g: Growing, op: str) -> None:
    x = g.value(MOVED, lambda v: v.count > 0, least=1)
    axis = g.number(0, len(x.shape) - 1)
    indices = g.fresh(g.one_of(("i64", "i32")), g.shape(g.number(0, 2)), -x.shape[axis], x.shape[axis] - 1)
    moved(g, op, x, indices, axis=axis)


@operator("GatherElements")
def gather_elements(g: Growing, op: str) -> None:
    x = g.value(("f32", "i64", "u8"), lambda v: v.count > 0, least=1)
    axis = g.number(0, len(x.shape) - 1)
    shape = tuple(g.number(1, 6) if i == axis else g.number(1, d) for i, d in enumerate(x.shape))
    moved(g, op, x, g.fresh("i64", shape, -x.shape[axis], x.shape[axis] - 1), axis=axis)


@operator("GatherND")
def gather_nd(g: Growing, op: str) -> None:
    x = g.value(("f32", "i64", "i32"), lambda v: v.count > 0, least=1)
    depth = g.number(1, len(x.shape))
    places = np.stack([g_indices(g, d, 5) for d in x.shape[:depth]], axis=-1)
    moved(g, op, x, g.constant(places.astype(np.int64)))


def g_indices(g: Growing, size: int, count: int) -> np.ndarray:
    return np.array([g.number(-size, size - 1) for _ in range(count)])


@operator("ScatterElements")
def scatter_elements(g: Growing, op: str) -> None:
    x = g.value(("f32", "i64", "i32"), lambda v: v.count > 0, least=1)
    axis = g.number(0, len(x.shape) - 1)
    order = [g.number(0, 9) for _ in range(x.shape[axis])]
    count = g.number(1, x.shape[axis])
    shape = tuple(count if i == axis else d for i, d in enumerate(x.shape))
    along = np.argsort(order, kind="stable")[:count]
    indices = np.broadcast_to(along.reshape([-1 if i == axis else 1 for i in range(len(shape))]), shape)
    updates = g.value((x.elem,), shape=shape)
    how = g.one_of(("none", "add", "max", "min")) if g.opset >= 18 and x.elem != "f16" else "none"
    g.node(op, [x, g.constant(indices.astype(np.int64).copy()), updates], axis=axis, reduction=how,
           exact=how != "add" or not x.is_float, low=-12, high=12)  # fmt: skip


@operator("ScatterND")
def scatter_nd(g: Growing, op: str) -> None:
    x = g.value(("f32", "i64", "i32"), lambda v: v.count > 0, least=1)
    rows = sorted({g.number(0, x.shape[0] - 1) for _ in range(3)})
    updates = g.value((x.elem,), shape=(len(rows), *x.shape[1:]))
    how = g.one_of(("none", "add", "mul")) if g.opset >= 18 else "none"
    g.node(op, [x, g.constant(np.array(rows, np.int64)[:, None]), updates], reduction=how,
           exact=how == "none" or not x.is_float, low=-12, high=12)  # fmt: skip


@operator("OneHot")
def one_hot(g: Growing, op: str) -> None:
    depth = g.number(1, 7)
    indices = g.fresh("i64", g.shape(g.number(0, 2)), -depth - 1, depth + 1)
    values = g.constant(np.array([0, 3], g.one_of(("f4", "i8"))))
    g.node(op, [indices, g.constant(np.array(depth, np.int64)), values], exact=True, low=0, high=3, axis=-1)


@operator("Trilu")
def triangle(g: Growing, op: str) -> None:
    x = g.value(("f32", "f64", "i64"), least=2)
    moved(g, op, x, g.constant(np.array(g.number(-3, 3), np.int64)), upper=g.number(0, 1))


@operator("CumSum")
def running_sum(g: Growing, op: str) -> None:
    x = g.value(
        ("f32", "f64", "i32", "i64"), lambda v: not v.special and v.high <= 3 and max(v.shape, default=0) <= 33, least=1
    )
    axis = g.constant(np.array(g.number(-len(x.shape), len(x.shape) - 1), np.int64))
    g.node(op, [x, axis], low=-99, high=99, exclusive=g.number(0, 1), reverse=g.number(0, 1))


@operator("ReverseSequence")
def reverse_sequence(g: Growing, op: str) -> None:
    x = g.value(("f32", "i64"), lambda v: v.count > 0, least=2)
    lengths = g.constant(np.array([g.number(1, x.shape[0]) for _ in range(x.shape[1])], np.int64))
    moved(g, op, x, lengths, time_axis=0, batch_axis=1)


@operator("DepthToSpace", "SpaceToDepth")
def blocks(g: Growing, op: str) -> None:
    n, c, h, w = (g.number(1, 3) for _ in range(4))
    if op == "DepthToSpace":
        x = g.value(("f32",), shape=(n, c * 4, h, w))
        moved(g, op, x, blocksize=2, mode=g.one_of(("DCR", "CRD")))
    else:
        moved(g, op, g.value(("f32",), shape=(n, c, h * 2, w * 2)), blocksize=2)


@operator("NonZero")
def non_zero(g: Growing, op: str) -> None:
    g.node(op, [g.value(("f32", "i64", "bool", "u8"), exact=True, least=1)])


@operator("Compress")
def compress(g: Growing, op: str) -> None:
    x = g.value(("f32", "i64"), lambda v: v.count > 0, least=1)
    axis = g.number(0, len(x.shape) - 1)
    condition = g.fresh("bool", (g.number(1, x.shape[axis]),))
    moved(g, op, x, condition, axis=axis)


@operator("Unique")
def unique(g: Growing, op: str) -> None:
    g.node(op, [g.value(("f32", "i64"), lambda v: v.count > 0 and not v.special, exact=True)],
           results=4, exact=True, sorted=1)  # fmt: skip
