"""glowviz opens any ONNX network, compiles it one pass at a time and shows every step."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glowviz.compiler.backends.base import Executable
    from glowviz.compiler.graph import Graph
    from glowviz.compiler.pipeline import compile
    from glowviz.compiler.problem import Problem
    from glowviz.compiler.program import Program
    from glowviz.compiler.recording.reader import Recording
    from glowviz.compiler.rewrite import explain
    from glowviz.compiler.text import parse_graph, print_graph
    from glowviz.public import load, open_recording

__version__ = "0.1.0"

_HOME = {
    "compile": "glowviz.compiler.pipeline",
    "explain": "glowviz.compiler.rewrite",
    "load": "glowviz.public",
    "open_recording": "glowviz.public",
    "parse_graph": "glowviz.compiler.text",
    "print_graph": "glowviz.compiler.text",
    "Executable": "glowviz.compiler.backends.base",
    "Graph": "glowviz.compiler.graph",
    "Problem": "glowviz.compiler.problem",
    "Program": "glowviz.compiler.program",
    "Recording": "glowviz.compiler.recording.reader",
}
"""Public name to the module it lives in; loaded when first asked for, so that `import glowviz` costs nothing."""

__all__ = [
    "Executable", "Graph", "Problem", "Program", "Recording", "compile", "explain", "load", "open_recording",
    "parse_graph", "print_graph",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"glowviz has no {name!r}; its public names are {', '.join(__all__)}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value
