"""Transposed convolutions equal a float64 definition on every CPU level."""

import numpy as np
import pytest
from kernel_harness import Loaded, aligned, check_code, check_guards, close, guarded, targets

from glowviz.compiler.backends.cpu.kernels import conv_transpose
from glowviz.compiler.backends.cpu.kernels.epilogue import Epilogue, relu_step
from glowviz.compiler.backends.cpu.kernels.geometry import Map
from glowviz.compiler.target import Target

# channels, outputs, height, width, kernel, strides, dilations, pads (t, l, b, r), output padding, group
CASES = {
    "2x2 stride 2": (32, 32, 7, 7, (2, 2), (2, 2), (1, 1), (0, 0, 0, 0), (0, 0), 1),
    "3x3 stride 2": (19, 37, 5, 6, (3, 3), (2, 2), (1, 1), (1, 1, 1, 1), (1, 1), 1),
    "4x4 stride 2": (16, 8, 6, 9, (4, 4), (2, 2), (1, 1), (1, 1, 1, 1), (0, 0), 1),
    "stride above kernel": (4, 5, 4, 4, (2, 1), (3, 3), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    "stride 1": (8, 9, 5, 7, (3, 2), (1, 1), (1, 1), (1, 0, 0, 1), (0, 0), 1),
    "dilated": (6, 8, 5, 6, (3, 3), (2, 3), (2, 2), (1, 2, 0, 1), (0, 0), 1),
    "grouped": (24, 20, 5, 5, (3, 3), (2, 2), (1, 1), (0, 0, 1, 1), (0, 0), 4),
    "stride 8": (3, 5, 3, 4, (16, 16), (8, 8), (1, 1), (4, 4, 4, 4), (0, 0), 1),
    "deep": (530, 20, 4, 5, (3, 3), (2, 2), (1, 1), (1, 1, 0, 0), (0, 0), 1),
    "1d": (6, 10, 1, 9, (1, 4), (1, 2), (1, 1), (0, 1, 0, 1), (0, 0), 1),
}


@pytest.mark.parametrize("target", targets(), ids=lambda t: t.name)
@pytest.mark.parametrize("case", CASES)
def test_conv_transpose(case: str, target: Target) -> None:
    c, o, h, w, k, s, d, pads, extra, group = CASES[case]
    rng, block = np.random.default_rng(5), target.vector_width
    full = [s[i] * (n - 1) + extra[i] + (k[i] - 1) * d[i] + 1 for i, n in ((0, h), (1, w))]
    oh, ow = full[0] - pads[0] - pads[2], full[1] - pads[1] - pads[3]
    x = rng.normal(size=(2, c, h, w)).astype(np.float32)
    weights = rng.normal(size=(c, o // group, *k)).astype(np.float32)
    bias = rng.normal(size=o).astype(np.float32)
    canvas = np.zeros((2, o, *full))
    per_in, per_out = c // group, o // group
    for g in range(group):
        part = x[:, g * per_in : (g + 1) * per_in].astype(float)
        for y in range(k[0]):
            for z in range(k[1]):
                plane = np.einsum("nchw,co->nohw", part, weights[g * per_in : (g + 1) * per_in, :, y, z])
                rows = slice(y * d[0], y * d[0] + (h - 1) * s[0] + 1, s[0])
                columns = slice(z * d[1], z * d[1] + (w - 1) * s[1] + 1, s[1])
                canvas[:, g * per_out : (g + 1) * per_out, rows, columns] += plane
    expected = canvas[:, :, pads[0] : pads[0] + oh, pads[1] : pads[1] + ow] + bias[:, None, None]
    expected = np.maximum(expected, 0)
    result = Map(2, o, oh, ow, block, (1, 1, 0, 0))
    wide = Map(2, c, h, w, block, (9, 9, 9, 9))
    need = conv_transpose.reach(conv_transpose.ConvTransposeSpec(wide, result, k, s, d, pads[:2], group))
    spec = conv_transpose.ConvTransposeSpec(
        Map(2, c, h, w, block, need), result, k, s, d, pads[:2], group, Epilogue(True, "relu")
    )
    schedule, why = conv_transpose.choose(spec, target)
    assert why
    code = conv_transpose.emit(spec, schedule, target, "transpose_kernel", relu_step)
    check_code(code, target)
    arrays = [
        spec.source.write(x),
        conv_transpose.pack_transpose_weights(weights, spec, schedule),
        bias,
        *([np.zeros(code.scratch // 4, np.float32)] if code.scratch else []),
    ]
    kernel, bits = Loaded(code, target), []
    for pieces in (1, 4):
        out, whole = guarded(result.size // 4)
        kernel.run([out, *(aligned(a) for a in arrays)], pieces)
        check_guards(whole)
        close(result.read(out), expected, c // group * k[0] * k[1])
        assert (result.lanes(out)[:, o:] == 0).all()
        bits.append(out.tobytes())
    assert bits[0] == bits[1]
