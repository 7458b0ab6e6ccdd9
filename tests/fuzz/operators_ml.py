"""Classical models (ai.onnx.ml) and training (ai.onnx.preview.training)."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import numpy_helper

from tests.fuzz.growing import Growing, NotValid, Val
from tests.fuzz.operators_heavy import tame
from tests.fuzz.operators_rare import scalar
from tests.fuzz.registry import operator

ML = "ai.onnx.ml"
TRAINING = "ai.onnx.preview.training"


def rows(g: Growing) -> Val:
    """Some rows of three features."""
    return g.value(("f32",), lambda v: tame(v) and v.count > 0, shape=(g.number(1, 7), 3))


def numbers(g: Growing, count: int) -> list[float]:
    return [g.number(-20, 20) / 8 for _ in range(count)]


def ml(g: Growing, op: str, operands: list[Any], *types: tuple[str, tuple[int, ...]], **more: Any) -> list[Val]:
    return g.node(op.split("::")[1], operands, domain=ML, types=types, **more)


@operator(f"{ML}::Binarizer", f"{ML}::Scaler", f"{ML}::Normalizer", f"{ML}::Imputer")
def by_feature(g: Growing, op: str) -> None:
    x = rows(g)
    if "Normalizer" in op:
        x = g.fresh("f32", x.shape, 0.2, 2.0)
    at: dict[str, Any] = {
        "Binarizer": {"threshold": 0.25}, "Scaler": {"offset": numbers(g, 3), "scale": numbers(g, 3)},
        "Normalizer": {"norm": g.one_of(("L1", "L2", "MAX"))},
        "Imputer": {"imputed_value_floats": numbers(g, 3), "replaced_value_float": 0.5},
    }[op.split("::")[1]]  # fmt: skip
    exact = "Binarizer" in op and x.exact
    if "Binarizer" in op and not x.exact:
        raise NotValid
    ml(g, op, [x], ("f32", x.shape), exact=exact or "Imputer" in op, low=-20, high=20, **at)


@operator(f"{ML}::OneHotEncoder", f"{ML}::LabelEncoder", f"{ML}::CategoryMapper")
def categories(g: Growing, op: str) -> None:
    x = g.fresh("i64", (g.number(1, 6),), 0, 5)
    if "OneHot" in op:
        ml(g, op, [x], ("f32", (*x.shape, 3)), exact=True, cats_int64s=[1, 2, 4], zeros=1)
    elif "Label" in op:
        ml(g, op, [x], ("f32", x.shape), exact=True, keys_int64s=[1, 3], values_floats=[0.5, 2.5], default_float=-1.0)
    else:
        x = g.fresh("str", x.shape)
        ml(g, op, [x], ("i64", x.shape), exact=True, cats_strings=["a", "b"], cats_int64s=[3, 7], default_int64=-2)


@operator(f"{ML}::ArrayFeatureExtractor", f"{ML}::FeatureVectorizer")
def features(g: Growing, op: str) -> None:
    x = g.value(("f32",), lambda v: v.count > 0, shape=(g.number(1, 7), 3))
    if "Vectorizer" in op:
        y = g.value(("f32",), shape=(x.shape[0], 2))
        ml(g, op, [x, y], ("f32", (x.shape[0], 5)), exact=True, inputdimensions=[3, 2])
    else:
        picked = g.ints(*(g.number(0, 2) for _ in range(2)))
        ml(g, op, [x, picked], ("f32", (x.shape[0], 2)), exact=True)


@operator(f"{ML}::LinearRegressor", f"{ML}::SVMRegressor")
def regressor(g: Growing, op: str) -> None:
    x = rows(g)
    if "Linear" in op:
        targets = g.number(1, 3)
        ml(g, op, [x], ("f32", (x.shape[0], targets)), low=-60, high=60, coefficients=numbers(g, 3 * targets),
           intercepts=numbers(g, targets), targets=targets)  # fmt: skip
        return
    ml(g, op, [x], ("f32", (x.shape[0], 1)), low=-999, high=999, coefficients=numbers(g, 2), n_supports=2,
       support_vectors=numbers(g, 6), kernel_type=g.one_of(("LINEAR", "RBF", "POLY", "SIGMOID")),
       kernel_params=[0.3, 0.1, 2.0], rho=numbers(g, 1))  # fmt: skip


@operator(f"{ML}::LinearClassifier")
def classifier(g: Growing, op: str) -> None:
    x, classes = rows(g), g.number(3, 5)
    label, scores = ml(
        g, op, [x], ("i64", x.shape[:1]), ("f32", (x.shape[0], classes)), coefficients=numbers(g, 3 * classes),
        intercepts=numbers(g, classes), classlabels_ints=list(range(classes)), multi_class=1,
        post_transform=g.one_of(("NONE", "SOFTMAX", "LOGISTIC")),
    )  # fmt: skip
    g.values.remove(label)  # two scores may be next to each other
    assert scores.shape[1] == classes


@operator(f"{ML}::SVMClassifier")
def votes(g: Growing, op: str) -> None:
    x, classes = rows(g), g.number(2, 4)
    pairs = classes * (classes - 1) // 2
    label, scores = ml(
        g, op, [x], ("i64", x.shape[:1]), ("f32", (x.shape[0], max(pairs, 2))), low=-999, high=999,
        coefficients=numbers(g, 2 * classes * (classes - 1)), support_vectors=numbers(g, 6 * classes),
        vectors_per_class=[2] * classes, rho=[n + 0.0625 for n in numbers(g, pairs)],
        classlabels_ints=list(range(classes)), kernel_type=g.one_of(("LINEAR", "RBF", "POLY", "SIGMOID")),
        kernel_params=[0.3, 0.1, 2.0],
    )  # fmt: skip
    g.values.remove(label)  # the score of a pair may be next to 0
    assert scores.elem == "f32"


TREES: dict[str, Any] = {
    "nodes_treeids": [0, 0, 0, 1, 1, 1, 1, 1], "nodes_nodeids": [0, 1, 2, 0, 1, 2, 3, 4],
    "nodes_featureids": [0, 0, 0, 1, 2, 0, 0, 0],
    "nodes_truenodeids": [1, 0, 0, 1, 3, 0, 0, 0], "nodes_falsenodeids": [2, 0, 0, 2, 4, 0, 0, 0],
}  # fmt: skip
LEAF = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ")


@operator(f"{ML}::TreeEnsembleRegressor", f"{ML}::TreeEnsembleClassifier")
def trees(g: Growing, op: str) -> None:
    other_version(g, "TreeEnsemble")
    x = g.value(("f32",), lambda v: tame(v) and v.count > 0, shape=(g.number(1, 7), 3), exact=True)
    kind = g.one_of(LEAF)
    modes = [kind, "LEAF", "LEAF", kind, kind, "LEAF", "LEAF", "LEAF"]
    values = [*numbers(g, 1), 0.0, 0.0, *numbers(g, 2), 0.0, 0.0, 0.0]
    # a class that no leaf adds to has score 0 here, and none for onnxruntime: they differ where others are below 0
    stem, outs = ("target", 2) if "Regressor" in op else ("class", 3)
    weights = [abs(n) + 0.125 for n in numbers(g, 5)]
    leaves = {f"{stem}_treeids": [0, 0, 1, 1, 1], f"{stem}_nodeids": [1, 2, 2, 3, 4],
              f"{stem}_ids": [g.number(0, outs - 1) for _ in range(5)], f"{stem}_weights": weights}  # fmt: skip
    at = {**TREES, **leaves, "nodes_modes": modes, "nodes_values": values}
    if "Regressor" in op:
        ml(g, op, [x], ("f32", (x.shape[0], outs)), n_targets=outs, low=-20, high=20, **at)
    else:
        ml(g, op, [x], ("i64", x.shape[:1]), ("f32", (x.shape[0], outs)), classlabels_int64s=[7, 8, 9], exact=True,
           **at)  # fmt: skip


def other_version(g: Growing, *kinds: str) -> None:
    """Refuse to stand beside nodes of these kinds, which are of another version of the domain."""
    if any(node.op_type in kinds for node in g.nodes):
        raise NotValid


@operator(f"{ML}::TreeEnsemble")
def tree_ensemble(g: Growing, op: str) -> None:
    other_version(g, "TreeEnsembleRegressor", "TreeEnsembleClassifier")
    x = g.value(("f32",), lambda v: tame(v) and v.count > 0, shape=(g.number(1, 7), 3), exact=True)
    tensor = lambda array: numpy_helper.from_array(np.array(array))  # noqa: E731  # shorter than a function of its own
    ml(g, op, [x], ("f32", (x.shape[0], 2)), low=-20, high=20, n_targets=2, aggregate_function=1, post_transform=0,
       tree_roots=[0], nodes_modes=tensor(np.array([0, 0], np.uint8)), nodes_featureids=[0, 2],
       nodes_splits=tensor(np.array(numbers(g, 2), np.float32)), nodes_truenodeids=[1, 0], nodes_trueleafs=[0, 1],
       nodes_falsenodeids=[2, 1], nodes_falseleafs=[1, 1], leaf_targetids=[0, 1, 0],
       leaf_weights=tensor(np.array(numbers(g, 3), np.float32)))  # fmt: skip


@operator(f"{TRAINING}::Adagrad", f"{TRAINING}::Adam", f"{TRAINING}::Momentum")
def optimizer(g: Growing, op: str) -> None:
    name = op.split("::")[1]
    x = g.value(("f32",), tame)
    count = 2 if name == "Adam" else 1
    gradient = g.value(("f32",), tame, shape=x.shape)
    state = [g.fresh("f32", x.shape, 0.2, 2.0) for _ in range(count)]
    at: dict[str, Any] = {
        "Adagrad": {"decay_factor": 0.1, "epsilon": 1e-5, "norm_coefficient": 0.001},
        "Adam": {"alpha": 0.9, "beta": 0.99, "epsilon": 1e-5, "norm_coefficient": 0.001},
        "Momentum": {"alpha": 0.9, "beta": 0.1, "mode": g.one_of(("standard", "nesterov")), "norm_coefficient": 0.001},
    }[name]
    types = [("f32", x.shape)] * (1 + count)
    rate = scalar(g, 0.1, "f4")
    g.node(name, [rate, scalar(g, g.number(0, 5)), x, gradient, *state], domain=TRAINING, types=types, low=-20,
           high=20, **at)  # fmt: skip


@operator(f"{TRAINING}::Gradient")
def gradient(g: Growing, op: str) -> None:
    """d(x · y)/dx is y."""
    x = g.fresh("f32", g.shape(least=1), constant=False)
    y = g.fresh("f32", x.shape, constant=False)
    (product,) = g.node("Mul", [x, y], low=-4, high=4)
    g.node("Gradient", [x, y], domain=TRAINING, types=[("f32", x.shape)] * 2, xs=[x.name, y.name], y=product.name)


@operator("ai.onnx.preview::FlexAttention")
def flex_attention(g: Growing, op: str) -> None:
    heads, size = g.one_of((1, 2)), g.one_of((4, 8))
    q = g.fresh("f32", (1, heads, g.number(1, 4), size))
    k, v = (g.fresh("f32", (1, heads, 5, size)) for _ in range(2))
    if any(one.special for one in (q, k, v)):
        raise NotValid
    g.node("FlexAttention", [q, k, v], domain="ai.onnx.preview", types=[("f32", q.shape)])


