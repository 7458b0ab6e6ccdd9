"""Programs of one instruction, made by hand from an op's sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from glowviz.compiler.graph import Payload
from glowviz.compiler.ops.base import Case, Op
from glowviz.compiler.program import Buffer, Halo, Instr, MemoryPlan, Program, PublicOutput
from glowviz.compiler.types import Order, of_array

Arrays = dict[str, np.ndarray]


def operands_of(op: type[Op], case: Case) -> tuple[dict[str, Any], Arrays]:
    """The op's operand fields with names, and the arrays behind the names."""
    fields: dict[str, Any] = {}
    arrays: Arrays = {}
    for position, slot in enumerate(op.slots()):
        given = case.operands.get(slot.name, case.operands.get(str(position)))
        if given is None:
            continue
        if slot.variadic:
            names = tuple(f"{slot.name}{n}" for n in range(len(given)))
            arrays.update(zip(names, map(np.asarray, given), strict=True))
            fields[slot.name] = names
        else:
            fields[slot.name] = slot.name
            arrays[slot.name] = np.asarray(given)
    return fields, arrays


def program_of(
    op: type[Op],
    case: Case,
    constant: frozenset[str] = frozenset(),
    orders: Mapping[str, Order] | None = None,
    halos: Mapping[str, Halo] | None = None,
) -> tuple[Program, Arrays]:
    """The program and its inputs. Operands in `constant` become weights; results are y0, y1 …"""
    fields, arrays = operands_of(op, case)
    made = op(**fields, **case.attributes)
    orders, halos = orders or {}, halos or {}
    buffers = {
        name: Buffer(
            name, of_array(array).with_order(orders.get(name)), "weight" if name in constant else "input",
            payload=Payload(array) if name in constant else None, halo=halos.get(name),
        )
        for name, array in arrays.items()
    }  # fmt: skip
    types = made.infer_types(lambda n: buffers[n].type.logical, arrays.get)
    outs = tuple(f"y{n}" for n in range(len(types)))
    for out, type_ in zip(outs, types, strict=True):
        order = orders.get(out, type_.order)
        buffers[out] = Buffer(out, type_.with_order(order), "output", halo=halos.get(out))
    body = (Instr(made, outs, value=outs[0]),)
    program = Program(op.instruction, buffers, body, tuple(PublicOutput(o, o) for o in outs))
    return program, {name: a for name, a in arrays.items() if name not in constant}


def expected(program: Program, arrays: Arrays) -> Arrays:
    """What numpy makes of it."""
    known = {b.name: b.payload.array for b in program.buffers.values() if b.payload is not None}
    instr = program.instructions[0]
    return dict(zip(instr.outs, instr.op.evaluate((known | arrays).__getitem__), strict=False))


def plan_of(program: Program) -> MemoryPlan:
    """No plan: the arena lays small programs out by itself."""
    return MemoryPlan()


def error(found: np.ndarray, wanted: np.ndarray) -> float:
    """Largest difference relative to max |wanted|; infinities and NaN must stand in the same places."""
    assert found.shape == wanted.shape, (found.shape, wanted.shape)
    assert found.dtype == wanted.dtype, (found.dtype, wanted.dtype)
    if wanted.size == 0 or wanted.dtype == object:
        return 0.0
    left, right = (np.asarray(a).astype(np.float64) for a in (found, wanted))
    special = ~np.isfinite(right)
    if not np.array_equal(left[special], right[special], equal_nan=True):
        return float("inf")
    difference = np.abs(left[~special] - right[~special])
    scale = max(float(np.abs(right[~special]).max(initial=0.0)), 1e-30)
    return float(difference.max(initial=0.0)) / scale
