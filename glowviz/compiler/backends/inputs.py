"""Inputs given to a compiled program are checked by name, element kind and shape before anything runs."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import numpy as np

from glowviz.compiler.backends.base import InputProblem
from glowviz.compiler.interpreter.contents import Content, copied, example, row_major, taken
from glowviz.compiler.problem import told
from glowviz.compiler.program import Program
from glowviz.compiler.types import Type, TypeProblem, of_array


def check_inputs(program: Program, given: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Arrays of exactly the program's input types, by buffer name; InputProblem for what cannot be one.

    Lists, other memory orders and other widths of the same kind (f64 for f32, i32 for i64) are converted where
    the numbers fit.
    """
    if not isinstance(given, Mapping):
        raise InputProblem(
            f"inputs are a dict from name to array, got {type(given).__name__}", "run(inputs)",
            f"{{{', '.join(repr(b.name) for b in program.of_kind('input'))}: array}}",
        )  # fmt: skip
    wanted = {b.name: b.type for b in program.of_kind("input")}
    for name in given:
        if name not in wanted:
            raise _unknown(name, wanted)
    missing = [name for name in wanted if name not in given]
    if missing:
        raise InputProblem(
            f"input {told(missing[0])!r} is not given", "run(inputs)", f"{wanted[missing[0]]}",
            f"pass inputs[{told(missing[0])!r}] as a numpy array",
        )  # fmt: skip
    return {name: check_input(name, type_, given[name]) for name, type_ in wanted.items()}


def _unknown(name: str, wanted: Mapping[str, Type]) -> InputProblem:
    near = difflib.get_close_matches(str(name), wanted, n=1)
    return InputProblem(
        f"there is no input {told(str(name))!r}", "run(inputs)",
        f"the names {', '.join(repr(told(w)) for w in wanted) or '(none: this model has no inputs)'}",
        f"did you mean {told(near[0])!r}?" if near else "rename or drop it",
    )  # fmt: skip


def _held(where: str, wanted: Type, given: Any) -> Content:
    try:
        return copied(row_major(taken(wanted, given)))
    except ValueError as problem:
        raise InputProblem(str(problem), where, str(wanted), "give a content of this type") from None


def check_input(name: str, wanted: Type, given: Any) -> Content:
    """One input as a contiguous array of its type; a sequence is a list of arrays, an empty optional None."""
    where = f"input {told(name)!r}"
    if wanted.held:
        return _held(where, wanted, given)
    if given is None:
        raise InputProblem("the value is None", where, str(wanted.logical), "pass a numpy array")
    try:
        array = np.asarray(given)
    except ValueError as error:
        raise InputProblem(f"not an array: {error}", where, str(wanted.logical), "pass a numpy array") from None
    if tuple(array.shape) != wanted.dims:
        raise _wrong_shape(where, wanted, array)
    return np.ascontiguousarray(_converted(where, wanted, array)).reshape(wanted.dims)


def _wrong_shape(where: str, wanted: Type, array: np.ndarray) -> InputProblem:
    shape, dims = tuple(array.shape), wanted.dims
    do = f"compile again with this shape (--shape NAME={'x'.join(map(str, shape))}) or give the one expected"
    if len(shape) < len(dims) and array.size == wanted.count:
        do = f"reshape it: array.reshape({dims})"
    elif len(shape) == 4 and len(dims) == 4 and (shape[0], shape[3], shape[1], shape[2]) == dims:
        do = "channels stand last here: array.transpose(0, 3, 1, 2)"
    return InputProblem(f"the shape is {_shape(shape)}", where, _shape(dims), do)


def _shape(shape: tuple[int, ...]) -> str:
    return "[" + "x".join(map(str, shape)) + "]"


def _converted(where: str, wanted: Type, array: np.ndarray) -> np.ndarray:
    if array.dtype == wanted.dtype:
        return array
    if array.dtype.newbyteorder("=") == wanted.dtype:
        return array.astype(wanted.dtype)
    try:
        elem = of_array(array.astype(array.dtype.newbyteorder("="))).elem
    except TypeProblem:
        elem = str(array.dtype)
    both = {_kind(elem), _kind(wanted.elem)}
    if both == {"float"}:
        return array.astype(wanted.dtype)
    if both == {"integer"}:
        limits = np.iinfo(wanted.dtype)
        if array.size == 0 or (int(array.min()) >= limits.min and int(array.max()) <= limits.max):
            return array.astype(wanted.dtype)
        raise InputProblem(
            f"values {int(array.min())} … {int(array.max())} do not fit into {wanted.elem}", where,
            f"{limits.min} … {limits.max}", "check the numbers",
        )  # fmt: skip
    hint = " (pictures: scale them as the model was trained)" if both == {"float", "integer"} else ""
    raise InputProblem(
        f"the elements are {elem}", where, wanted.elem, f"convert them: array.astype(numpy.{wanted.dtype}){hint}"
    )


def _kind(elem: str) -> str:
    if elem in ("f16", "bf16", "f32", "f64"):
        return "float"
    return "integer" if elem[:1] in "iu" and elem[1:].isdigit() and int(elem[1:]) >= 8 else elem


def noise(program: Program) -> dict[str, np.ndarray]:
    """Inputs for timing when nobody gave any: normal floats, zeros otherwise; the same every time."""
    rng = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {}
    for buffer in program.of_kind("input"):
        if buffer.held:
            arrays[buffer.name] = example(buffer.type, rng)
            continue
        filled = rng.normal(size=buffer.type.dims) if buffer.type.is_float else np.zeros(buffer.type.dims)
        arrays[buffer.name] = np.asarray(filled).astype(buffer.type.dtype)
    return arrays
