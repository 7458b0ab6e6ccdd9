"""Where our own inference needs numbers, ONNX's shape inference gives types with names in them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto

from glowviz.compiler.importer.attributes import schema_of
from glowviz.compiler.importer.functions import type_proto
from glowviz.compiler.importer.problem import ImportProblem
from glowviz.compiler.importer.site import Site
from glowviz.compiler.importer.tensors import ANONYMOUS, type_of
from glowviz.compiler.types import Type

MOST_NODES = 500_000
"""Nodes up to which ONNX's inference is asked."""


class Hinter:
    """Types of values by name as ONNX infers them; nothing is computed before somebody asks."""

    def __init__(self, model: ModelProto, inputs: Mapping[str, Type], bound: bool) -> None:
        self._model, self._inputs, self._bound = model, inputs, bound
        self.nodes: list[NodeProto] | None = None
        """The nodes in order, where the file has them out of order."""
        self._types: dict[str, Type] | None = None

    def __call__(self) -> Mapping[str, Type]:
        if self._types is None:
            self._types = self._inferred() if len(self._model.graph.node) <= MOST_NODES else {}
        return self._types

    def _inferred(self) -> dict[str, Type]:
        model = self._prepared()
        with suppress(Exception):  # it is a hint: what it refuses is looked at without
            model = onnx.shape_inference.infer_shapes(model, check_type=False, strict_mode=False, data_prop=True)
        types: dict[str, Type] = {}
        for value in (*model.graph.value_info, *model.graph.output):
            try:
                types[value.name] = type_of(value.type, value.name, "")
            except ImportProblem:
                continue
        return types

    def _prepared(self) -> ModelProto:
        """The model with named free dimensions; with bound inputs, what the file says of other values may not hold."""
        model = ModelProto()
        model.CopyFrom(self._model)
        if self.nodes is not None:
            del model.graph.node[:]
            model.graph.node.extend(self.nodes)
        for value in model.graph.input:
            if value.name in self._inputs:
                value.type.CopyFrom(type_proto(self._inputs[value.name]))
        if self._bound:
            del model.graph.value_info[:]
        for value in (*model.graph.output, *model.graph.value_info):
            if self._bound:
                value.type.tensor_type.ClearField("shape")
            for dim in value.type.tensor_type.shape.dim:
                if dim.dim_value < 0 or dim.dim_param in ANONYMOUS:
                    dim.ClearField("dim_value" if dim.dim_value < 0 else "dim_param")
        return model


def fits_onnx(site: Site) -> bool:
    """Does ONNX's own inference take the node? Then it is our op that cannot, and the node is shown as Opaque."""
    return onnx_types(site) is not None


def onnx_types(site: Site) -> dict[str, Type] | None:
    """Result types that ONNX's definition gives for what is known of the operands; None where it refuses them."""
    schema = schema_of(site.kind, site.version, site.domain)
    if schema is None:
        return None
    operands = [(n, v) for n, v in zip(site.node.input, site.operands, strict=False) if v is not None]
    types = {name: type_proto(site.type(value)) for name, value in operands}
    known = {name: tensor for name, value in operands if (tensor := _tensor(site.sketch.known(value))) is not None}
    versions = [onnx.helper.make_opsetid(site.domain, site.version)]
    try:
        found = onnx.shape_inference.infer_node_outputs(schema, site.node, types, known, opset_imports=versions)
    except Exception:  # onnx has several classes for "no"
        return None
    names = dict(zip(site.node.output, site.results, strict=False))
    result: dict[str, Type] = {}
    for name, proto in found.items():
        with suppress(ImportProblem):
            result[names[name]] = type_of(proto, names[name], "")
    return result


def _tensor(array: np.ndarray | None) -> Any:
    small = array is not None and array.dtype != object and array.size <= 4096
    return onnx.numpy_helper.from_array(np.ascontiguousarray(array)) if small and array is not None else None
