"""An ExportProblem is the one error that writing a model ends with."""

from glowviz.compiler.problem import Problem


class ExportProblem(Problem):
    """A graph that ONNX has no form for: which node, and what to do."""
