"""A Draft is a kernel being written for one instruction: its emitter, operand pointers and split tiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported, padding
from glowviz.compiler.backends.cpu.kernels.elements import SafeEmitter
from glowviz.compiler.backends.cpu.kernels.nest import Lanes, Piece, box_pieces, emit_pieces
from glowviz.compiler.backends.cpu.registry import KernelCode, Lowering
from glowviz.compiler.backends.cpu.values import Value, vector_of
from glowviz.compiler.program import Buffer, Instr, Program
from glowviz.compiler.target import Target

STATUS = "#status"
"""Operand name that stands for the instruction's error cell: a kernel that meets impossible data stores 1 there."""


class Draft:
    """Buffers in the order of the args array: outputs, then operands, each once."""

    def __init__(self, instr: Instr, program: Program, target: Target, reads: Sequence[str] | None = None) -> None:
        self.instr, self.target, self.program = instr, target, program
        names = dict.fromkeys((*instr.outs, *(instr.ins if reads is None else reads)))
        self.operands = list(names)
        self.buffers = [program.buffers[name] for name in names]
        self.em = SafeEmitter(self._name(), target)
        self.pointers = [self.em.argument(n) for n in range(len(self.buffers))]
        self.pieces: list[Piece] = []
        self.scratch = 0

    def _name(self) -> str:
        shown = [self.buffers[0], *self.buffers[len(self.instr.outs) :][:1]]
        parts = ["x".join(map(str, b.type.dims)) or "1" for b in shown]
        elems = "_".join(dict.fromkeys(b.type.elem for b in shown))
        return ".".join([self.instr.name, elems, *dict.fromkeys(parts)])

    @property
    def result(self) -> Buffer:
        return self.buffers[0]

    def add_operand(self, name: str) -> Value:
        """The pointer of one more operand behind the buffers."""
        self.operands.append(name)
        self.pointers.append(self.em.argument(len(self.operands) - 1))
        return self.pointers[-1]

    def number(self, name: str) -> int:
        """The position of a buffer among the operands."""
        return self.operands.index(name)

    def sizes(self, operands: Sequence[int]) -> list[int]:
        """Bytes of one element, per operand number."""
        return [self.buffers[p].type.dtype.itemsize for p in operands]

    def clear_padding(self) -> None:
        """Spare lanes of tiled results hold zeros, whatever the arithmetic would make of them."""
        for p in range(len(self.instr.outs)):
            for box in padding(self.buffers[p]):
                self.pieces += box_pieces(
                    self.em, box, [self.pointers[p]], self.sizes([p]), lambda lanes, p=p: self._zero(lanes, p)
                )

    def _zero(self, lanes: Lanes, p: int) -> None:
        store_raw(self.em, lanes, 0, self.em.constant(0, vector_of(raw_kind(self.buffers[p]), lanes.count)))

    def finish(self, why: str, **schedule: Any) -> KernelCode:
        """The kernel, when all its pieces are known."""
        self.clear_padding()
        tiles = emit_pieces(self.em, self.pieces)
        return KernelCode(
            self.em.name, self.em.text(), max(tiles, 1) if self.pieces else 0, why, dict(schedule),
            tuple(self.operands), self.scratch,
        )  # fmt: skip


def raw_kind(buffer: Buffer) -> str:
    """An integer as wide as one element, for moving elements of any kind."""
    size = buffer.type.dtype.itemsize
    if buffer.type.elem == "string" or size not in (1, 2, 4, 8):
        raise Unsupported(f"elements of {buffer.type.elem}")
    return f"i{8 * size}"


def load_raw(em: Emitter, lanes: Lanes, operand: int, kind: str) -> Value:
    """Bytes of so many elements as integers; equal lanes are splat."""
    pointer = lanes.pointers[operand]
    if lanes.count == 1 or lanes.steps[operand] == 0:
        return em.splat(em.load(pointer, kind), lanes.count)
    wide = vector_of(kind, lanes.count)
    return em.load(pointer, wide) if lanes.mask is None else em.load_lanes(pointer, lanes.mask, wide)


def store_raw(em: Emitter, lanes: Lanes, operand: int, value: Value) -> None:
    """Integers of so many elements into memory."""
    if lanes.mask is None:
        em.store(value, lanes.pointers[operand])
    else:
        em.store_lanes(value, lanes.pointers[operand], lanes.mask)


def known(program: Program, name: str | None) -> np.ndarray | None:
    """What a buffer holds in every run: the content of a weight, None for anything else."""
    buffer = None if name is None else program.buffers[name]
    return buffer.payload.array if buffer is not None and buffer.kind == "weight" and buffer.payload else None


def constant_of(program: Program, name: str) -> np.ndarray:
    """Like `known`, for kernels that need it when they are made."""
    array = known(program, name)
    if array is None:
        raise Unsupported(f"%{name} is only known at run time")
    return array


def supported(function: Callable[[Instr, Program, Target], KernelCode]) -> Lowering:
    """A lowering that answers None where the family says Unsupported or has no series for an element kind."""

    @wraps(function)
    def lowering(instr: Instr, program: Program, target: Target) -> KernelCode | None:
        try:
            return function(instr, program, target)
        except (Unsupported, TypeError):
            return None

    return lowering
