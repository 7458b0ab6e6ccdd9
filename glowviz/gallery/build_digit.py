"""A convolutional network, trained here in seconds on drawn digits, then dressed with what exporters leave behind.

The twenty-two operators hold a case for nearly every graph pass: see `dress`.
"""

from __future__ import annotations

import numpy as np

from glowviz.gallery.train import Adam, Weights, softmax
from glowviz.gallery.writer import Built, Net

SIZE, KERNEL, FILTERS, SLOPE = 12, 5, 16, 0.1
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


def leaky(x: np.ndarray) -> np.ndarray:
    """x where positive, else a tenth of it."""
    return np.where(x > 0, x, np.float32(SLOPE) * x)


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


def dress(weights: Weights) -> Net:
    """The network as a careless exporter leaves it; in brackets the pass that has something to do.

    The batch is free [bind_shapes]; the channel axis is put in [lower]; Pad before Conv [merge_pad];
    BatchNormalization [fold_batchnorm]; two inverse Transposes around a Relu [sink_transposes,
    merge_transposes]; Relu before MaxPool [swap_relu_maxpool]; a Transpose that only moves a 1
    [transpose_to_reshape], then Flatten [clean_reshapes]; a PRelu with one slope [fold_leaky_relu] behind a Gemm
    [fuse]; Dropout [eliminate_noop]; a quotient of constants [fold_constants] that is 1 [arithmetic]; the scores
    computed twice [cse], once to be returned; a softmax in pieces [fold_softmax]; a result that nobody reads [dce].
    """
    net = Net("digit", opset=17)
    x = features(net, net.input("picture", ["batch", SIZE, SIZE]), weights)
    mix = [net.weight("mix.weight", weights["mix"]), net.weight("mix.bias", weights["mix_bias"])]
    slope = net.weight("leaky.slope", np.full(1, SLOPE, np.float32))
    x = net.add("PRelu", net.add("Gemm", x, *mix, name="mix"), slope, name="leaky")
    net.output("probability", head(net, x, weights), ["batch", 10])
    return net


def head(net: Net, x: str, weights: Weights) -> str:
    """From features to a softmax in pieces; the scores themselves become an output too."""
    layer = [net.weight("scores.weight", weights["w"]), net.weight("scores.bias", weights["b"])]
    net.output("scores", net.add("Gemm", x, *layer, name="scores"), ["batch", 10])
    x = net.add("Gemm", x, *layer, name="scores_again")
    net.add("Sigmoid", x, name="unread")
    x = net.add("Dropout", x, name="dropout")
    unit = net.add("Div", net.scalar("temperature", 2.0), net.scalar("cooled", 2.0), name="ratio")
    x = net.add("Mul", x, unit, name="tempered")
    powers = net.add("Exp", x, name="powers")
    total = net.add("ReduceSum", powers, net.integers("classes.axis", [1]), name="total", keepdims=1)
    return net.add("Div", powers, total, name="share")


def features(net: Net, x: str, weights: Weights) -> str:
    """From the picture to one number a filter, f32[batch × 16]."""
    x = net.add("Unsqueeze", x, net.integers("channel.axis", [1]), name="channel")
    edges = net.integers("edge.pads", [0, 0, 2, 2, 0, 0, 2, 2])
    x = net.add("Pad", x, edges, name="edge", mode="constant")
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
    x = net.add("MaxPool", x, name="anywhere", kernel_shape=[SIZE // NEAR] * 2, strides=[SIZE // NEAR] * 2)
    x = net.add("Transpose", x, name="ones_moved", perm=[0, 2, 3, 1])
    return net.add("Flatten", x, name="flat", axis=1)


def samples() -> tuple[dict[str, dict[str, np.ndarray]], dict[str, str]]:
    """One picture of each digit, by name, and the right answers."""
    x, digits = pictures(np.random.default_rng(5), 200)
    first = {digit: int(np.flatnonzero(digits == digit)[0]) for digit in range(10)}
    return ({f"a {digit}": {"picture": x[place][None]} for digit, place in first.items()},
            {f"a {digit}": str(digit) for digit in first})


def build() -> Built:
    """f32[batch × 12 × 12] -> f32[batch × 10] scores and as many probabilities, with ten sample pictures."""
    weights, accuracy = train()
    return Built(dress(weights).model(), {"accuracy": accuracy, "unseen": 1000}, *samples())
