"""A convolutional network, trained here in seconds on drawn digits, then dressed with what exporters leave behind.

Its twelve nodes hold a case for every graph pass: see `dress`.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from glowviz.gallery import digit_head
from glowviz.gallery.digit_head import EPSILON, SLOPE, WIDTH, leaky
from glowviz.gallery.train import Adam, Weights, softmax
from glowviz.gallery.writer import Built, Module, Net

SIZE, KERNEL, FILTERS = 12, 5, 16
EPOCHS, EXAMPLES, BATCH = 14, 3000, 100
NEAR = 2
"""Rows and columns of the first of two poolings; both together look at the whole picture."""

# The ten digits, five dots wide and seven high.
FONT = """
.###. ..#.. .###. ##### ...#. ##### ..##. ##### .###. .###.
#...# .##.. #...# ...#. ..##. #.... .#... ....# #...# #...#
#..## ..#.. ....# ..#.. .#.#. ####. #.... ...#. #...# #...#
#.#.# ..#.. ...#. ...#. #..#. ....# ####. ..#.. .###. .####
##..# ..#.. ..#.. ....# ##### ....# #...# .#... #...# ....#
#...# ..#.. .#... #...# ...#. #...# #...# .#... #...# ...#.
.###. .###. ##### .###. ...#. .###. .###. .#... .###. .##..
"""


def glyphs() -> np.ndarray:
    """The digits as f32[10 × 7 × 5], 1 where there is ink."""
    rows = [line.split() for line in FONT.strip().splitlines()]
    return np.array([[[dot == "#" for dot in row[digit]] for row in rows] for digit in range(10)], np.float32)


def pictures(rng: np.random.Generator, count: int, noise: float = 0.25) -> tuple[np.ndarray, np.ndarray]:
    """Digits of varying place and ink on noise: f32[count × 12 × 12] and the digits, int[count]."""
    digits = rng.integers(0, 10, count)
    result = rng.normal(0, noise, (count, SIZE, SIZE)).astype(np.float32)
    shapes = glyphs()
    tops, lefts = rng.integers(0, SIZE - 7 + 1, count), rng.integers(0, SIZE - 5 + 1, count)
    inks = rng.uniform(0.7, 1.0, count).astype(np.float32)
    for i, (digit, top, left) in enumerate(zip(digits, tops, lefts, strict=True)):
        result[i, top:top + 7, left:left + 5] += inks[i] * shapes[digit]
    return result, digits


def windows(x: np.ndarray) -> np.ndarray:
    """Every 5 × 5 window of the pictures padded by 2: f32[count × 144 × 25]."""
    padded = np.pad(x, ((0, 0), (2, 2), (2, 2)))
    cut = np.lib.stride_tricks.sliding_window_view(padded, (KERNEL, KERNEL), axis=(1, 2))
    return cut.reshape(len(x), SIZE * SIZE, KERNEL * KERNEL)


def gradients(weights: Weights, cut: np.ndarray, digits: np.ndarray) -> Weights:
    """Gradients of the mean cross-entropy; only the window that won the pooling has one."""
    maps = cut @ weights["filters"] + weights["bias"]
    won = maps.argmax(axis=1)
    best = np.take_along_axis(maps, won[:, None, :], axis=1)[:, 0]
    felt = np.maximum(best, 0)
    mixed = felt @ weights["mix"] + weights["mix_bias"]
    d = softmax(leaky(mixed) @ weights["w"] + weights["b"])
    d[np.arange(len(d)), digits] -= 1
    d /= len(d)
    d_mixed = (d @ weights["w"].T) * np.where(mixed > 0, 1, SLOPE).astype(np.float32)
    d_best = (d_mixed @ weights["mix"].T) * (best > 0)
    winners = np.take_along_axis(cut, won[:, :, None], axis=1)
    return {"w": leaky(mixed).T @ d, "b": d.sum(axis=0), "mix": felt.T @ d_mixed, "mix_bias": d_mixed.sum(axis=0),
            "bias": d_best.sum(axis=0), "filters": np.einsum("nfk,nf->kf", winners, d_best)}


def pooled(weights: Weights, x: np.ndarray) -> np.ndarray:
    """How strongly each filter answers anywhere in each picture: f32[count × 16]."""
    maps = windows(x) @ weights["filters"] + weights["bias"]
    return np.maximum(maps.max(axis=1), 0)


def scores(weights: Weights, x: np.ndarray) -> np.ndarray:
    """The ten scores of each picture, before the softmax."""
    mixed = leaky(pooled(weights, x) @ weights["mix"] + weights["mix_bias"])
    return mixed @ weights["w"] + weights["b"]


def train(seed: int = 0) -> tuple[Weights, float]:
    """Trained weights and the share of 1,000 unseen pictures named right."""
    rng = np.random.default_rng(seed)
    weights: Weights = {
        "filters": rng.normal(0, 0.2, (KERNEL * KERNEL, FILTERS)).astype(np.float32),
        "bias": np.zeros(FILTERS, np.float32),
        "mix": rng.normal(0, 0.3, (FILTERS, FILTERS)).astype(np.float32),
        "mix_bias": np.zeros(FILTERS, np.float32),
        "w": rng.normal(0, 0.2, (FILTERS, 10)).astype(np.float32),
        "b": np.zeros(10, np.float32),
    }
    adam = Adam(weights, rate=0.01)
    for epoch in range(EPOCHS):
        x, digits = pictures(rng, EXAMPLES)
        for start in range(0, EXAMPLES, BATCH):
            part = slice(start, start + BATCH)
            adam.step(gradients(weights, windows(x[part]), digits[part]), rate=0.01 * (1 - epoch / EPOCHS) + 2e-4)
    x, digits = pictures(np.random.default_rng(seed + 1), 1000)
    return weights, float((scores(weights, x).argmax(axis=1) == digits).mean())


def _normalization(weights: Weights) -> list[np.ndarray]:
    """Batch normalization (scale, bias, mean, variance) with measured statistics that leaves bias added.

    Normalizing with the mean and variance of the convolution, then undoing both, is what a network
    trained with it carries when scale and shift have found the same function.
    """
    x, _ = pictures(np.random.default_rng(2), 200)
    maps = windows(x) @ weights["filters"]
    mean, variance = maps.mean(axis=(0, 1)), maps.var(axis=(0, 1))
    return [np.sqrt(variance + np.float32(1e-5)), weights["bias"] + mean, mean, variance]


def dress(weights: Weights, head: Weights) -> Net:
    """The network in the twelve nodes of a careless exporter; in brackets the pass that has something to do.

    The batch is free [bind_shapes]; Pad before Conv [merge_pad]; BatchNormalization [fold_batchnorm]; two inverse
    Transposes around a Relu [sink_transposes, merge_transposes] in front of a MaxPool [swap_relu_maxpool]; a PRelu
    with one slope [fold_leaky_relu]. The last two nodes call functions that the file brings along, as exporters
    write a module: see `activations` and `classifier`.
    """
    net = Net("digit", opset=17)
    edges = net.integers("edge.pads", [0, 0, 2, 2, 0, 0, 2, 2])
    x = net.add("Pad", net.input("picture", ["batch", 1, SIZE, SIZE]), edges, name="edge", mode="constant")
    x = features(net, x, weights)
    mix = [net.weight("mix.weight", head["mix"].T.reshape(WIDTH, FILTERS, 1, 1)),
           net.weight("mix.bias", head["mix_bias"])]
    x = net.add("Conv", x, *mix, name="mix", kernel_shape=[1, 1])
    x = net.add("PRelu", x, net.weight("leaky.slope", np.full(1, SLOPE, np.float32)), name="leaky")
    (x,) = net.call(activations(), x, net.weight("gamma", head["gamma"]), name="bend")
    layer = [net.weight("scores.weight", head["w"].T), net.weight("scores.bias", head["b"])]
    scores, probability, _ = net.call(classifier(), x, *layer, name="decide")
    net.output("scores", scores, ["batch", 10])
    net.output("probability", probability, ["batch", 10])
    return net


def activations() -> Module:
    """f32[batch × 24 × 1 × 1] -> f32[batch × 24]: many ways to bend a line, written out.

    A Transpose that only moves ones [transpose_to_reshape], then Flatten [clean_reshapes]; GELU in five pieces
    [fold_gelu] behind them [sink_elementwise]; a scale beside the layer norm [fold_layernorm]; of three thirds the
    first through x · hardsigmoid(x) [fold_hardswish], the second through x · sigmoid(x) [fold_swish]; joined in two
    steps [clean_concat_slice].
    """
    body = Module("Activations", ["x", "gamma"], ["y"])
    body.add("Transpose", "x", "last", perm=[0, 2, 3, 1])
    body.add("Flatten", "last", "flat", axis=1)
    for name, number in (("root", sqrt(2)), ("one", 1.0), ("half", 0.5)):
        body.constant(name, number)
    body.add("Div", "flat root", "inner")
    body.add("Erf", "inner", "erf")
    body.add("Add", "erf one", "shifted")
    body.add("Mul", "flat shifted", "product")
    body.add("Mul", "product half", "gelu")
    body.constant("unit.scale", [1.0] * WIDTH)
    body.add("LayerNormalization", "gelu unit.scale", "unit", axis=-1, epsilon=EPSILON)
    body.add("Mul", "unit gamma", "normal")
    body.add("Split", "normal", "first second third", axis=1)
    body.add("HardSigmoid", "first", "hard", alpha=1 / 6, beta=0.5)
    body.add("Mul", "first hard", "hardswish")
    body.add("Sigmoid", "second", "soft")
    body.add("Mul", "second soft", "swish")
    body.add("Concat", "hardswish swish", "two", axis=1)
    body.add("Concat", "two third", "y", axis=1)
    return body


def classifier() -> Module:
    """f32[batch × 24] -> scores and probabilities, f32[batch × 10] each.

    A Loop that goes round twice [write_out_bodies] with a Dropout in it [eliminate_noop]; weights that are turned
    first [fold_constants]; the scores computed twice [cse], once divided by a temperature of 1 [arithmetic]; a softmax
    in pieces [fold_softmax], kept between 0 and 1 [clean_clips]; a third result, the digit itself, that nobody reads
    [dce].
    """
    body = Module("Classifier", ["x", "weight", "bias"], ["scores", "probability", "digit"])
    body.repeat("Dropout", 2, "x", "kept")
    body.add("Transpose", "weight", "turned", perm=[1, 0])
    body.add("Gemm", "kept turned bias", "scores")
    body.add("Gemm", "kept turned bias", "again")
    for name, number in (("temperature", 1.0), ("never", 0.0), ("surely", 1.0)):
        body.constant(name, number)
    body.add("Div", "again temperature", "cooled")
    body.add("Exp", "cooled", "powers")
    body.constant("classes", [1])
    body.add("ReduceSum", "powers classes", "total", keepdims=1)
    body.add("Div", "powers total", "share")
    body.add("Clip", "share never surely", "probability")
    body.add("ArgMax", "probability", "digit", axis=1, keepdims=0)
    return body


def features(net: Net, x: str, weights: Weights) -> str:
    """From the padded picture to one number a filter, f32[batch × 16 × 1 × 1]."""
    filters = weights["filters"].T.reshape(FILTERS, 1, KERNEL, KERNEL)
    x = net.add("Conv", x, net.weight("strokes.weight", filters), name="strokes", kernel_shape=[KERNEL] * 2,
                pads=[0] * 4, strides=[1, 1])
    parts = zip(("scale", "bias", "mean", "var"), _normalization(weights), strict=True)
    operands = [net.weight(f"norm.{part}", array.astype(np.float32)) for part, array in parts]
    x = net.add("BatchNormalization", x, *operands, name="norm", epsilon=1e-5)
    x = net.add("MaxPool", x, name="near", kernel_shape=[NEAR] * 2, strides=[NEAR] * 2)
    x = net.add("Transpose", x, name="channels_last", perm=[0, 2, 3, 1])
    x = net.add("Relu", x, name="relu")
    x = net.add("Transpose", x, name="channels_first", perm=[0, 3, 1, 2])
    return net.add("MaxPool", x, name="anywhere", kernel_shape=[SIZE // NEAR] * 2, strides=[SIZE // NEAR] * 2)


def samples() -> tuple[dict[str, dict[str, np.ndarray]], dict[str, str]]:
    """One picture of each digit, by name, and the right answers."""
    x, digits = pictures(np.random.default_rng(5), 200)
    first = {digit: int(np.flatnonzero(digits == digit)[0]) for digit in range(10)}
    return ({f"a {digit}": {"picture": x[place][None, None]} for digit, place in first.items()},
            {f"a {digit}": str(digit) for digit in first})


def build() -> Built:
    """f32[batch × 1 × 12 × 12] -> f32[batch × 10] scores and as many probabilities, with ten sample pictures."""
    weights, _ = train()
    x, digits = pictures(np.random.default_rng(7), 2 * EXAMPLES)
    head = digit_head.train(pooled(weights, x), digits, np.random.default_rng(8))
    x, digits = pictures(np.random.default_rng(1), 1000)
    accuracy = float((digit_head.scores(head, pooled(weights, x)).argmax(axis=1) == digits).mean())
    return Built(dress(weights, head).model(), {"accuracy": accuracy, "unseen": 1000}, *samples())
