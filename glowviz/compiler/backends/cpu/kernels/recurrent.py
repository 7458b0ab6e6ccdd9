"""LSTM, GRU and RNN: one tile walks some sequences in one direction, their states in the worker's scratch area.

Every gate is a row of the weights times a vector. Some rows meet the vectors of all sequences of the tile at once, and
what the inputs give is summed up for some steps ahead: both so that weights are read seldom. What follows is
element-wise over the hidden state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.kernels.cells import Cells, Tensor
from glowviz.compiler.backends.cpu.kernels.dots import joined
from glowviz.compiler.backends.cpu.kernels.draft import supported
from glowviz.compiler.backends.cpu.kernels.geometry import Cut
from glowviz.compiler.backends.cpu.registry import KernelCode, kernel
from glowviz.compiler.backends.cpu.values import Index, Value, size_of, vector_of
from glowviz.compiler.ops.recurrent import DEFAULTS, TAKES_ALPHA, TAKES_BETA
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.target import Target

MOST = 8
"""Sequences that a tile walks together."""
AHEAD = 32
"""Input vectors that meet the weights before the steps that need their sums."""
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
        cells.over([-(-walk.batch // walk.together)], partial(walk.sequences, direction, functions), 1 << 20)
    why = f"a tile walks {walk.together} sequences, {walk.tall} rows of weights at once"
    return cells.finish(why, hidden=walk.hidden, ahead=walk.ahead)


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


@dataclass(frozen=True)
class Rows:
    """A row for each sequence of the tile, `apart` bytes from one to the next."""

    pointer: Value
    apart: int


@dataclass(frozen=True)
class Part:
    """A matrix times the vectors of all sequences: `count` numbers a row, rows `step` bytes apart."""

    rows: Value
    step: int
    vectors: Rows
    count: int


@dataclass(frozen=True)
class Again:
    """The same product for `count` vectors one behind the other, whose sums lie one behind the other too."""

    count: Index = 1
    vector: int = 0
    goal: int = 0


ONCE = Again()


@dataclass
class Lanes:
    """Some neighbouring hidden elements of one sequence."""

    walk: _Walk
    sequence: Index
    byte: Value
    count: int

    @property
    def kind(self) -> str:
        """Their LLVM type."""
        return vector_of(self.walk.kind, self.count)

    def _of(self, rows: Rows) -> Value:
        em = self.walk.em
        return em.offset(em.offset(rows.pointer, self.sequence * rows.apart), self.byte)

    def load(self, rows: Rows) -> Value:
        """What a row of this sequence holds."""
        return self.walk.em.load(self._of(rows), self.kind)

    def load_shared(self, row: Value) -> Value:
        """What a row for all sequences holds."""
        return self.walk.em.load(self.walk.em.offset(row, self.byte), self.kind)

    def store(self, rows: Rows, value: Value) -> None:
        """`value` into the row of this sequence."""
        self.walk.em.store(value, self._of(rows))

    def zero(self) -> Value:
        """As many zeros."""
        return self.walk.em.constant(0.0, self.kind)

    def renew(self, rows: Rows, value: Value) -> None:
        """`value` into a state, which stays as it is behind the end of its sequence."""
        live = self.walk.live(self.sequence)
        self.store(rows, value if live is None else self.walk.em.select(live, value, self.load(rows)))


Each = Callable[[Lanes], None]


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
        many = cells.target.registers // (4 * (2 if self.kind == "double" else 1))
        cut = Cut(max(self.batch, 1), min(MOST, many))
        self.together = cut.short + bool(cut.long_tiles)
        self.tall = max(1, 2 * many // self.together)
        self.ahead = max(1, min(self.steps, AHEAD // self.together))
        self._lay_out()
        self.lens = None if op.sequence_lens is None else cells.tensor(op.sequence_lens)
        self._first: Index = 0
        self._step: Index = 0

    def _lay_out(self) -> None:
        """The worker's scratch area: states, what is between gates, sums of a step, and of the inputs of some."""
        area = -(-self.hidden * self.size // LINE) * LINE
        wide = -(-self.hidden * self.gates * self.size // LINE) * LINE
        sizes = [*[area * self.together] * 3, wide * self.together, wide * self.together * self.ahead]
        mine = self.em.offset(self.em.argument(len(self.cells.operands)), self.em.worker * sum(sizes))
        self.cells.scratch = sum(sizes)
        places = [self.em.offset(mine, sum(sizes[:n])) for n in range(len(sizes))]
        self.state, self.cell, self.mixed = (Rows(place, area) for place in places[:3])
        self.sums, self.inputs = (Rows(place, wide) for place in places[3:])

    def optional(self, name: str | None) -> Tensor | None:
        """The operand, where there is one."""
        return None if name is None else self.cells.tensor(name)

    def rows_of(self, tensor: Tensor, step: Index | None, direction: int | None) -> Rows:
        """The vectors of the tile's sequences at a step in x or a result, or (step None) in a state."""
        head: list[Index] = [] if step is None else [step]
        behind: list[Index] = [] if direction is None else [direction]
        places = [self._first, *head, *behind, 0] if self.op.layout else [*head, *behind, self._first, 0]
        axis = 0 if self.op.layout else len(places) - 2
        return Rows(tensor.address(places), tensor.strides.outer[axis])

    def live(self, sequence: Index) -> Value | None:
        """Whether the running step belongs to a sequence; None where all are equally long."""
        if self.lens is None:
            return None
        return self.em.index(self._step) < self.lens.index([sequence + self._first])

    # -- loops ------------------------------------------------------------------------------------------
    def sequences(self, direction: int, functions: Sequence[Function], places: list[Index]) -> None:
        """One tile: states from the operands, all steps, states into the results."""
        em, op = self.em, self.op
        self._first = em.smaller(places[0] * self.together, self.batch - self.together)
        for name, goal in ((op.initial_h, self.state), (getattr(op, "initial_c", None), self.cell)):
            given = self.optional(name)
            source = None if given is None else self.rows_of(given, None, direction)
            self.each(lambda at, s=source, g=goal: at.store(g, at.zero() if s is None else at.load(s)))
        backwards = direction == 1 or op.direction == "reverse"
        with em.loop(0, -(-self.steps // self.ahead)) as chunks:
            begin = chunks.index * self.ahead
            count = em.smaller(self.ahead, self.steps - begin) if self.steps % self.ahead else self.ahead
            self._inputs(direction, self._number(begin, backwards), count, backwards)
            with em.loop(0, count) as loop:
                self._step = self._number(begin + loop.index, backwards)
                here = em.offset(self.inputs.pointer, loop.index * (self.inputs.apart * self.together))
                self.one_step(direction, functions, Rows(here, self.inputs.apart))
                goal = self.rows_of(self.cells.result_tensor(), self._step, direction)
                self.each(lambda at, g=goal: at.store(g, self._shown(at)))
        for position, state in ((1, self.state), (2, self.cell)):
            if len(self.cells.instr.outs) > position:
                goal = self.rows_of(self.cells.result_tensor(position), None, direction)
                self.each(lambda at, g=goal, s=state: at.store(g, at.load(s)))

    def _number(self, step: Index, backwards: bool) -> Index:
        return (self.steps - 1) - self.em.index(step) if backwards else step

    def _shown(self, lanes: Lanes) -> Value:
        state, live = lanes.load(self.state), self.live(lanes.sequence)
        return state if live is None else self.em.select(live, state, lanes.zero())

    def _inputs(self, direction: int, step: Index, count: Index, backwards: bool) -> None:
        """Sums of the input vectors of `count` steps from `step` on with all gates."""
        w, vectors = self.w, self.rows_of(self.x, step, None)
        part = Part(w.address([direction, 0, 0]), w.dims[2] * self.size, vectors, w.dims[2])
        along = self.x.strides.outer[1 if self.op.layout else 0]
        again = Again(count, -along if backwards else along, self.inputs.apart * self.together)
        self.product(self.inputs, self.gates * self.hidden, part, again)

    def each(self, body: Each) -> None:
        """`body(lanes)` for all hidden elements of all sequences of the tile."""
        em, width = self.em, self.em.lanes
        wide = self.hidden // width * width
        with em.loop(0, self.together) as sequences:
            if wide:
                with em.loop(0, wide, width) as loop:
                    body(Lanes(self, sequences.index, em.index(loop.index) * self.size, width))
            with em.loop(wide, self.hidden) as loop:
                body(Lanes(self, sequences.index, em.index(loop.index) * self.size, 1))

    def row_of(self, rows: Rows, number: int) -> Rows:
        """Where the sums of gate `number` begin."""
        return Rows(self.em.offset(rows.pointer, number * self.hidden * self.size), rows.apart)

    def product(self, goal: Rows, rows: int, part: Part, again: Again = ONCE) -> None:
        """goal[j] = row j times the vector, for every sequence."""
        em, whole = self.em, rows // self.tall * self.tall

        def some(first: Index, count: int) -> None:
            with em.loop(0, again.count) as times:
                vectors = Rows(em.offset(part.vectors.pointer, times.index * again.vector), part.vectors.apart)
                here = em.offset(em.offset(goal.pointer, times.index * again.goal), first * self.size)
                matrix = em.offset(part.rows, first * part.step)
                for n, total in enumerate(self._dots(Part(matrix, part.step, vectors, part.count), count)):
                    r, s = divmod(n, self.together)
                    em.store(total, em.offset(here, s * goal.apart + r * self.size))

        if whole:
            with em.loop(0, whole, self.tall) as loop:
                some(loop.index, self.tall)
        if whole < rows:
            some(whole, rows - whole)

    def _dots(self, part: Part, rows: int) -> list[Value]:
        """The sums of `rows` rows with all vectors, row after row."""
        em, width = self.em, self.em.lanes
        wide, kind = part.count // width * width, vector_of(self.kind, width)
        sums = [em.constant(0.0, kind) for _ in range(rows * self.together)]

        def more(byte: Index, totals: Sequence[Value], mask: Value | None) -> list[Value]:
            def load(pointer: Value) -> Value:
                here = em.offset(pointer, byte)
                return em.load(here, kind) if mask is None else em.load_lanes(here, mask, kind)

            left = [load(em.offset(part.vectors.pointer, s * part.vectors.apart)) for s in range(self.together)]
            found: list[Value] = []
            for r in range(rows):
                row = load(em.offset(part.rows, r * part.step))
                found += [em.fma(row, x, totals[r * self.together + s]) for s, x in enumerate(left)]
            return found

        if wide:
            with em.loop(0, wide, width, carry=sums) as loop:
                loop.next = more(em.index(loop.index) * self.size, loop.carry, None)
            sums = loop.results
        if wide < part.count:
            sums = more(wide * self.size, sums, em.first_lanes(part.count - wide, width))
        return joined(em, sums)

    # -- cells ---------------------------------------------------------------------------------------------
    def one_step(self, direction: int, functions: Sequence[Function], inputs: Rows) -> None:
        """State and cell become the next ones."""
        {"lstm": self._lstm, "gru": self._gru, "rnn": self._rnn}[self.cells.instr.name](direction, functions, inputs)

    def _from_state(self, direction: int, gate: int, state: Rows) -> Part:
        """The state part from gate number `gate` on."""
        rows = self.r.address([direction, gate * self.hidden, 0])
        return Part(rows, self.hidden * self.size, state, self.hidden)

    def _biased(self, lanes: Lanes, value: Value, direction: int, *gates: int) -> Value:
        """value plus the biases of gates; those of the state part are gates behind those of the input part."""
        b = self.optional(self.op.b)
        if b is None:
            return value
        for gate in gates:
            value = value + lanes.load_shared(b.address([direction, gate * self.hidden]))
        return value

    def _gate(self, lanes: Lanes, direction: int, number: int, inputs: Rows) -> Value:
        """All that goes into a gate."""
        value = lanes.load(self.row_of(self.sums, number)) + lanes.load(self.row_of(inputs, number))
        return self._biased(lanes, value, direction, number, self.gates + number)

    def clipped(self, x: Value) -> Value:
        """What goes into an activation."""
        return x if self.op.clip is None else self.em.m.clip(x, -self.op.clip, self.op.clip)

    def _rnn(self, direction: int, functions: Sequence[Function], inputs: Rows) -> None:
        self.product(self.sums, self.hidden, self._from_state(direction, 0, self.state))

        def body(lanes: Lanes) -> None:
            lanes.renew(self.state, functions[0](self.clipped(self._gate(lanes, direction, 0, inputs))))

        self.each(body)

    def _lstm(self, direction: int, functions: Sequence[Function], inputs: Rows) -> None:
        self.product(self.sums, 4 * self.hidden, self._from_state(direction, 0, self.state))
        holes = self.optional(self.op.p)
        f, g, let = functions

        def body(lanes: Lanes) -> None:
            def gate(number: int, hole: int, cell: Value) -> Value:
                value = self._gate(lanes, direction, number, inputs)
                if holes is not None:
                    value = value + lanes.load_shared(holes.address([direction, hole * self.hidden])) * cell
                return f(self.clipped(value))

            cell = lanes.load(self.cell)
            i = gate(0, 0, cell)
            forget = 1.0 - i if self.op.input_forget else gate(2, 2, cell)
            cell = forget * cell + i * g(self.clipped(self._gate(lanes, direction, 3, inputs)))
            lanes.renew(self.cell, cell)
            lanes.renew(self.state, gate(1, 1, cell) * let(cell))

        self.each(body)

    def _gru(self, direction: int, functions: Sequence[Function], inputs: Rows) -> None:
        f, g = functions
        late = 2  # the gate whose state part may wait for the reset gate
        first = self.op.linear_before_reset
        self.product(self.sums, (3 if first else late) * self.hidden, self._from_state(direction, 0, self.state))
        outer = self.row_of(self.sums, late)

        def held(lanes: Lanes) -> Value:
            return self._biased(lanes, lanes.load(outer), direction, self.gates + late)

        def reset(lanes: Lanes) -> None:
            value = f(self.clipped(self._gate(lanes, direction, 1, inputs)))
            if first:
                lanes.store(outer, value * held(lanes))
            else:
                lanes.store(self.mixed, value * lanes.load(self.state))

        self.each(reset)
        if not first:
            self.product(outer, self.hidden, self._from_state(direction, late, self.mixed))

        def mix(lanes: Lanes) -> None:
            z = f(self.clipped(self._gate(lanes, direction, 0, inputs)))
            more = lanes.load(outer) if first else held(lanes)
            value = self._biased(lanes, lanes.load(self.row_of(inputs, late)), direction, late)
            lanes.renew(self.state, (1.0 - z) * g(self.clipped(value + more)) + z * lanes.load(self.state))

        self.each(mix)
