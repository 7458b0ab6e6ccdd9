"""A golden file is a graph or a program, and after each `--- pass` line what the pass makes of it.

The comments before it: the first is the caption; `// keeps: …` is part of a reason that a pass must give for
something it left alone; `// target: keeps=Relu+Conv orders=Conv:NCHW16c fuses=Conv width=16` describes the machine.
`--- name{option=1}` starts from the first graph, `--- then name` from the section before.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from glowviz.compiler import passes, program_passes  # declares them
from glowviz.compiler.graph import Graph
from glowviz.compiler.program import Program
from glowviz.compiler.recording.records import PassLog
from glowviz.compiler.rewrite import PASSES
from glowviz.compiler.target import Target
from glowviz.compiler.text import parse_graph, parse_program, print_graph, print_program

ROOT = Path(__file__).parent.parent / "golden"
SPEC = re.compile(r"(then )?(\w+)(?:\{(.*)\})?\Z")


def printed(ir: Graph | Program) -> str:
    """The text of either IR."""
    return print_graph(ir) if isinstance(ir, Graph) else print_program(ir)


@dataclass(frozen=True)
class Section:
    """One step: the line after `---` and the graph or program that stands below it."""

    spec: str
    text: str


@dataclass(frozen=True)
class Step:
    """What really happened in one section."""

    name: str
    before: Any
    after: Any
    log: PassLog

    @property
    def changed(self) -> bool:
        return printed(self.before) != printed(self.after)

    @property
    def reasons(self) -> list[str]:
        return [refusal.reason for group in self.log.groups.values() for refusal in group.examples]


@dataclass(frozen=True)
class GoldenFile:
    """A golden file taken apart."""

    head: str
    sections: tuple[Section, ...]
    keeps: tuple[str, ...] = ()
    target: Target = field(default_factory=lambda: Target("golden"))

    @property
    def caption(self) -> str:
        return self.head.split("\n")[0].removeprefix("//").strip()

    @property
    def first(self) -> Any:
        """The Graph or Program it opens with."""
        return (parse_program if re.search(r"^program @", self.head, re.MULTILINE) else parse_graph)(self.head)


def read(text: str) -> GoldenFile:
    """Take the text of a golden file apart."""
    head, *rest = re.split(r"^--- *", text, flags=re.MULTILINE)
    sections = tuple(Section(*(part.strip() for part in (*body.split("\n", 1), "")[:2])) for body in rest)
    keeps = tuple(re.findall(r"^// keeps: *(.*?) *$", head, re.MULTILINE))
    found = re.search(r"^// target: *(.*)$", head, re.MULTILINE)
    return GoldenFile(head.strip(), sections, keeps, _target(found.group(1) if found else ""))


def written(golden: GoldenFile, steps: list[Step]) -> str:
    """The text with every section as the passes make it now."""
    parts = [golden.head]
    for section, step in zip(golden.sections, steps, strict=True):
        parts.append(f"--- {section.spec}\n{printed(step.after)}")
    return "\n".join(parts) + "\n"


def run(golden: GoldenFile) -> list[Step]:
    """Run every section's pass."""
    first = current = golden.first
    steps: list[Step] = []
    for section in golden.sections:
        found = SPEC.match(section.spec)
        assert found, f"cannot read the section line --- {section.spec}"
        then, name, options = found.groups()
        before = current if then else first
        current, log = PASSES[name].run(before, golden.target, **_options(options or ""))
        steps.append(Step(name, before, current, log))
    return steps


def _options(text: str) -> dict[str, Any]:
    pairs = (pair.split("=", 1) for pair in text.split(",") if pair.strip())
    return {name.strip(): ast.literal_eval(value.strip()) for name, value in pairs}


def _target(text: str) -> Target:
    facts = dict(pair.split("=", 1) for pair in text.split())
    orders = tuple((op, name) for op, _, name in (p.partition(":") for p in facts.get("orders", "").split("+") if p))
    names = {key: frozenset(n for n in facts.get(key, "").split("+") if n) for key in ("keeps", "fuses")}
    width = int(facts.get("width", "16"))
    return Target("golden", vector_width=width, keeps=names["keeps"], fuses=names["fuses"], orders=orders)


def golden_paths() -> list[Path]:
    """All golden files."""
    assert passes.__name__
    assert program_passes.__name__
    return sorted(path for path in ROOT.glob("*/*.glow") if path.parent.name in PASSES)
