"""Classical models (ai.onnx.ml) compute what onnxruntime computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import NodeProto

from glowviz.compiler.interpreter import run_graph
from tests.compiler.importer.small import by_runtime, model, node, read, value

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 3)).astype(np.float32)
WHOLE = np.array([3, 1, 7], np.int64)
TREES = {
    "nodes_treeids": [0, 0, 0, 1, 1, 1, 1, 1], "nodes_nodeids": [0, 1, 2, 0, 1, 2, 3, 4],
    "nodes_featureids": [0, 0, 0, 1, 2, 0, 0, 0],
    "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF", "BRANCH_GT", "BRANCH_LT", "LEAF", "LEAF", "LEAF"],
    "nodes_values": [0.1, 0.0, 0.0, -0.2, 0.3, 0.0, 0.0, 0.0],
    "nodes_truenodeids": [1, 0, 0, 1, 3, 0, 0, 0], "nodes_falsenodeids": [2, 0, 0, 2, 4, 0, 0, 0],
}  # fmt: skip
LEAVES = {"treeids": [0, 0, 1, 1, 1], "nodeids": [1, 2, 2, 3, 4]}


def leaves(kind: str, ids: list[int], weights: list[float]) -> dict[str, Any]:
    return {f"{kind}_{k}": v for k, v in LEAVES.items()} | {f"{kind}_ids": ids, f"{kind}_weights": weights}


def one(kind: str, x: np.ndarray, *, results: int = 1, version: int = 1, **attributes: Any) -> Any:
    made = node(kind, ["x"], [f"y{k}" for k in range(results)], domain="ai.onnx.ml", **attributes)
    return made, x, version


def vector_classifier(classes: int, kind: str, post: str, shares: bool) -> Any:
    """Two support vectors for each class."""
    rng, pairs = np.random.default_rng(classes), classes * (classes - 1) // 2
    likely = {f"prob_{n}": rng.normal(size=pairs).tolist() for n in "ab"} if shares else {}
    return one(
        "SVMClassifier", X, results=2, coefficients=rng.normal(size=2 * classes * (classes - 1)).tolist(),
        support_vectors=rng.normal(size=6 * classes).tolist(), vectors_per_class=[2] * classes,
        rho=rng.normal(size=pairs).tolist(), classlabels_ints=[10 + n for n in range(classes)], kernel_type=kind,
        kernel_params=[0.4, 0.1, 2.0], post_transform=post, **likely,
    )  # fmt: skip


FIVE, SHARES = [0.5, -1.0, 2.0, 0.25, 1.5], [0.1, 0.2, 0.7, 0.25, 0.15]
CASES: dict[str, tuple[NodeProto, np.ndarray, int]] = {
    "Binarizer": one("Binarizer", X, threshold=0.2),
    "Scaler": one("Scaler", X, offset=[0.5, 0.1, 0.0], scale=[2.0, 3.0, 0.5]),
    "Normalizer of sums": one("Normalizer", X, norm="L1"),
    "Normalizer of squares": one("Normalizer", X, norm="L2"),
    "Imputer": one("Imputer", X, imputed_value_floats=[9.0], replaced_value_float=float(X[0, 0])),
    "OneHotEncoder": one("OneHotEncoder", WHOLE, cats_int64s=[1, 2, 3]),
    "LabelEncoder": one(
        "LabelEncoder", WHOLE, version=2, keys_int64s=[1, 3], values_floats=[0.5, 2.5], default_float=-1.0
    ),
    "LinearRegressor": one(
        "LinearRegressor", X, coefficients=[1.0, 2.0, 3.0, -1.0, 0.5, 0.0], intercepts=[0.1, 0.2], targets=2
    ),
    "LinearClassifier": one(
        "LinearClassifier", X, results=2, coefficients=list(np.arange(9) / 5 - 0.8), intercepts=[0.1, 0.2, 0.0],
        classlabels_ints=[4, 5, 6], post_transform="SOFTMAX", multi_class=1,
    ),
    **{
        f"SVMRegressor {kind}": one(
            "SVMRegressor", X, coefficients=[0.5, -1.0], support_vectors=[0.1, 0.2, 0.3, -1.0, 0.5, 2.0], n_supports=2,
            kernel_type=kind, kernel_params=[0.3, 0.1, 2.0], rho=[0.25],
        )
        for kind in ("LINEAR", "RBF", "POLY", "SIGMOID")
    },
    **{
        f"SVMClassifier of {count}, {kind}{' with shares' if shares else ''}, {post}": vector_classifier(
            count, kind, post, shares
        )
        for count, kind, post, shares in (
            (3, "RBF", "NONE", False), (3, "LINEAR", "LOGISTIC", False), (4, "POLY", "SOFTMAX", False),
            (2, "RBF", "NONE", False), (2, "SIGMOID", "LOGISTIC", False), (2, "LINEAR", "NONE", True),
        )
    },
    "TreeEnsembleRegressor": one(
        "TreeEnsembleRegressor", X, **TREES, **leaves("target", [0] * 5, FIVE), base_values=[0.3], n_targets=1
    ),
    "TreeEnsembleRegressor of two": one(
        "TreeEnsembleRegressor", X, **TREES, **leaves("target", [0, 1, 0, 1, 1], FIVE), n_targets=2
    ),
    "TreeEnsembleRegressor of means": one(
        "TreeEnsembleRegressor", X, **TREES, **leaves("target", [0] * 5, FIVE), aggregate_function="AVERAGE",
        n_targets=1,
    ),
    "TreeEnsembleClassifier": one(
        "TreeEnsembleClassifier", X, results=2, **TREES, **leaves("class", [0, 1, 2, 1, 0], SHARES),
        classlabels_int64s=[7, 8, 9], post_transform="SOFTMAX",
    ),
    "TreeEnsembleClassifier of two": one(
        "TreeEnsembleClassifier", X, results=2, **TREES, **leaves("class", [0] * 5, FIVE), classlabels_int64s=[0, 1],
        post_transform="LOGISTIC",
    ),
    "TreeEnsembleClassifier of shares": one(
        "TreeEnsembleClassifier", X, results=2, **TREES, **leaves("class", [0] * 5, SHARES), classlabels_int64s=[3, 4]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_as_in_onnxruntime(name: str) -> None:
    proto, x, version = CASES[name]
    inputs = [value("x", x.shape, onnx.TensorProto.INT64 if x.dtype == np.int64 else onnx.TensorProto.FLOAT)]
    made = model([proto], inputs, list(proto.output), domains={"ai.onnx.ml": version})
    graph = read(made)
    assert "Opaque" not in {n.kind for n in graph}
    found = run_graph(graph, {"x": x})
    for output, theirs in zip(graph.outputs, by_runtime(made, {"x": x}), strict=True):
        ours = found[output.public]
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        # onnxruntime stops its search for the shares of classes 0.005 / classes short of where it ends
        loose = 2.5e-3 if "with shares" in name else 1e-6
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=loose)


def test_texts_are_mapped() -> None:
    one = node("LabelEncoder", ["x"], ["y"], domain="ai.onnx.ml", keys_strings=["a", "b"], values_int64s=[1, 2])
    graph = read(model([one], [value("x", (3,), onnx.TensorProto.STRING)], ["y"], domains={"ai.onnx.ml": 2}))
    found = run_graph(graph, {"x": np.array(["b", "c", "a"], object)})
    assert found["y"].tolist() == [2, -1, 1]
