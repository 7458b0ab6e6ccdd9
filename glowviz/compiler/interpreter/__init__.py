"""numpy is the definition of right: Graphs and Programs run here as they are written, with errors for a person."""

from glowviz.compiler.interpreter.evaluate import RunProblem, evaluate
from glowviz.compiler.interpreter.graphs import Memo, run_graph
from glowviz.compiler.interpreter.machine import Machine, run_program
from glowviz.compiler.interpreter.sample_inputs import sample_inputs

__all__ = ["Machine", "Memo", "RunProblem", "evaluate", "run_graph", "run_program", "sample_inputs"]
