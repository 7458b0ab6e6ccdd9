"""Every sample of every op with a general kernel runs natively on three x86 levels, like numpy, without any library."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from glowviz.compiler.backends.cpu import cpu_targets
from glowviz.compiler.backends.cpu.backend import missing_features
from glowviz.compiler.backends.cpu.build import build
from glowviz.compiler.backends.cpu.elf import undefined_names
from glowviz.compiler.backends.cpu.objects import ObjectCache
from glowviz.compiler.interpreter import RunProblem
from glowviz.compiler.ops import OPS
from glowviz.compiler.ops.base import Case, Op, case
from glowviz.compiler.target import Target
from glowviz.compiler.types import channel_blocked
from tests.compiler.backends.one_instruction import Arrays, error, expected, plan_of, program_of

TARGETS = {t.name: t for t in (cpu_targets.avx512(), cpu_targets.avx2(), cpu_targets.baseline())}
GENERAL_NAMES = (
    "TopK ScatterElements ScatterND GatherND Einsum MaxPool AveragePool LpPool GlobalLpPool GlobalMaxPool "
    "GlobalAveragePool ConvTranspose Gemm MatMul Trilu CumSum CumProd BitShift BitCast LSTM GRU RNN GridSample "
    "RoiAlign MaxRoiPool DFT STFT ConvInteger QLinearConv QLinearMatMul TensorScatter ReverseSequence MaxUnpool "
    "Col2Im EyeLike Det Resize Pad DeformConv ArgMax ArgMin"
)
GENERAL = GENERAL_NAMES.split()
CONSTANT: dict[str, str] = {
    "Resize": "roi scales sizes", "Pad": "pads axes", "TopK": "k", "DFT": "dft_length",
    "STFT": "frame_step frame_length", "Col2Im": "image_shape block_shape",
}  # fmt: skip
"""Operands that must be known when compiling."""
TOLERANCE = 2e-6
HALF_TOLERANCE = 1e-3
ALLOWED = {"memcpy", "memset", "memmove"}


def normal(*shape: int, kind: type = np.float32) -> np.ndarray:
    """Normal numbers, the same every time."""
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(kind)


def whole(low: int, high: int, *shape: int, kind: type = np.int64) -> np.ndarray:
    """Integers, the same every time."""
    return np.random.default_rng(sum(shape)).integers(low, high, shape).astype(kind)


HOLES = np.where(normal(5, 41) > 1, np.nan, normal(5, 41)).astype(np.float32)
LSTM_OPERANDS = normal(3, 2, 21), normal(2, 4 * 37, 21) * np.float32(0.2), normal(2, 4 * 37, 37) * np.float32(0.2)
MORE: dict[str, list[Case]] = {
    "TopK": [
        *(case(HOLES, np.array([k], np.int64), largest=first) for k in (0, 1, 13, 41) for first in (True, False)),
        case(whole(0, 255, 9, 3, kind=np.uint8), np.array([4], np.int64), axis=0),
        case(normal(0, 4), np.array([2], np.int64)),
        *(case(np.round(normal(3, 211)), np.array([30], np.int64), largest=first) for first in (True, False)),
        case(whole(0, 2**32, 2, 90, kind=np.uint32), np.array([9], np.int64)),
        case(normal(2, 70, 5, kind=np.float64), np.array([9], np.int64), axis=1),
    ],
    "ScatterElements": [
        case(normal(4, 5, 3), whole(-5, 5, 2, 7, 3), normal(2, 7, 3), axis=1),
        case(normal(3, 2, kind=np.float16), whole(0, 3, 0, 2), normal(0, 2, kind=np.float16)),
        case(whole(0, 9, 6), whole(0, 6, 9), whole(0, 9, 9), reduction="add"),
    ],
    "Einsum": [
        case((normal(2, 3, 5, 7), normal(3, 7, 11)), equation="bhij,hjk->bihk"),
        case((normal(2, 3, 5, 7, kind=np.float64), normal(3, 7, 11, kind=np.float64)), equation="...hij,hjk->i...k"),
        case((whole(-9, 9, 4, 6), whole(-9, 9, 6), whole(-9, 9, 4)), equation="ab,b,a->"),
        case((normal(0, 3), normal(3, 4)), equation="ab,bc"),
        case((normal(3, 0), normal(0, 4)), equation="ab,bc"),
    ],
    "MatMul": [
        case(normal(2, 1, 5, 33), normal(3, 33, 19)),
        case(normal(700, kind=np.float64), normal(700, 3, kind=np.float64)),
        case(whole(0, 200, 3, 40, kind=np.uint32), whole(0, 200, 40, 21, kind=np.uint32)),
        case(normal(3, 0), normal(0, 4)),
    ],
    "MaxPool": [
        case(normal(1, 2, 5, 6, 7), kernel=(2, 3, 2), pads=(1, 1, 0, 0, 1, 1), storage_order=1),
        case(whole(0, 255, 1, 2, 6, 5, kind=np.uint8), kernel=(3, 3), strides=(2, 2)),
        case(normal(0, 2, 6, 5), kernel=(3, 3)),
    ],
    "CumSum": [
        case(normal(3, 0, 2), np.array(1, np.int64)),
        case(whole(0, 9, 3, 5, kind=np.int32), np.array(-2, np.int32), reverse=True),
    ],
    "BitShift": [
        case(whole(-128, 127, 64, kind=np.int8), whole(-128, 127, 64, kind=np.int8), direction=direction)
        for direction in ("LEFT", "RIGHT")
    ],
    "LSTM": [
        case(*LSTM_OPERANDS, hidden_size=37, direction="bidirectional"),
        case(*(a.astype(np.float64) for a in LSTM_OPERANDS), hidden_size=37, direction="bidirectional", layout=1),
    ],
    "DeformConv": [
        case(
            normal(2, 6, 7, 9),
            normal(4, 3, 3, 2),
            normal(2, 24, 4, 11) * 3,
            normal(4),
            normal(2, 12, 4, 11),
            strides=(2, 1),
            pads=(1, 2, 2, 1),
            group=2,
            offset_group=2,
        ),
        case(normal(1, 2, 9, kind=np.float64), normal(3, 2, 2, kind=np.float64), normal(1, 2, 8, kind=np.float64)),
    ],
    **{
        name: [
            case(rows, axis=1, keepdims=False, select_last_index=last)
            for rows in (HOLES, whole(0, 5, 3, 33, kind=np.uint8), whole(0, 5, 3, 64, kind=np.float64))
            for last in (False, True)
        ]
        for name in ("ArgMax", "ArgMin")
    },
    "Pad": [
        *(case(normal(2, 3), np.array([0, 7, 0, 8], np.int64), mode=mode) for mode in ("reflect", "wrap", "edge")),
        case(normal(0, 3), np.array([1, 0, 1, 0], np.int64), np.array(2, np.float32)),
    ],
}
"""Odd shapes, empty ones, other element kinds."""


def cases(name: str) -> Iterator[Case]:
    """The op's own samples, and more."""
    yield from object.__new__(OPS[name]).samples(np.random.default_rng(0))
    yield from MORE.get(name, ())


def check(op: type[Op], one: Case, constant: frozenset[str], target: Target, objects: ObjectCache) -> None:
    """Native, right, and without a library."""
    program, arrays = program_of(op, one, constant)
    executable = build(program, plan_of(program), target, 1, objects)
    assert executable.listing()[0].native, (one.attributes, shapes(arrays))
    assert all(undefined_names(code) <= ALLOWED for code in executable.objects.values())
    found = executable.run(arrays)
    for out, wanted in expected(program, arrays).items():
        tolerance = HALF_TOLERANCE if wanted.dtype == np.float16 else TOLERANCE
        assert error(found[out], wanted) <= tolerance, (one.attributes, shapes(arrays), out)
    executable.close()


def shapes(arrays: Arrays) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in arrays.items()}


@pytest.mark.parametrize("level", TARGETS)
@pytest.mark.parametrize("name", GENERAL)
def test_samples(name: str, level: str, objects: ObjectCache) -> None:
    if missing_features(TARGETS[level]):
        pytest.skip(f"this processor has no {missing_features(TARGETS[level])}")
    with np.errstate(all="ignore"):
        for one in cases(name):
            check(OPS[name], one, frozenset(CONSTANT.get(name, "").split()), TARGETS[level], objects)


BLOCKED = {
    "MaxPool": case(normal(2, 21, 5, 7), kernel=(3, 2), pads=(1, 0, 1, 1)),
    "AveragePool": case(normal(2, 21, 5, 7), kernel=(3, 2), count_include_pad=True, pads=(1, 0, 1, 1)),
    "ConvTranspose": case(normal(1, 21, 4, 3), normal(21, 19, 2, 2), strides=(2, 1)),
    "TopK": case(normal(2, 21, 5, 7), np.array([5], np.int64), axis=1),
    "CumSum": case(normal(2, 21, 5, 7), np.array(1, np.int64)),
    "ScatterElements": case(normal(2, 21, 5, 7), whole(0, 21, 2, 9, 5, 7), normal(2, 9, 5, 7), axis=1),
}


@pytest.mark.parametrize("name", BLOCKED)
def test_any_memory_order(name: str, objects: ObjectCache) -> None:
    order = channel_blocked(4, 16)
    one = BLOCKED[name]
    program, arrays = program_of(OPS[name], one, frozenset(CONSTANT.get(name, "").split()), {"x": order, "y0": order})
    executable = build(program, plan_of(program), cpu_targets.host_target(), 1, objects)
    assert executable.listing()[0].native
    found = executable.run(arrays)
    for out, wanted in expected(program, arrays).items():
        assert error(found[out], wanted) <= TOLERANCE, out


WRONG = {
    "ScatterElements": (case(normal(3, 5), np.array([[0, 1]], np.int64), normal(1, 2), axis=1), "indices", 5),
    "ScatterND": (case(normal(4, 3), np.array([[0]], np.int64), normal(1, 3)), "indices", -5),
    "GatherND": (case(normal(2, 3), np.array([[0, 1]], np.int64)), "indices", 3),
    "CumSum": (case(normal(2, 3), np.array(0, np.int64)), "axis", 2),
    "TensorScatter": (case(normal(1, 2, 4, 3), normal(1, 2, 2, 3), np.array([0], np.int64)), "write_indices", 3),
    "RoiAlign": (case(normal(1, 1, 4, 4), normal(1, 4), np.array([0], np.int64)), "batch_indices", 1),
    "MaxUnpool": (
        case(normal(1, 1, 1, 1), np.array([[[[0]]]], np.int64), kernel=(2, 2), strides=(2, 2)), "indices", 9
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_indices_outside_are_reported_and_never_followed(name: str, objects: ObjectCache) -> None:
    one, operand, wrong = WRONG[name]
    program, arrays = program_of(OPS[name], one)
    executable = build(program, plan_of(program), cpu_targets.host_target(), 1, objects)
    assert executable.listing()[0].native
    with pytest.raises(RunProblem, match="index outside"):
        executable.run(arrays | {operand: np.full_like(arrays[operand], wrong)})
    executable.run(arrays)  # usable again


LOWEST = np.iinfo(np.int32).min
EDGES: dict[str, tuple[str, list[np.ndarray], list[int]]] = {
    "division by zero is 0, the smallest by -1 wraps": (
        "Div", [np.array([7, -7, LOWEST, LOWEST], np.int32), np.array([0, 0, -1, 0], np.int32)], [0, 0, LOWEST, 0]
    ),
    "the rest of a division by zero is 0": (
        "Mod", [np.array([7, -7, LOWEST, 5], np.int32), np.array([0, 0, -1, -3], np.int32)], [0, 0, 0, -1]
    ),
    "powers wrap, negative ones go towards zero": (
        "Pow", [np.array([2, 3, -1, 2, 1, 0], np.int32), np.array([31, 21, -3, -1, -9, 0], np.int32)],
        [LOWEST, 3**21 - (3**21 >> 32 << 32), -1, 0, 1, 1],
    ),
}  # fmt: skip


@pytest.mark.parametrize("level", TARGETS)
@pytest.mark.parametrize("told", EDGES)
def test_integers_at_the_edge_are_defined(told: str, level: str, objects: ObjectCache) -> None:
    if missing_features(TARGETS[level]):
        pytest.skip(f"this processor has no {missing_features(TARGETS[level])}")
    name, operands, wanted = EDGES[told]
    program, arrays = program_of(OPS[name], case(*operands))
    executable = build(program, plan_of(program), TARGETS[level], 1, objects)
    assert executable.listing()[0].native
    assert executable.run(arrays)["y0"].astype(np.int64).tolist() == np.array(wanted).astype(np.int32).tolist()


@pytest.mark.parametrize("level", TARGETS)
def test_reductions_of_unsigned_numbers_and_truth_values(level: str, objects: ObjectCache) -> None:
    if missing_features(TARGETS[level]):
        pytest.skip(f"this processor has no {missing_features(TARGETS[level])}")
    for array in (whole(0, 255, 4, 33, kind=np.uint8), whole(0, 2, 5, 17, kind=np.bool_), whole(0, 2, 0, 3) > 0):
        for name in ("ReduceMax", "ReduceMin"):
            for axes in ((0,), (1,)):
                if array.size or array.dtype == bool:
                    check(OPS[name], case(array, axes=axes), frozenset(), TARGETS[level], objects)


@pytest.mark.parametrize("level", TARGETS)
def test_every_half_and_the_way_back(level: str, objects: ObjectCache) -> None:
    if missing_features(TARGETS[level]):
        pytest.skip(f"this processor has no {missing_features(TARGETS[level])}")
    with np.errstate(all="ignore"):
        halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
        exact = halves.astype(np.float32)
        between = (exact[:-1] + exact[1:]) / 2
        floats = np.concatenate([exact, between, np.nextafter(between, np.float32(np.inf)), normal(999) * 1e5])
        for array, to in ((halves, "f32"), (floats, "f16")):
            program, arrays = program_of(OPS["Cast"], case(array, to=to))
            executable = build(program, plan_of(program), TARGETS[level], 1, objects)
            assert executable.listing()[0].native
            found, wanted = executable.run(arrays)["y0"], expected(program, arrays)["y0"]
            np.testing.assert_array_equal(found, wanted)
            np.testing.assert_array_equal(np.signbit(found), np.signbit(wanted))
