"""Commands run in this process, as `glowviz.cli.main([...])` would be called, in a folder of their own."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from glowviz.cli import main
from glowviz.compiler.rewrite import PASSES, RULES

SMALL = Path(__file__).with_name("small.glow")


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str

    @property
    def refusal(self) -> str:
        """The one line of a refused input."""
        assert self.status == 2, self.err
        assert self.out == ""
        assert self.err.startswith("glowviz: ")
        assert self.err.count("\n") == 1
        assert self.err.endswith("\n")
        assert "Traceback" not in self.err
        return self.err.strip()


Command = Callable[..., Ran]


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Contents and kernels of these tests stay out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLOWVIZ_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that commands run in; it holds small.glow."""
    shutil.copy(SMALL, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def glowviz(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run one command; `stdin` is what it reads there."""

    def run(*arguments: object, stdin: str = "") -> Ran:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        capsys.readouterr()
        status = main([str(one) for one in arguments])
        said = capsys.readouterr()
        return Ran(status, said.out, said.err)

    return run


@pytest.fixture
def free(folder: Path) -> Path:
    """free.onnx: y = Relu(x) for x f32[n × size], where both dimensions are free."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", "size"]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "free", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.save(model, folder / "free.onnx")
    return folder / "free.onnx"


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """small.glow compiled and timed once, from an ONNX file that is still there."""
    from glowviz.cli.sources import source
    from glowviz.compiler.exporter import save

    here = tmp_path_factory.mktemp("recorded")
    save(source(str(SMALL)), here / "small.onnx")
    out = here / "small.glowrec"
    assert main(["compile", str(here / "small.onnx"), "-o", str(out), "--time", "3", "--quiet"]) == 0
    return out


@pytest.fixture
def own_passes() -> Iterator[None]:
    """What a test declares is forgotten after it."""
    passes, rules = dict(PASSES), dict(RULES)
    yield
    for table, kept in ((PASSES, passes), (RULES, rules)):
        table.clear()
        table.update(kept)


@pytest.fixture
def wrong_rule(folder: Path, own_passes: None) -> Path:
    """wrong.py: a pass `arithmetic` with a rule that is right for one node of small.glow and wrong for the other."""
    path = folder / "wrong.py"
    path.write_text(WRONG, encoding="utf-8")
    return path


WRONG = '''"""A planted miscompile."""
from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.ops import Abs, Mul, Relu
from glowviz.compiler.rewrite import Edit, Rewrite, apply, graph_pass, rule


@rule(Mul)
def times_one(g: Edit, node: Node) -> Rewrite | None:
    """x * 1 -> x"""
    return Rewrite(node.op.x, f"%{node.op.y} is one") if node.op.y == "one" else None


@rule(Relu)
def relu_is_abs(g: Edit, node: Node) -> Rewrite | None:
    """Relu(x) -> Abs(x)"""
    return Rewrite(Abs(node.op.x), f"%{node.name} was thought to be never negative")


@graph_pass(rules=(times_one, relu_is_abs))
def arithmetic(graph: Graph) -> Graph:
    """Relu(x) -> Abs(x), which is wrong."""
    return apply(graph, (times_one, relu_is_abs))
'''
