"""What an op cannot take is refused with a sentence that says what was given and what was expected."""

from __future__ import annotations

import numpy as np
import pytest

from glowviz.compiler.graph import Region
from glowviz.compiler.ops import (
    LRN,
    Add,
    And,
    AveragePool,
    BatchNormalization,
    Cast,
    Clip,
    Concat,
    ConstantOfShape,
    Conv,
    ConvTranspose,
    CumSum,
    DepthToSpace,
    Einsum,
    Expand,
    Flatten,
    Fused,
    Gather,
    GatherElements,
    GatherND,
    Gelu,
    Gemm,
    GlobalAveragePool,
    GroupNormalization,
    LayerNormalization,
    MatMul,
    MaxPool,
    OneHot,
    Op,
    Pad,
    PRelu,
    Range,
    ReduceSum,
    Reorder,
    Reshape,
    Resize,
    ScatterElements,
    ScatterND,
    Shape,
    Slice,
    Softmax,
    SpaceToDepth,
    Split,
    Sqrt,
    Squeeze,
    Sum,
    Tile,
    TopK,
    Transpose,
    Trilu,
    Unsqueeze,
    Where,
)
from glowviz.compiler.ops.inference import infer
from glowviz.compiler.types import Symbol, Type, TypeProblem, channels_last, of_array

F = "f32"
PLANE = Type(F, (1, 4, 5, 6))
ROW = Type(F, (4,))


def known(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


UNKNOWN = Type("i64", (2,))

REFUSED: list[tuple[Op, tuple[Type | np.ndarray, ...], str]] = [
    (Add("0", "1"), (Type(F, (3,)), Type(F, (4,))), r"\[3\] and \[4\] do not broadcast"),
    (Add("0", "1"), (Type(F, (3,)), Type("i64", (3,))), r"one element type, got f32\[3\] and i64\[3\]; Cast"),
    (Sqrt("0"), (Type("i32", (3,)),), r"floating-point, got i32\[3\]"),
    (And("0", "1"), (Type("bool", ()), ROW), r"must be bool, got f32\[4\]"),
    (Where("0", "1", "2"), (ROW, ROW, ROW), r"condition must be bool"),
    (Sum(()), (), r"at least one operand"),
    (PRelu("0", "1"), (ROW, Type(F, (2, 4))), r"slope must broadcast to the shape of x"),
    (Gelu("0", "fast"), (ROW,), r"'none' or 'tanh', got 'fast'"),
    (Cast("0", "f31"), (ROW,), r"'f31' is no element type"),
    (MatMul("0", "1"), (Type(F, (2, 3)), Type(F, (4, 5))), r"second last of b, got f32\[2x3\] and f32\[4x5\]"),
    (MatMul("0", "1"), (Type(F, ()), Type(F, (4, 5))), r"at least one dimension"),
    (Gemm("0", "1"), (Type(F, (2, 3)), Type(F, (2, 5))), r"inner dims of a \(3\) and b \(2\)"),
    (Gemm("0", "1", "2"), (Type(F, (2, 3)), Type(F, (3, 5)), Type(F, (4,))), r"do not broadcast"),
    (Gemm("0", "1"), (Type(F, (2, 3, 1)), Type(F, (3, 5))), r"must be matrices"),
    (Einsum(("0", "1"), "ij,jk->ik"), (Type(F, (2, 3)), Type(F, (4, 5))), r"'ij,jk->ik' does not fit"),
    (Einsum(("0",), "ij->iz"), (Type(F, (2, 3)),), r"'ij->iz' does not fit"),
    (Conv("0", "1"), (PLANE, Type(F, (2, 3, 1, 1))), r"x has 4 channels.*reads 3·1"),
    (Conv("0", "1", group=2), (PLANE, Type(F, (3, 2, 1, 1))), r"3 features of w do not divide into 2 groups"),
    (Conv("0", "1"), (PLANE, Type(F, (2, 4, 7, 1))), r"window of 7 elements does not fit into 5"),
    (Conv("0", "1", strides=(1,)), (PLANE, Type(F, (2, 4, 1, 1))), r"strides must have 2 numbers"),
    (Conv("0", "1", strides=(0, 1)), (PLANE, Type(F, (2, 4, 1, 1))), r"strides must be at least 1"),
    (Conv("0", "1", auto_pad="SAME"), (PLANE, Type(F, (2, 4, 1, 1))), r"auto_pad must be one of NOTSET"),
    (Conv("0", "1", "2"), (PLANE, Type(F, (2, 4, 1, 1)), Type(F, (3,))), r"one number for each of the 2 features"),
    (Conv("0", "1"), (ROW, ROW), r"same rank of 3 or more"),
    (Conv("0", "1"), (PLANE, Type("f64", (2, 4, 1, 1))), r"one element type"),
    (ConvTranspose("0", "1"), (PLANE, Type(F, (3, 2, 1, 1))), r"x has 4 channels, w f32.* reads 3"),
    (ConvTranspose("0", "1", pads=(9, 9, 9, 9)), (PLANE, Type(F, (4, 2, 1, 1))), r"take away more than"),
    (MaxPool("0", (2,)), (PLANE,), r"kernel has 1 dims, x has 2 spatial dims"),
    (MaxPool("0", (2, 2)), (ROW,), r"N, C and at least one spatial dim"),
    (AveragePool("0", (2, 2)), (Type("i8", (1, 4, 5, 6)),), r"must be floating-point"),
    (GlobalAveragePool("0"), (ROW,), r"at least one spatial dim"),
    (BatchNormalization("0", "1", "2", "3", "4"), (PLANE, ROW, ROW, ROW, Type(F, (5,))), r"var must be \[4\]"),
    (LayerNormalization("0", "1"), (PLANE, Type(F, (5,))), r"scale must broadcast to x"),
    (GroupNormalization("0", "1", "2", 3), (PLANE, ROW, ROW), r"4 channels of x do not divide into 3 groups"),
    (LRN("0", 0), (PLANE,), r"size must be at least 1"),
    (Softmax("0", 4), (PLANE,), r"axis must be in \[-4, 3\], got 4"),
    (Softmax("0"), (Type("i64", (3,)),), r"floating-point"),
    (ReduceSum("0", (1, -3)), (PLANE,), r"name one axis twice"),
    (CumSum("0", "1"), (PLANE, known(4)), r"axis must be in"),
    (TopK("0", "1"), (PLANE, known(9)), r"k must be between 0 and the size of axis -1.*got 9"),
    (TopK("0", "1"), (PLANE, Type("i64", (1,))), r"k must be known when compiling"),
    (Reshape("0", "1"), (PLANE, known(7, -1)), r"120 elements of shape \[1, 4, 5, 6\] do not fit shape \[7, -1\]"),
    (Reshape("0", "1"), (PLANE, known(-1, -1)), r"may hold one -1"),
    (Reshape("0", "1"), (ROW, known(4, 0)), r"dim 1 of \[4, 0\] copies a dim"),
    (Reshape("0", "1"), (PLANE, UNKNOWN), r"new shape must be known when compiling"),
    (Flatten("0", 5), (PLANE,), r"axis must be in \[-4, 4\], got 5"),
    (Squeeze("0", (1,)), (PLANE,), r"axis 1 of shape \[1, 4, 5, 6\] has size 4"),
    (Unsqueeze("0", (0, 0)), (ROW,), r"name one axis twice"),
    (Transpose("0", (0, 1)), (PLANE,), r"each of the 4 axes of x once, got \[0, 1\]"),
    (Expand("0", "1"), (ROW, known(3)), r"do not broadcast"),
    (Tile("0", "1"), (ROW, known(3, 1)), r"one number for each axis"),
    (Shape("0"), (Type(F, None),), r"rank is not known"),
    (Concat(("0", "1"), 0), (ROW, PLANE), r"alike but for axis 0"),
    (Concat(("0", "1"), 1), (Type(F, (2, 2)), Type(F, (3, 2))), r"alike but for axis 1"),
    (Split("0", "1", 0), (ROW, known(1, 2)), r"parts \[1, 2\] must add up to 4"),
    (Split("0"), (ROW,), r"or num_outputs"),
    (Slice("0", "1", "2"), (ROW, UNKNOWN, known(1)), r"starts must be known"),
    (Slice("0", "1", "2", "3", "4"), (ROW, known(0), known(1), known(0), known(0)), r"steps may not be 0"),
    (Slice("0", "1", "2"), (ROW, known(0, 1), known(1)), r"must be of one length, got 2, 1"),
    (Pad("0", "1"), (ROW, known(1)), r"pads must have 2 numbers"),
    (Pad("0", "1", mode="mirror"), (ROW, known(1, 1)), r"mode must be constant, reflect, edge or wrap"),
    (Pad("0", "1"), (ROW, known(-3, -3)), r"take away more than x"),
    (DepthToSpace("0", 3), (PLANE,), r"divisible by blocksize² = 9"),
    (DepthToSpace("0", 2, "XYZ"), (PLANE,), r"mode must be DCR or CRD"),
    (SpaceToDepth("0", 2), (PLANE,), r"H and W divisible by blocksize=2"),
    (Trilu("0"), (ROW,), r"at least two dims"),
    (ConstantOfShape("0"), (known(-1),), r"may not hold negative numbers"),
    (Range("0", "1", "2"), (known(0), known(3), known(0)), r"delta may not be 0"),
    (Range("0", "1", "2"), (known(0), Type("i64", ()), known(1)), r"must be known when compiling"),
    (Gather("0", "1"), (ROW, Type(F, (2,))), r"indices must be i32 or i64, got f32\[2\]"),
    (GatherElements("0", "1"), (PLANE, UNKNOWN), r"must have the rank of x"),
    (GatherND("0", "1"), (ROW, Type("i64", (3, 2))), r"too long for the 1 last dims"),
    (ScatterElements("0", "1", "2"), (ROW, UNKNOWN, Type(F, (3,))), r"must have one shape"),
    (ScatterElements("0", "1", "2", 0, "sum"), (ROW, UNKNOWN, Type(F, (2,))), r"reduction must be one of none"),
    (ScatterND("0", "1", "2"), (PLANE, Type("i64", (2, 1)), ROW), r"updates must be f32\[2x4x5x6\]"),
    (OneHot("0", "1", "2"), (UNKNOWN, known(3), Type(F, (3,))), r"values must be \[off, on\]"),
    (OneHot("0", "1", "2"), (UNKNOWN, Type("i64", ()), Type(F, (2,))), r"depth must be known"),
    (Resize("0", None, "1"), (PLANE, np.ones(3, np.float32)), r"one number for each of 4 axes, got 3"),
    (Resize("0", None, "1"), (PLANE, np.zeros(4, np.float32)), r"scales must be greater than 0"),
    (Resize("0", None, "1", mode="area"), (PLANE, np.ones(4, np.float32)), r"mode must be one of nearest"),
    (Resize("0", None, "1"), (PLANE, Type(F, (4,))), r"scales must be known when compiling"),
    (Reorder("0", channels_last(4)), (ROW,), r"order @NHWC is for rank 4"),
    (Fused(("0",), Region()), (ROW,), r"body has 0 inputs, the node 1 operands"),
    (Clip("0"), (Type(F, (Symbol("n"), 2)),), r"the shape of %0 is not bound: f32\[nx2\]"),
]


@pytest.mark.parametrize(("op", "operands", "message"), REFUSED, ids=[one[0].name for one in REFUSED])
def test_refused(op: Op, operands: tuple[Type | np.ndarray, ...], message: str) -> None:
    contents = {str(i): o for i, o in enumerate(operands) if isinstance(o, np.ndarray)}
    types = {str(i): of_array(o) if isinstance(o, np.ndarray) else o for i, o in enumerate(operands)}
    with pytest.raises(TypeProblem, match=message) as caught:
        infer(op, types.__getitem__, contents.get)
    assert str(caught.value).startswith((f"{op.name}: ", "the rank"))


@pytest.mark.parametrize("kind", [Gather, GatherElements])
def test_an_index_out_of_range(kind: type[Op]) -> None:
    with pytest.raises(IndexError, match="index -5 is out of range for 4 elements"):
        kind("x", "i").reference(np.zeros(4, np.float32), known(1, -5))
