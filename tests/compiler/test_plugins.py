"""Ops, passes and backends of installed packages are found, once; a broken one costs a line and nothing else."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from onnx import TensorProto, helper

from glowviz.compiler import plugins
from glowviz.compiler.backends import BACKENDS, backend_named, known_backends
from glowviz.compiler.backends.base import BackendProblem
from glowviz.compiler.importer import read_model
from glowviz.compiler.ledger import Ledger
from glowviz.compiler.ops.base import INSTRUCTIONS, OPS
from glowviz.compiler.rewrite import PASSES, RULES
from glowviz.compiler.target import Target
from glowviz.compiler.text import parse_graph, print_graph
from glowviz.compiler.text.scanner import TextProblem

OP = '''"""An op of another package."""
import numpy as np
from glowviz.compiler.ops import Elementwise, Value, case


class Swoosh(Elementwise):
    """x * x * x."""

    x: Value
    onnx = "Swoosh"
    domain = "fake.pack"

    def scalar(self, m, x):
        return x * x * x

    def samples(self, rng):
        yield case(rng.normal(size=(2, 3)).astype(np.float32))
'''
PASS = '''"""A pass of another package."""
from glowviz.compiler.ops import Relu
from glowviz.compiler.rewrite import Rewrite, apply, graph_pass, rule


@rule(Relu)
def relu_of_relu(g, node):
    """Relu(Relu(x)) -> Relu(x)"""
    inner = g.op(node.op.x)
    return Rewrite(node.op.x, f"%{node.op.x} is not negative") if isinstance(inner, Relu) else None


@graph_pass(rules=(relu_of_relu,))
def drop_relu(graph):
    """Relu(Relu(x)) -> Relu(x)"""
    return apply(graph, (relu_of_relu,))
'''
CHIP = '''from glowviz.compiler.backends.interpreter_backend import interpreter as backend

COUNT = 0
'''
ENTRIES = """
[glowviz.ops]
swoosh = fake_swoosh
[glowviz.passes]
drop_relu = fake_passes
missing = fake_pack_without_this_module
stops = fake_exit
[glowviz.backends]
chip = fake_chip:backend
cpu = fake_chip:nothing
broken-chip = fake_chip:nothing
"""
TWICE = 'graph @g(%x: f32[4]) {\n  %a: f32[4] = Relu(%x)\n  %b: f32[4] = Relu(%a)\n  return "y"=%b\n}\n'


def install(folder: Path) -> Path:
    """A package as pip leaves it behind."""
    facts = folder / "fake_pack-1.2.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-pack\nVersion: 1.2\n")
    (facts / "entry_points.txt").write_text(ENTRIES)
    for name, text in {"swoosh": OP, "passes": PASS, "chip": CHIP, "exit": "raise SystemExit(3)"}.items():
        (folder / f"fake_{name}.py").write_text(text)
    return folder


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package is installed, and this process has not looked for any yet; afterwards all is as it was."""
    tables = [OPS, INSTRUCTIONS, PASSES, RULES]
    before = [dict(table) for table in tables]
    monkeypatch.syspath_prepend(install(tmp_path))
    monkeypatch.setattr(plugins, "_loaded", False)
    yield tmp_path
    for table, kept in zip(tables, before, strict=True):
        table.clear()
        table.update(kept)
    for name in ("fake_swoosh", "fake_passes", "fake_chip"):
        sys.modules.pop(name, None)
    importlib.invalidate_caches()


def test_ops_are_there_for_texts(package: Path) -> None:
    text = 'graph @g(%x: f32[4]) {\n  %a: f32[4] = Swoosh(%x)\n  return "y"=%a\n}'
    assert print_graph(parse_graph(text)) == text


def test_ops_are_there_for_models(package: Path) -> None:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Swoosh", ["x"], ["y"], domain="fake.pack")], "g", [x], [y])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("fake.pack", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    assert [node.kind for node in read_model(model)] == ["Swoosh"]


def test_passes_are_there_for_the_ledger(package: Path) -> None:
    graph = Ledger(Target("cpu")).run("drop_relu", "Mine", parse_graph(TWICE))
    assert list(graph.nodes) == ["a"]


def test_a_broken_plugin_costs_one_line_once(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        Ledger(Target("cpu"))
    assert capsys.readouterr().err.splitlines() == [
        "glowviz: plug-in 'missing' of package fake-pack 1.2 (glowviz.passes: fake_pack_without_this_module) cannot be "
        "loaded and is left out: ModuleNotFoundError: No module named 'fake_pack_without_this_module'",
        "glowviz: plug-in 'stops' of package fake-pack 1.2 (glowviz.passes: fake_exit) cannot be loaded and is left "
        "out: SystemExit: 3",
    ]
    assert "drop_relu" in PASSES


def test_backends_are_imported_when_asked_for(package: Path) -> None:
    known = known_backends()
    assert known["chip"] == "plug-in 'chip' of package fake-pack 1.2 (glowviz.backends: fake_chip:backend)"
    assert list(known)[: len(BACKENDS)] == list(BACKENDS)
    assert known["cpu"] == BACKENDS["cpu"][1]
    assert "fake_chip" not in sys.modules
    assert backend_named("chip").target.name == backend_named("interpreter").target.name


def test_a_broken_backend_is_refused_by_name(package: Path) -> None:
    with pytest.raises(BackendProblem, match=r"broken-chip' of package fake-pack 1.2 .*AttributeError"):
        backend_named("broken-chip")
    with pytest.raises(BackendProblem, match="did you mean 'broken-chip'"):
        backend_named("brokenchip")


def test_without_packages_nothing_is_added() -> None:
    plugins.load_plugins()
    assert "Swoosh" not in OPS
    with pytest.raises(TextProblem):
        parse_graph("graph @g(%x: f32[4]) {\n  %a: f32[4] = Swoosh(%x)\n}")


def test_the_command_line_knows_them(tmp_path: Path) -> None:
    """As a person has it: another process, nothing but an installed package."""
    paths = os.pathsep.join([str(install(tmp_path)), *filter(None, sys.path)])
    run = subprocess.run([sys.executable, "-m", "glowviz", "opt", "-", "--passes", "drop_relu"], input=TWICE, text=True,
                         capture_output=True, env=os.environ | {"PYTHONPATH": paths}, check=True)
    assert "%b" not in run.stdout
    assert run.stderr.count("cannot be loaded and is left out") == 2


@pytest.mark.parametrize(("table", "column", "name"), [
    ("ops", "op", "Swoosh"), ("passes", "pass", "drop_relu"), ("backends", "backend", "chip")])
def test_the_tables_show_them(package: Path, capsys: pytest.CaptureFixture[str], table: str, column: str,
                              name: str) -> None:
    from glowviz.cli.main import main

    assert main([table, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert name in [row[column] for row in rows]
