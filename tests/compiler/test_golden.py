"""Every golden file says what its passes do now, keeps the numbers, and names its reasons."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from glowviz.compiler import program_passes
from glowviz.compiler.graph import Graph
from glowviz.compiler.rewrite import PASSES
from glowviz.compiler.validate import compare
from glowviz.compiler.verify import verify_graph, verify_program
from tests.compiler.golden_files import ROOT, golden_paths, printed, read, run, written

PATHS = golden_paths()
GRAPH_PASSES = sorted(name for name, one in PASSES.items() if one.level != "program" and name != "bind_shapes")
IDS = [str(path.relative_to(ROOT).with_suffix("")) for path in PATHS]


@pytest.mark.parametrize("path", PATHS, ids=IDS)
def test_golden(path: Path, request: pytest.FixtureRequest) -> None:
    golden = read(path.read_text())
    assert golden.head.startswith("//"), "a golden file opens with its caption"
    assert golden.sections, "a golden file has a section for at least one pass"
    verify = verify_graph if isinstance(golden.first, Graph) else verify_program
    verify(golden.first)
    steps = run(golden)
    if request.config.getoption("--update-golden"):
        path.write_text(written(golden, steps))
        golden = read(path.read_text())
    reasons = [reason for step in steps for reason in step.reasons]
    for wanted in golden.keeps:
        assert any(wanted in reason for reason in reasons), f"no reason has {wanted!r}; reasons: {reasons}"
    for section, step in zip(golden.sections, steps, strict=True):
        assert printed(step.after) == section.text, f"--- {section.spec} (make golden rewrites it)"
        assert step.changed or golden.keeps, f"--- {section.spec} changes nothing and no `// keeps:` says why"
        verify(step.after, since=step.before)
        verify(step.after)
        found = compare(step.before, step.after)
        assert found.within(PASSES[step.name].tolerance), f"--- {section.spec}: {found}"
        assert [o.public for o in step.after.outputs] == [o.public for o in step.before.outputs]


@pytest.mark.parametrize("name", GRAPH_PASSES)
def test_every_rule_fires_in_a_golden_file(name: str) -> None:
    fired: set[str] = set()
    for path in PATHS:
        golden = read(path.read_text())
        if any(name in section.spec for section in golden.sections):
            fired |= {change.rule for step in run(golden) if step.name == name for change in step.log.changes}
    never = [rule.name for rule in PASSES[name].rules if rule.name not in fired and "Keep:" not in rule.summary]
    assert not never, f"rules of {name} that fire in no golden file: {never}"


def test_every_rule_of_the_program_passes_fires_in_a_golden_file() -> None:
    programs = [path for path in PATHS if PASSES[path.parent.name].level == "program"]
    fired = {change.rule for path in programs for step in run(read(path.read_text())) for change in step.log.changes}
    sources = (Path(program_passes.__path__[0])).glob("*.py")
    rules = {name for source in sources for name in re.findall(r'"(\w+_\w+)"', source.read_text())} - set(PASSES)
    assert rules - fired <= {"fill_halo"}, "rules of program passes that fire in no golden file"
    assert len(fired) >= 12


@pytest.mark.parametrize("path", PATHS, ids=IDS)
def test_changes_name_their_values(path: Path) -> None:
    """A reason speaks of values: it is more than the name of a rule."""
    for step in run(read(path.read_text())):
        for change in step.log.changes:
            assert "%" in change.reason, change
            assert change.removed or change.added or change.changed, change
