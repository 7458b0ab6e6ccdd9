"""python benchmarks/ir.py prints what verifying, recording, printing and long chains cost, in CPU seconds and bytes.

Run it alone on an idle machine; give names (record, print, chain, resnet50) to run only some.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from glowviz.compiler.backends import backend_named
from glowviz.compiler.graph import Graph, Node, Origin, Output
from glowviz.compiler.ledger import Ledger
from glowviz.compiler.ops import Add, Relu
from glowviz.compiler.pipeline import compile, import_graph, optimize
from glowviz.compiler.recording.writer import Recorder, Step
from glowviz.compiler.rewrite import Edit
from glowviz.compiler.text import print_graph
from glowviz.compiler.types import Type
from glowviz.compiler.verify import verify_graph
from glowviz.gallery import card

TYPE = Type("f32", (1, 64, 14, 14))


def network(count: int) -> Graph:
    """A chain of `count` nodes with a skip connection at every second one."""
    nodes: dict[str, Node] = {}
    previous = skip = "x"
    for k in range(count):
        op = Add(previous, skip) if k % 2 else Relu(previous)
        name = f"n{k}"
        nodes[name] = Node(op, (name,), (TYPE,), Origin.of(f"onnx_{k}"))
        skip, previous = previous, name
    return Graph("network", {"x": TYPE}, {}, nodes, (Output("y", previous),))


def changed(graph: Graph, number: int) -> Graph:
    """The graph after a pass that touches 2 % of it: half are replaced in place; before a quarter a new node is put,
    or, by every second pass, the one that the pass before has put there is taken away again."""
    edit = Edit(graph)
    fresh = [node for node in graph if node.name.endswith(".r")]
    for node in fresh:
        edit.rewire(node.name, node.op.operands[0])
        edit.remove(node)
    for k, node in enumerate([n for n in graph if not n.name.endswith(".r")][number % 50 :: 50]):
        now = edit.node(node.name) or node
        if k % 2:
            edit.replace_node(now, now.evolve(label=f"pass {number}"))
        elif k % 4 == 0 and not fresh:
            name = f"{node.name}.r"
            edit.insert(Node(Relu(now.op.operands[0]), (name,), (TYPE,), node.origin), before=node.name)
            edit.replace_node(now, now.evolve(op=now.op.with_operands({now.op.operands[0]: name})))
    return edit.finish()


def relabelled(graph: Graph) -> Graph:
    """The graph after a pass that changes every node."""
    return graph.evolve(nodes={name: node.evolve(label="all") for name, node in graph.nodes.items()})


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of this process that the work takes."""
    started = time.process_time()
    work()
    return time.process_time() - started


def record(count: int = 10_000, passes: int = 60) -> tuple[float, float, int]:
    """CPU seconds of verifying and of recording, and bytes of the file, for passes that change 2 % and one that
    changes everything."""
    before = network(count)
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(Path(folder) / "run.glowrec", {})
        verify_graph(before)
        recorder.step(Step("import", "Import", "graph"), before)
        verifying = recording = 0.0
        for k in range(passes + 1):  # like the compiler, this holds one graph at a time
            after = changed(before, k) if k < passes else relabelled(before)
            verifying += cpu(partial(verify_graph, after, since=before))
            recording += cpu(partial(recorder.step, Step("pass", "Simplify", "graph"), after))
            before = after
        recorder.finish()
        return verifying, recording, recorder.path.stat().st_size


def printing(count: int = 10_000) -> float:
    """CPU seconds of printing a graph, the fastest of five."""
    graph = network(count)
    return min(cpu(lambda: print_graph(graph)) for _ in range(5))


def chain_model(path: Path, count: int) -> None:
    """An ONNX file that is one chain of `count` element-wise nodes."""
    kinds = ("Relu", "Neg", "Abs", "Tanh")
    nodes = [helper.make_node(kinds[k % 4], [f"v{k}"], [f"v{k + 1}"], name=f"node_{k}") for k in range(count)]
    ends = [helper.make_tensor_value_info(f"v{k}", TensorProto.FLOAT, [1, 64]) for k in (0, count)]
    graph = helper.make_graph(nodes, "chain", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)


def chain(count: int = 100_000) -> tuple[float, float, int, int]:
    """CPU seconds of importing and of all graph passes with recording, bytes of the file, peak bytes of the process."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "chain.onnx"
        chain_model(model, count)
        backend = backend_named("cpu", 1)
        recorder = Recorder(Path(folder) / "run.glowrec", {})
        ledger = Ledger(backend.target, recorder)
        graphs: list[Graph] = []
        reading = cpu(lambda: graphs.append(import_graph(model, None, ledger)))
        passing = cpu(lambda: optimize(graphs[0], ledger, backend))
        recorder.finish()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return reading, passing, recorder.path.stat().st_size, peak


def resnet50() -> tuple[float, int]:
    """CPU seconds of compiling resnet50 with a recording, and bytes of the recording."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.glowrec"
        seconds = cpu(lambda: compile(str(card("resnet50").path()), record=path))
        return seconds, path.stat().st_size


def report(names: list[str]) -> None:
    """Print what was measured beside what is asked for."""
    if "record" in names:
        verifying, recording, size = record()
        print(f"10,000 nodes, 61 passes: verify {verifying:.2f} + record {recording:.2f} = {verifying + recording:.2f} "
              f"CPU-s (asked: 0.5), file {size / 1e6:.1f} MB (asked: 30)")
    if "print" in names:
        print(f"10,000 nodes: printed in {1000 * printing():.0f} ms CPU (asked: 100)")
    if "chain" in names:
        reading, passing, size, peak = chain()
        print(f"100,000-node chain: import {reading:.1f} + passes with recording {passing:.1f} = "
              f"{reading + passing:.1f} CPU-s (asked: 60), file {size / 1e6:.1f} MB, {peak / 1e9:.2f} GB (asked: 2)")
    if "resnet50" in names:
        seconds, size = resnet50()
        print(f"resnet50: {seconds:.1f} CPU-s with recording, file {size / 1e6:.2f} MB (asked: 3)")


if __name__ == "__main__":
    report(sys.argv[1:] or ["record", "print", "chain", "resnet50"])
