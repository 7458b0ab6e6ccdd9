"""An Edit is the one mutable thing: it collects changes to a Graph and makes the next Graph of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from glowviz.compiler.graph import Constant, Graph, Node, Origin, Output, Payload
from glowviz.compiler.ops.base import INSTRUCTIONS, OPS, Op, snake_case
from glowviz.compiler.ops.bodies import retyped, settle
from glowviz.compiler.ops.inference import Known, infer, result_types
from glowviz.compiler.types import ELEMENTS, Type, of_array


class Edit:
    """Working copy of a graph. Values keep meaning the same numbers; types flow forward when it is finished."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._nodes: dict[str, Node] = dict(graph.nodes)
        self._makers: dict[str, Node | None] = {}
        self._constants: dict[str, Constant] = {}
        self._users: dict[str, dict[str, None]] = {}
        self._before: dict[str, list[str]] = {}
        self._after_inputs: list[str] = []
        self._outputs: list[Output] = list(graph.outputs)
        self._updates: dict[str, str] = dict(graph.updates)
        self._stale: dict[str, None] = {}
        self.changed = False
        self.known = Known(self.constant_array, self.maker, self.type)
        self.pending: Build | None = None

    # reading -----------------------------------------------------------------------------------

    def maker(self, value: str) -> Node | None:
        """The node that makes a value now; None for inputs, constants and states."""
        if value in self._makers:
            return self._makers[value]
        return self.graph.makers.get(value)

    def op(self, value: str | None) -> Any:
        """The op that makes a value, for `match`; None where there is none."""
        node = self.maker(value) if value is not None else None
        return None if node is None else node.op

    def node(self, name: str) -> Node | None:
        """The node whose first result is `name`."""
        return self._nodes.get(name)

    def type(self, value: str) -> Type:
        node = self.maker(value)
        if node is not None:
            return node.types[node.results.index(value)]
        if value in self._constants:
            return self._constants[value].type
        return self.graph.type(value)

    def constant(self, value: str | None) -> Constant | None:
        """The constant of that name, if it is one."""
        if value is None:
            return None
        return self._constants.get(value) or self.graph.constants.get(value)

    def constant_array(self, value: str | None) -> np.ndarray | None:
        """Its content, if the value is a constant."""
        found = self.constant(value)
        return None if found is None else found.array

    def users(self, value: str) -> list[Node]:
        """The nodes that read a value, each once, in graph order as far as they are old."""
        return [self._nodes[name] for name in self._user_names(value) if name in self._nodes]

    def use_count(self, value: str) -> int:
        """Users and public outputs of a value."""
        return len(self.users(value)) + self.is_returned(value)

    def is_returned(self, value: str) -> int:
        """How many public outputs and state updates the value is."""
        return sum(o.value == value for o in self._outputs) + sum(v == value for v in self._updates.values())

    def nodes(self) -> list[Node]:
        return list(self._nodes.values())

    def __contains__(self, value: str) -> bool:
        return self.maker(value) is not None or value in self._constants or (
            value in self.graph and self.graph.maker(value) is None
        )

    # writing -----------------------------------------------------------------------------------

    def build(self, anchor: Node) -> Build:
        """A builder whose nodes stand before `anchor`; they count only if the rule fires."""
        self.pending = Build(self, anchor)
        return self.pending

    def insert(self, node: Node, before: str) -> None:
        """Add a node in front of another."""
        self._before.setdefault(before, []).append(node.name)
        self._define(node)

    def replace_node(self, old: Node, new: Node) -> None:
        """`new` stands where `old` stood and defines the same results."""
        self._forget_uses(old)
        self._define(new)

    def add_constant(self, constant: Constant) -> None:
        self._constants[constant.name] = constant
        self.changed = True

    def rewire(self, old: str, new: str) -> None:
        """Everyone who read `old` reads `new`."""
        for user in self.users(old):
            self.replace_node(user, user.evolve(op=user.op.with_operands({old: new})))
        self._outputs = [Output(o.public, new) if o.value == old else o for o in self._outputs]
        self._updates = {s: new if v == old else v for s, v in self._updates.items()}
        self.changed = True

    def remove(self, node: Node) -> None:
        """Take a node out; nobody may read its results any more."""
        self._forget_uses(node)
        del self._nodes[node.name]
        for result in node.results:
            self._makers[result] = None
        self.changed = True

    def join_origin(self, value: str, origin: Origin) -> None:
        """The maker of a value stands for these ONNX nodes too."""
        node = self.maker(value)
        if node is not None:
            self.replace_node(node, node.evolve(origin=Origin.union(node.origin, origin)))

    def fresh(self, wish: str) -> str:
        """A value name that is not taken, derived from the wish and not from a counter of the pass."""
        name, number = wish, 2
        while self._taken(name):
            name, number = f"{wish}{number}", number + 1
        return name

    def finish(self) -> Graph:
        """The next Graph; the same object when nothing changed."""
        if not self.changed:
            return self.graph
        self._flow_types()
        nodes = self._in_order()
        constants = dict(self.graph.constants) | self._constants
        return self.graph.evolve(
            nodes=nodes, constants=constants, outputs=tuple(self._outputs), updates=self._updates
        )

    # inside ------------------------------------------------------------------------------------

    def _taken(self, name: str) -> bool:
        return name in self or name in self._nodes or name in self.graph or name in self._makers or (
            self.pending is not None and self.pending.defines(name)
        )

    def _user_names(self, value: str) -> dict[str, None]:
        if value not in self._users:
            self._users[value] = dict.fromkeys(n.name for n in self.graph.users.get(value, ()))
        return self._users[value]

    def _define(self, node: Node) -> None:
        self._nodes[node.name] = node
        for result in node.results:
            self._makers[result] = node
        for operand in node.op.operands:
            self._user_names(operand)[node.name] = None
        self._stale[node.name] = None
        self.changed = True

    def _forget_uses(self, node: Node) -> None:
        for operand in node.op.operands:
            self._user_names(operand).pop(node.name, None)

    def _flow_types(self) -> None:
        queue = list(self._stale)
        while queue:
            node = self._nodes.get(queue.pop())
            if node is None:
                continue
            op = settle(node.op, self.type, retyped)
            waits = not all(self.type(o).static or node.op.reads_types_only for o in node.op.operands)
            types = result_types(node, self.type, self.known, op)
            if waits and op is node.op and not all(type_.static for type_ in types):
                continue  # what was known of them before is not less
            if types != node.types or op is not node.op:
                self._nodes[node.name] = renewed = node.evolve(op=op, types=types)
                for result in node.results:
                    self._makers[result] = renewed
                    queue.extend(self._user_names(result))

    def _in_order(self) -> dict[str, Node]:
        ordered: dict[str, Node] = {}
        for name in self.graph.nodes:
            stack = [(name, False)]
            while stack:
                current, ready = stack.pop()
                inserted = self._before.get(current)
                if inserted and not ready:
                    stack.append((current, True))
                    stack.extend((n, False) for n in reversed(inserted))
                elif current in self._nodes:
                    ordered.setdefault(current, self._nodes[current])
        for name, node in self._nodes.items():
            ordered.setdefault(name, node)
        return ordered if _is_ordered(ordered) else sort_nodes(ordered)


def _is_ordered(nodes: Mapping[str, Node]) -> bool:
    later = {result for node in nodes.values() for result in node.results}
    for node in nodes.values():
        if not later.isdisjoint(node.op.operands):
            return False
        later.difference_update(node.results)
    return True


def sort_nodes(nodes: Mapping[str, Node]) -> dict[str, Node]:
    """The nodes in topological order, as near to the given order as it goes; ValueError names a cycle's node."""
    makers = {result: node for node in nodes.values() for result in node.results}
    done: dict[str, Node] = {}
    open_: set[str] = set()
    for first in nodes.values():
        stack = [first]
        while stack:
            node = stack[-1]
            if node.name in done:
                stack.pop()
                continue
            open_.add(node.name)
            missing = [m for o in node.op.operands if (m := makers.get(o)) is not None and m.name not in done]
            if not missing:
                done[stack.pop().name] = node
            elif any(m.name in open_ for m in missing):
                raise ValueError(f"%{node.name} depends on itself through %{missing[0].name}")
            else:
                stack.extend(reversed(missing))
    return done


class Build:
    """Writes new nodes for one rewrite: `b.mul(x, y)` adds a Mul before the anchor and returns its result's name."""

    def __init__(self, edit: Edit, anchor: Node) -> None:
        self._edit, self.anchor = edit, anchor
        self.new: dict[str, Node] = {}
        self.constants: dict[str, Constant] = {}
        self._makers: dict[str, Node] = {}
        self._known = Known(self._constant_array, self._maker, self.type)

    def type(self, value: str) -> Type:
        node = self._makers.get(value)
        if node is not None:
            return node.types[node.results.index(value)]
        if value in self.constants:
            return self.constants[value].type
        return self._edit.type(value)

    def known(self, value: str) -> np.ndarray | None:
        return self._known(value)

    def const(self, array: Any, like: str | None = None, name: str = "c") -> str:
        """A constant; of the element type of `like` where given. Named after the anchor."""
        dtype = ELEMENTS[self.type(like).elem] if like is not None else None
        content = np.asarray(array, dtype=dtype)
        fresh = self._edit.fresh(f"{self.anchor.name}.{name}")
        origin = self.anchor.origin
        self.constants[fresh] = Constant(fresh, of_array(content), Payload(content), origin)
        return fresh

    def packed(self, constant: Constant) -> str:
        """A constant made elsewhere, with its own type and order."""
        self.constants[constant.name] = constant
        return constant.name

    def add(self, op: Op, results: int = 1, name: str | None = None) -> tuple[str, ...]:
        """A new node; its result names derive from the anchor's."""
        stem = f"{self.anchor.name}.{name or type(op).instruction}"
        names = tuple(self._edit.fresh(stem if i == 0 else f"{stem}.{i}") for i in range(results))
        types = infer(op, self.type, self.known)[:results]
        node = Node(op, names, types, self.anchor.origin, self.anchor.label)
        self.new[node.name] = node
        self._makers.update(dict.fromkeys(names, node))
        return names

    def one(self, op: Op, name: str | None = None) -> str:
        """A new node with one result, returned by name."""
        return self.add(op, 1, name)[0]

    def __getattr__(self, name: str) -> Callable[..., str]:
        cls = BY_METHOD.get(name) or _find_method(name)
        if cls is None:
            raise AttributeError(f"no op has the builder method {name!r}")
        return lambda *operands, **attributes: self.one(cls(*operands, **attributes))

    def defines(self, name: str) -> bool:
        return name in self._makers or name in self.constants

    def makes(self, name: str) -> bool:
        """A pending node, not a constant, defines the value."""
        return name in self._makers

    def rename(self, old: str, new: str) -> None:
        """The result `old` of a pending node is called `new` after all."""
        node = self._makers.pop(old)
        results = tuple(new if r == old else r for r in node.results)
        renamed = node.evolve(results=results)
        self.new = {(renamed.name if n is node else key): (renamed if n is node else n) for key, n in self.new.items()}
        self._makers.update(dict.fromkeys(results, renamed))
        for key, user in list(self.new.items()):
            if old in user.op.operands:
                self.new[key] = fixed = user.evolve(op=user.op.with_operands({old: new}))
                self._makers.update(dict.fromkeys(fixed.results, fixed))

    def _constant_array(self, value: str) -> np.ndarray | None:
        if value in self.constants:
            return self.constants[value].array
        return None if value in self._makers else self._edit.known(value)

    def _maker(self, value: str) -> Node | None:
        return self._makers.get(value) or self._edit.maker(value)


BY_METHOD: dict[str, type[Op]] = {}


def _find_method(name: str) -> type[Op] | None:
    BY_METHOD.update({snake_case(cls.__name__): cls for cls in OPS.values()})
    BY_METHOD.update({k: v for k, v in INSTRUCTIONS.items() if k not in BY_METHOD})
    return BY_METHOD.get(name)
