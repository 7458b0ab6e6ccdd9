"""An op is one class: its fields are operands and attributes, its methods say what it means."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache, cached_property
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Protocol, Union, dataclass_transform, get_args, get_origin, get_type_hints

import numpy as np

from glowviz.compiler.types import ELEMENTS, Type, TypeProblem, broadcast, of_array

Value = Annotated[str, "operand"]
"""Annotates a field as an operand: it holds the name of a value."""

Family = str
"""conv, norm, elementwise, pool, quant, shape, control, host: decides colour and glyph, nothing else."""


@dataclass(frozen=True, slots=True)
class Work:
    """What an op costs: floating-point operations (a multiply-add is two) and bytes read and written."""

    flops: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Case:
    """One sample: operand arrays by field (a tuple for variadic ones, missing for absent ones) and attributes."""

    operands: Mapping[str, Any]
    attributes: Mapping[str, Any] = field(default_factory=dict)


class Builder(Protocol):
    """What `lower` and rules write with: `b.mul(x, y)` adds a Mul and returns the name of its (first) result."""

    def type(self, value: str) -> Type: ...
    def const(self, array: Any, like: str | None = None, name: str = "c") -> str:
        """A constant; with `like`, of that value's element type."""
        ...
    def known(self, value: str) -> np.ndarray | None: ...
    def add(self, op: Op, results: int = 1) -> tuple[str, ...]: ...
    def __getattr__(self, name: str) -> Callable[..., str]: ...


OPS: dict[str, type[Op]] = {}
"""Every op class by name."""
INSTRUCTIONS: dict[str, type[Op]] = {}
"""Every op class by the name of its instruction."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One operand field of an op class."""

    name: str
    optional: bool
    variadic: bool


@dataclass_transform(frozen_default=True)
class Op:
    """Base of all ops. A subclass is a frozen dataclass registered under its class name."""

    onnx: ClassVar[str | None] = None
    """The ONNX op it is, where they are one to one; n:1 mappings are in importer/quirks.py."""
    domain: ClassVar[str] = ""
    family: ClassVar[Family] = "shape"
    instruction: ClassVar[str] = ""
    """Lower-case name of its instruction; default: the class name in snake case."""
    outputs: ClassVar[tuple[str, ...]] = ("y",)
    """Names of its results; a node may use only the first ones."""
    inplace: ClassVar[tuple[str, ...]] = ()
    """Operand fields whose buffer the first result may overwrite."""
    pure: ClassVar[bool] = True
    """Same operands, same results: may be folded, merged and removed."""
    reads_types_only: ClassVar[bool] = False
    """The result follows from operand types alone (Shape, Size): `from_types` gives it."""
    takes_held: ClassVar[bool] = False
    """`infer` understands operands that are held: sequences, optionals, sizes known only at run time."""

    def __init_subclass__(cls, abstract: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "instruction" not in cls.__dict__:
            cls.instruction = snake_case(cls.__name__)
        dataclass(frozen=True, eq=True)(cls)
        if not abstract:
            OPS[cls.__name__] = cls
            INSTRUCTIONS[cls.instruction] = cls

    # what the class declares -------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The op's name, `Conv`."""
        return type(self).__name__

    @classmethod
    def slots(cls) -> tuple[Slot, ...]:
        """Operand fields in order."""
        return _slots(cls)

    @classmethod
    def attribute_fields(cls) -> tuple[str, ...]:
        operand_fields = {slot.name for slot in cls.slots()}
        return tuple(f.name for f in fields(cls) if f.name not in operand_fields)  # type: ignore[arg-type]  # a dataclass

    @cached_property
    def operands(self) -> tuple[str, ...]:
        """Names of all present operands, in field order; a value used twice stands twice."""
        found: list[str] = []
        for slot in self.slots():
            value = getattr(self, slot.name)
            if slot.variadic:
                found.extend(value)
            elif value is not None:
                found.append(value)
        return tuple(found)

    @property
    def attributes(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.attribute_fields()}

    def with_operands(self, rename: Mapping[str, str]) -> Any:
        """The same op reading other values; names that are not in `rename` stay."""
        changes: dict[str, Any] = {}
        for slot in self.slots():
            value = getattr(self, slot.name)
            new = tuple(rename.get(v, v) for v in value) if slot.variadic else rename.get(value, value)
            if new != value:
                changes[slot.name] = new
        return replace(self, **changes) if changes else self  # type: ignore[type-var]  # subclasses are dataclasses

    def evolve(self, **changes: Any) -> Any:
        return replace(self, **changes)  # type: ignore[type-var]  # subclasses are dataclasses

    def gather(self, of: Callable[[str], Any]) -> tuple[Any, ...]:
        """`of(name)` for every operand, shaped like the fields: None where absent, a tuple where variadic."""
        gathered: list[Any] = []
        for slot in self.slots():
            value = getattr(self, slot.name)
            if slot.variadic:
                gathered.append(tuple(of(v) for v in value))
            else:
                gathered.append(None if value is None else of(value))
        return tuple(gathered)

    def infer_types(
        self, type_of: Callable[[str], Type], known_of: Callable[[str], np.ndarray | None]
    ) -> tuple[Type, ...]:
        """The types of all results; TypeProblem says what does not fit. Operand types must be static."""
        arguments = self.gather(type_of)
        if _wants_known(type(self)):
            known = dict(zip((s.name for s in self.slots()), self.gather(known_of), strict=True))
            result = self.infer(*arguments, known=known)  # type: ignore[call-arg]  # asked for by its signature
        else:
            result = self.infer(*arguments)
        return result if isinstance(result, tuple) else (result,)

    def evaluate(self, array_of: Callable[[str], Any]) -> tuple[Any, ...]:
        """The results, computed by numpy: arrays, a list of arrays for a sequence, None for nothing."""
        result = self.reference(*self.gather(array_of))
        results = result if isinstance(result, tuple) else (result,)
        return tuple(as_content(r) for r in results)

    # what a subclass says ----------------------------------------------------------------------

    def infer(self, *operands: Any, **contents: Any) -> Type | tuple[Type, ...]:
        """Result types from operand types (None where absent, a tuple where variadic).

        A `known` keyword in the signature receives operand contents by field, None where not known.
        """
        raise NotImplementedError(f"{self.name} does not say its result types")

    def reference(self, *operands: Any, **nothing: Any) -> Any:
        """Result arrays from operand arrays; the definition of right."""
        raise NotImplementedError(f"{self.name} has no numpy definition")

    def from_types(self, *operands: Any, **nothing: Any) -> Any:
        """Result arrays from operand types, for ops with `reads_types_only`."""
        raise NotImplementedError(f"{self.name} reads its operands' contents")

    def lower(self, b: Builder) -> str | tuple[str, ...] | None:
        """The same results from smaller ops; None where it is small already."""
        return None

    def may_overwrite(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> tuple[str, ...]:
        """Operands (by value name) whose memory the first result may take, element by element."""
        return tuple(v for name in self.inplace if (v := getattr(self, name)) is not None)

    def padding(
        self, operands: tuple[Type, ...], results: tuple[Type, ...]
    ) -> Mapping[str, tuple[int, int, int, int]]:
        """Values read beyond their borders as if zeros stood there: rows and columns (top, left, bottom, right)."""
        return {}

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        """Default: one operation per result element; every operand and result moved once."""
        moved = sum(t.bytes for t in (*operands, *results))
        return Work(sum(t.count for t in results if t.static), moved)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        """Operands and attributes that exercise the op; all tests of all backends run on them."""
        return iter(())


def as_content(result: Any) -> Any:
    """A result of numpy as a value: an array (strings as objects), a list of arrays, or None."""
    if result is None or isinstance(result, list):
        return result if result is None else [as_content(item) for item in result]
    array = np.asarray(result)
    return array.astype(object) if array.dtype.kind in "US" else array


def snake_case(name: str) -> str:
    """`GlobalAveragePool` -> `global_average_pool`; runs of capitals stay together (`LRN` -> `lrn`)."""
    out = ""
    for i, c in enumerate(name):
        starts = c.isupper() and i and (not name[i - 1].isupper() or (i + 1 < len(name) and name[i + 1].islower()))
        out += ("_" if starts else "") + c.lower()
    return out


@cache
def _slots(cls: type[Op]) -> tuple[Slot, ...]:
    hints = get_type_hints(cls, include_extras=True)
    slots = (_slot(f.name, hints[f.name]) for f in fields(cls))  # type: ignore[arg-type]  # a dataclass
    return tuple(slot for slot in slots if slot is not None)


def _slot(name: str, hint: Any) -> Slot | None:
    if hint == Value:
        return Slot(name, optional=False, variadic=False)
    arguments = get_args(hint)
    if get_origin(hint) in (Union, UnionType) and Value in arguments and NoneType in arguments:
        return Slot(name, optional=True, variadic=False)
    if get_origin(hint) is tuple and arguments and arguments[0] == Value:
        return Slot(name, optional=False, variadic=True)
    return None


@cache
def _wants_known(cls: type[Op]) -> bool:
    return "known" in inspect.signature(cls.infer).parameters


class Elementwise(Op, abstract=True):
    """One line of arithmetic, `scalar`, that numpy and every code generator run on each element.

    Operands broadcast; a variadic field's operands come one by one. What `m` offers: ops/arithmetic.py.
    """

    family: ClassVar[Family] = "elementwise"
    result_elem: ClassVar[str | None] = None
    """Element type of the result where it is not the first operand's (`bool` for comparisons)."""

    def scalar(self, m: Any, *operands: Any, **nothing: Any) -> Any:
        raise NotImplementedError(f"{self.name} does not say its arithmetic")

    def infer(self, *operands: Any, **contents: Any) -> Type:
        flat: list[Type] = []
        for operand in operands:
            flat.extend(operand if isinstance(operand, tuple) else [] if operand is None else [operand])
        shape = broadcast(*((t.shape or ()) for t in flat))
        first = self.element_operand(flat)
        same_order = {t.order for t in flat if t.shape == shape}
        order = same_order.pop() if len(same_order) == 1 else None
        return Type(self.result_elem or first.elem, shape, order=order)

    def may_overwrite(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> tuple[str, ...]:
        """Every operand of the result's own type: each element is read before it is written."""
        same = zip(self.operands, operands, strict=True)
        return tuple(dict.fromkeys(name for name, type_ in same if type_ == results[0]))

    def element_operand(self, operands: list[Type]) -> Type:
        """The operand that gives the element type, and whose type the others must share."""
        first = operands[0]
        for other in operands[1:]:
            if other.elem != first.elem:
                raise TypeProblem(f"operands must have one element type, got {first} and {other}; Cast one of them")
        return first

    def reference(self, *operands: Any, **nothing: Any) -> Any:
        from glowviz.compiler.ops.arithmetic import NUMPY  # the numpy namespace needs Op's module first

        arrays = [np.asarray(a) for o in operands if o is not None for a in (o if isinstance(o, tuple) else (o,))]
        with np.errstate(all="ignore"):
            result = np.asarray(self.scalar(NUMPY, *arrays))
            elem = self.result_elem or self.element_operand([of_array(a) for a in arrays]).elem
            return result.astype(ELEMENTS[elem], copy=False)


def case(*operands: Any, **attributes: Any) -> Case:
    """A sample with operands by position; the op class is filled in by whoever runs it."""
    return Case({str(i): o for i, o in enumerate(operands)}, attributes)
