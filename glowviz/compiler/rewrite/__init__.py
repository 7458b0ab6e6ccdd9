"""What a pass is written with: Edit, @rule, Keep, @graph_pass, @program_pass."""

from glowviz.compiler.recording.records import Change, PassLog, Refusal, log, logging_to
from glowviz.compiler.rewrite.edit import Build, Edit, sort_nodes
from glowviz.compiler.rewrite.passes import PASSES, Option, Pass, PassProblem, graph_pass, program_pass
from glowviz.compiler.rewrite.rules import (
    RULES,
    DoesNotSettle,
    Explanation,
    Keep,
    Miss,
    Rewrite,
    Rule,
    apply,
    attempts_to,
    expect,
    explain,
    firing_limit,
    rule,
)

__all__ = [
    "PASSES", "RULES", "Build", "Change", "DoesNotSettle", "Edit", "Explanation", "Keep", "Miss", "Option",
    "Pass", "PassLog", "PassProblem", "Refusal", "Rewrite", "Rule", "apply", "attempts_to", "expect", "explain",
    "firing_limit", "graph_pass", "log", "logging_to", "program_pass", "rule", "sort_nodes",
]
