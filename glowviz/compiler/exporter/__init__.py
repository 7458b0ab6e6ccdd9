"""Any Graph becomes an ONNX model that other tools load: `to_onnx` in memory, `save` on disk."""

from __future__ import annotations

import os
from pathlib import Path

import onnx
from onnx import ModelProto

from glowviz.compiler.exporter.model import model_of
from glowviz.compiler.exporter.problem import ExportProblem
from glowviz.compiler.graph import Graph

__all__ = ["ExportProblem", "save", "to_onnx"]

LARGEST_FILE = 1 << 30
"""Bytes of weights from which on they are stored beside the model, in `NAME.onnx.data`."""


def to_onnx(graph: Graph) -> ModelProto:
    """The graph as a model of IR version 10 and opset 21. Fused bodies are written out, memory orders dropped.

    ExportProblem names the node that ONNX has no word for.
    """
    return model_of(graph)


def save(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Write the model to a file; weights beyond 1 GiB go to a second file beside it."""
    model, target = model_of(graph), Path(path)
    weights = sum(len(t.raw_data) for t in model.graph.initializer)
    if weights <= LARGEST_FILE:
        target.write_bytes(model.SerializeToString(deterministic=True))
        return
    side = target.with_name(target.name + ".data")
    side.unlink(missing_ok=True)  # onnx would append to it
    onnx.save_model(model, target, save_as_external_data=True, location=side.name, size_threshold=1024)
