"""glowviz opens any ONNX network, compiles it one pass at a time and shows every step."""

from glowviz.compiler.backends import backend_named
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

__all__ = [
    "Executable", "Graph", "Problem", "Program", "Recording", "compile", "explain", "load", "open_recording",
    "parse_graph", "print_graph",
]

backend_named("cpu")  # loaded here, so that the first compile() only compiles
