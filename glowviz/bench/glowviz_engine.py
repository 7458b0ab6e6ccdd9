"""Our own compiler through its public door: glowviz.compile, then run."""

from __future__ import annotations

import glowviz
from glowviz.bench.engine import Arrays, Request, Signature


class Compiled:
    """One executable."""

    version = glowviz.__version__

    def __init__(self, request: Request) -> None:
        self.precision = request.precision
        self.executable = glowviz.compile(
            request.path, shapes=request.shapes, threads=request.threads, precision=request.precision
        )

    def signature(self) -> Signature:
        """As the program declares it."""
        program = self.executable.program
        inputs: dict[str, tuple[tuple[int, ...], str]] = {}
        for buffer in program.of_kind("input"):
            # Every dim is bound in a Program, so this filter drops none.
            shape = tuple(dim for dim in buffer.type.shape or () if isinstance(dim, int))
            inputs[buffer.name] = (shape, buffer.type.dtype.name)
        return Signature(inputs, tuple(output.public for output in program.outputs))

    def run(self, inputs: Arrays) -> Arrays:
        """All outputs by name."""
        return self.executable.run(inputs)


def load(request: Request) -> Compiled:
    """The model, compiled."""
    return Compiled(request)
