"""Texts: joined, split, normalized, matched, counted in n-grams, and mapped to labels."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from glowviz.compiler.ops.base import Case, Op, Value, Work, case
from glowviz.compiler.ops.cases import ints
from glowviz.compiler.ops.shape import Known
from glowviz.compiler.types import ELEMENTS, Symbol, Type, TypeProblem, broadcast, of_array


def texts(*words: str, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """An array of texts."""
    array = np.empty(len(words), object)
    array[:] = words
    return array if shape is None else array.reshape(shape)


def each(function: Callable[[Any], Any], x: np.ndarray, dtype: Any = object) -> np.ndarray:
    """The function of every element."""
    result = np.empty(x.shape, dtype)
    flat = result.reshape(-1)
    for i, one in enumerate(x.reshape(-1)):
        flat[i] = function(one)
    return result


class OfTexts(Op, abstract=True):
    """Something with texts; they lie outside the arena, and bytes of theirs are not counted."""

    family = "host"

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        return Work(0, 0)


def _check(x: Type) -> None:
    if x.elem != "string":
        raise TypeProblem(f"x must be texts, got {x}")


class StringConcat(OfTexts):
    """Every text with another behind it; both broadcast."""

    x: Value
    y: Value
    onnx = "StringConcat"

    def infer(self, x: Type, y: Type) -> Type:
        _check(x)
        _check(y)
        return Type("string", broadcast(x.shape or (), y.shape or ()))

    def reference(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        left, right = np.broadcast_arrays(x, y)
        pairs = zip(left.reshape(-1), right.reshape(-1), strict=True)
        return texts(*(a + b for a, b in pairs), shape=left.shape)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(texts("a", "bc", ""), texts("x"))
        yield case(texts("a", "b", shape=(2, 1)), texts("c", "d"))


class StringSplit(OfTexts):
    """The parts of every text along a new last dim, filled up with empty ones, and how many there are."""

    x: Value
    delimiter: str | None = None
    maxsplit: int | None = None
    onnx = "StringSplit"
    outputs = ("y", "counts")

    def infer(self, x: Type, *, known: Known) -> tuple[Type, ...]:
        _check(x)
        content = known["x"]
        most = Symbol("parts") if content is None else self.reference(content)[0].shape[-1]
        return Type("string", (*(x.shape or ()), most)), Type("i64", x.shape)

    def reference(self, x: np.ndarray) -> tuple[np.ndarray, ...]:
        separator = self.delimiter or None
        limit = -1 if self.maxsplit is None else self.maxsplit
        # without a delimiter runs of spaces part, and those around the text are no parts
        parts = [str(one).split(separator, limit) for one in x.reshape(-1)]
        most = max((len(p) for p in parts), default=0)
        y = np.full((x.size, most), "", object)
        for row, words in zip(y, parts, strict=True):
            row[: len(words)] = words
        counts = np.array([len(p) for p in parts], np.int64)
        return y.reshape(*x.shape, most), counts.reshape(x.shape)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(texts("a b  c", "d"))
        yield case(texts("a,b,,c", ",d", shape=(2, 1)), delimiter=",", maxsplit=2)


class StringNormalizer(OfTexts):
    """Texts in lower or upper case, without stopwords; of x[C] or x[1, C]."""

    x: Value
    case_change_action: str = "NONE"
    is_case_sensitive: bool = False
    locale: str | None = None
    stopwords: tuple[str, ...] = ()
    onnx = "StringNormalizer"

    def infer(self, x: Type, *, known: Known) -> Type:
        _check(x)
        if self.case_change_action not in ("NONE", "LOWER", "UPPER"):
            raise TypeProblem(f"case_change_action must be NONE, LOWER or UPPER, got {self.case_change_action!r}")
        if x.rank not in (1, 2) or (x.rank == 2 and x.dims[0] != 1):
            raise TypeProblem(f"x must be [C] or [1, C], got {x}")
        content = known["x"]
        if content is not None:
            return Type("string", self.reference(content).shape)
        kept = Symbol("words", max(x.count, 1)) if self.stopwords else x.dims[-1]
        return Type("string", (*x.dims[:-1], kept))

    def reference(self, x: np.ndarray) -> np.ndarray:
        fold = str if self.is_case_sensitive else str.lower
        stops = {fold(w) for w in self.stopwords}
        change = {"NONE": str, "LOWER": str.lower, "UPPER": str.upper}[self.case_change_action]
        kept = [change(w) for w in x.reshape(-1) if fold(w) not in stops]
        kept = kept or [""]  # "the output will be a single empty string"
        return texts(*kept, shape=(*x.shape[:-1], len(kept)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(texts("Monday", "tuesday"), case_change_action="UPPER", stopwords=("monday",))
        yield case(texts("Monday", "b", shape=(1, 2)), case_change_action="LOWER")


class RegexFullMatch(OfTexts):
    """Whether the whole text matches a pattern."""

    x: Value
    pattern: str
    onnx = "RegexFullMatch"

    def infer(self, x: Type) -> Type:
        _check(x)
        try:
            re.compile(self.pattern)
        except re.error as fault:
            raise TypeProblem(f"the pattern {self.pattern!r} is no regular expression: {fault}") from None
        return Type("bool", x.shape)

    def reference(self, x: np.ndarray) -> np.ndarray:
        pattern = re.compile(self.pattern)
        return each(lambda one: pattern.fullmatch(one) is not None, x, np.bool_)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(texts("www.a.com", "b"), pattern=r"www\.[a-z]+\.com")


class TfIdfVectorizer(OfTexts):
    """How often every n-gram of the pool occurs in a row, 0 or 1, or either times its weight (TF, IDF, TFIDF)."""

    x: Value
    max_gram_length: int
    max_skip_count: int
    min_gram_length: int
    mode: str
    ngram_counts: tuple[int, ...]
    ngram_indexes: tuple[int, ...]
    pool_int64s: tuple[int, ...] = ()
    pool_strings: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    onnx = "TfIdfVectorizer"

    def infer(self, x: Type) -> Type:
        if x.rank not in (1, 2) or self.mode not in ("TF", "IDF", "TFIDF"):
            raise TypeProblem(f"x must be [C] or [N, C] and mode TF, IDF or TFIDF, got {x} and {self.mode!r}")
        return Type("f32", (*x.dims[:-1], max(self.ngram_indexes) + 1))

    def _grams(self) -> dict[tuple[Any, ...], int]:
        """Every n-gram of the pool to its number."""
        pool: tuple[Any, ...] = self.pool_strings or self.pool_int64s
        starts = (*self.ngram_counts, len(pool))
        grams: dict[tuple[Any, ...], int] = {}
        for n, (start, end) in enumerate(pairwise(starts), 1):
            for at in range(start, end, n):
                grams[pool[at : at + n]] = len(grams)
        return grams

    def reference(self, x: np.ndarray) -> np.ndarray:
        grams = self._grams()
        rows = x.reshape(1, -1) if x.ndim == 1 else x
        y = np.zeros((len(rows), max(self.ngram_indexes) + 1), np.float32)
        for row, counts in zip(rows, y, strict=True):
            self._count(tuple(row.tolist()), grams, counts)
        return y.reshape(*x.shape[:-1], -1)

    def _count(self, row: tuple[Any, ...], grams: dict[tuple[Any, ...], int], counts: np.ndarray) -> None:
        for n in range(self.min_gram_length, self.max_gram_length + 1):
            # a word alone has nothing to skip
            for skip in range(1, (self.max_skip_count if n > 1 else 0) + 2):
                for start in range(len(row) - (n - 1) * skip):
                    found = grams.get(row[start : start + (n - 1) * skip + 1 : skip])
                    if found is not None:
                        counts[self.ngram_indexes[found]] += 1
        if self.mode != "TF":
            weights = np.ones(len(counts), np.float32)
            weights[list(self.ngram_indexes)] = self.weights or 1.0
            counts[:] = (np.minimum(counts, 1) if self.mode == "IDF" else counts) * weights

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        pool = {
            "ngram_counts": (0, 4), "ngram_indexes": (0, 1, 2, 3, 4, 5, 6), "max_gram_length": 2,
            "pool_int64s": (2, 3, 5, 4, 5, 6, 7, 8, 6, 7), "min_gram_length": 1,
        }
        x = np.array([[1, 1, 3, 3, 3, 7], [8, 6, 7, 5, 6, 8]], np.int32)
        yield case(x, max_skip_count=0, mode="TF", **pool)
        yield case(x[0], max_skip_count=5, mode="IDF", weights=(1.0, 2.0, 1.0, 1.0, 1.0, 3.0, 1.0), **pool)


class Labels(OfTexts):
    """Every element's partner in a table, or the last value of the table where there is none; NaN is a key too."""

    x: Value
    keys: Value
    values: Value

    def infer(self, x: Type, keys: Type, values: Type) -> Type:
        if x.elem != keys.elem or values.count != keys.count + 1:
            raise TypeProblem(f"x {x} must have the kind of the keys {keys}, and {values} one value more for the rest")
        return Type(values.elem, x.shape)

    def reference(self, x: np.ndarray, keys: np.ndarray, values: np.ndarray) -> np.ndarray:
        partners = {_key(k): v for k, v in zip(keys.reshape(-1).tolist(), values.reshape(-1), strict=False)}
        rest = values.reshape(-1)[-1]
        found = each(lambda one: partners.get(_key(one), rest), np.asarray(x, object))
        return found.astype(ELEMENTS[of_array(values).elem])

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        yield case(ints(1, 5, 2), ints(1, 2), np.array([0.5, 1.5, -1], np.float32))
        yield case(texts("a", "z"), texts("a", "b"), ints(7, 8, 0))
        yield case(np.array([np.nan, 2], np.float32), np.array([np.nan], np.float32), ints(7, 0))


def _key(one: Any) -> Any:
    return "nan" if isinstance(one, float) and one != one else one
