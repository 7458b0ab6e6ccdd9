"""What a search leaves behind: a small graph as ONNX and as text, and a test that fails while the fault is there."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from glowviz.compiler.exporter import ExportProblem, save
from glowviz.compiler.graph import Graph
from glowviz.compiler.predicates import Predicate
from glowviz.compiler.text import write_glow


def write_part(part: Graph, path: Path, test: str) -> list[Path]:
    """Write a part as ONNX (`path`), as text and with `test`; ONNX is left out where it has no word for the part."""
    text, tested = path.with_suffix(".glow"), test_path(path)
    written = [text, tested]
    beside = write_glow(text, part)
    tested.write_text(test, encoding="utf-8")
    with suppress(ExportProblem):
        save(part, path)
        written.insert(0, path)
    return [*written, *([Path(beside)] if beside else [])]


def test_path(path: Path) -> Path:
    """Where the test of a part stands: test_cut.py beside cut.onnx."""
    return path.with_name(f"test_{path.stem.replace('-', '_').replace('.', '_')}.py")


test_path.__test__ = False  # type: ignore[attr-defined]  # pytest takes it for a test where it is imported


def difference_test(name: str, tolerance: float, text: str, target: str = "cpu") -> str:
    """The pass `name` must keep what the graph in the file `text` computes, within `tolerance` of max |value|."""
    return _told(f"{name} keeps what this cut-out computes (it did not when the file was written).", name, text, (
        "from glowviz.compiler.backends import backend_named", "from glowviz.compiler.rewrite import PASSES",
        "from glowviz.compiler.validate import compare",
    ), (
        f'after, _ = PASSES["{name}"].run(before, backend_named("{target}").target)',
        "difference = compare(before, after)", f"assert difference.within({tolerance!r}), str(difference)",
    ))


def predicate_test(
    name: str, told: str, predicate: Predicate, text: str, on_programs: bool, target: str = "cpu"
) -> str:
    """The pass `name` must not do what it was caught at: `told` in words, `predicate` as a question."""
    part = predicate.of_part()
    if on_programs:
        imports = ("from glowviz.compiler.bisect import Compilation, bisect_states",
                   f"from glowviz.compiler.predicates import {type(part).__name__}")
        lines = (f'steps = Compilation(before, target="{target}").steps()',
                 f"found = bisect_states(steps, {predicate!r})",
                 f'assert found is None or found.name != "{name}", found.told')
    else:
        imports = ("from glowviz.compiler.backends import backend_named",
                   f"from glowviz.compiler.predicates import {type(part).__name__}",
                   "from glowviz.compiler.rewrite import PASSES")
        lines = (f'after, _ = PASSES["{name}"].run(before, backend_named("{target}").target)', f"asked = {part!r}",
                 "figures = asked.measure(before), asked.measure(after)",
                 "assert not asked.bad(*figures), asked.told(*figures)")
    return _told(f"{name}: {told} (when this file was written).", name, text, imports, lines)


def time_test(name: str, told: str, percent: float, text: str, target: str = "cpu") -> str:
    """The code of the graph must not be slower with the pass than without it."""
    return _told(f"{name}: {told} (when this file was written).", name, text,
                 ("from glowviz.compiler.bisect import slower",),
                 (f'assert not slower(before, "{name}", {percent!r}, "{target}")',))


def _told(doc: str, name: str, text: str, imports: tuple[str, ...], lines: tuple[str, ...]) -> str:
    imported = "\n".join(sorted((*imports, "from glowviz.compiler.text import Contents, parse_graph")))
    body = "\n    ".join(lines)
    return f'''"""{doc}"""

from pathlib import Path

import glowviz.compiler.pipeline  # registers ops and passes
{imported}


def test_{name}() -> None:
    path = Path(__file__).with_name("{text}")
    before = parse_graph(path.read_text(encoding="utf-8"), Contents(path))
    {body}
'''
