"""Winograd kernels equal the definition of convolution, whole and in two parts, for ragged maps, groups and halos."""

import numpy as np
import pytest
from kernel_harness import Loaded, aligned, check_code, check_guards, guarded, targets

from glowviz.compiler.backends.cpu.kernels.choose_winograd import choose, estimated_error
from glowviz.compiler.backends.cpu.kernels.epilogue import Epilogue, Extra, add_relu_step
from glowviz.compiler.backends.cpu.kernels.geometry import Map
from glowviz.compiler.backends.cpu.kernels.winograd import (
    WinogradSchedule,
    WinogradSpec,
    emit,
    emit_input,
    emit_result,
    pack_winograd_weights,
    transformed_bytes,
)
from glowviz.compiler.backends.cpu.kernels.winograd_transforms import PAIRS, Filtering
from glowviz.compiler.backends.cpu.machine_code import object_code
from glowviz.compiler.ops import Conv
from glowviz.compiler.target import Target

ERRORS = {4: 2e-6, 6: 4e-6, 8: 2e-5}
"""Largest difference to the definition as a part of the largest result, by numbers of a transformed line."""
SHAPES = [  # batch, channels, results, height, width, taps, outputs, padding, group, extra halo
    (1, 32, 48, 12, 12, 3, 4, 1, 1, 0),
    (2, 20, 40, 7, 9, 3, 2, 1, 1, 0),
    (1, 20, 37, 13, 9, 3, 4, 1, 1, 1),
    (1, 17, 33, 13, 7, 3, 6, 1, 1, 0),
    (1, 64, 64, 13, 13, 5, 2, 2, 2, 0),
    (2, 16, 16, 9, 11, 5, 4, 0, 1, 0),
    (1, 16, 16, 4, 4, 3, 2, 0, 1, 0),
]


def spec_of(shape: tuple[int, ...], target: Target) -> WinogradSpec:
    n, c, o, h, w, taps, outputs, pad, group, extra = shape
    block, more = target.vector_width, 2 * pad - taps + 1
    wide = pad + extra
    source = Map(n, c, h, w, block, (wide, wide, wide, wide))
    result = Map(n, o, h + more, w + more, block, (extra, extra, extra, extra))
    epilogue = Epilogue(True, "add relu", (Extra(result),))
    return WinogradSpec(source, result, Filtering(outputs, taps), (pad, pad), group, epilogue)


def definition(x: np.ndarray, w: np.ndarray, pad: int, group: int) -> np.ndarray:
    sides = (pad,) * 4
    return Conv("x", "w", pads=sides, group=group).reference(x.astype(np.float64), w.astype(np.float64), None)


def schedules(spec: WinogradSpec, target: Target) -> list[WinogradSchedule]:
    best, _ = choose(spec, target)
    others = [WinogradSchedule(spec.filtering.outputs, 2, {16: 13, 8: 6, 4: 4}[target.vector_width], 5, apart)
              for apart in (False, True)]  # fmt: skip
    return [best, *(s for s in others if spec.result.blocks // spec.group > 1)]


@pytest.mark.parametrize("target", targets(), ids=lambda t: t.name)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_it_is_convolution(shape: tuple[int, ...], target: Target) -> None:
    spec, rng = spec_of(shape, target), np.random.default_rng(0)
    s, o = spec.source, spec.result
    x = rng.normal(size=(s.batch, s.channels, s.height, s.width)).astype(np.float32)
    w = rng.normal(size=(o.channels, spec.depth, spec.filtering.taps, spec.filtering.taps)).astype(np.float32)
    bias, residual = rng.normal(size=o.channels).astype(np.float32), rng.normal(size=o.size // 4).astype(np.float32)
    wanted = np.maximum(definition(x, w, spec.pads[0], spec.group) + bias[:, None, None] + o.read(residual), 0)
    for schedule in schedules(spec, target):
        packed = aligned(pack_winograd_weights(w, spec, schedule.vectors))
        spare = np.concatenate([bias, np.zeros(-o.channels % o.block, np.float32)])
        operands = [aligned(s.write(x, fill=0.0)), packed, aligned(spare), aligned(residual)]
        bits = [computed(spec, schedule, target, operands, pieces) for pieces in (1, 3)]
        assert np.array_equal(bits[0], bits[1])
        error = np.abs(o.read(bits[0]) - wanted).max() / np.abs(wanted).max()
        assert error <= ERRORS[spec.filtering.size], (schedule, error)
        assert not o.lanes(bits[0])[:, o.channels :].any()


def computed(
    spec: WinogradSpec, schedule: WinogradSchedule, target: Target, operands: list[np.ndarray], pieces: int
) -> np.ndarray:
    """The result buffer; scratch and the transformed input are NaN before, so nothing unwritten may be read."""
    result, whole = guarded(spec.result.size // 4)
    source, *rest = operands
    if schedule.apart:
        first = emit_input(spec, schedule, target, "input")
        second = emit_result(spec, schedule, target, "result", add_relu_step)
        tiles = junk(transformed_bytes(spec, spec.tiles))
        Loaded(first, target).run([tiles, source, junk(first.scratch)], pieces)
        Loaded(second, target).run([result, tiles, *rest, junk(second.scratch)], pieces)
    else:
        code = emit(spec, schedule, target, "whole", add_relu_step)
        Loaded(code, target).run([result, source, *rest, junk(code.scratch)], pieces)
    check_guards(whole)
    halo = spec.result.halo
    if any(halo):
        untouched = result.reshape(-1, spec.result.height + halo[0] + halo[2], spec.result.row // 4)
        assert (untouched[:, 0] == 12345.0).all()
        assert (untouched[:, -1] == 12345.0).all()
    return result.copy()


def junk(size: int) -> np.ndarray:
    return aligned(np.full(size // 4, np.nan, np.float32))


@pytest.mark.parametrize("target", targets(), ids=lambda t: t.name)
@pytest.mark.parametrize(("channels", "size"), [(64, 56), (256, 14), (512, 7)])
def test_code_is_small_and_keeps_to_its_registers(channels: int, size: int, target: Target) -> None:
    for outputs in (2, 4):
        spec = spec_of((1, channels, channels, size, size, 3, outputs, 1, 1, 0), target)
        schedule, why = choose(spec, target)
        assert "tiles" in why
        kernels = (emit_input, emit_result) if schedule.apart else (emit,)
        for made in kernels:
            code = made(spec, schedule, target, "kernel", add_relu_step)
            check_code(code, target)
            assert len(object_code(code.text, target)) <= 16_000


@pytest.mark.parametrize("size", PAIRS)
@pytest.mark.parametrize("taps", [3, 5])
def test_transforms_are_exact(size: int, taps: int) -> None:
    if size <= taps:
        pytest.skip("no such filter")
    filtering, rng = Filtering(size - taps + 1, taps), np.random.default_rng(0)
    line, kernel = rng.normal(size=size), rng.normal(size=taps)
    found = filtering.results @ ((filtering.weights @ kernel) * (filtering.inputs @ line))
    wanted = [line[n : n + taps] @ kernel for n in range(filtering.outputs)]
    assert np.allclose(found, wanted, atol=1e-12)
    assert np.array_equal(filtering.inputs.astype(np.float32), filtering.inputs), "rounded points would not cancel"
    assert np.array_equal(filtering.results.astype(np.float32), filtering.results)


def test_larger_tiles_have_larger_errors() -> None:
    weights = np.random.default_rng(0).normal(size=(32, 128, 3, 3)).astype(np.float32)
    errors = [estimated_error(weights, Filtering(outputs, 3), 1) for outputs in (2, 4, 6)]
    assert errors == sorted(errors)
    assert 1e-8 < errors[0] < errors[2] < 2e-5
