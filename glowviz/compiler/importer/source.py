"""A model given as path, bytes or ModelProto is one Source: the protobuf without big contents, and where those are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

import numpy as np
from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto

from glowviz.compiler.hashes import map_file
from glowviz.compiler.importer.external import ExternalFiles
from glowviz.compiler.importer.problem import ImportProblem, told
from glowviz.compiler.importer.wire import RAW, Slim, slim

LARGEST_REST = 1 << 30
"""Bytes of a model without its big contents; more than this is no network."""


@dataclass
class Source:
    """One model file and everything that is needed to find the contents of its tensors."""

    name: str
    """File name for messages and for the graph, without its folder."""
    model: ModelProto
    bytes: int
    external: ExternalFiles
    _slim: Slim | None = None
    _data: np.ndarray | None = None

    def raw(self, tensor: TensorProto, size: int) -> np.ndarray | None:
        """The row-major bytes of a tensor, in place where they are big; None where it has typed fields."""
        if tensor.data_location == TensorProto.EXTERNAL:
            return self.external.contents(tensor, size)
        if not tensor.HasField("raw_data"):
            return None
        raw = tensor.raw_data
        span = self._slim.span(raw) if self._slim is not None else None
        if span is None or self._data is None:
            return np.frombuffer(raw, np.uint8)
        floats = tensor.data_type in (TensorProto.FLOAT, TensorProto.COMPLEX64)
        doubles = tensor.data_type in (TensorProto.DOUBLE, TensorProto.COMPLEX128)
        if span.kind != RAW and not (floats if span.kind == 4 else doubles):
            raise ImportProblem(
                f"The contents of {told(tensor.name)} stand in a field for another element type",
                f"tensor {told(tensor.name)}", "contents of its own element type", "Export the model again",
            )
        return self._data[span.start : span.start + span.size]


def open_source(source: str | Path | bytes | ModelProto, files: Mapping[str, Path] | None = None) -> Source:
    """Read what was given; ImportProblem where it is no ONNX model."""
    if isinstance(source, ModelProto):
        return Source(source.graph.name or "model", source, source.ByteSize(), ExternalFiles(None, files))
    if isinstance(source, bytes | bytearray | memoryview):
        data = np.frombuffer(source, np.uint8)
        return _parsed("model", data, ExternalFiles(None, files))
    path = Path(source)
    return _parsed(path.name, _mapped(path), ExternalFiles(path.parent if files is None else None, files))


def _mapped(path: Path) -> np.ndarray:
    try:
        status = os.stat(path)
        if S_ISREG(status.st_mode) and status.st_size:
            with path.open("rb") as file:
                return map_file(file)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "the path cannot be used"
        raise ImportProblem(
            f"{told(str(path))} cannot be read: {reason}", "", "an ONNX file", "Check the path"
        ) from None
    what = "is empty" if S_ISREG(status.st_mode) else "is no file"
    raise ImportProblem(f"{told(str(path))} {what}", "", "an ONNX file", "Check the path")


def _parsed(name: str, data: np.ndarray, external: ExternalFiles) -> Source:
    if not data.size:
        raise ImportProblem("The model is empty", told(name), "an ONNX file", "Copy or download the file again")
    cut = slim(data)
    if len(cut.content) > LARGEST_REST:
        raise ImportProblem(
            f"The model has {len(cut.content):,} bytes besides its big tensors", told(name),
            f"at most {LARGEST_REST:,}", "Store weights as raw data, or in external files",
        )
    model = ModelProto()
    try:
        model.ParseFromString(cut.content)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ImportProblem(
            f"The file is no ONNX model: {_reason(error)}", told(name), "a protobuf message of type ModelProto",
            "Copy or download the file again; it may be cut short or not be ONNX at all",
        ) from None
    cut.content = b""
    return Source(name, model, int(data.size), external, cut, data)


def _reason(error: Exception) -> str:
    unicode = isinstance(error, UnicodeDecodeError)
    return "a name in it is not UTF-8 text" if unicode else "its protobuf cannot be parsed"
