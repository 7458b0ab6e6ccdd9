"""A pool's window may be far larger than what it looks at, where rounding up leaves one window."""

import numpy as np
import pytest

from glowviz.compiler.passes.bind_shapes import bind_shapes
from glowviz.compiler.pipeline import compile as compile_model
from tests.compiler.importer.small import by_runtime, model, node, read, value


@pytest.mark.parametrize("kind", ["AveragePool", "MaxPool"])
@pytest.mark.parametrize("window", [(640, 640, 0, 0, 0, 0), (5, 2, 1, 0, 1, 0), (4, 9, 0, 1, 0, 1)])
def test_what_a_window_reaches_beyond_the_end_is_left_out(kind: str, window: tuple[int, ...]) -> None:
    kernel, pads = window[:2], window[2:]
    one = node(kind, ["x"], ["y"], kernel_shape=kernel, strides=kernel, pads=pads, ceil_mode=1)
    proto = model([one], [value("x", (2, 3, 3, 4))], ["y"])
    x = np.random.default_rng(0).normal(size=(2, 3, 3, 4)).astype(np.float32)
    wanted = by_runtime(proto, {"x": x})[0]
    graph = bind_shapes.function(read(proto))
    assert all(k <= 6 for k in graph.nodes["y"].op.kernel), "640 × 640 taps would be visited one by one"
    for target in ("interpreter", "cpu"):
        found = compile_model(proto, target=target).run({"x": x})["y"]
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
