"""What a value holds while a model runs: an array, a list of arrays for a sequence, None for an empty optional."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from glowviz.compiler.types import OptionalType, SequenceType, Symbol, Type

Content = Any
"""np.ndarray, a list of contents, or None. Strings are arrays of objects."""


def each_array(content: Content, change: Callable[[np.ndarray], np.ndarray]) -> Content:
    """The content with every array in it changed."""
    if isinstance(content, list):
        return [each_array(item, change) for item in content]
    return None if content is None else change(content)


def row_major(content: Content) -> Content:
    """The same content in row-major order."""
    return each_array(content, lambda array: np.asarray(array, order="C"))


def copied(content: Content) -> Content:
    """The same content in memory of its own."""
    return each_array(content, np.copy)


def content_text(content: Content) -> str:
    """`float32[2, 3]`, `a sequence of 3`, `nothing`, as messages tell a content."""
    if isinstance(content, list):
        return f"a sequence of {len(content)}"
    return "nothing" if content is None else f"{content.dtype}{list(content.shape)}"


def taken(type_: Type, given: Any) -> Content:
    """What a person gives for a held value, as its content; ValueError says what does not fit.

    A sequence is a list or tuple, an optional None or its item, strings anything numpy makes an array of; a
    dimension that has only a name takes any size.
    """
    if isinstance(type_, OptionalType):
        return None if given is None else taken(type_.item, given)
    if isinstance(type_, SequenceType):
        if not isinstance(given, list | tuple):
            raise ValueError(f"a sequence is a list of arrays, got {type(given).__name__}")
        return [taken(type_.item, item) for item in given]
    if given is None:
        raise ValueError("the value is None")
    array = np.asarray(given)
    if type_.elem == "string" and array.dtype.kind in "USO":
        array = array.astype(object)
    if array.dtype != type_.dtype:
        raise ValueError(f"the elements are {array.dtype}, not {type_.elem}")
    _check_shape(type_, array.shape)
    return array


def _check_shape(type_: Type, shape: tuple[int, ...]) -> None:
    if type_.shape is None:
        return
    fits = len(shape) == len(type_.shape) and all(
        isinstance(dim, Symbol) or dim == n for dim, n in zip(type_.shape, shape, strict=True)
    )
    if not fits:
        raise ValueError(f"the shape is {list(shape)}, the type {type_}")


def example(type_: Type, rng: np.random.Generator) -> Content:
    """Some content of a held type: two items in a sequence, something in an optional, 2 for sizes not known."""
    if isinstance(type_, OptionalType):
        return example(type_.item, rng)
    if isinstance(type_, SequenceType):
        return [example(type_.item, rng) for _ in range(2)]
    dims = (2,) if type_.shape is None else tuple(2 if isinstance(dim, Symbol) else dim for dim in type_.shape)
    if type_.elem == "string":
        words = np.array(["one", "two", "three"], object)
        return words[rng.integers(0, len(words), dims)]
    numbers = rng.normal(size=dims) if type_.is_float else rng.integers(0, 2, dims)
    return np.asarray(numbers).astype(type_.dtype)
