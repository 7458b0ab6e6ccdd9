"""An ONNX model of one op, written independently of glowviz's exporter, for comparison with onnxruntime."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from glowviz.compiler.ops import Op
from glowviz.compiler.types import ELEMENTS, Type, of_array

OPSET = 21
PROTO = {
    "f32": TensorProto.FLOAT, "f64": TensorProto.DOUBLE, "f16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16,
    "i8": TensorProto.INT8, "i16": TensorProto.INT16, "i32": TensorProto.INT32, "i64": TensorProto.INT64,
    "u8": TensorProto.UINT8, "u16": TensorProto.UINT16, "u32": TensorProto.UINT32, "u64": TensorProto.UINT64,
    "bool": TensorProto.BOOL, "string": TensorProto.STRING,
}
RENAMED = {"kernel": "kernel_shape", "trans_a": "transA", "trans_b": "transB"}
AXES_AS_INPUT = {"Squeeze", "Unsqueeze"}


def model_of(op: Op, arrays: dict[str, np.ndarray], types: tuple[Type, ...]) -> tuple[bytes, dict[str, np.ndarray]]:
    """The serialized model and what to feed it."""
    inputs, extra, attributes = _operands(op), dict(arrays), _attributes(op)
    for name, array in _more_inputs(op, arrays).items():
        while op.onnx == "DFT" and len(inputs) < 2:
            inputs.append("")
        inputs.append(name)
        extra[name] = array
    outputs = [f"out{i}" for i in range(len(types))]
    node = helper.make_node(op.onnx, inputs, outputs, **attributes)
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info(n, PROTO[of_array(a).elem], a.shape) for n, a in extra.items()],
        [helper.make_tensor_value_info(n, PROTO[t.elem], _shape(t)) for n, t in zip(outputs, types, strict=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model)
    return model.SerializeToString(), extra


def _shape(type_: Type) -> list[int | str]:
    return [n if isinstance(n, int) else n.name for n in type_.shape or ()]


def _operands(op: Op) -> list[str]:
    names: list[str] = []
    for slot in op.slots():
        value = getattr(op, slot.name)
        names.extend(value if slot.variadic else [value or ""])
    while names and not names[-1]:
        names.pop()
    return names


def _more_inputs(op: Op, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What is an attribute here and an operand in opset 21."""
    if op.onnx == "Clip":
        limits = {"low": op.low, "high": op.high}
        kind = arrays["x"].dtype
        wide = np.iinfo(kind) if kind.kind in "iu" else np.finfo(kind)
        return {
            name: np.array(np.clip(value, float(wide.min), float(wide.max)) if np.isinf(value) else value).astype(kind)
            if not (np.isinf(value) and kind.kind in "iu")
            else np.array(wide.min if value < 0 else wide.max, kind)
            for name, value in limits.items()
        }
    if op.onnx == "DFT":
        return {"axis": np.array(op.axis, np.int64)}
    by_operand = op.onnx in AXES_AS_INPUT or (op.onnx.startswith("Reduce"))
    if by_operand and op.axes:
        return {"axes": np.array(op.axes, np.int64)}
    return {}


def _attributes(op: Op) -> dict[str, Any]:
    found: dict[str, Any] = {}
    declared = onnx.defs.get_schema(op.onnx, OPSET, op.domain).attributes
    defaults = {f.name: f.default for f in fields(op)}
    for name, value in op.attributes.items():
        if value is None or value == () or (op.onnx == "Clip" and name in ("low", "high")):
            continue
        absent = RENAMED.get(name, name) not in declared
        if (absent or value == "") and (value == defaults[name] or op.onnx == "DFT"):
            continue
        if name == "axes" and (op.onnx in AXES_AS_INPUT or op.onnx.startswith("Reduce")):
            continue
        number = isinstance(value, str) and not absent and str(declared[RENAMED.get(name, name)].type).endswith("INT")
        found[RENAMED.get(name, name)] = PROTO[value] if number else int(value) if isinstance(value, bool) else value
    return _special(op, found)


def _special(op: Op, found: dict[str, Any]) -> dict[str, Any]:
    if op.onnx == "DFT":
        found.pop("axis", None)
    if op.onnx == "Split" and op.split is not None:
        del found["num_outputs"]
    if op.onnx == "ConstantOfShape":
        found = {"value": numpy_helper.from_array(np.array([op.value]).astype(ELEMENTS[op.elem]))}
    if op.onnx in ("Conv", "ConvTranspose", "MaxPool", "AveragePool") and op.auto_pad != "NOTSET":
        found.pop("pads", None)
    if op.onnx == "Dropout":
        found = {}
    return found
