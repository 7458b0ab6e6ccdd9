"""Another engine's times are laid beside our kernels by the nodes of the model that both stand for.

The engine runs an optimized graph of its own: what one of its nodes stands for is found from the values it makes, else
from its name, which mostly keeps a name of the model ("r2_nchwc", "mlp.up.matmul/MatMulAddFusion"). It then stands for
what makes those values, and for neighbours that make no value of any other of its nodes. What neither says is told as
not found.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from glowviz.app.wording import median, spread
from glowviz.compiler.recording.peers import Peer, PeerNode
from glowviz.compiler.recording.reader import NodeVersion, Recording
from glowviz.compiler.recording.rows import split

BEFORE = re.compile(r"^fused ")
HEAVY = re.compile(r"Conv|Gemm|MatMul")
WHOLE = re.compile(r"Attention|Loop|Scan|If")
"""Ops of the peer that have products inside."""
UNKNOWN = "?"
"""Stands for a node of the peer that computes a value, but that nothing leads to."""
TAKEN_IN = frozenset({"Add", "Sum", "Relu", "Clip", "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Gelu"})
AFTER = re.compile(r"(_nchwc|_token_\d+|_new_reshape|_quant|[/_.][^/_.]*|\d)$")


@dataclass
class Group:
    """Kernels of ours and nodes of the peer that stand for the same nodes of the model; times in ms."""

    kernels: list[int] = field(default_factory=list)
    nodes: list[PeerNode] = field(default_factory=list)

    @property
    def ms(self) -> float:
        return sum(median(list(node.samples)) for node in self.nodes) / 1e3

    @property
    def spread(self) -> float:
        return sum(spread(list(node.samples)) for node in self.nodes) / 1e3


@dataclass(frozen=True)
class Beside:
    """The groups in which both sides ran something, and the peer's nodes that no kernel of ours stands beside."""

    groups: list[Group]
    unknown: list[PeerNode]
    """What cannot be told: neither the name nor a value is one of the model."""
    alone: list[PeerNode]
    """Known nodes for which we run nothing (a view, a folded constant)."""


def beside(recording: Recording, peer: Peer) -> Beside:
    """Join the peer's nodes to the kernels of a recording."""
    model = _Model(recording.nodes(0))
    makes = {node.name: model.makes(node) for node in peer.nodes}
    nodes = {node.name: node for node in peer.nodes}
    stands = model.stands(makes, nodes)
    rows = recording.query("SELECT position, origins.names AS origins FROM kernels "
                           "LEFT JOIN origins ON origins.id = origin")
    ours = {row["position"]: model.varying & set(split(row["origins"])) for row in rows}
    groups = _groups(ours, stands, nodes)
    joined = {node.name for group in groups for node in group.nodes}
    return Beside(groups, [node for node in peer.nodes if not makes[node.name]],
                  [node for node in peer.nodes if makes[node.name] and node.name not in joined])


class _Model:
    """The imported graph: which node makes a value, and which nodes depend on an input."""

    def __init__(self, nodes: list[NodeVersion]) -> None:
        self.maker = {value: node for node in nodes for value in node.results}
        self.named = {name: node for node in nodes for name in node.origin}
        constant = set[str]()
        for node in nodes:  # a node that reads what nobody makes reads an input, or a weight
            if node.op == "ConstantOfShape" or not node.operands or all(o in constant for o in node.operands):
                constant.update(node.results)
        self.nodes = [node for node in nodes if node.name not in constant]
        self.varying = {name for node in self.nodes for name in node.origin}

    def makes(self, node: PeerNode) -> tuple[str, ...]:
        """Values of the model that a node of the peer makes; () where nothing tells."""
        told = tuple(value for value in node.makes if value in self.maker)
        return told or self._by_name(BEFORE.sub("", node.name))

    def _by_name(self, name: str) -> tuple[str, ...]:
        while name:
            if name in self.maker:
                return (name,)
            if name in self.named:
                return self.named[name].results
            shorter = AFTER.sub("", name)
            if shorter == name:
                return ()
            name = shorter
        return ()

    def stands(self, makes: Mapping[str, tuple[str, ...]], peers: Mapping[str, PeerNode]) -> dict[str, set[str]]:
        """Peer's node → the ONNX names that it stands for.

        A node of the model that makes none of the peer's values was taken in: by what comes after it where only one
        does, else (and wherever it adds to a convolution or product, or is its activation) by what ran last before it.
        """
        ends: dict[str, list[str]] = {}
        for name, values in makes.items():
            for value in values:
                ends.setdefault(value, []).append(name)
        found: dict[str, set[str]] = {name: set() for name, values in makes.items() if values}
        ahead, run = self._ahead(ends), {name: at for at, name in enumerate(peers)}
        behind: dict[str, set[str]] = {}
        """Value → the peer's nodes whose results it is computed from."""
        for node in self.nodes:
            owners = [name for value in node.results for name in ends.get(value, ())]
            sources = {name for o in node.operands for name in behind.get(o, ())}
            if owners:
                sources = set(owners)
            else:
                last = max(sources - {UNKNOWN}, key=lambda name: run[name], default="")
                takes = self._taker(node, "" if UNKNOWN in sources else last, ahead.get(node.name, set()), peers)
                owners = [takes] if takes else []
                sources = {last} if takes and takes == last else sources if takes else {UNKNOWN}
            for name in owners:
                found[name].update(node.origin)
            behind.update(dict.fromkeys(node.results, sources))
        return found

    @staticmethod
    def _taker(node: NodeVersion, last: str, after: set[str], peers: Mapping[str, PeerNode]) -> str:
        """Which of the peer's nodes took in a node of the model that makes none of its values; "" where none can."""
        heavy = bool(last) and HEAVY.search(peers[last].op) is not None and node.op in TAKEN_IN
        takes = last if last and (heavy or len(after) != 1) else next(iter(after)) if len(after) == 1 else ""
        # nobody takes in a convolution or a product: its own node is one whose name says nothing
        return "" if takes and HEAVY.search(node.op) and not WHOLE.search(peers[takes].op) else takes

    def _ahead(self, ends: Mapping[str, list[str]]) -> dict[str, set[str]]:
        """Node that makes none of the peer's values → the peer's nodes that come next after it."""
        after: dict[str, set[str]] = {}
        found: dict[str, set[str]] = {}
        for node in reversed(self.nodes):
            own = {name for value in node.results for name in ends.get(value, ())}
            if not own:
                own = {name for value in node.results for name in after.get(value, ())}
                found[node.name] = own
            for operand in node.operands:
                after.setdefault(operand, set()).update(own)
        return found


def _groups(
    ours: Mapping[int, set[str]], stands: Mapping[str, set[str]], nodes: Mapping[str, PeerNode]
) -> list[Group]:
    """Connected parts of "stands for the same ONNX node", those that have both sides."""
    leader: dict[object, object] = {}

    def find(one: object) -> object:
        while leader.setdefault(one, one) != one:
            leader[one] = leader[leader[one]]
            one = leader[one]
        return one

    for side in (ours, stands):
        for key, names in side.items():
            for name in names:
                leader[find(("onnx", name))] = find(key)
    parts: dict[object, Group] = {}
    for position in ours:
        parts.setdefault(find(position), Group()).kernels.append(position)
    for name in stands:
        parts.setdefault(find(name), Group()).nodes.append(nodes[name])
    return [part for part in parts.values() if part.kernels and part.nodes]
