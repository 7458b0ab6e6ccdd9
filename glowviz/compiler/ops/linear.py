"""Matrix products."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from glowviz.compiler.ops.base import Builder, Case, Op, Value, Work, case
from glowviz.compiler.ops.cases import floats, integers
from glowviz.compiler.ops.elementwise import Add, Mul
from glowviz.compiler.types import ELEMENTS, Dim, Type, TypeProblem, broadcast


def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`a @ b` in the element kind of `a`; narrow floats are summed in f32."""
    if a.dtype.itemsize < 4 and not np.issubdtype(a.dtype, np.integer):
        return (a.astype(np.float32) @ b.astype(np.float32)).astype(a.dtype)
    with np.errstate(all="ignore"):
        return np.asarray(_written_out(a) @ _written_out(b))


def _written_out(matrix: np.ndarray) -> np.ndarray:
    """The matrix with every element in memory: numpy sums one whose elements share memory in another order."""
    shared = any(step == 0 and size > 1 for step, size in zip(matrix.strides[-2:], matrix.shape[-2:], strict=True))
    return np.ascontiguousarray(matrix) if shared else matrix


def _same_elem(a: Type, b: Type) -> None:
    if a.elem != b.elem:
        raise TypeProblem(f"operands must have one element type, got {a} and {b}; Cast one of them")


class MatMul(Op):
    """The matrix product as numpy.matmul: leading dims broadcast, a 1-D operand is a row or a column."""

    a: Value
    b: Value
    onnx = "MatMul"
    family = "linear"
    instruction = "matmul"

    def infer(self, a: Type, b: Type) -> Type:
        _same_elem(a, b)
        left, right = a.dims, b.dims
        if not left or not right:
            raise TypeProblem(f"operands must have at least one dimension, got {a} and {b}")
        rows = left if len(left) > 1 else (1, *left)
        columns = right if len(right) > 1 else (*right, 1)
        if rows[-1] != columns[-2]:
            raise TypeProblem(
                f"the last dim of a must be the {'last' if len(right) == 1 else 'second last'} of b, got {a} and {b}"
            )
        shape: tuple[Dim, ...] = broadcast(rows[:-2], columns[:-2])
        shape += (rows[-2],) if len(left) > 1 else ()
        shape += (columns[-1],) if len(right) > 1 else ()
        return Type(a.elem, shape)

    def reference(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return multiply(a, b)

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        depth = operands[0].dims[-1]
        return Work(2 * results[0].count * depth, sum(t.bytes for t in (*operands, *results)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        for left, right in (
            ((3, 4), (4, 5)),
            ((2, 3, 4), (2, 4, 5)),
            ((2, 3, 4), (4, 7)),
            ((1, 2, 3, 5), (4, 1, 5, 2)),
            ((4,), (4, 3)),
            ((2, 3, 4), (4,)),
            ((6,), (6,)),
            ((17, 33), (33, 9)),
            ((0, 3), (3, 2)),
            ((2, 0), (0, 3)),
        ):
            yield case(floats(rng, left), floats(rng, right))
        yield case(integers(rng, (2, 3), -5, 5, "i32"), integers(rng, (3, 2), -5, 5, "i32"))
        yield case(floats(rng, (2, 3), "f64"), floats(rng, (3, 2), "f64"))


class Gemm(Op):
    """alpha · a' · b' + beta · c, where a' is a or its transpose; c broadcasts to the result."""

    a: Value
    b: Value
    c: Value | None = None
    alpha: float = 1.0
    beta: float = 1.0
    trans_a: bool = False
    trans_b: bool = False
    onnx = "Gemm"
    family = "linear"

    def infer(self, a: Type, b: Type, c: Type | None) -> Type:
        _same_elem(a, b)
        if a.rank != 2 or b.rank != 2:
            raise TypeProblem(f"a and b must be matrices, got {a} and {b}")
        rows, depth = a.dims[::-1] if self.trans_a else a.dims
        other, columns = b.dims[::-1] if self.trans_b else b.dims
        if depth != other:
            raise TypeProblem(
                f"the inner dims of a ({depth}) and b ({other}) must be equal, got {a} (trans_a={self.trans_a}) "
                f"and {b} (trans_b={self.trans_b})"
            )
        if c is not None:
            _same_elem(a, c)
            if broadcast(c.dims, (rows, columns)) != (rows, columns):
                raise TypeProblem(f"c must broadcast to [{rows}x{columns}], got {c}")
        return Type(a.elem, (rows, columns))

    def reference(self, a: np.ndarray, b: np.ndarray, c: np.ndarray | None) -> np.ndarray:
        product = multiply(a.T if self.trans_a else a, b.T if self.trans_b else b)
        if self.alpha != 1:
            product = (product * self.alpha).astype(a.dtype)
        if c is not None:
            product = product + (c if self.beta == 1 else (c * self.beta).astype(a.dtype))
        return product

    def lower(self, b: Builder) -> str:
        """Transposes where asked for, MatMul, then a Mul for alpha and an Add for c, where they matter."""
        left = b.transpose(self.a, perm=(1, 0)) if self.trans_a else self.a
        right = b.transpose(self.b, perm=(1, 0)) if self.trans_b else self.b
        product = b.one(MatMul(left, right))
        if self.alpha != 1:
            product = b.one(Mul(product, b.const(self.alpha, like=product, name="alpha")))
        if self.c is None:
            return product
        bias = self.c if self.beta == 1 else b.one(Mul(self.c, b.const(self.beta, like=self.c, name="beta")))
        return b.one(Add(product, bias))

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        depth = operands[0].dims[0 if self.trans_a else 1]
        flops = results[0].count * (2 * depth + (len(operands) > 2))
        return Work(flops, sum(t.bytes for t in (*operands, *results)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        a, b = floats(rng, (3, 5)), floats(rng, (5, 4))
        yield case(a, b)
        yield case(a, b, floats(rng, (4,)))
        yield case(a, b, floats(rng, (3, 1)), alpha=0.5, beta=2.0)
        yield case(a.T.copy(), b, floats(rng, (1, 4)), trans_a=True)
        yield case(a, b.T.copy(), floats(rng, ()), trans_b=True)
        yield case(a.T.copy(), b.T.copy(), floats(rng, (3, 4)), trans_a=True, trans_b=True, alpha=0.25)
        yield case(floats(rng, (0, 5)), b, floats(rng, (4,)))


class Einsum(Op):
    """Sums of products in Einstein's notation, `...` included; a missing `->` gives the letters used once, sorted."""

    xs: tuple[Value, ...]
    equation: str = ""
    onnx = "Einsum"
    family = "linear"

    def infer(self, xs: tuple[Type, ...]) -> Type:
        for x in xs[1:]:
            _same_elem(xs[0], x)
        # numpy knows the notation: an operand that is one number seen through strides costs nothing
        probes = [np.broadcast_to(np.zeros((), ELEMENTS[x.elem]), x.dims) for x in xs]
        try:
            shape = np.einsum_path(self.equation, *probes, optimize=False) and self._shape(probes)
        except (ValueError, TypeError, KeyError) as problem:
            shapes = ", ".join(str(x) for x in xs)
            raise TypeProblem(f"equation {self.equation!r} does not fit operands {shapes}: {problem}") from None
        return Type(xs[0].elem, shape)

    def _shape(self, probes: list[np.ndarray]) -> tuple[int, ...]:
        left, right, sizes, dots = self._letters(probes)
        if right is None:
            joined = "".join(left).replace("...", "")
            once = sorted(c for c in set(joined) if joined.count(c) == 1)
            right = ("..." if dots is not None else "") + "".join(once)
        head, found, tail = right.partition("...")
        middle = dots if found and dots is not None else ()
        return (*(sizes[c] for c in head), *middle, *(sizes[c] for c in tail))

    def _letters(
        self, probes: list[np.ndarray]
    ) -> tuple[list[str], str | None, dict[str, int], tuple[int, ...] | None]:
        """Operand terms, result term, the size of each letter, and the shape behind the dots."""
        written, arrow, result = self.equation.replace(" ", "").partition("->")
        terms = written.split(",")
        sizes: dict[str, int] = {}
        dots: tuple[int, ...] | None = None
        for term, probe in zip(terms, probes, strict=True):
            head, found, tail = term.partition("...")
            inner = probe.shape[len(head) : probe.ndim - len(tail)]
            named = [*zip(head, probe.shape, strict=False)]
            named += zip(tail, probe.shape[probe.ndim - len(tail) :], strict=True)
            for letter, size in named:
                sizes[letter] = size if sizes.get(letter, 1) == 1 else sizes[letter]
            if found:
                dots = np.broadcast_shapes(dots or (), inner)
        return terms, result if arrow else None, sizes, dots

    def lower(self, b: Builder) -> str | None:
        """Transposes around one MatMul, where two f32 operands share summed letters and neither has others to sum."""
        terms, arrow, result = self.equation.replace(" ", "").partition("->")
        found = _roles(terms.split(","), result) if arrow and len(self.xs) == 2 else None
        types = [b.type(x) for x in self.xs]
        if found is None or any(t.elem != "f32" or 0 in t.dims for t in types):
            return None
        sizes: dict[str, int] = {}
        for term, type_ in zip(terms.split(","), types, strict=True):
            if any(sizes.setdefault(letter, size) != size for letter, size in zip(term, type_.dims, strict=True)):
                return None
        shared, left, right, summed = found
        sides = ((left, summed), (summed, right))
        pairs = zip(terms.split(","), self.xs, sides, strict=True)
        factors = (_as_matrices(b, x, term, shared, side, sizes) for term, x, side in pairs)
        product = b.mat_mul(*factors)
        return _spread(b, product, shared + left + right, result, sizes)

    def reference(self, xs: tuple[np.ndarray, ...]) -> np.ndarray:
        wide = tuple(x.astype(np.float32) for x in xs) if xs[0].dtype.itemsize < 4 else xs
        result = np.einsum(self.equation.replace(" ", ""), *wide, optimize=len(xs) < 20)
        return np.asarray(result).astype(xs[0].dtype)

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        probes = [np.broadcast_to(np.zeros((), np.bool_), t.dims) for t in operands]
        _, _, sizes, dots = self._letters(probes)
        points = int(np.prod([*sizes.values(), *(dots or ())], dtype=np.int64))
        return Work(2 * points, sum(t.bytes for t in (*operands, *results)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case((floats(rng, (2, 3, 4)), floats(rng, (2, 4, 5))), equation="bij,bjk->bik")
        yield case((floats(rng, (3, 4)),), equation="ij->ji")
        yield case((floats(rng, (4, 4)),), equation="ii")
        yield case((floats(rng, (2, 3, 4)), floats(rng, (4, 5))), equation="...j,jk->...k")
        yield case((floats(rng, (2, 3)), floats(rng, (3, 2))), equation="ij, jk")
        yield case((floats(rng, (1, 2, 7, 4)), floats(rng, (1, 2, 5, 4))), equation="bhqd,bhkd->bhqk")
        yield case((floats(rng, (5, 2, 3, 4)), floats(rng, (2, 6, 4))), equation="bhwc,hkc->bkhw")
        yield case((floats(rng, (2, 3)), floats(rng, (4, 5))), equation="ab,cd->cadb")


def _roles(terms: list[str], result: str) -> tuple[str, str, str, str] | None:
    """Letters of the batch, of the rows, of the columns and of the sum; None where it is no matrix product."""
    a, b = terms
    if any("." in term or len(set(term)) < len(term) for term in (a, b, result)):
        return None
    shared = "".join(c for c in result if c in a and c in b)
    left = "".join(c for c in result if c in a and c not in b)
    right = "".join(c for c in result if c in b and c not in a)
    summed = "".join(c for c in a if c not in result)
    alone = set(summed) ^ {c for c in b if c not in result}
    return None if alone or not summed or not left + right else (shared, left, right, summed)


def _count(letters: str, sizes: dict[str, int]) -> int:
    return prod(sizes[c] for c in letters)


def _as_matrices(b: Builder, x: str, term: str, batch: str, side: tuple[str, str], sizes: dict[str, int]) -> str:
    """x as matrices with rows and columns of some letters each, one for every place of the batch."""
    shape = [*([_count(batch, sizes)] if batch else []), *(_count(letters, sizes) for letters in side)]
    return _shaped(b, _ordered(b, x, term, batch + "".join(side)), shape)


def _spread(b: Builder, x: str, letters: str, result: str, sizes: dict[str, int]) -> str:
    """The product with an axis for each letter, in the order of the result."""
    return _ordered(b, _shaped(b, x, [sizes[c] for c in letters]), letters, result)


def _ordered(b: Builder, x: str, letters: str, wanted: str) -> str:
    return x if letters == wanted else b.transpose(x, perm=tuple(letters.index(c) for c in wanted))


def _shaped(b: Builder, x: str, shape: list[int]) -> str:
    same = b.type(x).dims == tuple(shape)
    return x if same else b.reshape(x, b.const(np.array(shape, np.int64), name="shape"))
