"""Fourier transforms by their definition, with the roots of unity in a table beside the code."""

from __future__ import annotations

import struct
from collections.abc import Callable
from math import cos, pi, sin

from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.kernels.cells import Cells, Tensor
from glowviz.compiler.backends.cpu.kernels.draft import constant_of, supported
from glowviz.compiler.backends.cpu.kernels.elements import convert
from glowviz.compiler.backends.cpu.registry import KernelCode, kernel
from glowviz.compiler.backends.cpu.values import Index, Value
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.target import Target

LONGEST = 1 << 13
Complex = tuple[Value, Value]


@kernel("dft")
@supported
def dft(instr: Instr, program: Program, target: Target) -> KernelCode:
    """Every frequency is a sum over the signal, in double precision; what is missing of it counts as zeros."""
    op = instr.op
    cells = Cells(instr, program, target, instr.ins[:1])
    x, goal = cells.tensor(op.x), cells.result_tensor()
    axis, rank = op.axis % len(x.dims), len(x.dims)
    given = None if op.dft_length is None else int(constant_of(program, op.dft_length).reshape(()))
    half = op.inverse and op.onesided
    n = given if given is not None else 2 * (x.dims[axis] - 1) if half else x.dims[axis]
    used = min(x.dims[axis], n // 2 + 1 if half else n)
    roots = _Roots(cells, n, 1 if op.inverse else -1)
    em = cells.em

    def body(at: list[Index]) -> None:
        def term(t: Index) -> Complex:
            place = [*at[:axis], t, *at[axis + 1 :], 0]
            real, imaginary = _pair(x, place)
            if half:
                # the other half of the spectrum is the mirror image of this one
                first = em.index(t) == 0
                first = first | (em.index(t) * 2 == n) if n % 2 == 0 else first
                twice = em.select(first, real.match(1.0), real.match(2.0))
                real, imaginary = real * twice, em.select(first, imaginary.match(0.0), imaginary * twice)
            return real, imaginary

        real, imaginary = roots.total(used, at[axis], term)
        scale = 1.0 / n if op.inverse else 1.0
        goal.write([*at, 0], convert(em, real * scale, goal.kind))
        if not half:
            goal.write([*at, 1], convert(em, imaginary * scale, goal.kind))

    cells.over(goal.dims[: rank - 1], body, max(used, 1))
    return cells.finish("the definition, roots of unity from a table", length=n)


def _pair(x: Tensor, place: list[Index]) -> Complex:
    """A number of a signal whose last dim has one or two parts, in double precision."""
    em = x.em
    real = convert(em, x.read(place), "double")
    return real, convert(em, x.read([*place[:-1], 1]), "double") if x.dims[-1] == 2 else real.match(0.0)


class _Roots:
    """e^(±2πi·k/n) for all k."""

    def __init__(self, cells: Cells, n: int, sign: int) -> None:
        if n > LONGEST:
            raise Unsupported("a transform so long")
        self.cells, self.em, self.n = cells, cells.em, n
        turns = [sign * 2 * pi * k / n for k in range(n)]
        numbers = [part for turn in turns for part in (cos(turn), sin(turn))]
        self.table = cells.em.table([struct.unpack("<q", struct.pack("<d", number))[0] for number in numbers] or [0])

    def total(self, count: int, frequency: Index, term: Callable[[Index], Complex]) -> Complex:
        """Σ term(t) · root^(t·frequency) over t = 0 … count - 1."""
        em = self.em
        zero = em.constant(0.0, "double")
        with em.loop(0, count, carry=[zero, zero, em.constant(0, "i64")]) as loop:
            real, imaginary, turn = loop.carry
            here = em.offset(self.table, turn * 16)
            c, s = em.load(here, "double"), em.load(em.offset(here, 8), "double")
            a, b = term(loop.index)
            turn = turn + frequency
            turn = em.select(turn >= self.n, turn - self.n, turn)
            loop.next = [em.fma(a, c, real) - b * s, em.fma(a, s, imaginary) + b * c, turn]
        return loop.results[0], loop.results[1]


@kernel("stft")
@supported
def stft(instr: Instr, program: Program, target: Target) -> KernelCode:
    """The transform of every frame, weighed while it is read."""
    op = instr.op
    cells = Cells(instr, program, target)
    signal, goal = cells.tensor(op.signal), cells.result_tensor()
    window = None if op.window is None else cells.tensor(op.window)
    step = int(constant_of(program, op.frame_step).reshape(()))
    length = signal.dims[1] if window is None else window.dims[0]
    if op.frame_length is not None:
        length = int(constant_of(program, op.frame_length).reshape(()))
    roots = _Roots(cells, length, -1)
    em = cells.em

    def body(at: list[Index]) -> None:
        def term(t: Index) -> Complex:
            real, imaginary = _pair(signal, [at[0], at[1] * step + t, 0])
            if window is None:
                return real, imaginary
            weight = convert(em, window.read([t]), "double")
            return real * weight, imaginary * weight

        for part, number in enumerate(roots.total(length, at[2], term)):
            goal.write([*at, part], convert(em, number, goal.kind))

    cells.over(goal.dims[:3], body, length)
    return cells.finish("the definition, roots of unity from a table", length=length, step=step)
