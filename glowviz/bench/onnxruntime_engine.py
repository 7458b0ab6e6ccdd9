"""onnxruntime with all graph optimizations on, on the CPU."""

from __future__ import annotations

import numpy as np
import onnxruntime

from glowviz.bench.engine import Arrays, Request, Signature, bound

TYPES = {"float": "float32", "double": "float64", "float16": "float16", "int64": "int64", "int32": "int32",
         "int8": "int8", "uint8": "uint8", "int16": "int16", "bool": "bool"}


class Session:
    """One InferenceSession whose free dimensions are bound before it optimizes.

    With `profile` (a prefix of a file's name) every run is profiled until `session.end_profiling()`; with `optimized`
    the graph that it really runs is written there.
    """

    version = onnxruntime.__version__

    def __init__(self, request: Request, profile: str = "", optimized: str = "") -> None:
        self.shapes = request.shapes
        options = _options(request.threads)
        self.session = onnxruntime.InferenceSession(request.path, options, providers=["CPUExecutionProvider"])
        free = self._free_dimensions()
        if free or profile or optimized:
            options = _options(request.threads)
            for name, size in free.items():
                options.add_free_dimension_override_by_name(name, size)
            options.enable_profiling, options.profile_file_prefix = bool(profile), profile or "profile"
            options.optimized_model_filepath = optimized
            self.session = onnxruntime.InferenceSession(request.path, options, providers=["CPUExecutionProvider"])
        self.outputs = [value.name for value in self.session.get_outputs()]

    def _free_dimensions(self) -> dict[str, int]:
        """Sizes for the named dimensions of the inputs."""
        found: dict[str, int] = {}
        for value in self.session.get_inputs():
            shape = bound(value.name, value.shape, self.shapes)
            found.update({dim: size for dim, size in zip(value.shape, shape, strict=True) if isinstance(dim, str)})
        return found

    def signature(self) -> Signature:
        """As the session tells it, with the user's shapes."""
        inputs = {value.name: (bound(value.name, value.shape, self.shapes), TYPES[value.type[7:-1]])
                  for value in self.session.get_inputs()}
        return Signature(inputs, tuple(self.outputs))

    def run(self, inputs: Arrays) -> Arrays:
        """All outputs by name."""
        found = self.session.run(self.outputs, inputs)
        return {name: np.asarray(array) for name, array in zip(self.outputs, found, strict=True)}


def _options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return options


def load(request: Request) -> Session:
    """The model, ready to run."""
    return Session(request)
