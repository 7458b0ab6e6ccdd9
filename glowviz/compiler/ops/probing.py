"""Which dims of a result stay the same whatever size an operand turns out to have, found by trying sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from glowviz.compiler.ops.base import Op
from glowviz.compiler.types import Dim, Symbol, Type

SIZES = (0, 1, 2, 3, 7, 11, 840, 1009, 100_800)
"""Small ones, primes, and multiples of many numbers: a dim that is one number for all of these depends on none."""
SMALL = 3
"""Sizes up to which an agreement means nothing by itself."""

TypeOf = Callable[[str], Type]
KnownOf = Callable[[str], np.ndarray | None]


def probe(op: Op, type_of: TypeOf, known_of: KnownOf, results: Sequence[str]) -> tuple[Type, ...] | None:
    """Result types where operands have dims that only a run knows; None where trying sizes tells nothing.

    A dim that is the same for all sizes that the op takes is that number; one that follows an operand's dim has its
    name; any other gets a name of its own, `%y.1`. No operand may be of unknown rank.
    """
    types = {o: type_of(o) for o in op.operands}
    if any(t.shape is None for t in types.values()):
        return None
    symbols = list(dict.fromkeys(d for t in types.values() for d in t.shape or () if isinstance(d, Symbol)))
    own = {d for t in types.values() for d in t.shape or () if isinstance(d, int)}
    tried = list(_tried(op, types, known_of, symbols, sorted({*SIZES, *own})))
    telling = [1 for sizes, _ in tried if all(n > SMALL or n in own for n in sizes.values())]
    if not telling:
        return None
    found = []
    for index, name in enumerate(results[: len(tried[0][1])]):
        found.append(_joined(name, [(sizes, made[index]) for sizes, made in tried]))
    return tuple(found)


Sizes = Mapping[Symbol, int]


def _tried(
    op: Op, types: Mapping[str, Type], known_of: KnownOf, symbols: Sequence[Symbol], sizes: Sequence[int]
) -> Iterator[tuple[Sizes, tuple[Type, ...]]]:
    """The sizes that the op takes, each symbol's apart from the others', with the result types."""
    for shift in range(len(sizes)):
        chosen = {s: sizes[(shift + 2 * k) % len(sizes)] for k, s in enumerate(symbols)}
        fixed = {name: _with_sizes(type_, chosen) for name, type_ in types.items()}
        try:
            yield chosen, op.infer_types(fixed.__getitem__, known_of)
        except (ValueError, LookupError, ArithmeticError, TypeError):
            continue  # the op refuses such sizes, so a run with them will be refused as well


def _with_sizes(type_: Type, sizes: Sizes) -> Type:
    return type_.with_shape(tuple(sizes[d] if isinstance(d, Symbol) else d for d in type_.shape or ()))


def _joined(name: str, tried: Sequence[tuple[Sizes, Type]]) -> Type:
    """One type for what was found with all sizes."""
    first = tried[0][1]
    if len({len(made.shape) for _, made in tried if made.shape is not None}) != 1:
        return Type(first.elem, None)
    columns = zip(*(made.shape or () for _, made in tried), strict=True)
    return Type(first.elem, tuple(_dim(f"{name}.{axis}", tried, dims) for axis, dims in enumerate(columns)))


def _dim(name: str, tried: Sequence[tuple[Sizes, Type]], dims: Sequence[Dim]) -> Dim:
    for symbol in tried[0][0]:
        if all(sizes[symbol] == dim for (sizes, _), dim in zip(tried, dims, strict=True)):
            return symbol
    return dims[0] if len(set(dims)) == 1 and isinstance(dims[0], int) else Symbol(name)
