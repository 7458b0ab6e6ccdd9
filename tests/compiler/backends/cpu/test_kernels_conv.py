"""Convolution kernels equal a float64 definition on every CPU level, for odd shapes too."""

import numpy as np
import pytest
from kernel_harness import Loaded, aligned, check_code, check_guards, close, guarded, targets

from glowviz.compiler.backends.cpu.kernels.choose_conv import choose
from glowviz.compiler.backends.cpu.kernels.conv import (
    ConvSchedule,
    ConvSpec,
    emit,
    pack_conv_weights,
)
from glowviz.compiler.backends.cpu.kernels.epilogue import Epilogue, Extra, add_relu_step
from glowviz.compiler.backends.cpu.kernels.geometry import Map
from glowviz.compiler.target import Target


def reference(x: np.ndarray, w: np.ndarray, spec: ConvSpec) -> np.ndarray:
    """The definition, in float64: x [N, C, H, W] with zeros around."""
    n, c, h, width = x.shape
    (sh, sw), (dh, dw), (top, left) = spec.strides, spec.dilations, spec.pads
    oh, ow = spec.result.height, spec.result.width
    kh, kw = spec.kernel
    padded = np.zeros((n, c, (oh - 1) * sh + (kh - 1) * dh + 1 + h, (ow - 1) * sw + (kw - 1) * dw + 1 + width))
    padded[:, :, top : top + h, left : left + width] = x
    per_in, per_out = c // spec.group, w.shape[0] // spec.group
    result = np.zeros((n, w.shape[0], oh, ow))
    for g in range(spec.group):
        part, weights = padded[:, g * per_in : (g + 1) * per_in], w[g * per_out : (g + 1) * per_out].astype(float)
        for y in range(kh):
            for z in range(kw):
                rows = slice(y * dh, y * dh + (oh - 1) * sh + 1, sh)
                columns = slice(z * dw, z * dw + (ow - 1) * sw + 1, sw)
                product = np.einsum("nchw,oc->nohw", part[:, :, rows, columns], weights[:, :, y, z])
                result[:, g * per_out : (g + 1) * per_out] += product
    return result


def make(
    target: Target, n: int, c: int, o: int, h: int, w: int, k: tuple[int, int], s: tuple[int, int] = (1, 1),
    d: tuple[int, int] = (1, 1), pads: tuple[int, int, int, int] = (0, 0, 0, 0), group: int = 1,
    epilogue: str = "", extra_halo: int = 0, plain: bool = False,
) -> ConvSpec:  # fmt: skip
    block = target.vector_width
    oh = (h + pads[0] + pads[2] - d[0] * (k[0] - 1) - 1) // s[0] + 1
    ow = (w + pads[1] + pads[3] - d[1] * (k[1] - 1) - 1) // s[1] + 1
    halo = tuple(p + extra_halo for p in pads)
    result = Map(n, o, oh, ow, block, (extra_halo,) * 4)
    extras = (Extra(Map(n, o, oh, ow, block, (0, extra_halo, 0, 1))),) if "add" in epilogue else ()
    return ConvSpec(
        Map(n, c, h, w, 1 if plain else block, halo), result, k, s, d, pads[:2], group,
        Epilogue(bool(epilogue), epilogue, extras),
    )  # fmt: skip


def run(spec: ConvSpec, schedule: ConvSchedule, target: Target, seed: int = 0, in_blocks: bool = False) -> None:
    rng = np.random.default_rng(seed)
    s, o = spec.source, spec.result
    x = rng.normal(size=(s.batch, s.channels, s.height, s.width)).astype(np.float32)
    w = rng.normal(size=(o.channels, s.channels // spec.group, *spec.kernel)).astype(np.float32)
    bias = rng.normal(size=o.channels).astype(np.float32)
    residual = rng.normal(size=(o.batch, o.channels, o.height, o.width)).astype(np.float32)
    step = add_relu_step if spec.epilogue.text else None
    code = emit(spec, schedule, target, "conv_kernel", step)
    check_code(code, target)
    expected = reference(x, w, spec)
    arrays = [aligned(s.write(x)), aligned(pack_conv_weights(w, spec, schedule))]
    if spec.epilogue.bias:
        arrays.append(aligned(bias))
        expected = expected + bias[:, None, None]
    for extra in spec.epilogue.extras:
        assert extra.map is not None
        arrays.append(aligned(extra.map.write(residual, fill=9.0)))
        expected = np.maximum(expected + residual, 0)
    assert code.scratch or not in_blocks
    if code.scratch:
        arrays.append(aligned(np.zeros(code.scratch // 4, np.float32)))
    kernel = Loaded(code, target)
    bits = []
    for pieces in (1, 3):
        out, whole = guarded(o.size // 4)
        kernel.run([out, *arrays], pieces)
        check_guards(whole)
        close(o.read(out), expected, s.channels // spec.group * spec.kernel[0] * spec.kernel[1])
        assert (o.lanes(out)[:, o.channels :] == 0).all()
        bits.append(out.tobytes())
    assert bits[0] == bits[1]


CASES = {
    "1x1": {"n": 1, "c": 32, "o": 64, "h": 7, "w": 7, "k": (1, 1)},
    "1x1 odd channels": {"n": 2, "c": 19, "o": 37, "h": 5, "w": 6, "k": (1, 1), "epilogue": "add relu"},
    "1x1 stride": {"n": 1, "c": 16, "o": 48, "h": 14, "w": 14, "k": (1, 1), "s": (2, 2)},
    "3x3": {"n": 1, "c": 32, "o": 32, "h": 14, "w": 14, "k": (3, 3), "pads": (1, 1, 1, 1), "epilogue": "add relu"},
    "3x3 wide halo": {
        "n": 2,
        "c": 24,
        "o": 20,
        "h": 9,
        "w": 17,
        "k": (3, 3),
        "pads": (1, 1, 1, 1),
        "extra_halo": 2,
        "epilogue": "add relu",
    },
    "3x3 stride": {"n": 1, "c": 20, "o": 16, "h": 15, "w": 13, "k": (3, 3), "s": (2, 2), "pads": (1, 1, 1, 1)},
    "5x3 dilated": {"n": 1, "c": 6, "o": 10, "h": 16, "w": 19, "k": (5, 3), "d": (2, 3), "pads": (3, 2, 4, 1)},
    "1d": {"n": 1, "c": 40, "o": 24, "h": 1, "w": 33, "k": (1, 5), "pads": (0, 2, 0, 2)},
    "stem 7x7": {
        "n": 1,
        "c": 3,
        "o": 24,
        "h": 32,
        "w": 32,
        "k": (7, 7),
        "s": (2, 2),
        "pads": (3, 3, 3, 3),
        "plain": True,
        "epilogue": "add relu",
    },
    "stem 3x3 one channel": {
        "n": 2,
        "c": 1,
        "o": 8,
        "h": 12,
        "w": 11,
        "k": (3, 3),
        "pads": (1, 1, 1, 1),
        "plain": True,
    },
    "group 1x1": {"n": 1, "c": 136, "o": 136, "h": 7, "w": 7, "k": (1, 1), "group": 4, "epilogue": "add relu"},
    "group 3x3": {"n": 1, "c": 24, "o": 40, "h": 8, "w": 9, "k": (3, 3), "pads": (1, 1, 1, 1), "group": 4},
    "group many": {"n": 1, "c": 30, "o": 60, "h": 6, "w": 6, "k": (3, 3), "pads": (1, 1, 1, 1), "group": 10},
    "group wide": {"n": 1, "c": 128, "o": 128, "h": 6, "w": 6, "k": (3, 3), "pads": (1, 1, 1, 1), "group": 4},
}


@pytest.mark.parametrize("target", targets(), ids=lambda t: t.name)
@pytest.mark.parametrize("case", CASES)
def test_default_schedule(case: str, target: Target) -> None:
    options = dict(CASES[case])
    spec = make(target, **options)  # type: ignore[arg-type]
    schedule, why = choose(spec, target)
    assert why
    run(spec, schedule, target)


@pytest.mark.parametrize("target", targets(), ids=lambda t: t.name)
@pytest.mark.parametrize("seed", range(6))
def test_random_shapes(seed: int, target: Target) -> None:
    rng = np.random.default_rng(seed)
    k, d, s = (tuple(int(v) for v in rng.integers(1, top, size=2)) for top in (6, 3, 4))
    group = int(rng.choice([1, 1, 2, 3]))
    c, o = (int(rng.integers(1, 30)) * group for _ in range(2))
    h, w = (int(rng.integers((k[i] - 1) * d[i] + 1, 26)) for i in (0, 1))
    pads = tuple(int(v) for v in rng.integers(0, 3, size=4))
    spec = make(
        target, int(rng.integers(1, 3)), c, o, h, w, k, s, d, pads, group, ["", "add relu"][seed % 2],
        extra_halo=seed % 3 % 2, plain=group == 1 and c <= 4,
    )  # fmt: skip
    run(spec, choose(spec, target)[0], target, seed)


DEEP = {
    "1x1": {"n": 1, "c": 544, "o": 40, "h": 7, "w": 5, "k": (1, 1), "epilogue": "add relu"},
    "1x1 uneven blocks": {"n": 1, "c": 1100, "o": 20, "h": 5, "w": 4, "k": (1, 1)},
    "3x3": {"n": 2, "c": 128, "o": 36, "h": 6, "w": 7, "k": (3, 3), "pads": (1, 1, 1, 1), "epilogue": "add relu"},
    "7x7": {"n": 1, "c": 40, "o": 16, "h": 9, "w": 8, "k": (7, 7), "pads": (3, 3, 3, 3)},
    "group": {"n": 1, "c": 300, "o": 60, "h": 6, "w": 6, "k": (3, 3), "pads": (1, 1, 1, 1), "group": 2},
}


@pytest.mark.parametrize("target", targets(), ids=lambda t: t.name)
@pytest.mark.parametrize("case", DEEP)
def test_long_sums_are_made_in_blocks(case: str, target: Target) -> None:
    spec = make(target, **DEEP[case])  # type: ignore[arg-type]
    run(spec, choose(spec, target)[0], target, in_blocks=True)
