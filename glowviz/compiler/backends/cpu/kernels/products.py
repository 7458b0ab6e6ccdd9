"""Convolutions, matrix products and einsums of every element kind and rank as contractions."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from glowviz.compiler.backends.cpu.kernels.boxes import Access, Axis, Unsupported, direct
from glowviz.compiler.backends.cpu.kernels.contraction import Contraction
from glowviz.compiler.backends.cpu.kernels.draft import Draft, supported
from glowviz.compiler.backends.cpu.kernels.movement import along
from glowviz.compiler.backends.cpu.registry import KernelCode, general, kernel
from glowviz.compiler.backends.cpu.values import Value
from glowviz.compiler.program import Buffer, Instr, Program
from glowviz.compiler.target import Target


@general("conv")
@supported
def conv(instr: Instr, program: Program, target: Target) -> KernelCode:
    """Batch, group, feature and places are kept, channels and taps summed up; padding must be in the map already."""
    op, draft = instr.op, Draft(instr, program, target)
    x, w, goal = (program.buffers[name] for name in (op.x, op.w, instr.outs[0]))
    windows = op.windows(x.type.dims, w.type.dims)
    if any(windows.begins) or any(windows.ends):
        raise Unsupported("padding")
    spatial, group = len(windows.kernel), op.group
    features, channels = w.type.dims[0] // group, w.type.dims[1]
    # axes: batch, group, feature, out…, channel, tap…
    taps = 4 + spatial
    places = tuple(Axis(0, ((3 + a, windows.strides[a]), (taps + a, windows.dilations[a]))) for a in range(spatial))
    feature = Axis(0, ((1, features), (2, 1)))
    source = Access(x, (along(0), Axis(0, ((1, channels), (3 + spatial, 1))), *places))
    weights = Access(w, (feature, along(3 + spatial), *(along(taps + a) for a in range(spatial))))
    result = Access(goal, (along(0), feature, *(along(3 + a) for a in range(spatial))))
    extras = [] if op.b is None else [(draft.number(op.b), Access(program.buffers[op.b], (feature,)))]
    contraction = Contraction(
        draft, (x.type.dims[0], group, features, *windows.out, channels, *windows.kernel),
        frozenset(range(3 + spatial, taps + spatial)), result,
        [(draft.number(op.w), weights), (draft.number(op.x), source)], extras,
        lambda total, more: total + more[0] if more else total,
    )  # fmt: skip
    return _finished(draft, contraction)


def _finished(draft: Draft, contraction: Contraction) -> KernelCode:
    draft.pieces = contraction.pieces()
    along_axis = "vectors along a kept axis" if contraction.lanes is not None else "one sum after the other"
    terms = prod(contraction.extents[v] for v in contraction.summed)
    return draft.finish(f"{along_axis}, neighbours share what they read", terms=terms)


@general("matmul")
@supported
def matmul(instr: Instr, program: Program, target: Target) -> KernelCode:
    """Batch dims broadcast; operands of one dim are a row or a column."""
    op, draft = instr.op, Draft(instr, program, target)
    a, b, goal = (program.buffers[name] for name in (op.a, op.b, instr.outs[0]))
    left_row, right_column = a.type.rank > 1, b.type.rank > 1
    lead = goal.type.rank - left_row - right_column
    row, column, depth = lead, lead + 1, lead + 2

    def batch(buffer: Buffer, own: int) -> tuple[Axis, ...]:
        dims = buffer.type.dims[: max(buffer.type.rank - own, 0)]
        return tuple(along(lead - len(dims) + n) if size != 1 else Axis() for n, size in enumerate(dims))

    left = Access(a, (*batch(a, 2), *([along(row)] if left_row else []), along(depth)))
    right = Access(b, (*batch(b, 2), along(depth), *([along(column)] if right_column else [])))
    shown = [*([along(row)] if left_row else []), *([along(column)] if right_column else [])]
    result = Access(goal, (*(along(n) for n in range(lead)), *shown))
    sizes = (a.type.dims[-2] if left_row else 1, b.type.dims[-1] if right_column else 1, a.type.dims[-1])
    contraction = Contraction(
        draft, (*goal.type.dims[:lead], *sizes), frozenset([depth]), result,
        [(draft.number(op.a), left), (draft.number(op.b), right)],
    )  # fmt: skip
    return _finished(draft, contraction)


@general("gemm")
@supported
def gemm(instr: Instr, program: Program, target: Target) -> KernelCode:
    """alpha · A · B + beta · C; transposes are another order of steps."""
    op, draft = instr.op, Draft(instr, program, target)
    a, b, goal = (program.buffers[name] for name in (op.a, op.b, instr.outs[0]))
    row, column, depth = range(3)
    left = Access(a, (along(depth), along(row)) if op.trans_a else (along(row), along(depth)))
    right = Access(b, (along(column), along(depth)) if op.trans_b else (along(depth), along(column)))
    extras = [] if op.c is None else [(draft.number(op.c), direct(program.buffers[op.c], 2))]

    def finish(total: Value, more: Sequence[Value]) -> Value:
        total = total if op.alpha == 1 else total * _scale(goal, op.alpha)
        return total + (more[0] if op.beta == 1 else more[0] * _scale(goal, op.beta)) if more else total

    contraction = Contraction(
        draft, (*goal.type.dims, a.type.dims[0 if op.trans_a else 1]), frozenset([depth]),
        Access(goal, (along(row), along(column))), [(draft.number(op.a), left), (draft.number(op.b), right)],
        extras, finish,
    )  # fmt: skip
    return _finished(draft, contraction)


def _scale(goal: Buffer, factor: float) -> float:
    if not goal.type.is_float and factor != int(factor):
        raise Unsupported("a fraction times integers")
    return factor


@kernel("einsum")
@supported
def einsum(instr: Instr, program: Program, target: Target) -> KernelCode:
    """Every letter is an iteration axis; those that the result does not show are summed up."""
    op, draft = instr.op, Draft(instr, program, target)
    operands = [program.buffers[name] for name in op.xs]
    goal = draft.result
    terms, shown = _letters(op.equation, [b.type.rank for b in operands])
    letters = list(dict.fromkeys([*shown, *(letter for term in terms for letter in term)]))
    sizes = dict.fromkeys(letters, 1)
    for term, buffer in zip(terms, operands, strict=True):
        for letter, size in zip(term, buffer.type.dims, strict=True):
            sizes[letter] = size if sizes[letter] == 1 else sizes[letter]
    axes = {letter: n for n, letter in enumerate(letters)}

    def access(buffer: Buffer, term: list[str]) -> Access:
        pairs = zip(term, buffer.type.dims, strict=True)
        return Access(buffer, tuple(along(axes[letter]) if size != 1 else Axis() for letter, size in pairs))

    contraction = Contraction(
        draft, [sizes[letter] for letter in letters],
        frozenset(axes[letter] for letter in letters if letter not in shown), access(goal, shown),
        [(draft.number(b.name), access(b, term)) for b, term in zip(operands, terms, strict=True)],
    )  # fmt: skip
    return _finished(draft, contraction)


def _letters(equation: str, ranks: list[int]) -> tuple[list[list[str]], list[str]]:
    """One letter for each axis of every operand and of the result; `.0` is the last axis behind the dots."""
    written, arrow, result = equation.replace(" ", "").partition("->")
    terms = [_spelled(term, rank) for term, rank in zip(written.split(","), ranks, strict=True)]
    dots = max((letter for term in terms for letter in term if letter[0] == "."), key=_place, default="")
    hidden = [f".{n}" for n in reversed(range(_place(dots) + 1))] if dots else []
    if arrow:
        head, found, tail = result.partition("...")
        return terms, [*head, *(hidden if found else []), *tail]
    whole = [letter for term in terms for letter in term if letter[0] != "."]
    return terms, [*hidden, *sorted(letter for letter in set(whole) if whole.count(letter) == 1)]


def _spelled(term: str, rank: int) -> list[str]:
    head, found, tail = term.partition("...")
    return [*head, *(f".{n}" for n in reversed(range(rank - len(head) - len(tail)))), *tail] if found else list(head)


def _place(letter: str) -> int:
    return int(letter[1:])
