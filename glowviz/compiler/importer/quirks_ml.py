"""Classical models (ai.onnx.ml) as small ops: linear ones are products, tables are labels, forests are trees."""

from __future__ import annotations

from typing import Any

import numpy as np

from glowviz.compiler.importer.quirks import op, quirk
from glowviz.compiler.importer.site import NotTaken, Site
from glowviz.compiler.importer.tensors import array_of
from glowviz.compiler.ops.base import Op

ML = "ai.onnx.ml"


def table(site: Site, stem: str) -> np.ndarray | None:
    """The attribute `stem_floats`, `_int64s`, `_strings` or `_tensor` as a row; None where the file writes none."""
    for ending, dtype in (("floats", np.float32), ("int64s", np.int64), ("ints", np.int64), ("strings", object)):
        value = site.given.get(f"{stem}_{ending}")
        if value:
            row = np.empty(len(value), dtype)
            row[:] = value
            return row
    tensor = site.given.get(f"{stem}_tensor")
    return None if tensor is None else array_of(tensor, site.source, site.where).reshape(-1)


def floats_of(site: Site, name: str, default: Any = None) -> np.ndarray | None:
    """A list of numbers, or the tensor that newer files write in its place."""
    value = site.given.get(f"{name}_as_tensor", site.given.get(name))
    if hasattr(value, "data_type"):
        return array_of(value, site.source, site.where).reshape(-1)
    return default if not value else np.array(value, np.float32)


def as_floats(site: Site, value: str) -> str:
    """The value in f32, f64 as it is."""
    return value if site.type(value).elem in ("f32", "f64") else site.add(op("Cast", value, to="f32"), "floats")


def after(site: Site, scores: str, transform: str) -> Op:
    """The scores behind a post_transform."""
    if transform in ("", "NONE"):
        return op("Identity", scores)
    if transform == "LOGISTIC":
        return op("Sigmoid", scores)
    if transform == "SOFTMAX":
        return op("Softmax", scores, axis=-1)
    if transform == "SOFTMAX_ZERO":
        return _softmax_zero(site, scores)
    raise NotTaken(f"its post_transform {transform} is not known here")


def _softmax_zero(site: Site, scores: str) -> Op:
    """Softmax over what is not 0; a 0 stays."""
    zero = site.const(0, "zero", site.type(scores).dtype)
    nothing = site.add(op("Equal", scores, zero), "nothing")
    low = site.const(-np.inf, "low", site.type(scores).dtype)
    soft = site.add(op("Softmax", site.add(op("Where", nothing, low, scores), "some"), axis=-1), "soft")
    return op("Where", nothing, zero, soft)


@quirk(f"{ML}::Binarizer")
def binarizer(site: Site) -> Op:
    """1 above the threshold, else 0."""
    x = site.need(0)
    type_ = site.type(x)
    above = site.add(op("Greater", x, site.const(site.number("threshold", 0.0), "threshold", type_.dtype)), "above")
    return op("Cast", above, to=type_.elem)


@quirk(f"{ML}::Scaler")
def scaler(site: Site) -> Op:
    """(x - offset) · scale."""
    x = as_floats(site, site.need(0))
    offset, scale = floats_of(site, "offset", [0.0]), floats_of(site, "scale", [1.0])
    dtype = site.type(x).dtype
    moved = site.add(op("Sub", x, site.const(offset, "offset", dtype)), "moved")
    return op("Mul", moved, site.const(scale, "scale", dtype))


@quirk(f"{ML}::Normalizer")
def normalizer(site: Site) -> Op:
    """x divided by the largest, the sum of magnitudes, or the root of the squares of its row."""
    x, kind = as_floats(site, site.need(0)), site.attrs.get("norm", "MAX")
    if kind == "MAX":
        return op("Div", x, site.add(op("ReduceMax", x, axes=(-1,), keepdims=True), "largest"))
    return op("LpNormalization", x, axis=-1, p=1 if kind == "L1" else 2)


@quirk(f"{ML}::Imputer")
def imputer(site: Site) -> Op:
    """Values in the place of one that stands for "missing"."""
    x = site.need(0)
    dtype = site.type(x).dtype
    new = table(site, "imputed_value")
    missing = site.given.get("replaced_value_float" if dtype.kind == "f" else "replaced_value_int64", 0)
    where = op("IsNaN", x) if missing != missing else op("Equal", x, site.const(missing, "missing", dtype))
    values = site.const(new if new is not None and new.size > 1 else (new if new is not None else [0])[0], "new", dtype)
    return op("Where", site.add(where, "where"), values, x)


@quirk(f"{ML}::FeatureVectorizer")
def feature_vectorizer(site: Site) -> Op:
    """All operands beside each other, in f32."""
    return op("Concat", tuple(as_floats(site, site.need(i)) for i in range(len(site.operands))), axis=-1)


@quirk(f"{ML}::ArrayFeatureExtractor")
def array_feature_extractor(site: Site) -> Op:
    """The columns of x that the indices name; a row counts as a matrix of one row."""
    x, indices = site.need(0), site.add(op("Reshape", site.need(1), site.const([-1], "flat")), "indices")
    if site.rank(x) == 1:
        x = site.add(op("Unsqueeze", x, axes=(0,)), "rows")
    return op("Gather", x, indices, axis=-1)


@quirk(f"{ML}::OneHotEncoder")
def one_hot_encoder(site: Site) -> Op:
    """1 at the category's place along a new last dim."""
    x, categories = site.need(0), table(site, "cats")
    if categories is None:
        raise site.problem("OneHotEncoder names no categories", "cats_int64s or cats_strings")
    if categories.dtype == object:
        numbers = np.append(np.arange(len(categories)), -1)
        x = site.add(labels(site, x, categories, numbers), "places")
        categories = numbers[:-1]
    whole = x if site.type(x).elem == "i64" else site.add(op("Cast", x, to="i64"), "whole")
    spread = site.add(op("Unsqueeze", whole, axes=(-1,)), "spread")
    return op("Cast", site.add(op("Equal", spread, site.const(categories, "cats")), "hot"), to="f32")


def labels(site: Site, x: str, keys: np.ndarray, values: np.ndarray) -> Op:
    """A table as constants; the last value is for what is no key."""
    return op("Labels", x, site.const(keys, "keys", keys.dtype), site.const(values, "values", values.dtype))


@quirk(f"{ML}::LabelEncoder", f"{ML}::CategoryMapper")
def label_encoder(site: Site) -> Op:
    """Keys to values; in its first form classes to their numbers, or numbers to classes."""
    x = site.need(0)
    texts = site.type(x).elem == "string"
    classes = site.given.get("classes_strings") or site.given.get("cats_strings")
    if classes:
        numbers = np.array(site.given.get("cats_int64s") or range(len(classes)), np.int64)
        names = np.empty(len(classes) + 1, object)
        names[:] = (*classes, site.attrs.get("default_string", "_Unused"))
        if texts:
            return labels(site, x, names[:-1], np.append(numbers, int(site.number("default_int64", -1))))
        return labels(site, x, numbers, names)
    keys, values = table(site, "keys"), table(site, "values")
    if keys is None or values is None or len(keys) != len(values):
        raise site.problem("LabelEncoder has no table of keys and values", "as many keys as values")
    rest = np.empty(1, values.dtype)
    rest[0] = _default(site, values.dtype)
    return labels(site, x, keys, np.concatenate([values, rest]))


def _default(site: Site, dtype: np.dtype) -> Any:
    tensor = site.given.get("default_tensor")
    if tensor is not None:
        return array_of(tensor, site.source, site.where).reshape(-1)[0]
    name = {"O": "default_string", "f": "default_float"}.get(dtype.kind, "default_int64")
    return site.attrs.get(name, {"O": "_Unused", "f": -0.0}.get(dtype.kind, -1))


def linear(site: Site, targets: int) -> str:
    """x · coefficientsᵀ + intercepts."""
    x = as_floats(site, site.need(0))
    if site.rank(x) == 1:
        x = site.add(op("Unsqueeze", x, axes=(0,)), "rows")
    dtype = site.type(x).dtype
    weights = np.array(site.given.get("coefficients", ()), dtype).reshape(targets, -1)
    product = site.add(op("MatMul", x, site.const(weights.T, "coefficients", dtype)), "product")
    intercepts = site.given.get("intercepts")
    return site.add(op("Add", product, site.const(intercepts, "intercepts", dtype)), "sums") if intercepts else product


@quirk(f"{ML}::LinearRegressor")
def linear_regressor(site: Site) -> Op:
    """A product and its post_transform."""
    return after(site, linear(site, int(site.number("targets", 1))), str(site.attrs.get("post_transform", "NONE")))


@quirk(f"{ML}::LinearClassifier")
def linear_classifier(site: Site) -> None:
    """The class with the largest score, and the scores; one row of coefficients means two classes."""
    classes = table(site, "classlabels")
    if classes is None:
        raise site.problem("LinearClassifier names no classes", "classlabels_ints or classlabels_strings")
    count = len(site.given.get("intercepts", ())) or len(classes)
    choose(site, linear(site, count), classes, str(site.attrs.get("post_transform", "NONE")), single=count == 1)


def choose(site: Site, scores: str, classes: np.ndarray, transform: str, single: bool) -> None:
    """Define both results of a classifier."""
    if single and len(classes) == 2:
        opposite = op("Neg", scores)
        if transform == "LOGISTIC":
            scores, transform = site.add(op("Sigmoid", scores), "yes"), "NONE"
            opposite = op("Sub", site.const(1, "one", site.type(scores).dtype), scores)
        scores = site.add(op("Concat", (site.add(opposite, "no"), scores), axis=-1), "both")
    best = site.add(op("ArgMax", scores, axis=-1, keepdims=False), "best")
    names = site.const(classes, "classes", classes.dtype)
    label = op("Gather", names, best, axis=0)
    site.sketch.define(label, site.results[:1], site.origin, site.where)
    if len(site.results) > 1:
        site.sketch.define(after(site, scores, transform), site.results[1:2], site.origin, site.where)


@quirk(f"{ML}::SVMRegressor")
def svm_regressor(site: Site) -> Op:
    """Sums of kernels between x and the support vectors; without any, a linear model. One class: a sign."""
    x = as_floats(site, site.need(0))
    dtype = site.type(x).dtype
    count = int(site.number("n_supports", 0))
    weights = np.array(site.given.get("coefficients", ()), dtype)
    if count:
        vectors = np.array(site.given.get("support_vectors", ()), dtype).reshape(count, -1)
        x = kernel(site, x, vectors)
    product = site.add(op("MatMul", x, site.const(weights.reshape(-1, 1), "coefficients", dtype)), "product")
    sums = op("Add", product, site.const(site.given.get("rho", (0.0,))[0], "rho", dtype))
    if site.number("one_class", 0):
        zero = site.const(0, "zero", dtype)
        positive = site.add(op("Greater", site.add(sums, "sums"), zero), "positive")
        return op("Where", positive, site.const(1, "inside", dtype), site.const(-1, "outside", dtype))
    return after(site, site.add(sums, "sums"), str(site.attrs.get("post_transform", "NONE")))


def kernel(site: Site, x: str, vectors: np.ndarray) -> str:
    """Every row of x against every support vector."""
    kind = str(site.attrs.get("kernel_type", "LINEAR"))
    gamma, add, degree = (*site.given.get("kernel_params", ()), 0.0, 0.0, 0.0)[:3]
    dtype = vectors.dtype
    dot = site.add(op("MatMul", x, site.const(vectors.T, "vectors", dtype)), "dot")
    if kind == "LINEAR":
        return dot
    if kind == "RBF":
        # |x - v|² = |x|² + |v|² - 2 x·v
        square = site.add(op("ReduceSumSquare", x, axes=(-1,), keepdims=True), "square")
        far = site.add(op("Add", square, site.const((vectors**2).sum(1), "squares", dtype)), "far")
        twice = site.add(op("Mul", dot, site.const(2, "two", dtype)), "twice")
        distance = site.add(op("Sub", far, twice), "distance")
        return site.add(op("Exp", site.add(op("Mul", distance, site.const(-gamma, "gamma", dtype)), "scaled")), "near")
    scaled = site.add(op("Mul", dot, site.const(gamma, "gamma", dtype)), "scaled")
    moved = site.add(op("Add", scaled, site.const(add, "coef0", dtype)), "moved")
    if kind == "SIGMOID":
        return site.add(op("Tanh", moved), "bent")
    return site.add(op("Pow", moved, site.const(degree, "degree", dtype)), "power")


@quirk(f"{ML}::SVMClassifier")
def svm_classifier(site: Site) -> None:
    """The class that most pairs of classes vote for, and the score of each pair; two classes have a score each.

    As onnxruntime has it: the scores of two classes are each other's negative, the second positive for the first, or
    probabilities where the file has parameters for them.
    """
    classes = table(site, "classlabels")
    if classes is None:
        raise site.problem("SVMClassifier names no classes", "classlabels_ints or classlabels_strings")
    transform, many = str(site.attrs.get("post_transform", "NONE")), len(classes) > 2
    calibrated = bool(site.given.get("prob_a", ()))
    if not many and (len(classes) < 2 or transform not in ("NONE", "LOGISTIC") or (calibrated and transform != "NONE")):
        raise NotTaken("one class, or two with a post_transform that is not known here")
    if many and calibrated:
        raise NotTaken("it makes probabilities of more than two classes")
    if not len(site.given.get("vectors_per_class", ())):
        raise NotTaken("it has no support vectors")
    scores = pair_scores(site, len(classes))
    best = site.add(op("ArgMax", votes(site, scores, len(classes)), axis=-1, keepdims=False), "best")
    label = op("Gather", site.const(classes, "classes", classes.dtype), best, axis=0)
    site.sketch.define(label, site.results[:1], site.origin, site.where)
    if len(site.results) > 1:
        found = after(site, scores, transform) if many else of_two(site, scores, transform, calibrated)
        site.sketch.define(found, site.results[1:2], site.origin, site.where)


def pair_scores(site: Site, classes: int) -> str:
    """[rows, pairs]: for classes i < j, vectors of both weighted by each other's coefficients, and rho."""
    x = as_floats(site, site.need(0))
    dtype = site.type(x).dtype
    counts = [int(n) for n in site.given["vectors_per_class"]]
    starts = np.cumsum([0, *counts])
    given = np.array(site.given["coefficients"], dtype).reshape(classes - 1, starts[-1])
    pairs = [(i, j) for i in range(classes) for j in range(i + 1, classes)]
    weights = np.zeros((starts[-1], len(pairs)), dtype)
    for number, (i, j) in enumerate(pairs):
        for own, other in ((i, j - 1), (j, i)):
            part = slice(starts[own], starts[own + 1])
            weights[part, number] = given[other, part]
    vectors = np.array(site.given["support_vectors"], dtype).reshape(starts[-1], -1)
    near = kernel(site, x, vectors)
    product = site.add(op("MatMul", near, site.const(weights, "coefficients", dtype)), "product")
    return site.add(op("Add", product, site.const(site.given["rho"], "rho", dtype)), "scores")


def votes(site: Site, scores: str, classes: int) -> str:
    """How many pairs each class wins: the first of a pair where the score is above 0."""
    dtype = site.type(scores).dtype
    pairs = [(i, j) for i in range(classes) for j in range(i + 1, classes)]
    first, second = (np.array([[p[side] == c for c in range(classes)] for p in pairs], dtype) for side in (0, 1))
    won = site.add(op("Greater", scores, site.const(0, "zero", dtype)), "won")
    number = site.add(op("Cast", won, to=site.type(scores).elem), "wins")
    # a pair that the first does not win goes to the second
    gained = site.add(op("MatMul", number, site.const(first - second, "sides", dtype)), "gained")
    return site.add(op("Add", gained, site.const(second.sum(0), "seconds", dtype)), "votes")


def of_two(site: Site, scores: str, transform: str, calibrated: bool) -> Op:
    """Both classes' scores of the only pair."""
    dtype = site.type(scores).dtype
    one = site.const(1, "one", dtype)
    if calibrated:
        slope, shift = (site.const(site.given[f"prob_{n}"][0], f"prob_{n}", dtype) for n in "ab")
        bent = site.add(op("Add", site.add(op("Mul", scores, slope), "sloped"), shift), "bent")
        first = site.add(op("Sigmoid", site.add(op("Neg", bent), "turned")), "likely")
        return op("Concat", (first, site.add(op("Sub", one, first), "rest")), axis=-1)
    if transform == "LOGISTIC":
        scores = site.add(op("Sigmoid", scores), "likely")
        return op("Concat", (site.add(op("Sub", one, scores), "rest"), scores), axis=-1)
    return op("Concat", (site.add(op("Neg", scores), "turned"), scores), axis=-1)
