"""A Graph runs node by node in its own order; what was computed once for the same operands is not computed again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Literal

import numpy as np

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.interpreter.contents import taken
from glowviz.compiler.interpreter.evaluate import RunProblem, doubled, evaluate, in_double
from glowviz.compiler.ops import Opaque
from glowviz.compiler.problem import told
from glowviz.compiler.types import Type

Precision = Literal["f32", "f64"]
Watch = Callable[[Node, Mapping[str, np.ndarray]], None]


class Memo:
    """Results by op, attributes and identity of the operand arrays: two snapshots share all that did not change.

    It keeps every array alive that it knows, so it lives as long as one validation.
    """

    def __init__(self) -> None:
        self._results: dict[Any, tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]] = {}
        self._doubles: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.hits = 0
        self.misses = 0

    def double(self, array: np.ndarray) -> np.ndarray:
        """The array in double precision, the same object every time."""
        found = self._doubles.get(id(array))
        if found is None:
            found = self._doubles[id(array)] = (array, doubled(array))
        return found[1]

    def key(self, node: Node, operands: tuple[np.ndarray, ...]) -> Any:
        """What decides the results: op and attributes, which slots are filled, and the operands themselves."""
        op = node.op
        shape = op.gather(lambda name: "")  # absent operands and variadic lengths
        attributes = id(op) if isinstance(op, Opaque) else tuple(op.attributes.values())
        return type(op), attributes, shape, len(node.results), tuple(map(id, operands))

    def get(self, key: Any) -> tuple[np.ndarray, ...] | None:
        found = self._results.get(key)
        self.hits += found is not None
        self.misses += found is None
        return None if found is None else found[1]

    def put(self, key: Any, operands: tuple[np.ndarray, ...], results: tuple[np.ndarray, ...]) -> None:
        # the operands are kept too: an id stands for an array only while that lives
        self._results[key] = (operands, results)


def run_graph(
    graph: Graph,
    inputs: Mapping[str, Any],
    *,
    precision: Precision = "f32",
    watch: Watch | None = None,
    memo: Memo | None = None,
    states: MutableMapping[str, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """The public outputs by name, as logical arrays.

    precision "f64" computes every float in double precision: what accuracy is measured against. `watch(node,
    results)` sees every node's results. `states` holds the states' contents between runs: it is read (a missing
    one starts with its initial content) and renewed. RunProblem says what cannot be run, where, and what to do.
    """
    return _Run(graph, precision, watch, memo).run(check_inputs(graph.inputs, inputs), states)


def check_inputs(wanted: Mapping[str, Type], given: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Arrays of the wanted types by name; RunProblem for one that is missing, unknown or of another shape or kind."""
    listed = ", ".join(f"{told(n)}: {t.logical}" for n, t in wanted.items()) or "no inputs"
    for name in given:
        if name not in wanted:
            raise RunProblem(f"there is no input {told(str(name))!r}", "the inputs", listed, "rename or drop it")
    arrays: dict[str, np.ndarray] = {}
    for name, type_ in wanted.items():
        if name not in given:
            raise RunProblem(f"input {told(name)!r} is not given", "the inputs", listed, f"give a {type_.logical}")
        if type_.held:
            arrays[name] = _held_input(name, type_, given[name])
            continue
        array = np.asarray(given[name])
        if array.dtype != type_.dtype or (type_.static and array.shape != type_.dims):
            raise RunProblem(
                f"input {told(name)!r} is {array.dtype}{list(array.shape)}", "the inputs", str(type_.logical),
                "convert or reshape it",
            )
        arrays[name] = array
    return arrays


def _held_input(name: str, type_: Type, given: Any) -> Any:
    try:
        return taken(type_, given)
    except ValueError as problem:
        raise RunProblem(f"input {told(name)!r}: {problem}", "the inputs", str(type_), "convert it") from None


class _Run:
    """One run: the values that are still needed."""

    def __init__(self, graph: Graph, precision: Precision, watch: Watch | None, memo: Memo | None) -> None:
        self.graph, self.watch, self.memo = graph, watch, memo
        self.wide = precision == "f64"
        self.values: dict[str, np.ndarray] = {}
        self.left = {name: len(users) for name, users in graph.users.items()}

    def run(
        self, inputs: dict[str, np.ndarray], states: MutableMapping[str, np.ndarray] | None
    ) -> dict[str, np.ndarray]:
        graph = self.graph
        for name, array in inputs.items():
            self.values[name] = self._take(array)
        for name, state in graph.states.items():
            held = states.get(name) if states is not None else None
            self.values[name] = self._take(state.initial.array if held is None else held)
        for node in graph:
            self._step(node)
        outputs = {o.public: self._value(o.value) for o in graph.outputs}
        if states is not None:
            renewed = {name: self._value(graph.updates.get(name, name)) for name in graph.states}
            for name, array in renewed.items():
                states[name] = array if self.wide else array.astype(graph.states[name].type.dtype, copy=False)
        return outputs

    def _take(self, array: np.ndarray) -> np.ndarray:
        if not self.wide:
            return array
        return self.memo.double(array) if self.memo is not None else doubled(array)

    def _value(self, name: str) -> np.ndarray:
        if name not in self.values:
            self.values[name] = self._take(self.graph.constants[name].array)
        return self.values[name]

    def _step(self, node: Node) -> None:
        operands = {name: self._value(name) for name in node.op.operands}
        results = self._results(node, operands)
        made = dict(zip(node.results, results, strict=False))
        self.values.update(made)
        if self.watch is not None:
            self.watch(node, made)
        for name in operands:
            self.left[name] -= 1
            if not self.left[name] and name not in self.graph.returned:
                del self.values[name]

    def _results(self, node: Node, operands: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
        if self.memo is None:
            return self._compute(node, operands)
        arrays = tuple(operands[name] for name in node.op.operands)
        key = self.memo.key(node, arrays)
        found = self.memo.get(key)
        if found is None:
            found = self._compute(node, operands)
            self.memo.put(key, arrays, found)
        return found

    def _compute(self, node: Node, operands: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
        op = in_double(node.op) if self.wide else node.op
        results = evaluate(op, operands, node.name, node.origin, node.types)
        return tuple(doubled(r) for r in results) if self.wide else results
