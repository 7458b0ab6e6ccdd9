"""OpenVINO on the CPU, told which precision to compute in: left alone it takes bf16 where the processor has it."""

from __future__ import annotations

import numpy as np
import openvino  # pyright: ignore[reportMissingImports]  (only the bench extra has it)

from glowviz.bench.engine import Arrays, Request, Signature, bound


class Compiled:
    """One compiled model and one inference request."""

    version = openvino.__version__.split("-")[0]

    def __init__(self, request: Request) -> None:
        self.precision = request.precision
        core = openvino.Core()
        model = core.read_model(request.path)
        dims = {port.any_name: [_size(dim) for dim in port.partial_shape] for port in model.inputs}
        self.shapes = {name: bound(name, sizes, request.shapes) for name, sizes in dims.items()}
        model.reshape({name: list(shape) for name, shape in self.shapes.items()})
        self.compiled = core.compile_model(model, "CPU", {
            "INFERENCE_PRECISION_HINT": self.precision, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": str(request.threads), "ENABLE_CPU_PINNING": "NO"})
        self.request = self.compiled.create_infer_request()
        self.outputs = [port.any_name for port in self.compiled.outputs]

    def signature(self) -> Signature:
        """As the compiled model tells it."""
        inputs = {port.any_name: (self.shapes[port.any_name], np.dtype(port.element_type.to_dtype()).name)
                  for port in self.compiled.inputs}
        return Signature(inputs, tuple(self.outputs))

    def run(self, inputs: Arrays) -> Arrays:
        """All outputs by name; inputs are read in place, outputs copied."""
        found = self.request.infer(dict(inputs), share_inputs=True, share_outputs=False)
        return {name: found[port] for name, port in zip(self.outputs, self.compiled.outputs, strict=True)}


def _size(dim: openvino.Dimension) -> int | None:
    return dim.get_length() if dim.is_static else None


def load(request: Request) -> Compiled:
    """The model, ready to run."""
    return Compiled(request)
