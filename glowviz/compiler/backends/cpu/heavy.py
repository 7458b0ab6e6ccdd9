"""An instruction's heavy op, and its element-wise epilogue as a function that kernels run on accumulators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.kernels.elements import ElementMath
from glowviz.compiler.backends.cpu.kernels.epilogue import Epilogue, Extra, LoadExtra, Step
from glowviz.compiler.backends.cpu.values import Value, element_of
from glowviz.compiler.graph import Node
from glowviz.compiler.ops import Cast, Div, Fused, Op
from glowviz.compiler.ops.base import Elementwise
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.target import Target

Operand = Value | float
SMALLEST = 1e-30  # of an inverse that is surely a normal f32, and the inverse of one


@dataclass(frozen=True)
class Heavy:
    """The heavy op of an instruction, reading buffers, and what follows it before the store.

    `steps` read the op's result under the name `made`, the constants `numbers`, and the buffers `extras`
    (name inside the region -> buffer).
    """

    op: Op
    result: str
    made: str = ""
    steps: tuple[Node, ...] = ()
    last: str = ""
    extras: tuple[tuple[str, str], ...] = ()
    numbers: tuple[tuple[str, float], ...] = ()

    @property
    def text(self) -> str:
        """The epilogue in one line, with names by role: equal epilogues of different layers read the same."""
        names = {self.made: "sum"} | {name: f"x{n}" for n, (name, _) in enumerate(self.extras)}
        names |= {name: repr(number) for name, number in self.numbers}
        names |= {node.name: f"s{n}" for n, node in enumerate(self.steps)}
        ends = "" if not self.steps or self.last == self.steps[-1].name else f"; {names[self.last]}"
        return "; ".join(_told(node, names) for node in self.steps) + ends

    @property
    def step(self) -> Step | None:
        """The epilogue as kernels call it; None where there is none."""
        return partial(run_steps, self) if self.steps else None

    def epilogue(self, bias: bool, extra: Callable[[str], Extra]) -> Epilogue:
        """The epilogue of a spec; `extra` says how a buffer is read."""
        return Epilogue(bias, self.text, tuple(extra(buffer) for _, buffer in self.extras))


def _told(node: Node, names: Mapping[str, str]) -> str:
    operands = [names[o] for o in node.op.operands]
    return f"{node.op.instruction}({', '.join([*operands, *(f'{k}={v!r}' for k, v in node.op.attributes.items())])})"


def heavy_of(instr: Instr, program: Program) -> Heavy:
    """What `instr` computes with a heavy kernel; Unsupported where it has none or its region is too rich."""
    if len(instr.outs) != 1:
        raise Unsupported("more than one result")
    op = instr.op
    if not isinstance(op, Fused):
        return Heavy(op, instr.outs[0])
    buffers = dict(zip(op.body.inputs, op.xs, strict=True))
    nodes = tuple(op.body)
    center = [node for node in nodes if not isinstance(node.op, Elementwise)]
    if len(center) != 1 or len(center[0].results) != 1 or nodes[0] is not center[0]:
        raise Unsupported("a region that does not begin with its one heavy op")
    if any(o not in buffers for o in center[0].op.operands):
        raise Unsupported("a heavy op that reads a constant of its region")
    made = center[0].name
    last = op.body.outputs[0].value
    steps, last = _stored(nodes[1:], last, program.buffers[instr.outs[0]].type.elem)
    outside = dict.fromkeys(o for node in steps for o in node.op.operands)
    inner = {made, *(node.name for node in steps)}
    numbers = {name: _number(op, buffers, program, name) for name in outside if name not in inner}
    extras = tuple((name, buffers[name]) for name, number in numbers.items() if number is None)
    known = tuple((name, number) for name, number in numbers.items() if number is not None)
    rename = {name: buffers[name] for name in center[0].op.operands}
    return Heavy(center[0].op.with_operands(rename), instr.outs[0], made, steps, last, extras, known)


def _stored(steps: tuple[Node, ...], last: str, elem: str) -> tuple[tuple[Node, ...], str]:
    """The steps before a last Cast to the elem of the result, and what they end with: the store itself casts."""
    if not steps or steps[-1].name != last or not isinstance(steps[-1].op, Cast) or steps[-1].op.to != elem:
        return steps, last
    return steps[:-1], steps[-1].op.x


def _number(op: Fused, buffers: dict[str, str], program: Program, name: str) -> float | None:
    """The one number of an operand that is constant and has just one; None for any other."""
    array: Any = None
    if name in op.body.constants:
        array = op.body.constants[name].array
        if array.size != 1:
            raise Unsupported("a constant of several numbers inside a region")
    else:
        buffer = program.buffers[buffers[name]]
        if buffer.kind == "weight" and buffer.payload is not None:
            array = buffer.payload.array
    if array is None or array.size != 1:
        return None
    return float(np.asarray(array).reshape(-1)[0])


def run_steps(heavy: Heavy, em: Emitter, acc: Value, load_extra: LoadExtra) -> Value:
    """The epilogue on one vector of sums; every extra is loaded when it is first needed."""
    m = ElementMath(em)
    values: dict[str, Operand] = {heavy.made: acc, **dict(heavy.numbers)}
    places = {name: n for n, (name, _) in enumerate(heavy.extras)}
    for node in heavy.steps:
        for name in node.op.operands:
            if name not in values:
                values[name] = load_extra(places[name])
        try:
            values[node.name] = _step(node, m, _arguments(node, values, acc))
        except TypeError as problem:  # a function that has no series for the kind
            raise Unsupported(f"{node.op.instruction} in an epilogue: {problem}") from None
    result = values[heavy.last]
    if not isinstance(result, Value) or element_of(result.type) != "float":
        raise Unsupported(f"an epilogue that gives {result!r}")
    return result


def _step(node: Node, m: ElementMath, arguments: list[Operand]) -> Operand:
    """One step; dividing by a number is multiplying by its inverse, which takes a tenth of the time."""
    if isinstance(node.op, Div) and isinstance(arguments[1], float):
        inverse = 1.0 / arguments[1] if arguments[1] else 0.0
        if SMALLEST < abs(inverse) < 1.0 / SMALLEST:
            return arguments[0] * inverse
    return node.op.scalar(m, *arguments)


def _arguments(node: Node, values: dict[str, Operand], acc: Value) -> list[Operand]:
    found = [values[name] for name in node.op.operands]
    if not any(isinstance(v, Value) for v in found):
        found[0] = acc.match(found[0])
    return found


def try_steps(heavy: Heavy, target: Target) -> None:
    """Unsupported where the epilogue cannot be written: asked before anything is decided by it."""
    em = Emitter("trial", target)
    run_steps(heavy, em, em.zeros(), lambda n: em.zeros())
