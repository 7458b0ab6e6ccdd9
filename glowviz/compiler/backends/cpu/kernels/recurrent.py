"""LSTM, GRU and RNN: one tile walks one sequence in one direction, its state in the worker's scratch area.

Every gate is a row of the weights times a vector, four rows side by side; what follows is element-wise over the
hidden state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.kernels.cells import Cells, Tensor
from glowviz.compiler.backends.cpu.kernels.draft import supported
from glowviz.compiler.backends.cpu.registry import KernelCode, kernel
from glowviz.compiler.backends.cpu.values import Index, Value, size_of, vector_of
from glowviz.compiler.ops.recurrent import DEFAULTS, TAKES_ALPHA, TAKES_BETA
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.target import Target

ROWS = 4
LINE = 64
Function = Callable[[Value], Value]
Formula = Callable[[Any, Value, float, float], Value]
FUNCTIONS: dict[str, Formula] = {
    "relu": lambda m, x, a, b: m.max(x, 0.0),
    "tanh": lambda m, x, a, b: m.tanh(x),
    "sigmoid": lambda m, x, a, b: m.sigmoid(x),
    "affine": lambda m, x, a, b: x * a + b,
    "leakyrelu": lambda m, x, a, b: m.where(x < 0, x * a, x),
    "thresholdedrelu": lambda m, x, a, b: m.where(x > a, x, x.match(0.0)),
    "scaledtanh": lambda m, x, a, b: m.tanh(x * b) * a,
    "hardsigmoid": lambda m, x, a, b: m.clip(x * a + b, 0.0, 1.0),
    "elu": lambda m, x, a, b: m.where(x < 0, m.expm1(m.min(x, 0.0)) * a, x),
    "softsign": lambda m, x, a, b: x / (abs(x) + 1.0),
    "softplus": lambda m, x, a, b: m.softplus(x),
}


@kernel("lstm", "gru", "rnn")
@supported
def recurrent(instr: Instr, program: Program, target: Target) -> KernelCode:
    """All steps of every sequence in every direction."""
    walk = _Walk(Cells(instr, program, target))
    cells = walk.cells
    for direction, functions in enumerate(_functions(cells)):
        cells.over([walk.batch], partial(walk.sequence, direction, functions), 1 << 20)
    return cells.finish("a tile walks a sequence, four rows of weights at once", hidden=walk.hidden)


def _functions(cells: Cells) -> Iterator[list[Function]]:
    """The activations of each direction; alphas and betas go to those that take them, in order."""
    op, m = cells.instr.op, cells.em.m
    names = [n.lower() for n in op.activations] or list(op.usual) * op.directions
    alphas, betas = iter(op.activation_alpha), iter(op.activation_beta)
    made: list[Function] = []
    for name in names:
        alpha, beta = DEFAULTS.get(name, (0.0, 0.0))
        alpha = next(alphas, alpha) if name in TAKES_ALPHA else alpha
        beta = next(betas, beta) if name in TAKES_BETA else beta
        made.append(partial(_call, FUNCTIONS[name], m, alpha, beta))
    for direction in range(op.directions):
        yield made[direction * len(op.usual) :][: len(op.usual)]


def _call(formula: Formula, m: Any, alpha: float, beta: float, x: Value) -> Value:
    return formula(m, x, alpha, beta)


@dataclass
class Part:
    """A matrix times a vector: `count` numbers a row, rows `step` bytes apart."""

    rows: Value
    step: int
    vector: Value
    count: int


class _Walk:
    """Where everything lies, and the loops over steps, rows and hidden elements."""

    def __init__(self, cells: Cells) -> None:
        op = cells.instr.op
        self.cells, self.em, self.op = cells, cells.em, op
        self.x, self.w, self.r = (cells.tensor(name) for name in (op.x, op.w, op.r))
        if self.x.elem not in ("f32", "f64") or any(t.buffer.type.order for t in (self.x, self.w, self.r)):
            raise Unsupported("narrow floats, or weights in blocks")
        self.hidden, self.gates, self.kind = self.r.dims[2], op.gates, self.x.kind
        self.size = size_of(self.kind)
        self.steps, self.batch = (self.x.dims[1], self.x.dims[0]) if op.layout else self.x.dims[:2]
        self.area = -(-self.hidden * self.size // LINE) * LINE
        cells.scratch = self.area * (4 + self.gates)
        mine = self.em.argument(len(cells.operands))
        self.scratch = self.em.offset(mine, self.em.worker * cells.scratch)
        self.state, self.cell, self.mixed, self.outer = (self.em.offset(self.scratch, n * self.area) for n in range(4))
        self.sums = self.em.offset(self.scratch, 4 * self.area)
        self._lanes = 1

    def optional(self, name: str | None) -> Tensor | None:
        """The operand, where there is one."""
        return None if name is None else self.cells.tensor(name)

    def at(self, step: Index, row: Index, direction: int) -> tuple[Value, Value]:
        """The input vector of a step, and where its result goes."""
        y = self.cells.result_tensor()
        if self.op.layout:
            return self.x.address([row, step, 0]), y.address([row, step, direction, 0])
        return self.x.address([step, row, 0]), y.address([step, direction, row, 0])

    def whole(self, direction: int, row: Index) -> list[Index]:
        """The places of a state."""
        return [row, direction, 0] if self.op.layout else [direction, row, 0]

    # -- loops ------------------------------------------------------------------------------------------
    def sequence(self, direction: int, functions: Sequence[Function], places: list[Index]) -> None:
        """One tile: states from the operands, all steps, states into the results."""
        em, op, row = self.em, self.op, places[0]
        for name, area in ((op.initial_h, self.state), (getattr(op, "initial_c", None), self.cell)):
            given = self.optional(name)
            source = None if given is None else given.address(self.whole(direction, row))
            self.each(lambda j, load, store, s=source, a=area: store(a, self.zero() if s is None else load(s)))
        lens = self.optional(op.sequence_lens)
        count = em.index(self.steps) if lens is None else lens.index([row])
        backwards = direction == 1 or op.direction == "reverse"
        with em.loop(0, self.steps) as loop:
            step = (self.steps - 1) - em.index(loop.index) if backwards else loop.index
            vector, goal = self.at(step, row, direction)
            live = em.index(step) < count
            with em.when(live):
                self.one_step(direction, functions, vector)
            self.each(lambda j, load, store: store(goal, em.select(live, load(self.state), self.zero())))
        for position, area in ((1, self.state), (2, self.cell)):
            if len(self.cells.instr.outs) > position:
                goal = self.cells.result_tensor(position).address(self.whole(direction, row))
                self.each(lambda j, load, store, g=goal, a=area: store(g, load(a)))

    def zero(self) -> Value:
        """As many zeros as the running loop has lanes."""
        return self.em.constant(0.0, vector_of(self.kind, self._lanes))

    def each(self, body: Callable[[Value, Callable[..., Value], Callable[..., None]], None]) -> None:
        """`body(byte, load, store)` for all hidden elements in vectors; load and store take a row's first address."""
        em, width = self.em, self.em.lanes
        wide = self.hidden // width * width
        if wide:
            with em.loop(0, wide, width) as loop:
                self._lanes = width
                self._at(em.index(loop.index) * self.size, None, body)
        with em.loop(wide, self.hidden) as loop:
            self._lanes = 1
            self._at(em.index(loop.index) * self.size, None, body)

    def _at(self, byte: Value, mask: Value | None, body: Callable[..., None]) -> None:
        kind = vector_of(self.kind, self._lanes)
        body(
            byte, lambda row: self.em.load(self.em.offset(row, byte), kind),
            lambda row, value: self.em.store(value, self.em.offset(row, byte)),
        )  # fmt: skip

    def gate(self, number: int, area: Value | None = None) -> Value:
        """Where the sums of a gate begin."""
        return self.em.offset(self.sums if area is None else area, number * self.hidden * self.size)

    def product(self, goal: Value, rows: int, parts: Sequence[Part], biases: Sequence[Value]) -> None:
        """goal[j] = Σ of all parts' row j times vector, plus every bias[j]."""
        whole = rows // ROWS * ROWS
        if whole:
            with self.em.loop(0, whole, ROWS) as loop:
                self._rows(goal, loop.index, ROWS, parts, biases)
        if whole < rows:
            self._rows(goal, whole, rows - whole, parts, biases)

    def _rows(self, goal: Value, first: Index, rows: int, parts: Sequence[Part], biases: Sequence[Value]) -> None:
        em = self.em
        sums = [em.constant(0.0, vector_of(self.kind, em.lanes)) for _ in range(rows)]
        for part in parts:
            sums = self._dots(part, [em.offset(part.rows, (first + r) * part.step) for r in range(rows)], sums)
        for r, total in enumerate(sums):
            value = self._joined(total)
            for bias in biases:
                value = value + em.load(em.offset(bias, (first + r) * self.size), self.kind)
            em.store(value, em.offset(goal, (first + r) * self.size))

    def _dots(self, part: Part, rows: Sequence[Value], sums: list[Value]) -> list[Value]:
        em, width = self.em, self.em.lanes
        wide = part.count // width * width
        kind = vector_of(self.kind, width)
        if wide:
            with em.loop(0, wide, width, carry=sums) as loop:
                byte = loop.index * self.size
                x = em.load(em.offset(part.vector, byte), kind)
                pairs = zip(rows, loop.carry, strict=True)
                loop.next = [em.fma(em.load(em.offset(row, byte), kind), x, total) for row, total in pairs]
            sums = loop.results
        if wide < part.count:
            mask, byte = em.first_lanes(part.count - wide, width), wide * self.size
            x = em.load_lanes(em.offset(part.vector, byte), mask, kind)
            pairs = zip(rows, sums, strict=True)
            sums = [em.fma(em.load_lanes(em.offset(row, byte), mask, kind), x, total) for row, total in pairs]
        return sums

    def _joined(self, total: Value) -> Value:
        width = self.em.lanes
        while width > 1:
            width //= 2
            low, high = (
                self.em.shuffle(total, total, range(s, s + width)) if width > 1 else self.em.lane(total, s)
                for s in (0, width)
            )
            total = low + high
        return total

    # -- cells ---------------------------------------------------------------------------------------------
    def one_step(self, direction: int, functions: Sequence[Function], vector: Value) -> None:
        """State and cell become the next ones."""
        {"lstm": self._lstm, "gru": self._gru, "rnn": self._rnn}[self.cells.instr.name](direction, functions, vector)

    def _parts(self, direction: int, first: int, vector: Value, state: Value) -> tuple[Part, Part]:
        """Input and state part from gate number `first` on."""
        row = first * self.hidden
        w, r = self.w.address([direction, row, 0]), self.r.address([direction, row, 0])
        sizes = (self.w.dims[2], self.hidden)
        return Part(w, sizes[0] * self.size, vector, sizes[0]), Part(r, sizes[1] * self.size, state, sizes[1])

    def _biases(self, direction: int, gate: int = 0) -> tuple[list[Value], list[Value]]:
        """The bias of the input part and that of the state part, from a gate on."""
        b = self.optional(self.op.b)
        if b is None:
            return [], []
        row = gate * self.hidden
        return [b.address([direction, row])], [b.address([direction, self.gates * self.hidden + row])]

    def clipped(self, x: Value) -> Value:
        """What goes into an activation."""
        return x if self.op.clip is None else self.em.m.clip(x, -self.op.clip, self.op.clip)

    def _rnn(self, direction: int, functions: Sequence[Function], vector: Value) -> None:
        wb, rb = self._biases(direction)
        self.product(self.sums, self.hidden, self._parts(direction, 0, vector, self.state), [*wb, *rb])
        self.each(lambda j, load, store: store(self.state, functions[0](self.clipped(load(self.sums)))))

    def _lstm(self, direction: int, functions: Sequence[Function], vector: Value) -> None:
        wb, rb = self._biases(direction)
        parts = self._parts(direction, 0, vector, self.state)
        self.product(self.sums, 4 * self.hidden, parts, [*wb, *rb])
        holes = self.optional(self.op.p)
        f, g, let = functions

        def body(j: Value, load: Callable[..., Value], store: Callable[..., None]) -> None:
            def gate(number: int, hole: int, cell: Value) -> Value:
                value = load(self.gate(number))
                if holes is not None:
                    value = value + load(holes.address([direction, hole * self.hidden])) * cell
                return f(self.clipped(value))

            cell = load(self.cell)
            i = gate(0, 0, cell)
            forget = 1.0 - i if self.op.input_forget else gate(2, 2, cell)
            cell = forget * cell + i * g(self.clipped(load(self.gate(3))))
            store(self.cell, cell)
            store(self.state, gate(1, 1, cell) * let(cell))

        self.each(body)

    def _gru(self, direction: int, functions: Sequence[Function], vector: Value) -> None:
        wb, rb = self._biases(direction)
        f, g = functions
        late = 2  # the gate whose state part may wait for the reset gate
        self.product(self.sums, 2 * self.hidden, self._parts(direction, 0, vector, self.state), [*wb, *rb])
        new_wb, new_rb = self._biases(direction, late)
        from_x, from_state = self._parts(direction, late, vector, self.state)
        self.product(self.gate(late), self.hidden, [from_x], new_wb)
        first = self.op.linear_before_reset
        if first:
            self.product(self.outer, self.hidden, [from_state], new_rb)

        def reset(j: Value, load: Callable[..., Value], store: Callable[..., None]) -> None:
            value = f(self.clipped(load(self.gate(1))))
            store(self.outer if first else self.mixed, value * load(self.outer if first else self.state))

        self.each(reset)
        if not first:
            _, from_mixed = self._parts(direction, late, vector, self.mixed)
            self.product(self.outer, self.hidden, [from_mixed], new_rb)

        def mix(j: Value, load: Callable[..., Value], store: Callable[..., None]) -> None:
            z = f(self.clipped(load(self.gate(0))))
            new = g(self.clipped(load(self.gate(late)) + load(self.outer)))
            store(self.state, (1.0 - z) * new + z * load(self.state))

        self.each(mix)
