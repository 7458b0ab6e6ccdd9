"""Types say how values lie in memory and what their numbers mean; what cannot be is refused with the reason."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glowviz.compiler.types import (
    ELEMENTS,
    ORDER_NAMES,
    ORDERS_BY_NAME,
    Order,
    Quant,
    Symbol,
    Type,
    TypeProblem,
    broadcast,
    channel_blocked,
    channels_last,
    of_array,
)


@st.composite
def ordered_shapes(draw: st.DrawFn) -> tuple[Order, tuple[int, ...]]:
    shape = tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=4)))
    axes = draw(st.permutations(range(len(shape))))
    tiles = draw(st.lists(st.tuples(st.integers(0, len(shape) - 1), st.integers(1, 5)), max_size=3))
    places = [(axis, 0) for axis in axes]
    for tile in tiles:
        places.insert(draw(st.integers(places.index((tile[0], 0)) + 1, len(places))), tile)
    return Order(tuple(places)), shape


@settings(deadline=None, max_examples=200)
@given(ordered_shapes())
def test_packed_arrays_come_back(given_order: tuple[Order, tuple[int, ...]]) -> None:
    order, shape = given_order
    array = np.arange(1, math.prod(shape) + 1).reshape(shape)
    packed = order.pack(array)
    assert packed.shape == order.physical(shape)
    assert packed.flags.c_contiguous
    assert np.array_equal(order.unpack(packed, shape), array)
    assert np.sort(packed[packed != 0]).tolist() == sorted(array.reshape(-1).tolist()), "padding is zero, all else once"
    assert Type("i64", shape, order=order).bytes == packed.nbytes


def test_blocked_channels_lie_as_their_name_says() -> None:
    array = np.arange(2 * 5 * 3 * 4).reshape(2, 5, 3, 4)
    packed = channel_blocked(4, 4).pack(array)
    assert packed.shape == (2, 2, 3, 4, 4)
    assert packed[1, 0, 2, 3, 1] == array[1, 1, 2, 3]
    assert packed[1, 1, 2, 3, 0] == array[1, 4, 2, 3]
    assert not packed[:, 1, :, :, 1:].any(), "the last block is padded"
    assert np.array_equal(channels_last(4).pack(array), array.transpose(0, 2, 3, 1))


def test_every_nickname_is_one_order() -> None:
    assert {name: order for order, name in ORDER_NAMES.items()} == ORDERS_BY_NAME
    for name, order in ORDERS_BY_NAME.items():
        assert str(order) == name
        assert order.rank == sum(c.isupper() for c in name)
    assert str(channel_blocked(4, 16)) == "NCHW16c"
    assert str(Order(((1, 0), (0, 0), (1, 3)))) == "[1,0,1/3]"


@pytest.mark.parametrize(("dims", "message"), [
    (((0, 0), (0, 0)), "must name every axis once"),
    (((1, 0),), "must name every axis once"),
    (((0, 0), (2, 0)), "must name every axis once"),
    (((0, 0), (1, 4)), "tiles an axis that does not exist"),
    (((0, 0), (0, -4)), "negative factor"),
])
def test_orders_that_cannot_be(dims: tuple[tuple[int, int], ...], message: str) -> None:
    with pytest.raises(TypeProblem, match=message):
        Order(dims)


SHAPES = st.lists(st.integers(0, 3), max_size=4).map(tuple)


@settings(deadline=None)
@given(st.lists(SHAPES, min_size=1, max_size=3))
def test_broadcast_is_numpys(shapes: list[tuple[int, ...]]) -> None:
    try:
        wanted = np.broadcast_shapes(*shapes)
    except ValueError:
        with pytest.raises(TypeProblem, match="do not broadcast"):
            broadcast(*shapes)
    else:
        assert broadcast(*shapes) == wanted


def test_broadcast_of_names() -> None:
    n, m = Symbol("N"), Symbol("M")
    assert broadcast((n, 1), (1, 4)) == (n, 4)
    assert broadcast((n, 4), (n, 4)) == (n, 4)
    assert broadcast((), (n,)) == (n,)
    with pytest.raises(TypeProblem, match=r"shapes \[N\] and \[M\] do not broadcast: dimension 0 is \['M', 'N'\]"):
        broadcast((n,), (m,))
    with pytest.raises(TypeProblem, match=r"shapes \[2x3\] and \[2\]"):
        broadcast((2, 3), (2,))


@pytest.mark.parametrize(("scale", "zero", "axis", "message"), [
    ((1.0, 2.0), (0,), None, "exactly one scale"),
    ((1.0,), (0, 1), None, "exactly one scale"),
    ((1.0, 2.0, 3.0), (0, 1), 0, "3 scales need 1 or 3 zero points, got 2"),
    ((0.0,), (0,), None, "greater than 0"),
    ((1.0, -1.0), (0,), 0, "greater than 0"),
    ((math.nan,), (0,), None, "greater than 0"),
])
def test_quantizations_that_cannot_be(
    scale: tuple[float, ...], zero: tuple[int, ...], axis: int | None, message: str
) -> None:
    with pytest.raises(TypeProblem, match=message):
        Quant(scale, zero, axis)


def test_text_of_types() -> None:
    assert str(Type("f32", (1, 8, 24, 24))) == "f32[1x8x24x24]"
    assert str(Type("f32", ())) == "f32[]"
    assert str(Type("f32", None)) == "f32[*]"
    assert str(Type("f32", (Symbol("N", 8), Symbol("max", 4)))) == 'f32[N<=8x"max"<=4]'
    assert str(Type("i8", (1, 512), Quant((0.0235294,), (-3,)))) == "i8(0.0235294, -3)[1x512]"
    per_channel = Quant(tuple(np.float32([0.5, 0.25])), (0,), 0)
    assert str(Type("i8", (2, 3), per_channel)) == "i8(axis=0, scale=[0.5, 0.25], zero=0)[2x3]"
    assert str(Type("f32", (1, 3, 4, 4), order=channel_blocked(4, 16))) == "f32[1x3x4x4]@NCHW16c"


def test_bytes_count_padding_and_need_numbers() -> None:
    blocked = Type("f32", (1, 3, 4, 4), order=channel_blocked(4, 16))
    assert (blocked.count, blocked.bytes, blocked.logical.bytes) == (48, 1 * 16 * 16 * 4, 48 * 4)
    assert Type("bool", (3,)).bytes == 3
    assert Type("f32", (Symbol("N"),)).bytes == Type("string", (3,)).bytes == 0  # held outside the arenas
    with pytest.raises(TypeProblem, match="dimension N is not bound"):
        _ = Type("f32", (Symbol("N"),)).count
    with pytest.raises(TypeProblem, match="the rank is not known"):
        _ = Type("f32", None).dims
    assert not Type("f32", None).static
    assert not Type("f32", (1, Symbol("N"))).static
    assert Type("f32", ()).static


def test_types_that_cannot_be() -> None:
    with pytest.raises(TypeProblem, match="unknown element type 'f31'; known are f32"):
        Type("f31", (1,))
    with pytest.raises(TypeProblem, match="order @NHWC is for rank 4, the shape has rank 2"):
        Type("f32", (1, 2), order=channels_last(4))
    with pytest.raises(TypeProblem, match=r"numpy's datetime64\[ns\] has no element type"):
        of_array(np.zeros(2, "datetime64[ns]"))


def test_every_element_kind_is_known_by_its_arrays() -> None:
    for elem, dtype in ELEMENTS.items():
        assert of_array(np.zeros((2, 3), dtype)) == Type(elem, (2, 3))


def test_changes_keep_the_rest() -> None:
    type_ = Type("i8", (1, 4, 2, 2), Quant((0.5,), (1,)), channels_last(4))
    assert type_.with_shape((4,)) == Type("i8", (4,), Quant((0.5,), (1,)))
    assert type_.with_elem("f32") == Type("f32", (1, 4, 2, 2), order=channels_last(4))
    assert type_.with_order(None) == type_.logical
