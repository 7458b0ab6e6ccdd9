"""The text of a Graph or Program reads back as the value it was printed from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from glowviz.compiler.graph import NOWHERE, Constant, Graph, Node, Origin, Output, Payload, Region, State
from glowviz.compiler.ops.base import INSTRUCTIONS, OPS, Op
from glowviz.compiler.plugins import load_plugins
from glowviz.compiler.program import Alloc, Buffer, Dealloc, Halo, Instr, Program, PublicOutput, Statement, View
from glowviz.compiler.text.scanner import Scanner, TextProblem, as_array
from glowviz.compiler.types import Type, TypeProblem

Payloads = Mapping[str, Payload] | Callable[[str], Payload | None]
"""Where contents named by a full sha256 are found."""


def parse_graph(text: str, payloads: Payloads | None = None) -> Graph:
    """A Graph from its text; TextProblem says the line and what was expected there."""
    load_plugins()
    parser = Parser(text, payloads)
    graph = parser.graph(Graph)
    parser.at_end()
    return graph


def parse_program(text: str, payloads: Payloads | None = None) -> Program:
    """A Program from its text; TextProblem says the line and what was expected there."""
    load_plugins()
    parser = Parser(text, payloads)
    program = parser.program()
    parser.at_end()
    return program


class Parser:
    """Recursive descent over one text; nesting is as deep as regions are, never as long as a graph."""

    def __init__(self, text: str, payloads: Payloads | None) -> None:
        self.scan = Scanner(text)
        self.payloads = payloads
        self.depth = 0
        """Regions around the cursor."""

    def at_end(self) -> None:
        if self.scan.position < len(self.scan.text):
            raise self.scan.fail("the end of the text")

    # graphs ------------------------------------------------------------------------------------

    def graph(self, cls: type[Graph]) -> Graph:
        scan = self.scan
        scan.expect("graph")
        scan.expect("@")
        name = scan.name()
        inputs = self._inputs()
        scan.expect("{")
        constants: dict[str, Constant] = {}
        states: dict[str, State] = {}
        nodes: dict[str, Node] = {}
        updates: dict[str, str] = {}
        outputs: list[Output] = []
        while not scan.take("}"):
            if scan.take("const"):
                constant = self._constant()
                self._new(constant.name, constants)
                constants[constant.name] = constant
            elif scan.take("state"):
                made = self._constant()
                self._new(made.name, states)
                states[made.name] = State(made.name, made.type, made.payload)
            elif scan.take("next"):
                state, value = self._pair()
                updates[state] = value
            elif scan.take("return"):
                outputs += [Output(*p) for p in self._returns()]
            else:
                node = self._node()
                self._new(node.name, nodes)
                nodes[node.name] = node
        return cls(name, inputs, constants, nodes, tuple(outputs), states, updates)

    def _new(self, name: str, known: Mapping[str, Any]) -> None:
        """What stands under one name may not be written twice: the first would be lost."""
        if name in known:
            raise self.scan.behind(f"a name that is not defined yet, %{name} is")

    def _inputs(self) -> dict[str, Type]:
        scan = self.scan
        scan.expect("(")
        inputs: dict[str, Type] = {}
        while not scan.take(")"):
            name = scan.value()
            self._new(name, inputs)
            scan.expect(":")
            inputs[name] = scan.any_type()
            if not scan.peek(")"):
                scan.expect(",")
        return inputs

    def _constant(self) -> Constant:
        name = self.scan.value()
        self.scan.expect(":")
        type_ = self.scan.type()
        self.scan.expect("=")
        return Constant(name, type_, self._payload(type_), self._origin())

    def _pair(self) -> tuple[str, str]:
        state = self.scan.value()
        self.scan.expect("=")
        return state, self.scan.value()

    def _returns(self) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        while True:
            public = self.scan.string()
            self.scan.expect("=")
            found.append((public, self.scan.value()))
            if not self.scan.take(","):
                return found

    def _node(self) -> Node:
        scan = self.scan
        results: list[str] = []
        types: list[Any] = []
        while True:
            results.append(scan.value())
            scan.expect(":")
            types.append(scan.any_type())
            if not scan.take(","):
                break
        scan.expect("=")
        cls = self._op_class(scan.word("an op's name"), OPS | self._machine_ops())
        scan.expect("(")
        operands: list[str | None] = []
        while not scan.take(")"):
            operands.append(None if scan.take("_") else scan.value())
            if not scan.peek(")"):
                scan.expect(",")
        op = self._op(cls, operands, self._attributes())
        label = scan.name() if scan.take("as") else ""
        return Node(op, tuple(results), tuple(types), self._origin(), label)

    def _machine_ops(self) -> dict[str, type[Op]]:
        """Ops that only backends know (packed products): regions of planned programs hold them."""
        return {cls.__name__: cls for cls in INSTRUCTIONS.values()} if self.depth else {}

    def _op_class(self, name: str, known: Mapping[str, type[Op]]) -> type[Op]:
        if name not in known:
            raise self.scan.behind(f"a known op; there is no {name!r}")
        return known[name]

    def _op(self, cls: type[Op], operands: list[str | None], attributes: dict[str, Any]) -> Op:
        arguments: list[Any] = []
        rest = list(operands)
        for slot in cls.slots():
            if slot.variadic:
                arguments.append(tuple(rest))
                rest = []
            else:
                arguments.append(rest.pop(0) if rest else None)
                if arguments[-1] is None and not slot.optional:
                    raise self.scan.behind(f"operand {slot.name!r} of {cls.__name__}")
        if rest:
            raise self.scan.behind(f"at most {len(operands) - len(rest)} operands of {cls.__name__}")
        fields = dict(zip((s.name for s in cls.slots()), arguments, strict=True))
        try:
            return cls(**fields, **attributes)
        except (TypeError, TypeProblem) as problem:
            raise self.scan.behind(f"attributes that {cls.__name__} has ({problem})") from None

    def _attributes(self) -> dict[str, Any]:
        attributes: dict[str, Any] = {}
        if self.scan.take("{"):
            while not self.scan.take("}"):
                name = self.scan.word("an attribute's name")
                self.scan.expect("=")
                attributes[name] = self._attribute()
                if not self.scan.peek("}"):
                    self.scan.expect(",")
        return attributes

    def _attribute(self) -> Any:
        scan = self.scan
        for word, value in (("null", None), ("true", True), ("false", False)):
            if scan.take(word):
                return value
        if scan.peek('"'):
            return scan.string()
        if scan.peek("@"):
            return scan.order()
        if scan.peek("graph"):
            self.depth += 1
            region = self.graph(Region)
            self.depth -= 1
            return region
        if scan.take("type"):
            return scan.any_type()
        if scan.take("tensor"):
            type_ = scan.type()
            scan.expect("=")
            return self._payload(type_).array
        if scan.take("complex"):
            return self._complex()
        if scan.take("["):
            return tuple(self._items("]"))
        if scan.take("{"):
            return self._mapping()
        return scan.number()

    def _complex(self) -> complex:
        self.scan.expect("(")
        real = self.scan.number()
        self.scan.expect(",")
        imaginary = self.scan.number()
        self.scan.expect(")")
        return complex(real, imaginary)

    def _items(self, end: str) -> list[Any]:
        items: list[Any] = []
        while not self.scan.take(end):
            items.append(self._attribute())
            if not self.scan.peek(end):
                self.scan.expect(",")
        return items

    def _mapping(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not self.scan.take("}"):
            key = self.scan.name()
            self.scan.expect(":")
            found[key] = self._attribute()
            if not self.scan.peek("}"):
                self.scan.expect(",")
        return found

    def _payload(self, type_: Type) -> Payload:
        scan = self.scan
        try:
            if scan.take("sha256"):
                return self._stored()
            if scan.take("splat"):
                element = self._attribute()
                return Payload(np.broadcast_to(np.asarray(element, dtype=type_.dtype), type_.dims))
            if scan.take("normal"):
                return self._normal(type_)
            elements = self._items("]") if scan.take("[") else [self._attribute()]
            return Payload(as_array(elements, type_))
        except TypeProblem as problem:
            raise scan.behind(f"contents that fit the type ({problem})") from None

    def _stored(self) -> Payload:
        self.scan.expect(":")
        digest = self.scan.name()
        lookup = self.payloads
        found = None
        if lookup is not None:
            found = lookup(digest) if callable(lookup) else lookup.get(digest)
        if found is None:
            what = f"a content hash found beside the file or in the store; sha256:{digest} is in neither"
            raise self.scan.behind(what)
        return found

    def _normal(self, type_: Type) -> Payload:
        """`normal(seed=7)` or `normal(seed=7, scale=0.1, mean=1.0)`."""
        self.scan.expect("(")
        arguments: dict[str, Any] = {}
        while not self.scan.take(")"):
            key = self.scan.word("seed, scale or mean")
            self.scan.expect("=")
            arguments[key] = self.scan.number()
            if not self.scan.peek(")"):
                self.scan.expect(",")
        if not {"seed"} <= set(arguments) <= {"seed", "scale", "mean"}:
            raise self.scan.behind("normal(seed=…, scale=…, mean=…)")
        rng = np.random.default_rng(int(arguments["seed"]))
        content = rng.normal(arguments.get("mean", 0.0), arguments.get("scale", 1.0), type_.dims).astype(type_.dtype)
        spelling = ", ".join(f"{k}={v!r}" for k, v in arguments.items())
        return Payload(content, f"normal({spelling})")

    def _origin(self) -> Origin:
        scan = self.scan
        if scan.take("made"):
            scan.expect("by")
            pass_name = scan.name()
            scan.expect("for")
            return Origin.made_by(pass_name, scan.value())
        if not scan.take("from"):
            return NOWHERE
        names = [scan.name()]
        while scan.take(","):
            names.append(scan.name())
        return Origin.of(*names)

    # programs ----------------------------------------------------------------------------------

    def program(self) -> Program:
        scan = self.scan
        scan.expect("program")
        scan.expect("@")
        name = scan.name()
        scan.expect("{")
        buffers: dict[str, Buffer] = {}
        body: list[Statement] = []
        outputs: list[PublicOutput] = []
        updates: dict[str, str] = {}
        while not scan.take("}"):
            keyword = scan.word("an instruction or a declaration")
            if keyword in DECLARED:
                buffer = self._buffer(DECLARED[keyword])
                if keyword not in STATEMENTS:  # a second alloc is the verifier's to refuse
                    self._new(buffer.name, buffers)
                buffers[buffer.name] = buffer
                if keyword in STATEMENTS:
                    body.append(STATEMENTS[keyword](buffer.name))
            elif keyword == "dealloc":
                body.append(Dealloc(scan.value()))
            elif keyword == "next":
                state, value = self._pair()
                updates[state] = value
            elif keyword == "return":
                outputs += [PublicOutput(*p) for p in self._returns()]
            else:
                body.append(self._instruction(self._op_class(keyword, INSTRUCTIONS)))
        return Program(name, buffers, tuple(body), tuple(outputs), updates)

    def _buffer(self, kind: Any) -> Buffer:
        scan = self.scan
        name = scan.value()
        scan.expect(":")
        type_ = scan.any_type()
        halo = self._halo() if scan.take("halo") else None
        space = scan.name() if scan.take("in") else "host"
        base, offset, address = None, 0, None
        if scan.take("of"):
            base = scan.value()
            scan.expect("at")
            scan.expect("+")
            offset = scan.integer()
        if scan.take("at"):
            address = scan.integer()
        payload = self._payload(type_) if scan.take("=") else None
        return Buffer(name, type_, kind, space, halo, payload, base, offset, address, self._origin())

    def _halo(self) -> Halo:
        sides = [int(n) for n in self.scan.numbers()]
        self.scan.expect("fill")
        return Halo(*sides, fill=float(self.scan.number()))

    def _instruction(self, cls: type[Op]) -> Instr:
        scan = self.scan
        outs: list[str] = []
        inout: list[str] = []
        operands: list[str | None] = []
        scratch: list[str] = []
        while True:
            direction = scan.word("in, out, inout or scratch")
            absent = scan.take("_")
            value = None if absent else scan.value()
            if direction == "in":
                operands.append(value)
            elif direction == "inout" and value is not None:
                inout.append(value)
                operands.append(value)
            elif direction in ("out", "scratch") and value is not None:
                (outs if direction == "out" else scratch).append(value)
            else:
                raise scan.behind("in, out, inout or scratch with a buffer")
            if not scan.take(","):
                break
        op = self._op(cls, operands, self._attributes())
        schedule = self._mapping() if scan.take("with") and scan.take("{") else {}
        regions: list[Program] = []
        while scan.take("runs"):
            regions.append(self.program())
        value = scan.value() if scan.take("of") else ""
        label = scan.name() if scan.take("as") else ""
        results = (*dict.fromkeys(inout), *outs)
        return Instr(op, results, self._origin(), label, tuple(scratch), schedule, value, tuple(regions))


DECLARED: dict[str, str] = {
    "input": "input", "output": "output", "weight": "weight", "state": "state",
    "alloc": "activation", "scratch": "scratch", "view": "view",
}
STATEMENTS: dict[str, Callable[[str], Statement]] = {"alloc": Alloc, "scratch": Alloc, "view": View}

__all__ = ["Parser", "TextProblem", "parse_graph", "parse_program"]
