"""NaN and infinities of one group of a convolution never reach the results of another, wherever groups meet."""

from __future__ import annotations

import numpy as np
import pytest

from glowviz.compiler.backends.cpu.backend import missing_features
from glowviz.compiler.backends.cpu.build import build
from glowviz.compiler.backends.cpu.objects import ObjectCache
from glowviz.compiler.memory import plan_memory
from glowviz.compiler.ops import Conv, ConvTranspose
from glowviz.compiler.ops.base import Case, Op, case
from glowviz.compiler.target import Target
from tests.compiler.backends.one_instruction import expected, program_of
from tests.compiler.backends.test_heavy_samples import TARGETS, TOLERANCE, WEIGHTS, compiled

# channels, features, groups, kernel: several groups in a block, groups across blocks, more and fewer results than
# channels, groups whose sums are long, one channel each
SHAPES = (
    (16, 16, 8, 3), (24, 40, 8, 3), (10, 15, 5, 1), (6, 12, 6, 3), (68, 68, 2, 1), (12, 6, 2, 3), (300, 20, 2, 3),
)  # fmt: skip


def poisoned(op: type[Op], shape: tuple[int, int, int, int], number: float) -> tuple[Case, int]:
    """A case whose group 1 alone has `number` among its channels, and the first and last result of that group."""
    channels, features, group, size = shape
    rng = np.random.default_rng(3)
    x = rng.normal(size=(1, channels, 5, 6)).astype(np.float32)
    x[0, channels // group, 2, 3] = number
    weights = (features, channels // group) if op is Conv else (channels, features // group)
    w = rng.normal(size=(*weights, size, size)).astype(np.float32)
    attributes = {"group": group, "pads": (size // 2,) * 4}
    return case(x, w, rng.normal(size=features).astype(np.float32), **attributes), features // group


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize("op", [Conv, ConvTranspose])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_other_groups_stay_clean(
    op: type[Op], shape: tuple[int, int, int, int], target: Target, objects: ObjectCache
) -> None:  # fmt: skip
    if missing_features(target):
        pytest.skip("this processor cannot run the code")
    for number in (np.nan, -np.inf):
        sample, each = poisoned(op, shape, number)
        program, inputs = program_of(op, sample, WEIGHTS)
        ready, plan = plan_memory(compiled(program, target))
        executable = build(ready, plan, target, objects=objects)
        assert all(line.native for line in executable.listing())
        found, wanted = executable.run(inputs)["y0"], expected(program, inputs)["y0"]
        executable.close()
        mine = np.zeros(shape[1], bool)
        mine[each : 2 * each] = True
        assert np.isfinite(found[:, ~mine]).all()
        assert not np.isfinite(found[:, mine]).all()
        assert np.array_equal(np.isnan(found), np.isnan(wanted))
        finite = np.isfinite(wanted)
        assert np.array_equal(found[~finite & ~np.isnan(wanted)], wanted[~finite & ~np.isnan(wanted)])
        assert np.abs(found[finite] - wanted[finite]).max() <= TOLERANCE * np.abs(wanted[finite]).max()
