"""MNN on the CPU in f32; the model is converted to its own format first, and that time counts as loading."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from glowviz.bench.engine import Arrays, Request, Signature
from glowviz.compiler.problem import Problem

MNN: Any = import_module("MNN")  # only the bench extra has it, and it declares no types

# MNN.expr takes its own type codes; those it has not are computed in int32.
CODES = {"float32": MNN.expr.float, "int32": MNN.expr.int, "int64": MNN.expr.int, "uint8": MNN.expr.uint8}
CAST = {"int64": np.int32, "bool": np.int32}
CONVERT = "import sys, _tools; _tools.mnnconvert(sys.argv)"
"""The converter alone: the package's own script installs packages and reports conversions."""


class Module:
    """One MNN module; it cannot tell its inputs, so another engine must have found them."""

    version = version("MNN")

    def __init__(self, request: Request) -> None:
        if request.signature is None:
            raise Problem("MNN cannot tell a model's inputs.", request.path, "another engine beside it",
                          "Add onnxruntime: --against onnxruntime,mnn")
        self.known = request.signature
        self.runtime = MNN.nn.create_runtime_manager(
            ({"backend": "CPU", "numThread": request.threads, "precision": "high", "memory": "normal",
              "power": "normal"},))
        with tempfile.TemporaryDirectory() as folder:
            converted = _convert(request.path, Path(folder))
            self.module = MNN.nn.load_module_from_file(
                str(converted), list(self.known.inputs), list(self.known.outputs), runtime_manager=self.runtime,
                shape_mutable=False)
        self.places = {name: MNN.expr.placeholder(list(shape), MNN.expr.NCHW, CODES.get(kind, MNN.expr.int))
                       for name, (shape, kind) in self.known.inputs.items()}

    def signature(self) -> Signature | None:
        """What it was told."""
        return self.known

    def run(self, inputs: Arrays) -> Arrays:
        """All outputs by name, in the plain order whatever MNN computes in."""
        for name, array in inputs.items():
            self.places[name].write(np.ascontiguousarray(array, CAST.get(array.dtype.name, array.dtype)))
        found = self.module.forward([self.places[name] for name in self.known.inputs])
        found = found if isinstance(found, list) else [found]
        plain = [MNN.expr.convert(var, MNN.expr.NCHW) if var.data_format == MNN.expr.NC4HW4 else var for var in found]
        return {name: np.array(var.read()) for name, var in zip(self.known.outputs, plain, strict=True)}


def _convert(path: str, folder: Path) -> Path:
    target = folder / "model.mnn"
    done = subprocess.run(
        [sys.executable, "-c", CONVERT, "-f", "ONNX", "--modelFile", path, "--MNNModel", str(target),
         "--bizCode", "MNN"], capture_output=True, text=True, check=False)
    if not target.exists():
        last = (done.stdout + done.stderr).strip().splitlines()[-1:]
        raise Problem(f"MNN could not convert the model: {' '.join(last)}", path)
    return target


def load(request: Request) -> Module:
    """The model, ready to run."""
    return Module(request)
