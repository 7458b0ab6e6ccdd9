"""A pass is a function from one IR value to the next, registered with its level, its promise and its options."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from glowviz.compiler.graph import Graph
from glowviz.compiler.ops.bodies import Controlled
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.recording.records import PassLog, logging_to
from glowviz.compiler.rewrite.edit import Edit
from glowviz.compiler.rewrite.rules import Rule
from glowviz.compiler.target import Target

Level = Literal["graph", "lowered", "program"]
"""graph: before lower or anywhere; lowered: only after lower; program: on the instruction program."""


@dataclass(frozen=True)
class Option:
    """One knob of a pass, as the command line and the app offer it."""

    name: str
    default: Any
    kind: type


@dataclass(frozen=True)
class Pass:
    """`function(ir, **options)` with what the pipeline, the app and the docs need to know about it."""

    name: str
    function: Callable[..., Any]
    level: Level
    required: bool
    tolerance: float
    """Largest change of any value, relative to max |value|; 0 = keeps results bit for bit."""
    summary: str
    options: Mapping[str, Option] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    wants_target: bool = False
    enters_bodies: bool = False
    """It is a graph pass and does to the body of every If, Loop and Scan what it does to the graph."""
    after: str | None = None
    """The pass behind which it runs where the pipeline does not name it: "" = the last one before lower (for programs:
    the last one), None = nowhere."""

    def run(self, ir: Any, target: Target | None = None, **options: Any) -> tuple[Any, PassLog]:
        """The next IR and everything that was recorded on the way."""
        self.check(options)
        supplied = {"target": target} if self.wants_target else {}
        with logging_to(PassLog()) as log:
            after = self.function(ir, **supplied, **options)
            if self.level == "program":
                return self._in_nested(after, {**supplied, **options}, log), log
            return self._in_bodies(after, {**supplied, **options}, log) if self.enters_bodies else after, log

    def _in_nested(self, program: Program, options: Mapping[str, Any], log: PassLog) -> Program:
        """The program with the pass applied to all programs nested in it."""
        changed: dict[int, Instr] = {}
        for instr in program.instructions:
            made: list[Program] = []
            for nested in instr.regions:
                with log.inside(f"{instr.value}.{nested.name}"):
                    made.append(self._in_nested(self.function(nested, **options), options, log))
            if any(new is not old for new, old in zip(made, instr.regions, strict=True)):
                changed[id(instr)] = instr.evolve(regions=tuple(made))
        if not changed:
            return program
        return program.evolve(body=tuple(changed.get(id(statement), statement) for statement in program.body))

    def _in_bodies(self, graph: Graph, options: Mapping[str, Any], log: PassLog) -> Graph:
        """The graph with the pass applied to all bodies in it, and to those inside them."""
        nodes = [node for node in graph if isinstance(node.op, Controlled)]
        if not nodes:
            return graph
        edit = Edit(graph)
        for node in nodes:
            bodies: dict[str, Any] = {}
            for name, body in node.op.regions.items():
                with log.inside(node.name if len(node.op.regions) == 1 else f"{node.name}.{name}"):
                    after = self._in_bodies(self.function(body, **options), options, log)
                if after is not body:
                    bodies[name] = after
            if bodies:
                edit.replace_node(node, node.evolve(op=node.op.evolve(**bodies)))
        return edit.finish()

    def check(self, options: Mapping[str, Any]) -> None:
        """Refuse options that the pass does not have, and values that are none of their kind."""
        for name, value in options.items():
            if name not in self.options:
                known = ", ".join(self.options) or "none"
                raise PassProblem(f"pass {self.name} has no option {name!r}; it has: {known}")
            kind = self.options[name].kind
            if kind in (int, bool, str) and type(value) is not kind:
                raise PassProblem(f"option {name} of pass {self.name} is {value!r}: expected {kind.__name__}, "
                                  f"such as {self.options[name].default!r}")

    @property
    def promise(self) -> str:
        return "exactly equal" if self.tolerance == 0 else f"equal within {self.tolerance:g} of max |value|"


class PassProblem(ValueError):
    """A pass, option, order or switch that cannot be; the text is for the user."""


PASSES: dict[str, Pass] = {}
"""Every pass by name."""


def graph_pass(
    *,
    rules: tuple[Rule, ...] = (),
    level: Level = "graph",
    required: bool = False,
    tolerance: float = 0.0,
    enters_bodies: bool = True,
) -> Callable[[Callable[..., Any]], Pass]:
    """Declare a Graph -> Graph pass; keyword-only parameters with defaults are its options.

    It is applied to the bodies of If, Loop and Scan as well, unless it says that it sees to them itself.
    """
    return lambda function: _register(function, level, required, tolerance, rules, enters_bodies)


def program_pass(
    *, required: bool = False, tolerance: float = 0.0
) -> Callable[[Callable[..., Any]], Pass]:
    """Declare a Program -> Program pass."""
    return lambda function: _register(function, "program", required, tolerance, ())


def _register(
    function: Callable[..., Any], level: Level, required: bool, tolerance: float, rules: tuple[Rule, ...],
    enters_bodies: bool = False,
) -> Pass:
    hints = typing.get_type_hints(function)
    parameters = list(inspect.signature(function).parameters.values())[1:]
    wants_target = any(hints.get(p.name) in (Target, Target | None) for p in parameters)
    options = {
        p.name: Option(p.name, p.default, hints.get(p.name, str))
        for p in parameters
        if p.kind is p.KEYWORD_ONLY and hints.get(p.name) not in (Target, Target | None)
    }
    summary = inspect.cleandoc(function.__doc__ or "")
    made = Pass(
        function.__name__, function, level, required, tolerance, summary, options, rules, wants_target, enters_bodies
    )
    PASSES[made.name] = made
    return made
