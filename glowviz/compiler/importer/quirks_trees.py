"""Forests in their three forms (TreeEnsemble, and the older Regressor and Classifier) become one op, Trees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from glowviz.compiler.importer.quirks import op, quirk
from glowviz.compiler.importer.quirks_ml import ML, after, as_floats, choose, floats_of, table
from glowviz.compiler.importer.site import NotTaken, Site
from glowviz.compiler.ops.base import Op
from glowviz.compiler.ops.trees import AGGREGATES, MODES

TRANSFORMS = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")
NEWER_MODES = ("LEQ", "LT", "GTE", "GT", "EQ", "NEQ", "MEMBER")


@dataclass(frozen=True)
class Forest:
    """The operands of Trees but for x."""

    roots: np.ndarray
    nodes: np.ndarray
    splits: np.ndarray
    leaves: np.ndarray
    present: np.ndarray
    members: np.ndarray

    def op(self, site: Site, x: str, aggregate: str) -> Op:
        """The arrays as constants, and the op that reads them."""
        dtype = self.leaves.dtype
        operands = (
            site.const(self.roots, "roots"), site.const(self.nodes, "nodes"), site.const(self.splits, "splits", dtype),
            site.const(self.leaves, "leaves", dtype), site.const(self.present, "present", np.bool_),
            site.const(self.members, "members", dtype),
        )
        return op("Trees", x, *operands, aggregate=aggregate)


@quirk(f"{ML}::TreeEnsemble")
def tree_ensemble(site: Site) -> Op:
    """Leaves have one target each; a node says of either child whether it is a leaf."""
    weights, targets = floats_of(site, "leaf_weights"), np.array(site.ints("leaf_targetids"))
    splits = floats_of(site, "nodes_splits")
    if weights is None or splits is None:
        raise site.problem("TreeEnsemble has no leaves", "leaf_weights and nodes_splits")
    count = int(site.number("n_targets", int(targets.max(initial=0)) + 1))
    leaves = np.zeros((len(weights), count), weights.dtype)
    present = np.zeros(leaves.shape, np.bool_)
    rows = np.arange(len(weights))
    leaves[rows, targets], present[rows, targets] = weights, True
    modes = np.asarray(floats_of(site, "nodes_modes", np.zeros(len(splits), np.int64)))
    members, starts = _members(site, modes, weights.dtype)
    splits = np.where(modes == MODES.index("MEMBER"), starts, splits).astype(weights.dtype)
    missing = site.ints("nodes_missing_value_tracks_true") or (0,) * len(splits)
    yes = _children(site.ints("nodes_truenodeids"), site.ints("nodes_trueleafs"))
    no = _children(site.ints("nodes_falsenodeids"), site.ints("nodes_falseleafs"))
    features = site.ints("nodes_featureids")
    nodes = np.stack([np.asarray(c) for c in (features, modes, yes, no, missing)], 1).astype(np.int64)
    forest = Forest(np.array(site.ints("tree_roots")), nodes, splits, leaves, present, members)
    aggregate = AGGREGATES[int(site.number("aggregate_function", 1))]
    scores = site.add(forest.op(site, as_floats(site, site.need(0)), aggregate), "scores")
    return after(site, scores, TRANSFORMS[int(site.number("post_transform", 0))])


def _children(nodes: tuple[int, ...], leafs: tuple[int, ...]) -> list[int]:
    return [-1 - n if leaf else n for n, leaf in zip(nodes, leafs, strict=True)]


def _members(site: Site, modes: np.ndarray, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """The sets of MEMBER nodes, and for each node where its own begins."""
    members = floats_of(site, "membership_values", np.array([np.nan]))
    members = np.asarray(members).astype(dtype)
    begins = np.concatenate([[0], np.flatnonzero(np.isnan(members)) + 1])
    order = np.cumsum(modes == MODES.index("MEMBER")) - 1
    return members, begins[np.clip(order, 0, len(begins) - 1)]


def _old_forest(site: Site, leaf: str, count: int) -> Forest:
    """Nodes and weights of the older forms: named by tree and number, a leaf may speak of several targets."""
    trees, numbers = site.ints("nodes_treeids"), site.ints("nodes_nodeids")
    place = {pair: i for i, pair in enumerate(zip(trees, numbers, strict=True))}
    modes: Any = site.attrs.get("nodes_modes", ())
    leaf_number = {i: k for k, i in enumerate(i for i, mode in enumerate(modes) if mode == "LEAF")}
    values = floats_of(site, "nodes_values")
    splits = np.zeros(len(modes), np.float32) if values is None else values

    def child(tree: int, number: int) -> int:
        at = place[tree, number]
        return -1 - leaf_number[at] if at in leaf_number else at

    missing = site.ints("nodes_missing_value_tracks_true") or (0,) * len(modes)
    yes, no = site.ints("nodes_truenodeids"), site.ints("nodes_falsenodeids")
    names = {f"BRANCH_{mode}": i for i, mode in enumerate(MODES)}
    nodes = [
        (0, 0, -1, -1, 0) if i in leaf_number
        else (site.ints("nodes_featureids")[i], names[modes[i]], child(t, yes[i]), child(t, no[i]), missing[i])
        for i, t in enumerate(trees)
    ]
    leaves, present = _old_leaves(site, leaf, count, place, leaf_number, splits.dtype)
    first = {tree: i for i, tree in reversed(list(enumerate(trees)))}
    inner = {n[k] for n in nodes for k in (2, 3) if n[k] >= 0}
    roots = [next((i for i, t in enumerate(trees) if t == tree and i not in inner and i not in leaf_number), None)
             for tree in sorted(first)]  # fmt: skip
    starts = [first[t] if r is None else r for t, r in zip(sorted(first), roots, strict=True)]
    starts = [-1 - leaf_number[r] if r in leaf_number else r for r in starts]
    return Forest(np.array(starts), np.array(nodes), splits, leaves, present, np.array([np.nan], splits.dtype))


def _old_leaves(
    site: Site, leaf: str, count: int, place: dict[tuple[int, int], int], leaf_number: dict[int, int], dtype: np.dtype
) -> tuple[np.ndarray, np.ndarray]:
    plural = {"target": "target_weights", "class": "class_weights"}[leaf]
    weights = floats_of(site, plural)
    leaves = np.zeros((len(leaf_number), count), dtype)
    present = np.zeros(leaves.shape, np.bool_)
    ids = zip(site.ints(f"{leaf}_treeids"), site.ints(f"{leaf}_nodeids"), site.ints(f"{leaf}_ids"), strict=True)
    for (tree, node, target), weight in zip(ids, () if weights is None else weights, strict=True):
        row = leaf_number[place[tree, node]]
        leaves[row, target] += weight
        present[row, target] = True
    return leaves, present


def _based(site: Site, scores: str) -> str:
    base = floats_of(site, "base_values")
    if base is None:
        return scores
    return site.add(op("Add", scores, site.const(base, "base", site.type(scores).dtype)), "based")


@quirk(f"{ML}::TreeEnsembleRegressor")
def tree_regressor(site: Site) -> Op:
    """Targets are what the leaves say of them, plus base values."""
    forest = _old_forest(site, "target", int(site.number("n_targets", 1)))
    aggregate = str(site.attrs.get("aggregate_function", "SUM"))
    scores = site.add(forest.op(site, as_floats(site, site.need(0)), aggregate), "scores")
    return after(site, _based(site, scores), str(site.attrs.get("post_transform", "NONE")))


@quirk(f"{ML}::TreeEnsembleClassifier")
def tree_classifier(site: Site) -> None:
    """A score per class; where weights speak of one class only, it is the second of two.

    As in onnxruntime, weights that are all positive are probabilities then, and need no post_transform.
    """
    classes = table(site, "classlabels")
    if classes is None:
        raise site.problem("TreeEnsembleClassifier names no classes", "classlabels_int64s or classlabels_strings")
    spoken = set(site.ints("class_ids"))
    single = len(classes) == 2 and len(spoken) == 1
    if single and site.attrs.get("post_transform", "NONE") not in ("NONE", "LOGISTIC"):
        raise NotTaken("its post_transform of one score for two classes is not known here")
    forest = _old_forest(site, "class", len(classes))
    if single:
        (one,) = spoken
        columns = slice(one, one + 1)
        forest = Forest(
            forest.roots, forest.nodes, forest.splits, forest.leaves[:, columns], forest.present[:, columns],
            forest.members,
        )
    scores = _based(site, site.add(forest.op(site, as_floats(site, site.need(0)), "SUM"), "scores"))
    if single and bool((forest.leaves >= 0).all()):
        _binary(site, scores, classes)
        return
    choose(site, scores, classes, str(site.attrs.get("post_transform", "NONE")), single=single)


def _binary(site: Site, scores: str, classes: np.ndarray) -> None:
    """Probabilities of the second class: the first has what is left of 1."""
    rest = site.add(op("Sub", site.const(1, "one", site.type(scores).dtype), scores), "rest")
    both = site.add(op("Concat", (rest, scores), axis=-1), "both")
    choose(site, both, classes, "NONE", single=False)
