"""Graphs of the shapes that neural networks have, built without any model, with box sizes beside them."""

from __future__ import annotations

from itertools import pairwise

import networkx as nx
import numpy as np

Sizes = dict[object, tuple[float, float]]


def box_sizes(graph: nx.DiGraph) -> Sizes:
    """Boxes 28 px high and 96 to 220 px wide, by the length of the name."""
    return {node: (float(min(220, max(96, 40 + 9 * len(str(node))))), 28.0) for node in graph}


class Net:
    """Builds a graph op by op; constants are pulled."""

    def __init__(self) -> None:
        self.graph = nx.DiGraph()

    def constant(self, name: str) -> str:
        self.graph.add_node(name, pull=True)
        return name

    def op(self, name: str, *sources: str, weights: int = 0) -> str:
        self.graph.add_node(name)
        for position, source in enumerate(sources):
            self.graph.add_edge(source, name, ports=(0, position))
        for number in range(weights):
            self.graph.add_edge(self.constant(f"{name}_w{number}"), name, ports=(0, len(sources) + number))
        return name


def resnet(blocks: int = 16, constants: bool = True, batchnorm: bool = True) -> nx.DiGraph:
    """Bottleneck blocks with identity and projection shortcuts, like resnet50."""
    net = Net()
    weights = 2 if constants else 0

    def conv(name: str, x: str, relu: bool = True) -> str:
        y = net.op(f"{name}_conv", x, weights=weights)
        if batchnorm:
            y = net.op(f"{name}_bn", y, weights=2 * weights)
        return net.op(f"{name}_relu", y) if relu else y

    x = net.op("pool", conv("stem", net.op("input")))
    for block in range(blocks):
        name = f"b{block}"
        shortcut = conv(f"{name}_s", x, relu=False) if block in (0, 3, 7, 13) else x
        y = conv(f"{name}_z", conv(f"{name}_y", conv(f"{name}_x", x)), relu=False)
        x = net.op(f"{name}_out", net.op(f"{name}_sum", y, shortcut))
    net.op("softmax", net.op("gemm", net.op("reshape", net.op("average", x)), weights=weights))
    return net.graph


def densenet(blocks: tuple[int, ...] = (6, 12, 24, 16), constants: bool = True) -> nx.DiGraph:
    """Every layer's result is concatenated to all before it, pairwise, like densenet121."""
    net = Net()
    weights = 1 if constants else 0
    x = net.op("stem", net.op("input"), weights=weights)
    for number, layers in enumerate(blocks):
        for layer in range(layers):
            y = x
            for step in ("bn1", "relu1", "conv1", "bn2", "relu2", "conv2"):
                y = net.op(f"d{number}_{layer}_{step}", y, weights=0 if "relu" in step else weights)
            x = net.op(f"d{number}_{layer}_concat", x, y)
        x = net.op(f"t{number}_pool", net.op(f"t{number}_conv", x, weights=weights))
    net.op("gemm", x, weights=weights)
    return net.graph


def all_to_all_concat(layers: int = 40) -> nx.DiGraph:
    """Every concat reads every layer before it: the number of edges grows with the square."""
    net = Net()
    results = [net.op("input")]
    for layer in range(layers):
        x = net.op(f"concat{layer}", *results)
        results.append(net.op(f"relu{layer}", net.op(f"conv{layer}", x, weights=1)))
    return net.graph


def inception(modules: int = 9) -> nx.DiGraph:
    """Modules of four branches of different depth."""
    net = Net()
    x = net.op("stem", net.op("input"), weights=1)
    for module in range(modules):
        ends = [net.op(f"i{module}_a", x, weights=1)]
        for branch in "bc":
            first = net.op(f"i{module}_{branch}1", x, weights=1)
            ends.append(net.op(f"i{module}_{branch}2", first, weights=1))
        ends.append(net.op(f"i{module}_d2", net.op(f"i{module}_d1", x), weights=1))
        x = net.op(f"i{module}_concat", *ends)
    net.op("softmax", x)
    return net.graph


def transformer(layers: int = 12) -> nx.DiGraph:
    """Attention blocks; one mask is read by every layer, and each skips over its attention and its MLP."""
    net = Net()
    mask = net.op("mask_scaled", net.op("mask_cast", net.op("mask")))
    x = net.op("embedding", net.op("tokens"), weights=1)
    for layer in range(layers):
        name = f"l{layer}"
        q, k, v = [net.op(f"{name}_{part}", x, weights=1) for part in "qkv"]
        scores = net.op(f"{name}_scores", q, net.op(f"{name}_kt", k))
        weights = net.op(f"{name}_softmax", net.op(f"{name}_masked", scores, mask))
        y = net.op(f"{name}_proj", net.op(f"{name}_context", weights, v), weights=1)
        x = net.op(f"{name}_norm1", net.op(f"{name}_add1", y, x), weights=1)
        y = net.op(f"{name}_down", net.op(f"{name}_gelu", net.op(f"{name}_up", x, weights=1)), weights=1)
        x = net.op(f"{name}_norm2", net.op(f"{name}_add2", y, x), weights=1)
    net.op("logits", x, weights=1)
    return net.graph


def unet(depth: int = 5) -> nx.DiGraph:
    """Each level down is joined to the level up across the whole depth between them."""
    net = Net()
    x, skips = net.op("input"), []
    for level in range(depth):
        x = net.op(f"down{level}_b", net.op(f"down{level}_a", x, weights=1), weights=1)
        skips.append(x)
        x = net.op(f"down{level}_pool", x)
    for level in reversed(range(depth)):
        x = net.op(f"up{level}_concat", net.op(f"up{level}_resize", x), skips[level])
        x = net.op(f"up{level}_b", net.op(f"up{level}_a", x, weights=1), weights=1)
    return net.graph


def low_level(instructions: int = 250) -> nx.DiGraph:
    """alloc, weight, instruction, dealloc: each buffer is freed a little after its last use."""
    net = Net()
    buffer = net.op("input")
    for number in range(instructions):
        alloc = net.op(f"alloc{number}")
        net.graph.nodes[alloc]["pull"] = True
        new = net.op(f"instr{number}", buffer, alloc, weights=1)
        if number:
            net.op(f"dealloc{number}", new, buffer)
        buffer = new
    return net.graph


def random_dag(nodes: int = 200, degree: float = 1.4, seed: int = 0) -> nx.DiGraph:
    """Edges from earlier to later nodes, most of them short."""
    rng = np.random.default_rng(seed)
    graph = nx.DiGraph()
    graph.add_nodes_from(range(nodes))
    for _ in range(int(nodes * degree)):
        head = int(rng.integers(1, nodes))
        tail = max(0, head - 1 - int(rng.exponential(nodes / 10)))
        graph.add_edge(tail, head)
    return graph


def chain(nodes: int) -> nx.DiGraph:
    """One line."""
    graph = nx.DiGraph()
    graph.add_nodes_from(range(nodes))
    graph.add_edges_from(pairwise(range(nodes)))
    return graph
