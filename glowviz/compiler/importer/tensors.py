"""Every TensorProto becomes an array of its declared type and shape, or a refusal before memory is taken."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from onnx import SparseTensorProto, TensorProto, TypeProto, numpy_helper

from glowviz.compiler.importer.problem import RE_EXPORT, ImportProblem, told
from glowviz.compiler.importer.source import Source
from glowviz.compiler.shapes import LARGEST
from glowviz.compiler.types import ELEMENTS, Dim, OptionalType, SequenceType, Symbol, Type

ELEM_OF: dict[int, str] = {
    TensorProto.FLOAT: "f32", TensorProto.DOUBLE: "f64", TensorProto.FLOAT16: "f16", TensorProto.BFLOAT16: "bf16",
    TensorProto.INT8: "i8", TensorProto.INT16: "i16", TensorProto.INT32: "i32", TensorProto.INT64: "i64",
    TensorProto.UINT8: "u8", TensorProto.UINT16: "u16", TensorProto.UINT32: "u32", TensorProto.UINT64: "u64",
    TensorProto.BOOL: "bool", TensorProto.COMPLEX64: "c64", TensorProto.COMPLEX128: "c128",
    TensorProto.FLOAT8E4M3FN: "f8e4m3fn", TensorProto.FLOAT8E4M3FNUZ: "f8e4m3fnuz",
    TensorProto.FLOAT8E5M2: "f8e5m2", TensorProto.FLOAT8E5M2FNUZ: "f8e5m2fnuz",
    TensorProto.FLOAT8E8M0: "f8e8m0", TensorProto.FLOAT4E2M1: "f4e2m1", TensorProto.FLOAT6E2M3: "f6e2m3",
    TensorProto.FLOAT6E3M2: "f6e3m2", TensorProto.INT4: "i4", TensorProto.UINT4: "u4", TensorProto.INT2: "i2",
    TensorProto.UINT2: "u2", TensorProto.STRING: "string",
}
"""ONNX's number of an element type to ours; the exporter reads it backwards."""

LARGEST_DENSE = 1 << 28
"""Elements up to which a sparse tensor is written out."""
_PACKED = {"i4": 2, "u4": 2, "f4e2m1": 2, "i2": 4, "u2": 4}
"""Elements that share one byte of a file."""


def elem_of(number: int, where: str) -> str:
    """Our name of an ONNX element type."""
    elem = ELEM_OF.get(number)
    if elem is None:
        known = number in TensorProto.DataType.values()
        name = TensorProto.DataType.Name(number) if known else str(number)
        raise ImportProblem(
            f"Element type {name} is not known here", where, ", ".join(ELEMENTS), "Convert these values to a known type"
        )
    return elem


def array_of(tensor: TensorProto, source: Source, where: str = "") -> np.ndarray:
    """The contents of a tensor; big ones are views of the file. Sizes are checked before anything is allocated."""
    where = where or f"initializer {told(tensor.name)}"
    elem = elem_of(tensor.data_type, where)
    dims = tuple(tensor.dims)
    count = checked_count(dims, where)
    if tensor.HasField("segment"):
        raise ImportProblem("A tensor is cut into segments", where, "whole tensors", "Export the model again")
    if elem == "string":
        _same(len(tensor.string_data), count, where, "strings")
        return _strings(tensor, dims)
    size = -(-count // _PACKED[elem]) if elem in _PACKED else count * ELEMENTS[elem].itemsize
    raw = source.raw(tensor, size)
    if raw is None:
        return _typed(tensor, elem, dims, count, where)
    _same(raw.size, size, where, "bytes")
    if elem in _PACKED:
        return numpy_helper.to_array(_renewed(tensor, raw)).reshape(dims)
    return raw.view(ELEMENTS[elem]).reshape(dims) if size else np.zeros(dims, ELEMENTS[elem])


def checked_count(dims: tuple[int, ...], where: str) -> int:
    """The number of elements; negative or absurd dimensions are refused."""
    shown = "x".join(map(str, dims[:16]))
    if any(d < 0 for d in dims) or len(dims) > 64:
        raise ImportProblem(f"A tensor has the shape [{shown}]", where, "dimensions that are not negative", RE_EXPORT)
    count = prod(dims)
    if count > LARGEST:
        most = f"at most {LARGEST:,}"
        raise ImportProblem(f"A tensor of shape [{shown}] has {count:,} elements", where, most, RE_EXPORT)
    return count


def _same(found: int, expected: int, where: str, unit: str) -> None:
    if found != expected:
        raise ImportProblem(
            f"A tensor holds {found:,} {unit}", where, f"{expected:,}, as its shape says",
            "Copy or export the file again; it may be damaged",
        )


def _typed(tensor: TensorProto, elem: str, dims: tuple[int, ...], count: int, where: str) -> np.ndarray:
    """Contents in the field of their element type."""
    field = _FIELDS.get(elem, "int32_data")
    per = {"c64": 2, "c128": 2}.get(elem, 1)
    found = len(getattr(tensor, field))
    if not found and not count:
        return np.zeros(dims, ELEMENTS[elem])
    _same(found, -(-count // _PACKED[elem]) if elem in _PACKED else count * per, where, f"elements in {field}")
    try:
        array = numpy_helper.to_array(tensor)
    except (ValueError, TypeError, OverflowError) as error:
        raise ImportProblem(f"A tensor cannot be read: {error}", where, f"values of type {elem}", RE_EXPORT) from None
    return array.astype(ELEMENTS[elem], copy=False).reshape(dims)


_FIELDS = {
    "f32": "float_data", "c64": "float_data", "f64": "double_data", "c128": "double_data", "i64": "int64_data",
    "u32": "uint64_data", "u64": "uint64_data",
}


def _strings(tensor: TensorProto, dims: tuple[int, ...]) -> np.ndarray:
    array = np.empty(len(tensor.string_data), object)
    array[:] = [s.decode("utf-8", "replace") for s in tensor.string_data]
    return array.reshape(dims)


def _renewed(tensor: TensorProto, raw: np.ndarray) -> TensorProto:
    return TensorProto(data_type=tensor.data_type, dims=tensor.dims, raw_data=raw.tobytes())


def dense_of(sparse: SparseTensorProto, source: Source, where: str) -> np.ndarray:
    """A sparse tensor written out: what is not listed is zero."""
    dims = tuple(sparse.dims)
    count = checked_count(dims, where)
    values, indices = array_of(sparse.values, source, where), array_of(sparse.indices, source, where)
    if count > LARGEST_DENSE or values.ndim != 1 or indices.dtype != np.int64:
        raise ImportProblem(
            f"A sparse tensor of shape {dims} cannot be written out", where,
            f"at most {LARGEST_DENSE:,} elements, values in a row, int64 indices", "Store the tensor densely",
        )
    if indices.ndim == 2 and indices.shape == (values.size, len(dims)):
        inside = bool(((indices >= 0) & (indices < np.array(dims))).all())
        flat = np.ravel_multi_index(tuple(indices.T), dims) if inside and count else np.zeros(0, np.int64)
    else:
        flat, inside = indices, indices.shape == values.shape and bool(((indices >= 0) & (indices < count)).all())
    if not inside:
        raise ImportProblem("A sparse tensor names elements outside its shape", where, f"shape {dims}", RE_EXPORT)
    array = np.zeros(count, values.dtype)
    array[flat] = values
    return array.reshape(dims)


def type_of(proto: TypeProto, name: str, where: str, *, given: bool = False) -> Type:
    """The type of a value: of a tensor, a sequence or an optional.

    Of a `given` value, an input, the first dimension is free where the file says 0: old exporters mean a batch.
    """
    kind = proto.WhichOneof("value")
    if kind in ("sequence_type", "optional_type"):
        item = type_of(getattr(proto, kind).elem_type, name, where)
        return SequenceType(item) if kind == "sequence_type" else OptionalType(item)
    if kind not in ("tensor_type", "sparse_tensor_type"):
        raise ImportProblem(f"{told(name)} has the type {kind or 'nothing'}", where, "a tensor", RE_EXPORT)
    tensor = getattr(proto, kind)
    elem = elem_of(tensor.elem_type, where)
    return Type(elem, dims_of(tensor.shape, name, where, given) if tensor.HasField("shape") else None)


ANONYMOUS = frozenset({"", "?", "None", "none", "-1", "unk", "dynamic"})


def dims_of(shape: Any, name: str, where: str, given: bool) -> tuple[Dim, ...]:
    """The dimensions of a declared shape; open ones get a name, `x.2` where the file gives none."""
    dims: list[Dim] = []
    for axis, dim in enumerate(shape.dim):
        number = dim.dim_value
        if dim.WhichOneof("value") != "dim_value":
            dims.append(Symbol(dim.dim_param if dim.dim_param not in ANONYMOUS else f"{name}.{axis}"))
        elif number == -1 or (number == 0 and axis == 0 and given):
            dims.append(Symbol(f"{name}.{axis}"))
        elif 0 <= number <= LARGEST:
            dims.append(number)
        else:
            raise ImportProblem(
                f"Dimension {axis} of {told(name)} is {number}", where, "a number from 0 to 1 TiB, or a name", RE_EXPORT
            )
    if len(dims) > 64:
        raise ImportProblem(f"{told(name)} has {len(dims)} dimensions", where, "at most 64", RE_EXPORT)
    return tuple(dims)
