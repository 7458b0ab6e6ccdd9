"""When a Graph, a Program and a MemoryPlan are well formed; checked after every pass."""

from glowviz.compiler.verify.graphs import VerifyProblem, verify_graph
from glowviz.compiler.verify.plans import verify_plan
from glowviz.compiler.verify.programs import paddings, verify_program

__all__ = ["VerifyProblem", "paddings", "verify_graph", "verify_plan", "verify_program"]
