"""If, Loop and Scan run bodies that are closed graphs; Opaque is what glowviz can look at but not compile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any, NoReturn

import numpy as np

from glowviz.compiler.graph import Region
from glowviz.compiler.ops.activations import Identity
from glowviz.compiler.ops.base import Builder, Case, Op, Value, Work, case
from glowviz.compiler.ops.bodies import (
    Controlled,
    Typed,
    body_work,
    input_types,
    join,
    output_types,
    retyped,
    run_body,
    sample_body,
    stacked,
    unlike,
)
from glowviz.compiler.ops.cases import floats
from glowviz.compiler.ops.elementwise import Add, Mul
from glowviz.compiler.ops.unroll import written_out
from glowviz.compiler.types import Dim, Symbol, Type, TypeProblem

Known = Mapping[str, np.ndarray | None]
INDEX, FLAG = Type("i64", ()), Type("bool", ())


class Loop(Controlled):
    """`body` again and again: (count, condition, carried, captured) -> (condition, carried, what it collects).

    It stops after `trip` rounds or when the condition is false. The first `carried` of `xs` start what is carried
    from round to round, the others are captured. Results: what is carried in the end, then what was collected,
    one item of every round along a new first axis.
    """

    trip: Value | None = None
    condition: Value | None = None
    xs: tuple[Value, ...] = ()
    body: Region = field(default_factory=Region)
    carried: int = 0
    counted = 2

    @property
    def captured(self) -> int:
        return self.carried

    def settled(self, operands: tuple[Any, ...], typed: Typed) -> Loop:
        _, _, xs = operands
        names = list(self.body.inputs)[2:]
        types = list(xs)
        while True:
            body = typed(self.body, input_types(self.body, (INDEX, FLAG, *types)))
            after = output_types(body)[1 : 1 + self.carried]
            wider = [join(n, a, b) for n, a, b in zip(names, types[: self.carried], after, strict=False)]
            if wider == types[: self.carried]:
                return self if body is self.body else self.evolve(body=body)
            types[: self.carried] = wider

    def misfit(self, operands: tuple[Any, ...], results: int) -> str | None:
        ins, outs = tuple(self.body.inputs.values()), output_types(self.body)
        if len(outs) - 1 < max(results, self.carried):
            return f"its body returns {len(outs)} values for a condition and {results} results"
        told = unlike("operand", ins, (INDEX, FLAG, *operands[2]))
        return told or unlike("carried value", ins[2 : 2 + self.carried], outs[1 : 1 + self.carried])

    def infer(
        self, trip: Type | None, condition: Type | None, xs: tuple[Type, ...], *, known: Known
    ) -> tuple[Type, ...]:
        fitted = self.settled((trip, condition, xs), retyped)
        outs = output_types(fitted.body)[1:]
        rounds = self.rounds(known)
        dim: Dim = Symbol("rounds") if rounds is None else rounds
        collected = (_collected(type_, dim) for type_ in outs[self.carried :])
        return (*(fitted.body.inputs[n] for n in self.carried_names), *collected)

    @property
    def carried_names(self) -> tuple[str, ...]:
        """Inputs of the body that carry a value from round to round."""
        return tuple(self.body.inputs)[2 : 2 + self.carried]

    def rounds(self, known: Known) -> int | None:
        """How often the body runs, where operands' contents and body tell it; None where only a run knows."""
        trip, condition = known["trip"], known["condition"]
        if self.condition is not None and condition is None:
            return None
        if condition is not None and not bool(condition.reshape(-1)[0]):
            return 0
        if trip is None or not self.goes_on:
            return None
        return max(int(trip.reshape(-1)[0]), 0)

    @property
    def goes_on(self) -> bool:
        """The body never ends the loop: its condition is true, or the one that it got."""
        value = self.body.outputs[0].value if self.body.outputs else ""
        while (maker := self.body.maker(value)) is not None and isinstance(maker.op, Identity):
            value = maker.op.x
        held = self.body.constants.get(value)
        return value == list(self.body.inputs)[1] or (held is not None and bool(held.array.reshape(-1)[0]))

    def reference(self, trip: np.ndarray | None, condition: np.ndarray | None, xs: tuple[Any, ...]) -> tuple[Any, ...]:
        carried, captured = list(xs[: self.carried]), xs[self.carried :]
        limit = None if trip is None else int(trip.reshape(-1)[0])
        goes = condition is None or bool(condition.reshape(-1)[0])
        items: list[list[np.ndarray]] = [[] for _ in self.body.outputs[1 + self.carried :]]
        count = 0
        while goes and (limit is None or count < limit):
            found = run_body(self.body, (np.array(count, np.int64), np.array(goes), *carried, *captured))
            goes = bool(np.asarray(found[0]).reshape(-1)[0])
            carried = found[1 : 1 + self.carried]
            for collected, item in zip(items, found[1 + self.carried :], strict=True):
                collected.append(item)
            count += 1
        types = output_types(self.body)[1 + self.carried :]
        return (*carried, *(stacked(found, type_) for found, type_ in zip(items, types, strict=True)))

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        """That of as many rounds as were collected, at least of one."""
        collected = [t.dims[0] for t in results[self.carried :] if t.static and t.rank]
        once = body_work(self.body)
        rounds = max(collected, default=1)
        return Work(once.flops * rounds, once.bytes * rounds)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x, step = floats(rng, (2, 3)), floats(rng, (3,))
        inputs = {"i": np.array(0), "go": np.array(True), "x": x, "step": step}
        body = sample_body(inputs, {"t": Add("x", "step"), "s": Mul("t", "t")}, "go", "t", "s")
        yield case(np.array(4), None, (x, step), body=body, carried=1)
        yield case(np.array(0), np.array(True), (x, step), body=body, carried=1)


def _collected(type_: Type, dim: Dim) -> Type:
    return Type(type_.elem, None if type_.shape is None else (dim, *type_.shape))


class Scan(Controlled):
    """`body` once for every slice: (states, one slice of each scanned, captured) -> (states, what it collects).

    The first `states` of `xs` start the states, the next `scanned` are cut along their `input_axes`, forwards (0) or
    backwards (1), the others are captured. Results: the states in the end, then what was collected along
    `output_axes`. With `batched` (opset 8) states and scanned have a batch before all of this, and `lengths` may say
    how much of each sequence counts.
    """

    lengths: Value | None = None
    xs: tuple[Value, ...] = ()
    body: Region = field(default_factory=Region)
    states: int = 0
    scanned: int = 1
    input_axes: tuple[int, ...] = ()
    output_axes: tuple[int, ...] = ()
    input_directions: tuple[int, ...] = ()
    output_directions: tuple[int, ...] = ()
    batched: bool = False

    @property
    def captured(self) -> int:
        return self.states + self.scanned

    @property
    def _cut(self) -> slice:
        return slice(self.states, self.states + self.scanned)

    def axis(self, axes: tuple[int, ...], position: int, rank: int) -> int:
        """The axis of a scanned operand or collected result, counted from the front."""
        axis = axes[position] if position < len(axes) else 0
        if not -rank <= axis < rank:
            raise TypeProblem(f"scan axis {axis} is not in [{-rank}, {rank - 1}]")
        return axis % rank

    def _entering(self, xs: tuple[Type, ...]) -> list[Type]:
        outer = [_without(x, 0) for x in xs[: self.states + self.scanned]] if self.batched else list(xs)
        cut = [
            x if x.shape is None else _without(x, self.axis(self.input_axes, k, x.rank))
            for k, x in enumerate(outer[self._cut])
        ]
        return [*outer[: self.states], *cut, *xs[self.states + self.scanned :]]

    def settled(self, operands: tuple[Any, ...], typed: Typed) -> Scan:
        types = self._entering(operands[1])
        names = list(self.body.inputs)
        while True:
            body = typed(self.body, input_types(self.body, types))
            after = output_types(body)[: self.states]
            wider = [join(n, a, b) for n, a, b in zip(names, types[: self.states], after, strict=False)]
            if wider == types[: self.states]:
                return self if body is self.body else self.evolve(body=body)
            types[: self.states] = wider

    def misfit(self, operands: tuple[Any, ...], results: int) -> str | None:
        ins, outs = tuple(self.body.inputs.values()), output_types(self.body)
        if len(outs) < max(results, self.states):
            return f"its body returns {len(outs)} values for {results} results"
        try:
            entering = self._entering(operands[1])
        except TypeProblem as problem:
            return str(problem)
        return unlike("operand", ins, entering) or unlike("state", ins[: self.states], outs[: self.states])

    def infer(self, lengths: Type | None, xs: tuple[Type, ...]) -> tuple[Type, ...]:
        fitted = self.settled((lengths, xs), retyped)
        count = self._count(xs[self._cut])
        front = xs[0].shape[:1] if self.batched and xs[0].shape else ()
        found = [fitted.body.inputs[name] for name in list(fitted.body.inputs)[: self.states]]
        for k, type_ in enumerate(output_types(fitted.body)[self.states :]):
            if type_.shape is None:
                found.append(type_)
                continue
            axis = self.axis(self.output_axes, k, type_.rank + 1)
            found.append(Type(type_.elem, (*type_.shape[:axis], count, *type_.shape[axis:])))
        return tuple(t if t.shape is None else Type(t.elem, (*front, *t.shape)) for t in found)

    def _count(self, scanned: tuple[Type, ...]) -> Dim:
        counts: list[Dim] = []
        for k, x in enumerate(scanned):
            if x.shape is not None:
                rank = x.rank - self.batched
                counts.append(x.shape[self.axis(self.input_axes, k, rank) + self.batched])
        numbers = {n for n in counts if isinstance(n, int)}
        if len(numbers) > 1:
            raise TypeProblem(f"what is scanned has {' and '.join(map(str, sorted(numbers)))} slices at once")
        return numbers.pop() if numbers else counts[0] if counts else Symbol("rounds")

    def reference(self, lengths: np.ndarray | None, xs: tuple[Any, ...]) -> tuple[Any, ...]:
        if not self.batched:
            return tuple(self._run(list(xs)))
        outer, captured = xs[: self.states + self.scanned], list(xs[self.states + self.scanned :])
        rows: list[list[np.ndarray]] = []
        for b in range(len(outer[0])):
            parts = [x[b] for x in outer]
            total = parts[self.states].shape[0]
            used = total if lengths is None else int(lengths[b])
            parts[self._cut] = [x[:used] for x in parts[self._cut]]
            found = self._run([*parts, *captured])
            pads = [[(0, total - used)] + [(0, 0)] * (f.ndim - 1) for f in found[self.states :]]
            padded = [np.pad(f, p) for f, p in zip(found[self.states :], pads, strict=True)]
            rows.append([*found[: self.states], *padded])
        return tuple(np.stack(column) for column in zip(*rows, strict=True))

    def lower(self, b: Builder) -> tuple[str, ...] | None:
        """The body written out for every slice."""
        return written_out(self, b)

    def _run(self, xs: list[Any]) -> list[Any]:
        states, captured = xs[: self.states], xs[self.states + self.scanned :]
        scanned = [self.slices(k, x) for k, x in enumerate(xs[self._cut])]
        items: list[list[np.ndarray]] = [[] for _ in self.body.outputs[self.states :]]
        for slices in zip(*scanned, strict=True):
            found = run_body(self.body, (*states, *map(np.asarray, slices), *captured))
            states = found[: self.states]
            for collected, item in zip(items, found[self.states :], strict=True):
                collected.append(item)
        types = output_types(self.body)[self.states :]
        whole = (stacked(found, t, *self.placed(k)) for k, (found, t) in enumerate(zip(items, types, strict=True)))
        return [*states, *whole]

    def slices(self, position: int, x: np.ndarray) -> np.ndarray:
        """One slice after the other of something scanned, in the order in which the body gets them."""
        forwards = np.moveaxis(x, self.axis(self.input_axes, position, x.ndim), 0)
        return forwards[::-1] if self.input_directions[position : position + 1] == (1,) else forwards

    def placed(self, position: int) -> tuple[int, bool]:
        """The axis of something collected, and whether its items stand backwards."""
        backwards = self.output_directions[position : position + 1] == (1,)
        return (*self.output_axes[position : position + 1], 0)[0], backwards

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        """That of one run of the body for every slice, for every batch."""
        xs = operands[1:] if self.lengths is not None else operands
        count = self._count(xs[self._cut])
        batch = xs[0].dims[0] if self.batched else 1
        once, rounds = body_work(self.body), (count if isinstance(count, int) else 1) * batch
        return Work(once.flops * rounds, once.bytes * rounds)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        total, rows = floats(rng, (3,)), floats(rng, (5, 3))
        body = sample_body({"total": total, "row": rows[0]}, {"t": Add("total", "row"), "c": Mul("t", "row")}, "t", "c")
        yield case(None, (total, rows), body=body, states=1)
        turned = {"input_axes": (1,), "output_axes": (-1,), "input_directions": (1,), "output_directions": (1,)}
        yield case(None, (total, rows.T.copy()), body=body, states=1, **turned)
        batch = (floats(rng, (2, 3)), floats(rng, (2, 5, 3)))
        yield case(np.array([5, 3]), batch, body=body, states=1, batched=True)


def _without(type_: Type, axis: int) -> Type:
    shape = type_.shape
    return type_ if shape is None else Type(type_.elem, (*shape[:axis], *shape[axis + 1 :]))


class Opaque(Op):
    """An op that glowviz does not know: it keeps what the model says of it, and refuses to run.

    `result_types` are those that the model declares, one per result; a shape of None is an unknown one.
    """

    xs: tuple[Value, ...]
    domain: str = ""  # type: ignore[misc]  # known ops have one per class, here the model says it
    op_type: str = ""
    opset: int = 0
    attrs: Mapping[str, Any] = field(default_factory=dict, hash=False)
    result_types: tuple[Type, ...] = ()
    family = "host"
    pure = False

    @property
    def full_name(self) -> str:
        """`ai.example::FancyOp`."""
        return f"{self.domain}::{self.op_type}" if self.domain else self.op_type

    def infer(self, xs: tuple[Type, ...]) -> tuple[Type, ...]:
        return self.result_types

    def infer_types(self, type_of: Any, known_of: Any) -> tuple[Type, ...]:
        return self.result_types

    def reference(self, xs: tuple[np.ndarray, ...]) -> NoReturn:
        raise TypeProblem(
            f"{self.full_name} (opset {self.opset}) has no meaning here: it can be looked at, not run. "
            f"Replace it in the model, or add it as an op (docs/adding-an-op.md)"
        )

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        return Work(0, sum(t.bytes for t in (*operands, *results) if t.static))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case((np.zeros(2, np.float32),), op_type="Unknown", result_types=(Type("f32", (2,)),))
