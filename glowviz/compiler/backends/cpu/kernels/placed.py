"""Elements and slices that run-time indices pick or place; an index outside its axis is reported, never followed."""

from __future__ import annotations

from collections.abc import Callable

from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.kernels.cells import Cells, Places, Tensor
from glowviz.compiler.backends.cpu.kernels.draft import supported
from glowviz.compiler.backends.cpu.registry import KernelCode, general, kernel
from glowviz.compiler.backends.cpu.values import Index, Value
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.target import Target

COMBINE: dict[str, Callable[[Cells, Value, Value], Value]] = {
    "add": lambda cells, old, new: old + new,
    "mul": lambda cells, old, new: old * new,
    "max": lambda cells, old, new: cells.em.m.max(old, new),
    "min": lambda cells, old, new: cells.em.m.min(old, new),
}


@general("scatter_elements")
@supported
def scatter_elements(instr: Instr, program: Program, target: Target) -> KernelCode:
    """A copy of x, then one update after the other: of equal places the last one wins."""
    op = instr.op
    cells = Cells(instr, program, target, checks=True)
    goal, x = cells.result_tensor(), cells.tensor(op.x)
    indices, updates = cells.tensor(op.indices), cells.tensor(op.updates)
    axis = op.axis % len(x.dims)

    def place(places: list[Index]) -> None:
        at = list(places)
        at[axis] = cells.inside(indices.index(places), x.dims[axis])
        _put(cells, op.reduction, goal, at, updates, places)

    def body() -> None:
        cells.copy_all(goal, x)
        cells.nest(indices.dims, place)

    cells.once(body)
    return cells.finish("a copy, then the updates in order; indices are checked", axis=axis)


def _put(cells: Cells, reduction: str, goal: Tensor, at: Places, updates: Tensor, places: Places) -> None:
    """One update into its place."""
    if reduction == "none":
        goal.put_bits(at, updates.bits(places))
        return
    if goal.elem == "bool":
        raise Unsupported("arithmetic on truth values")
    goal.write(at, COMBINE[reduction](cells, goal.read(at), updates.read(places)))


@general("scatter_nd")
@supported
def scatter_nd(instr: Instr, program: Program, target: Target) -> KernelCode:
    """A copy of x, then one slice after the other: of equal places the last one wins."""
    op = instr.op
    cells = Cells(instr, program, target, checks=True)
    goal, x = cells.result_tensor(), cells.tensor(op.x)
    indices, updates = cells.tensor(op.indices), cells.tensor(op.updates)
    *lead, depth = indices.dims

    def slices(places: list[Index]) -> None:
        start = [cells.inside(indices.index([*places, n]), x.dims[n]) for n in range(depth)]
        if op.reduction == "none" and _plain(goal) and _plain(updates):
            rest = [0] * (len(x.dims) - depth)
            count = _count(x.dims[depth:])
            cells.copy_run(goal.address([*start, *rest]), updates.address([*places, *rest]), count, goal.buffer)
        else:
            cells.nest(x.dims[depth:], lambda i: _put(cells, op.reduction, goal, [*start, *i], updates, [*places, *i]))

    def body() -> None:
        cells.copy_all(goal, x)
        cells.nest(lead, slices)

    cells.once(body)
    return cells.finish("a copy, then the updates in order; indices are checked", depth=depth)


def _plain(tensor: Tensor) -> bool:
    return tensor.buffer.type.order is None and tensor.buffer.halo is None


def _count(dims: tuple[int, ...]) -> int:
    found = 1
    for n in dims:
        found *= n
    return found


@kernel("gather_nd")
@supported
def gather_nd(instr: Instr, program: Program, target: Target) -> KernelCode:
    """One slice copied for each row of indices."""
    op = instr.op
    cells = Cells(instr, program, target, checks=True)
    goal, x, indices = cells.result_tensor(), cells.tensor(op.x), cells.tensor(op.indices)
    *lead, depth = indices.dims
    batch, rest = op.batch_dims, x.dims[op.batch_dims + depth :]

    def slices(places: list[Index]) -> None:
        picked = [cells.inside(indices.index([*places, n]), x.dims[batch + n]) for n in range(depth)]
        start = [*places[:batch], *picked]
        if _plain(goal) and _plain(x):
            zeros = [0] * len(rest)
            source = x.address([*start, *zeros])
            cells.copy_run(goal.address([*places, *zeros]), source, _count(rest), goal.buffer)
        else:
            cells.nest(rest, lambda i: goal.put_bits([*places, *i], x.bits([*start, *i])))

    cells.over(lead, slices, max(_count(rest), 1))
    return cells.finish("one run copied per row of indices; indices are checked", depth=depth)


@kernel("tensor_scatter")
@supported
def tensor_scatter(instr: Instr, program: Program, target: Target) -> KernelCode:
    """A copy of the cache, then the update's rows from each batch entry's index on."""
    op = instr.op
    cells = Cells(instr, program, target, checks=True)
    goal, cache, update = cells.result_tensor(), cells.tensor(op.past_cache), cells.tensor(op.update)
    axis, em = op.axis % len(cache.dims), cells.em
    size = cache.dims[axis]

    def place(places: list[Index]) -> None:
        start = em.constant(0, "i64")
        if op.write_indices is not None:
            start = cells.tensor(op.write_indices).index([places[0]])
        row = start + places[axis]
        if op.mode == "circular":
            row = em.m.mod(row, row.match(size))
        goal.put_bits([*places[:axis], cells.inside(row, size), *places[axis + 1 :]], update.bits(places))

    def body() -> None:
        cells.copy_all(goal, cache)
        cells.nest(update.dims, place)

    cells.once(body)
    return cells.finish("a copy, then the update; indices are checked", axis=axis)


@kernel("reverse_sequence")
@supported
def reverse_sequence(instr: Instr, program: Program, target: Target) -> KernelCode:
    """Every element comes from the mirrored step, or from its own where the sequence has ended."""
    op = instr.op
    cells = Cells(instr, program, target)
    goal, x, lens, em = cells.result_tensor(), cells.tensor(op.x), cells.tensor(op.sequence_lens), cells.em
    steps = x.dims[op.time_axis]

    def body(at: list[Index]) -> None:
        given = lens.index([at[op.batch_axis]])
        # as a slice [:n] has it: counted from the end where negative, never more than there is
        count = em.smaller(em.larger(em.select(given < 0, given + steps, given), 0), steps)
        step = em.index(at[op.time_axis])
        source = list(at)
        source[op.time_axis] = em.select(step < count, em.index(count) - 1 - step, step)
        goal.put_bits(at, x.bits(source))

    cells.over(goal.dims, body)
    return cells.finish("one element after the other", time_axis=op.time_axis)


@kernel("max_unpool")
@supported
def max_unpool(instr: Instr, program: Program, target: Target) -> KernelCode:
    """Zeros, then every element where its index leads; of equal places the last one wins."""
    op = instr.op
    cells = Cells(instr, program, target, checks=True)
    goal, x, indices = cells.result_tensor(), cells.tensor(op.x), cells.tensor(op.indices)
    plain = op.plain(x.dims)
    zero = cells.em.constant(0, f"i{8 * goal.buffer.type.dtype.itemsize}")

    def place(places: list[Index]) -> None:
        flat = cells.inside(indices.index(places), _count(plain))
        goal.put_bits(cells.unravel(flat, plain), x.bits(places))

    def body() -> None:
        cells.nest(goal.dims, lambda at: goal.put_bits(at, zero))
        cells.nest(x.dims, place)

    if any(n > m for n, m in zip(plain, goal.dims, strict=True)):
        raise Unsupported("a result smaller than the map its indices count in")
    cells.once(body)
    return cells.finish("zeros, then the elements in order; indices are checked")
