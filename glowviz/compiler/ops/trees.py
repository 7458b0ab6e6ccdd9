"""A forest of decision trees in arrays: every row of x falls to one leaf of each tree, and leaves add up."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from glowviz.compiler.ops.base import Case, Op, Value, Work, case
from glowviz.compiler.ops.cases import floats, ints
from glowviz.compiler.types import Type, TypeProblem

MODES = ("LEQ", "LT", "GTE", "GT", "EQ", "NEQ", "MEMBER")
AGGREGATES = ("AVERAGE", "SUM", "MIN", "MAX")


class Trees(Op):
    """Rows of x[N, F] through trees: `roots` name each tree's first node, a negative child -1-k is leaf k.

    nodes[M, 5] holds feature, mode, true child, false child, and whether a missing feature (NaN) goes to the true
    side; splits[M] the number compared with, or for MEMBER where its set begins in `members` (sets end with NaN).
    leaves[L, targets] are what a leaf gives, present[L, targets] which targets it speaks of.
    """

    x: Value
    roots: Value
    nodes: Value
    splits: Value
    leaves: Value
    present: Value
    members: Value
    aggregate: str = "SUM"
    family = "host"

    def infer(self, x: Type, roots: Type, nodes: Type, splits: Type, leaves: Type, *rest: Type) -> Type:
        if x.rank != 2 or nodes.rank != 2 or nodes.dims[1] != 5 or leaves.rank != 2:
            raise TypeProblem(f"x must be [N, F], nodes [M, 5] and leaves [L, targets], got {x}, {nodes}, {leaves}")
        if self.aggregate not in AGGREGATES:
            raise TypeProblem(f"aggregate must be one of {', '.join(AGGREGATES)}, got {self.aggregate!r}")
        return Type(leaves.elem, (x.dims[0], leaves.dims[1]))

    def reference(
        self, x: np.ndarray, roots: np.ndarray, nodes: np.ndarray, splits: np.ndarray, leaves: np.ndarray,
        present: np.ndarray, members: np.ndarray,
    ) -> np.ndarray:
        start = {"MIN": np.inf, "MAX": -np.inf}.get(self.aggregate, 0.0)
        total = np.full((len(x), leaves.shape[1]), start)
        spoken = np.zeros(total.shape, np.bool_)
        for root in roots:
            leaf = self._fall(x, int(root), nodes, splits, members)
            value, known = leaves[leaf].astype(np.float64), present[leaf]
            if self.aggregate in ("MIN", "MAX"):
                pick = np.minimum if self.aggregate == "MIN" else np.maximum
                total = np.where(known, pick(total, value), total)
            else:
                total += np.where(known, value, 0)
            spoken |= known
        if self.aggregate == "AVERAGE":
            total /= max(len(roots), 1)
        return np.where(spoken, total, 0).astype(leaves.dtype)

    def _fall(
        self, x: np.ndarray, root: int, nodes: np.ndarray, splits: np.ndarray, members: np.ndarray
    ) -> np.ndarray:
        """The leaf of every row in one tree; all rows take a step at once."""
        at = np.full(len(x), root, np.int64)
        for _ in range(len(nodes) + 1):
            rows = np.flatnonzero(at >= 0)
            if not rows.size:
                return -1 - at
            node = nodes[at[rows]]
            value = x[rows, node[:, 0]]
            yes = self._compared(value, node[:, 1], splits[at[rows]], members)
            yes = np.where(np.isnan(value.astype(np.float64)), (node[:, 4] != 0) | (yes & (node[:, 4] != 0)), yes)
            at[rows] = np.where(yes, node[:, 2], node[:, 3])
        raise ValueError("the nodes of a tree form a circle")

    @staticmethod
    def _compared(value: np.ndarray, mode: np.ndarray, split: np.ndarray, members: np.ndarray) -> np.ndarray:
        answers = [value <= split, value < split, value >= split, value > split, value == split, value != split]
        yes = np.select([mode == i for i in range(6)], answers, False)
        for i in np.flatnonzero(mode == MODES.index("MEMBER")):
            start = int(split[i])
            ends = np.flatnonzero(np.isnan(members[start:]))
            yes[i] = value[i] in members[start : start + (int(ends[0]) if ends.size else len(members))]
        return yes

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        depth = max(operands[2].dims[0], 2).bit_length()
        return Work(results[0].count * operands[1].count * depth, sum(t.bytes for t in (*operands, *results)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        nodes = np.array([[0, 0, 1, -3, 0], [1, 3, -1, -2, 1], [1, 6, -1, -3, 0]], np.int64)
        leaves = floats(rng, (3, 2))
        members = np.array([1, 2, np.nan], np.float32)
        splits = np.array([0.1, -0.2, 0], np.float32)
        for aggregate in AGGREGATES:
            x = np.round(floats(rng, (5, 2)))
            yield case(x, ints(0, 2), nodes, splits, leaves, np.ones((3, 2), np.bool_), members, aggregate=aggregate)
