"""Channels are shuffled inside their blocks with the right numbers, zeros in spare lanes and the halo left alone."""

from __future__ import annotations

import numpy as np
import pytest

from glowviz.compiler.backends.cpu.cpu_targets import host_target
from glowviz.compiler.backends.cpu.kernels.channel_shuffle import origins
from glowviz.compiler.backends.cpu.kernels.geometry import Map
from glowviz.compiler.backends.cpu.objects import ObjectCache
from glowviz.compiler.ops import OPS
from glowviz.compiler.ops.base import case
from glowviz.compiler.types import channel_blocked
from tests.compiler.backends.one_instruction import program_of
from tests.compiler.backends.test_orders import HALOS, POISON, halo_bytes, run, spare_lanes

SHAPES = [((1, 136, 5, 7), 4), ((2, 21, 3, 4), 3), ((1, 64, 2, 2), 2), ((1, 6, 1, 3), 6), ((1, 40, 3, 3), 1)]


@pytest.mark.parametrize("halo", HALOS)
@pytest.mark.parametrize(("shape", "group"), SHAPES)
def test_blocks_are_shuffled(shape: tuple[int, ...], group: int, halo: str, objects: ObjectCache) -> None:
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    blocked = channel_blocked(4, host_target().vector_width)
    program, arrays = program_of(
        OPS["ChannelShuffle"], case(x, group=group), orders={"x": blocked, "y0": blocked}, halos={"y0": HALOS[halo]}
    )
    executable = run(program, arrays, objects)
    assert not spare_lanes(executable, "y0").any()
    assert (halo_bytes(executable, "y0") == POISON).all()


def test_rows_are_copied_whole(objects: ObjectCache) -> None:
    for shape, group in SHAPES:
        x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        run(*program_of(OPS["ChannelShuffle"], case(x, group=group), halos={"y0": HALOS["odd"]}), objects)


def test_every_lane_knows_where_it_comes_from() -> None:
    # six channels in two groups: 0 3 1 4 2 5, in blocks of four
    assert origins(Map(1, 6, 1, 1, 4), 2, 0) == [(0, 0), (0, 3), (0, 1), (1, 0)]
    assert origins(Map(1, 6, 1, 1, 4), 2, 1) == [(0, 2), (1, 1), None, None]
