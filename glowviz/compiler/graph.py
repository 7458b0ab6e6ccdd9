"""The high-level IR: a Graph is an immutable value that maps value names to typed nodes in topological order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar
from weakref import WeakValueDictionary

import numpy as np

from glowviz.compiler.hashes import array_hash
from glowviz.compiler.types import ELEMENT_OF, Type, of_array


class Origin:
    """The imported ONNX nodes that something stands for: an interned union, flattened on demand.

    `made` names the pass and value for what has no ONNX ancestor ("made by pass P, for value V").
    """

    __slots__ = ("__weakref__", "_names", "leaf", "made", "parts")
    _interned: ClassVar[WeakValueDictionary[Any, Origin]] = WeakValueDictionary()

    leaf: str | None
    parts: tuple[Origin, ...]
    made: tuple[str, str] | None

    @classmethod
    def _get(cls, leaf: str | None, parts: tuple[Origin, ...], made: tuple[str, str] | None = None) -> Origin:
        key = (leaf, tuple(id(p) for p in parts), made)
        found = cls._interned.get(key)
        if found is None:
            found = object.__new__(cls)
            found.leaf, found.parts, found.made, found._names = leaf, parts, made, None
            cls._interned[key] = found
        return found

    @classmethod
    def of(cls, *names: str) -> Origin:
        """The origin made of these ONNX node names."""
        return cls.union(*(cls._get(name, ()) for name in names))

    @classmethod
    def made_by(cls, pass_name: str, value: str) -> Origin:
        """No ONNX ancestor: made by a pass, for a value."""
        return cls._get(None, (), (pass_name, value))

    @classmethod
    def union(cls, *origins: Origin) -> Origin:
        """What stands for all of these; `made` gives way to real names."""
        parts = tuple(dict.fromkeys(o for o in origins if o is not NOWHERE))
        real = tuple(p for p in parts if p.made is None)
        parts = real or parts[:1]
        if not parts:
            return NOWHERE
        return parts[0] if len(parts) == 1 else cls._get(None, parts)

    @property
    def names(self) -> tuple[str, ...]:
        """The ONNX node names, each once, in the order they were joined."""
        if self._names is None:
            seen: dict[str, None] = {}
            visited: set[int] = set()
            stack: list[Origin] = [self]
            while stack:
                origin = stack.pop()
                if id(origin) in visited:
                    continue
                visited.add(id(origin))
                if origin.leaf is not None:
                    seen[origin.leaf] = None
                stack.extend(reversed(origin.parts))
            self._names = tuple(seen)
        return self._names

    def __reduce__(self) -> tuple[Any, ...]:
        return Origin._get, (self.leaf, self.parts, self.made)

    def __repr__(self) -> str:
        return f"Origin({', '.join(self.names) or self.made})"


NOWHERE = Origin._get(None, ())


class Payload:
    """The contents of a constant, kept as given (memory-mapped files stay mapped) and named by a content hash.

    Contents that something else can give at any time are not kept: `made_by` tells what makes them.
    """

    __slots__ = ("_array", "_digest", "_like", "_make", "spelling")

    def __init__(self, array: np.ndarray | None, spelling: str = "") -> None:
        self._array = array
        self._like: tuple[tuple[int, ...], np.dtype] | None = None
        self._make: Callable[[], np.ndarray] | None = None
        self.spelling = spelling
        """How the text form wrote it, where it was a generator such as `normal(seed=7)`."""
        self._digest: str | None = None

    @classmethod
    def later(cls, make: Callable[[], np.ndarray], shape: tuple[int, ...], dtype: np.dtype) -> Payload:
        """Contents of this shape and type that `make` gives to whoever asks."""
        payload = cls(None)
        payload._make, payload._like = make, (shape, dtype)
        return payload

    @property
    def array(self) -> np.ndarray:
        """The logical array; what is not kept is made anew for every reader."""
        if self._make is None:
            return self._array  # type: ignore[return-value]  # None is what the verifier refuses
        return self._make()

    @property
    def like(self) -> tuple[tuple[int, ...], np.dtype]:
        """Shape and element type; nothing is made for them."""
        if self._like is None:
            self._like = (self.array.shape, self.array.dtype)
        return self._like

    @property
    def splat(self) -> Any:
        """The one element that all are, where the contents were given so; None otherwise."""
        kept = self._array
        same = isinstance(kept, np.ndarray) and kept.size and not any(kept.strides)
        return kept.reshape(-1)[0] if kept is not None and same else None

    def made_by(self, make: Callable[[], np.ndarray]) -> None:
        """Let go of the contents: from now on `make` gives the same ones to whoever asks."""
        if self.splat is not None:  # which takes no memory
            return
        if self._array is not None:
            self._like = self.like
        self._array, self._make = None, make

    def __reduce__(self) -> tuple[Any, ...]:
        return _payload, ((self.array, None) if self.splat is None else (self.splat, self.like[0])) + (self.spelling,)

    @property
    def digest(self) -> str:
        """sha256 of element kind, shape and row-major bytes, in hex."""
        if self._digest is None:
            array = self.array
            head = f"{ELEMENT_OF.get(array.dtype, array.dtype)}[{'x'.join(map(str, array.shape))}]"
            self._digest = array_hash(array, head, lambda: _content_hash(array, head))
        return self._digest


def _payload(contents: Any, shape: tuple[int, ...] | None, spelling: str) -> Payload:
    """As it was before it was pickled; with a shape, all elements are the same."""
    return Payload(contents if shape is None else np.broadcast_to(contents, shape), spelling)


def _content_hash(array: np.ndarray, head: str) -> str:
    hasher = hashlib.sha256(head.encode())
    if array.dtype == object:
        hasher.update(repr(array.tolist()).encode())
    elif array.size and not any(array.strides):
        hasher.update(b"splat" + array.reshape(-1)[:1].tobytes())
    else:
        hasher.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return hasher.hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """A value known when compiling. `payload.array` is logical whatever the order of `type`."""

    name: str
    type: Type
    payload: Payload
    origin: Origin = NOWHERE

    @property
    def array(self) -> np.ndarray:
        return self.payload.array


def constant(name: str, array: np.ndarray, origin: Origin = NOWHERE) -> Constant:
    """A constant of the array's own type."""
    return Constant(name, of_array(array), Payload(array), origin)


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """A value that lives from one run to the next; `initial` is its first content."""

    name: str
    type: Type
    initial: Payload


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One operation: what it does (`op` holds operand names and attributes) and what it defines.

    Nodes compare by identity: what did not change *is* the same object in the next snapshot.
    """

    op: Any
    results: tuple[str, ...]
    types: tuple[Type, ...]
    origin: Origin = NOWHERE
    label: str = ""

    @property
    def name(self) -> str:
        return self.results[0]

    @property
    def type(self) -> Type:
        return self.types[0]

    @property
    def kind(self) -> str:
        """The op's name, `Conv`."""
        return self.op.name

    def evolve(self, **changes: Any) -> Node:
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Output:
    """A public result: its name never changes, the value behind it may."""

    public: str
    value: str


@dataclass(frozen=True, eq=False)
class Graph:
    """Inputs, constants, states, nodes in topological order, and public outputs. Never changed after it is made."""

    name: str = "graph"
    inputs: Mapping[str, Type] = field(default_factory=dict)
    constants: Mapping[str, Constant] = field(default_factory=dict)
    nodes: Mapping[str, Node] = field(default_factory=dict)
    """By first result."""
    outputs: tuple[Output, ...] = ()
    states: Mapping[str, State] = field(default_factory=dict)
    updates: Mapping[str, str] = field(default_factory=dict)
    """State name to the value it has on the next run."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Facts about the model (producer, opsets, doc strings, findings); no pass reads them."""

    @cached_property
    def makers(self) -> dict[str, Node]:
        """Every value made by a node, to that node (second results included)."""
        return {result: node for node in self.nodes.values() for result in node.results}

    @cached_property
    def users(self) -> Mapping[str, tuple[Node, ...]]:
        """Every value that some node reads, to those nodes, each once."""
        users: dict[str, dict[Node, None]] = {}
        for node in self.nodes.values():
            for operand in node.op.operands:
                users.setdefault(operand, {})[node] = None
        return {name: tuple(nodes) for name, nodes in users.items()}

    @cached_property
    def returned(self) -> frozenset[str]:
        """Values that leave the graph: public outputs and next states."""
        return frozenset(o.value for o in self.outputs) | frozenset(self.updates.values())

    def maker(self, value: str) -> Node | None:
        """The node that makes a value; None for inputs, constants and states."""
        return self.makers.get(value)

    def type(self, value: str) -> Type:
        """The type of any value of the graph; KeyError when there is none of that name."""
        node = self.makers.get(value)
        if node is not None:
            return node.types[node.results.index(value)]
        if value in self.constants:
            return self.constants[value].type
        if value in self.states:
            return self.states[value].type
        return self.inputs[value]

    def __contains__(self, value: str) -> bool:
        return value in self.makers or value in self.constants or value in self.inputs or value in self.states

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())

    def __len__(self) -> int:
        return len(self.nodes)

    def evolve(self, **changes: Any) -> Graph:
        return replace(self, **changes)


@dataclass(frozen=True, eq=False)
class Region(Graph):
    """The body of If, Loop, Scan or Fused: closed, so every captured value is an explicit input."""
