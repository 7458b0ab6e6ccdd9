"""When a Graph is well formed; a broken one is refused with the value, the node and what was expected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from glowviz.compiler.graph import Constant, Graph, Node, Region, State
from glowviz.compiler.ops.base import Elementwise
from glowviz.compiler.ops.bodies import Controlled, holds_opaque
from glowviz.compiler.ops.fused import Fused
from glowviz.compiler.ops.inference import SMALL, Known, infer
from glowviz.compiler.problem import Problem
from glowviz.compiler.step import ranks_of, step_between
from glowviz.compiler.types import INTEGERS, Type, TypeProblem

QUANTIZED = INTEGERS | {"i4", "u4", "f8e4m3fn", "f8e4m3fnuz", "f8e5m2", "f8e5m2fnuz"}
"""Element kinds that a scale may stand over; the floats of eight bits count as integers here."""


class VerifyProblem(Problem):
    """An IR that is not well formed: the pass before it is at fault, never the model."""


def verify_graph(graph: Graph, since: Graph | None = None) -> None:
    """A Graph is well formed when all of these hold; VerifyProblem names the first that does not.

    Every value is defined once. Every node, constant and state is kept under its name. Every node has at least
    one result, and one type for each. A node has no more results than its op gives. Every required operand is
    present. Every operand is an input, a constant, a state, or the result of an earlier node. Every result has the
    element type, shape and memory order that its op infers from its operands, where these are bound. A quantized
    type has integer elements, and one scale for each index (or block) of its axis. Every constant's content has its
    type's element type and shape. Every state's first content has its type's element type and shape. Every public
    output names a value, and no public name stands twice. Every update renews a state of the graph, by a value of
    its type. A region is well formed and closed: it has no states, one input for each operand, of its type, and one
    output for each result. The bodies of If, Loop and Scan have room for what their op gives them, and return a value
    for each result. At most one node of a Fused region is not element-wise.

    With `since`, only what is not identical in that (well-formed) graph, and its users, is looked at again.
    """
    fresh, readers = (graph.nodes, ()) if since is None else _fresh(graph, since)
    _definitions(graph, since)
    _names(graph, since)
    position = ranks_of(graph) if fresh or readers else {}
    constants = graph.constants
    known = Known(lambda v: constants[v].array if v in constants else None, graph.maker, graph.type)
    for name, node in fresh.items():
        _shape_of_node(name, node)
        _operands(node, graph, position)
        _region(node, graph)
        _types(node, graph, known)
    for node in readers:
        _operands(node, graph, position)
    _contents(graph, since)
    _interface(graph)


def _fresh(graph: Graph, since: Graph) -> tuple[Mapping[str, Node], Sequence[Node]]:
    """Nodes to look at again, and those of which only the operands may have gone or moved.

    The first are new, or read a value that is defined elsewhere now, or that is another one than its type says.
    """
    old, new = since.nodes, graph.nodes
    moved = _moved_inputs(graph, since)
    if old is new:
        return ({n: node for n, node in new.items() if not moved.isdisjoint(node.op.operands)} if moved else {}), ()
    step = step_between(since, graph)
    if not step.in_order:
        return new, ()
    alike: set[str] = set()
    relabelled: list[Node] = []
    for name, node in step.added.items():
        before = old.get(name)
        if before is not None and before.op is node.op and _same_results(before, node):
            relabelled.append(node)
        else:
            (alike if _gives_the_same(before, node) else moved).update(node.results)
    same = alike.union(*[node.results for node in relabelled])
    for node in step.gone.values():
        if not same.issuperset(node.results):
            moved.update(node.results)
    still = [node for node in relabelled if moved.isdisjoint(node.op.operands)]
    skip = {node.name for node in still}
    fresh = {name: node for name, node in step.added.items() if name not in skip}
    fresh.update((user.name, user) for user in _readers(moved, graph, since))
    if step.steady:  # what only gives the same as before stands where it stood
        return fresh, ()
    return fresh, [*still, *_readers(same, graph, since)]


def _readers(values: set[str], graph: Graph, since: Graph) -> list[Node]:
    """The nodes that read one of the values, and did so before."""
    if not values:
        return []
    if "users" in since.__dict__:
        return [u for value in values for u in since.users.get(value, ()) if graph.nodes.get(u.name) is u]
    # going through all nodes once is cheaper than making the table of all users
    return [node for node in graph if not values.isdisjoint(node.op.operands)]


def _gives_the_same(old: Node | None, new: Node) -> bool:
    """Whoever reads its results finds what it found before: same types, and contents that no type follows from."""
    if old is None or not _same_results(old, new):
        return False
    return all(t.static and t.count > SMALL for t in new.types if isinstance(t, Type))


def _same_results(old: Node, new: Node) -> bool:
    return old.results == new.results and (old.types is new.types or old.types == new.types)


def _moved_inputs(graph: Graph, since: Graph) -> set[str]:
    """Inputs, constants and states that are new, gone or of another type."""
    moved: set[str] = set()
    if since.constants is not graph.constants:
        moved = {c for c, held in since.constants.items() if graph.constants.get(c) is not held}
    moved.update(name for name, type_ in since.inputs.items() if graph.inputs.get(name) != type_)
    moved.update(name for name, state in since.states.items() if graph.states.get(name) is not state)
    return moved


def _definitions(graph: Graph, since: Graph | None) -> None:
    if since is not None and since.nodes is graph.nodes and since.constants is graph.constants:
        return
    if since is None:
        count = sum([len(node.results) for node in graph.nodes.values()])
    else:  # that graph defines every value once
        step = step_between(since, graph)
        added, gone = (sum([len(n.results) for n in nodes.values()]) for nodes in (step.added, step.gone))
        count = len(since.makers) + added - gone
    total = count + len(graph.inputs) + len(graph.constants) + len(graph.states)
    others = graph.inputs.keys() | graph.constants.keys() | graph.states.keys()
    if len(graph.makers) + len(others) == total and graph.makers.keys().isdisjoint(others):
        return
    seen: dict[str, str] = {}
    tables: list[tuple[str, Iterable[str]]] = [
        ("an input", graph.inputs), ("a constant", graph.constants), ("a state", graph.states)]
    tables += [(f"a result of {node.kind}", node.results) for node in graph]
    for what, values in tables:
        for value in values:
            if value in seen:
                raise VerifyProblem(f"%{value} is defined twice", _whole(graph), "every value to be defined once",
                                    f"It is {seen[value]} and {what}.")
            seen[value] = what


def _names(graph: Graph, since: Graph | None) -> None:
    """Constants and states stand under their names, and types that are quantized can be."""
    if since is None or since.constants is not graph.constants:
        old = since.constants if since is not None else {}
        for name, c in graph.constants.items():
            if old.get(name) is not c:
                _kept_under_name(name, c, graph)
                _quantized(c.type, f"constant %{name}")
    for name, state in graph.states.items():
        _kept_under_name(name, state, graph)
    if since is None or since.inputs != graph.inputs:
        for name, type_ in graph.inputs.items():
            _quantized(type_, f"input %{name}")


def _kept_under_name(name: str, held: Constant | State, graph: Graph) -> None:
    if name != held.name:
        raise VerifyProblem(f"what is kept as %{name} is called %{held.name}", _whole(graph),
                            "constants and states under their own names")


def _quantized(type_: Type, where: str) -> None:
    quant = getattr(type_, "quant", None)
    if quant is None:
        return
    if type_.elem not in QUANTIZED:
        raise VerifyProblem(f"{type_} is quantized and its elements are {type_.elem}", where, "integer elements")
    if quant.axis is None or type_.shape is None:
        return
    if not 0 <= quant.axis < len(type_.shape):
        raise VerifyProblem(f"{type_} is quantized along axis {quant.axis}", where, "an axis that it has")
    dim = type_.shape[quant.axis]
    count = -(-dim // (quant.block or 1)) if isinstance(dim, int) else len(quant.scale)
    if len(quant.scale) not in (1, count):
        raise VerifyProblem(f"{type_} has {len(quant.scale)} scales along axis {quant.axis}", where,
                            f"{count}, one for each index or block")


def _whole(graph: Graph) -> str:
    return f"graph @{graph.name}"


def _at(node: Node) -> str:
    onnx = f", ONNX node {node.origin.names[0]}" if node.origin.names else ""
    return f"%{node.name} ({node.kind}{onnx})"


def _shape_of_node(name: str, node: Node) -> None:
    if not node.results or "" in node.results:
        raise VerifyProblem(f"the node kept as %{name} has a result without a name", node.kind,
                            "at least one named result")
    if name != node.results[0]:
        raise VerifyProblem(f"the node kept as %{name} defines %{node.results[0]} first", _at(node),
                            "nodes to be kept under their first result")
    if len(node.types) != len(node.results):
        raise VerifyProblem(f"it has {len(node.results)} results and {len(node.types)} types", _at(node),
                            "one type for each result")
    for type_ in node.types:
        if getattr(type_, "quant", None) is not None:
            _quantized(type_, _at(node))


def _operands(node: Node, graph: Graph, position: Mapping[str, float]) -> None:
    for slot in node.op.slots():
        if not slot.optional and getattr(node.op, slot.name) is None:
            raise VerifyProblem(f"operand {slot.name!r} is missing", _at(node), f"{node.kind} to have one")
    for operand in node.op.operands:
        maker = graph.maker(operand)
        if maker is None:
            if operand not in graph:
                raise VerifyProblem(f"%{operand} is used but nothing makes it", _at(node),
                                    "every operand to be an input, a constant, a state or a result")
        elif position.get(maker.name, -1) >= position[node.name]:
            raise VerifyProblem(f"%{operand} is used before it is made", _at(node), "nodes in topological order")


def _types(node: Node, graph: Graph, known: Known) -> None:
    types = {o: graph.type(o) for o in node.op.operands}
    if node.kind == "Opaque" or not all(getattr(t, "static", False) for t in (*types.values(), *node.types)):
        return
    if holds_opaque(node.op):
        return
    try:
        inferred = infer(node.op, types.__getitem__, known)
    except TypeProblem as problem:
        raise VerifyProblem(f"its operands do not fit: {problem}", _at(node), "operands that the op accepts") from None
    if len(node.results) > len(inferred):
        raise VerifyProblem(f"it has {len(node.results)} results", _at(node), f"at most {len(inferred)}")
    for result, stated, found in zip(node.results, node.types, inferred, strict=False):
        if (stated.elem, stated.shape, stated.order) != (found.elem, found.shape, found.order):
            raise VerifyProblem(f"%{result} is said to be {stated}", _at(node), f"{found}, as its operands make it")


def _region(node: Node, graph: Graph) -> None:
    for name, body in vars(node.op).items():
        if isinstance(body, Region):
            verify_graph(body)
            _closed(name, body, node, graph)
    if isinstance(node.op, Controlled) and not holds_opaque(node.op):
        told = node.op.misfit(node.op.gather(graph.type), len(node.results))
        if told:
            raise VerifyProblem(told, _at(node), "bodies that fit operands and results")
    if isinstance(node.op, Fused):
        heavy = [inner for inner in node.op.body if not isinstance(inner.op, Elementwise)]
        if len(heavy) > 1:
            raise VerifyProblem(f"its body holds {heavy[0].kind} and {heavy[1].kind}", _at(node),
                                "at most one op that is not element-wise")


def _closed(name: str, body: Region, node: Node, graph: Graph) -> None:
    operands = node.op.operands
    if body.states:
        raise VerifyProblem(f"its {name} has a state of its own", _at(node), "states to be the graph's")
    if isinstance(node.op, Controlled):
        return  # its op says what fits
    if len(body.inputs) != len(operands):
        raise VerifyProblem(f"its {name} has {len(body.inputs)} inputs for {len(operands)} operands", _at(node),
                            "one input for each operand: regions are closed")
    for operand, (inner, type_) in zip(operands, body.inputs.items(), strict=True):
        if graph.type(operand) != type_:
            raise VerifyProblem(f"%{operand} is {graph.type(operand)}, the region's %{inner} is {type_}",
                                _at(node), "the types to be equal")
    if len(body.outputs) != len(node.results):
        raise VerifyProblem(f"its {name} returns {len(body.outputs)} values", _at(node),
                            f"{len(node.results)}, one for each result")


def _contents(graph: Graph, since: Graph | None) -> None:
    old = since.constants if since is not None else {}
    if old is graph.constants and since is not None and since.states is graph.states:
        return
    for name, c in graph.constants.items():
        if old.get(name) is not c:
            _content(f"constant %{name}", c.type, c.payload.array, graph)
    for name, s in graph.states.items():
        _content(f"state %{name}", s.type, s.initial.array, graph)


def _content(what: str, type_: Type, array: object, graph: Graph) -> None:
    shape, dtype = getattr(array, "shape", None), getattr(array, "dtype", None)
    if shape != type_.shape or dtype != type_.dtype:
        raise VerifyProblem(f"the content of {what} is {dtype}{list(shape or ())}", _whole(graph), f"{type_}")


def _interface(graph: Graph) -> None:
    seen: set[str] = set()
    for output in graph.outputs:
        if output.value not in graph:
            raise VerifyProblem(f"output {output.public!r} is %{output.value}, which nothing makes", _whole(graph),
                                "every public output to name a value")
        if output.public in seen:
            raise VerifyProblem(f"two outputs are called {output.public!r}", _whole(graph), "public names to differ")
        seen.add(output.public)
    for state, value in graph.updates.items():
        if state not in graph.states:
            raise VerifyProblem(f"next %{state} renews what is no state", _whole(graph), "a state of the graph")
        if value not in graph or graph.type(value) != graph.states[state].type:
            raise VerifyProblem(f"%{state} is renewed by %{value}", _whole(graph),
                                f"a value of its type, {graph.states[state].type}")
