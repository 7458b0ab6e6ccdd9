"""The digit network with a longer way from features to scores, so that every graph pass of the pipeline acts on it.

The filters are those of build_digit; the middle is random and stays so; the last layer is trained here on
what comes out of the middle.
"""

from __future__ import annotations

from math import erf, sqrt

import numpy as np

from glowviz.gallery import build_digit
from glowviz.gallery.build_transformer import gelu_erf, layer_norm
from glowviz.gallery.train import Adam, Weights, softmax
from glowviz.gallery.writer import Built, Net

WIDTH = 32
EXAMPLES, STEPS, BATCH = 3000, 1500, 200
_erf = np.vectorize(erf, otypes=[np.float32])


def head(net: Net, x: str, weights: Weights) -> str:
    """From features to a softmax in pieces; the scores themselves become an output too."""
    layer = [net.weight("scores.weight", weights["w"]), net.weight("scores.bias", weights["b"])]
    net.output("scores", net.add("Gemm", x, *layer, name="scores"), ["batch", 10])
    x = net.add("Gemm", x, *layer, name="scores_again")
    net.add("Sigmoid", x, name="unread")
    x = net.repeat("Dropout", 2, x, name="dropout")
    unit = net.add("Div", net.scalar("temperature", 2.0), net.scalar("cooled", 2.0), name="ratio")
    x = net.add("Mul", x, unit, name="tempered")
    powers = net.add("Exp", x, name="powers")
    total = net.add("ReduceSum", powers, net.integers("classes.axis", [1]), name="total", keepdims=1)
    return net.add("Div", powers, total, name="share")


def features(net: Net, weights: Weights) -> str:
    """From the picture to one number a filter, f32[batch × 16]: what build_digit has, and a channel axis put in."""
    size = build_digit.SIZE
    x = net.input("picture", ["batch", size, size])
    x = net.add("Unsqueeze", x, net.integers("channel.axis", [1]), name="channel")
    edges = net.integers("edge.pads", [0, 0, 2, 2, 0, 0, 2, 2])
    x = net.add("Pad", x, edges, name="edge", mode="constant")
    x = build_digit.features(net, x, weights)
    x = net.add("Transpose", x, name="ones_moved", perm=[0, 2, 3, 1])
    return net.add("Flatten", x, name="flat", axis=1)


def middle_weights(seed: int = 0) -> Weights:
    """Random weights of the layers that are not trained."""
    rng = np.random.default_rng([seed, 3])
    filters = build_digit.FILTERS
    return {"w": rng.normal(0, (2 / filters) ** 0.5, (filters, WIDTH)).astype(np.float32),
            "b": rng.normal(0, 0.05, WIDTH).astype(np.float32)}


def middle(net: Net, x: str, weights: Weights) -> str:
    """f32[batch × 16] -> f32[batch × 32] in pieces; in brackets the pass that has something to do.

    A PRelu with one slope [fold_leaky_relu] behind a Reshape [sink_elementwise], GELU and layer norm in pieces
    [fold_gelu, fold_layernorm], x · hardsigmoid(x) [fold_hardswish], x · sigmoid(x) [fold_swish], and two halves
    cut and joined again [clean_concat_slice].
    """
    layer = [net.weight("widen.weight", weights["w"]), net.weight("widen.bias", weights["b"])]
    x = net.add("Gemm", x, *layer, name="widen")
    x = net.add("Reshape", x, net.integers("square.shape", [-1, 4, WIDTH // 4]), name="square")
    x = net.add("PRelu", x, net.weight("leaky.slope", np.full(1, build_digit.SLOPE, np.float32)), name="leaky")
    x = net.add("Flatten", x, name="unsquare", axis=1)
    x = layer_norm(net, gelu_erf(net, x, name="gelu"), WIDTH, name="normal", whole=False)
    x = net.add("Mul", x, net.add("HardSigmoid", x, name="hard", alpha=1 / 6, beta=0.5), name="hardswish")
    x = net.add("Mul", x, net.add("Sigmoid", x, name="soft"), name="swish")
    cuts = [net.integers(f"cut{at}", [at]) for at in (0, WIDTH // 2, WIDTH)]
    axis = net.integers("cut.axis", [1])
    halves = [net.add("Slice", x, start, end, axis, name=name)
              for name, start, end in zip(("left", "right"), cuts, cuts[1:], strict=False)]
    return net.add("Concat", *halves, name="joined", axis=1)


def middle_values(x: np.ndarray, weights: Weights, scale: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """What `middle` computes, in numpy."""
    x = build_digit.leaky(x @ weights["w"] + weights["b"])
    x = x / 2 * (1 + _erf(x / np.float32(sqrt(2))))
    x = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5) * scale + bias
    x = x * np.clip(x / 6 + 0.5, 0, 1)
    return (x / (1 + np.exp(-x))).astype(np.float32)


def train(filters: Weights, values: tuple[Weights, np.ndarray, np.ndarray]) -> tuple[Weights, float]:
    """The last layer, and the share of 1,000 unseen pictures named right."""

    def seen(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        x, digits = build_digit.pictures(np.random.default_rng(seed), count)
        return middle_values(build_digit.pooled(filters, x), *values), digits

    x, digits = seen(11, EXAMPLES)
    rng = np.random.default_rng(12)
    last: Weights = {"w": np.zeros((WIDTH, 10), np.float32), "b": np.zeros(10, np.float32)}
    adam = Adam(last, rate=0.02)
    for step in range(STEPS):
        part = rng.integers(0, EXAMPLES, BATCH)
        d = softmax(x[part] @ last["w"] + last["b"])
        d[np.arange(BATCH), digits[part]] -= 1
        adam.step({"w": x[part].T @ d / BATCH, "b": d.mean(axis=0)}, rate=0.02 * (1 - step / STEPS) + 1e-4)
    x, digits = seen(13, 1000)
    return last, float(((x @ last["w"] + last["b"]).argmax(axis=1) == digits).mean())


def build() -> Built:
    """f32[batch × 12 × 12] -> f32[batch × 10] scores and as many probabilities, with ten sample pictures."""
    filters, _ = build_digit.train()
    weights = middle_weights()
    net = Net("everything", opset=17)
    x = middle(net, features(net, filters), weights)
    norm = (net.array("normal.scale"), net.array("normal.bias"))
    last, accuracy = train(filters, (weights, *norm))
    # A careful exporter keeps probabilities between 0 and 1 [clean_clips].
    bounds = [net.scalar("never", 0.0), net.scalar("surely", 1.0)]
    share = head(net, x, last)
    net.output("probability", net.add("Clip", share, *bounds, name="bounded"), ["batch", 10])
    samples, expected = build_digit.samples()
    flat = {name: {"picture": arrays["picture"][:, 0]} for name, arrays in samples.items()}
    return Built(net.model(), {"accuracy": accuracy, "unseen": 1000}, flat, expected)
