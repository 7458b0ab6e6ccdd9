"""Corners of single ops that samples for every backend leave out."""

from __future__ import annotations

import numpy as np
import pytest

from glowviz.compiler.graph import Region
from glowviz.compiler.ops import (
    LSTM,
    AveragePool,
    Cast,
    Clip,
    Conv,
    Dropout,
    Fused,
    LeakyRelu,
    MaxPool,
    Op,
    Pow,
    ReduceMax,
    ReduceMin,
    Resize,
    Shape,
    Softmax,
    Split,
    TopK,
)
from glowviz.compiler.ops.linear import multiply
from glowviz.compiler.types import Symbol, Type, TypeProblem, channel_blocked


@pytest.mark.parametrize(("kind", "nothing"), [(ReduceMax, False), (ReduceMin, True)])
def test_extremes_of_bools(kind: type[Op], nothing: bool) -> None:
    x = np.array([[True, kind is ReduceMin], [False, False]])
    result = kind("x", axes=(1,), keepdims=False).reference(x)
    assert result.dtype == np.bool_
    assert result.tolist() == [True, False]
    assert kind("x", axes=(1,)).reference(np.zeros((1, 0), np.bool_)).tolist() == [[nothing]]


def test_extremes_of_nothing() -> None:
    assert ReduceMax("x").reference(np.zeros(0, np.int8)) == -128
    assert ReduceMin("x").reference(np.zeros(0, np.float32)) == np.inf


def test_bf16_is_summed_wider() -> None:
    ones = np.ones(4096, np.float32)
    x = Cast("x", to="bf16").reference(ones)
    total = ReduceMax("x").reference(x)
    assert total.dtype == x.dtype
    plane = x.reshape(1, 1, 64, 64)
    assert AveragePool("x", (64, 64)).reference(plane).astype(np.float32) == 1.0
    w = x[:3600].reshape(1, 1, 60, 60)
    assert Conv("x", "w").reference(plane, w, None).astype(np.float32).max() == 3600


def test_a_convolution_larger_than_one_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 3, 9, 8)).astype(np.float32), rng.normal(size=(4, 3, 3, 3)).astype(np.float32)
    op = Conv("x", "w", strides=(2, 1), pads=(1, 1, 1, 1))
    whole = op.reference(x, w, None)
    monkeypatch.setattr("glowviz.compiler.ops.conv.CHUNK", 1)
    np.testing.assert_allclose(op.reference(x, w, None), whole, atol=1e-5)


def test_integer_powers_stay_exact() -> None:
    x = np.array([3, -3], np.int64)
    assert Pow("x", "y").reference(x, np.array([39], np.int64)).tolist() == [3**39, -(3**39)]
    assert Pow("x", "y").reference(x, np.array([-1], np.int64)).tolist() == [0, 0]


def test_clip_keeps_large_integers() -> None:
    x = np.array([2**62 + 1], np.int64)
    assert Clip("x", low=0.0).reference(x).tolist() == [2**62 + 1]


def test_shape_of_partly_known_dims() -> None:
    x = Type("f32", (Symbol("batch"), 3, 4))
    assert Shape("x", start=1).from_types(x).tolist() == [3, 4]
    assert Shape("x").infer(x) == Type("i64", (3,))
    with pytest.raises(TypeProblem, match="dimension batch is not bound"):
        Shape("x").from_types(x)


def test_the_order_of_a_convolution_follows_its_weights() -> None:
    x, w = Type("f32", (1, 3, 8, 8)), Type("f32", (32, 3, 3, 3))
    blocked = channel_blocked(4, 16)
    features = type(blocked)((*((a, 0) for a in range(4)), (0, 16)))
    assert Conv("x", "w").infer(x, w, None).order is None
    assert Conv("x", "w").infer(x, w.with_order(features), None).order == blocked
    assert Conv("x", "w").infer(x.with_order(blocked), w, None).order == blocked


def test_split_sizes_in_numbers() -> None:
    assert Split("x", num_outputs=3).sizes(7, None) == (3, 3, 1)
    assert Split("x", num_outputs=4).sizes(2, None) == (1, 1, 0, 0)


def test_top_k_of_equals_takes_the_first() -> None:
    x = np.array([1, 3, 3, 1], np.float32)
    for largest, wanted in ((True, [1, 2, 0]), (False, [0, 3, 1])):
        _, indices = TopK("x", "k", largest=largest).reference(x, np.array(3))
        assert indices.tolist() == wanted


def test_leaky_relu_of_infinity() -> None:
    x = np.array([np.inf, -np.inf], np.float32)
    assert LeakyRelu("x", alpha=0.5).reference(x).tolist() == [np.inf, -np.inf]


def test_max_pool_prefers_a_real_minus_infinity_to_padding() -> None:
    x = np.full((1, 1, 2, 2), -np.inf, np.float32)
    values, indices = MaxPool("x", (2, 2), pads=(1, 1, 0, 0)).reference(x)
    assert np.isneginf(values).all()
    assert indices.min() == 0


def test_softmax_of_all_minus_infinity_is_nan_as_in_onnxruntime() -> None:
    assert np.isnan(Softmax("x").reference(np.full((1, 3), -np.inf, np.float32))).all()


def test_resize_of_bytes_is_rounded_like_numpy_casts() -> None:
    x = np.array([[[[0, 255]]]], np.uint8)
    sizes = np.array([1, 1, 1, 4])
    found = Resize("x", None, None, "s", mode="cubic").reference(x, None, None, sizes)
    assert found.dtype == np.uint8
    assert found.min() == 0
    assert found.max() == 255


def test_dropout_lets_everything_through() -> None:
    x = np.arange(3, dtype=np.float32)
    y, mask = Dropout("x").reference(x)
    assert y is x
    assert mask.all()


def test_an_empty_body_returns_nothing() -> None:
    assert Fused((), Region()).reference(()) == ()


def test_products_do_not_depend_on_how_equal_numbers_are_stored() -> None:
    """A weight of one number takes one number of memory; numpy sums such a matrix in another order."""
    x = np.random.default_rng(0).normal(size=(1, 1024, 1, 1)).astype(np.float32)
    shared = np.broadcast_to(np.float32(0.013), (100, 1024, 1, 1))
    conv = Conv("x", "w")
    np.testing.assert_array_equal(conv.reference(x, shared, None), conv.reference(x, shared.copy(), None))
    a, b = x.reshape(1, 1024), shared.reshape(100, 1024).T
    np.testing.assert_array_equal(multiply(a, b), multiply(a, b.copy("K")))


@pytest.mark.parametrize("layout", [0, 1])
def test_a_first_state_is_of_the_batch(layout: int) -> None:
    x = Type("f32", (5, 2, 3) if not layout else (2, 5, 3))
    w, r = Type("f32", (1, 16, 3)), Type("f32", (1, 16, 4))
    fits, other = ((1, 2, 4), (1, 7, 4)) if not layout else ((2, 1, 4), (7, 1, 4))
    lstm = LSTM("x", "w", "r", initial_h="h", hidden_size=4, layout=layout)
    assert len(lstm.infer(x, w, r, None, None, Type("f32", fits))) == 3
    with pytest.raises(TypeProblem, match="first state must be"):
        lstm.infer(x, w, r, None, None, Type("f32", other))
