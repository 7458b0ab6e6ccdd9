"""Single operators at sizes real models have: our time, onnxruntime's, and the ratio (one thread, lower is better).

`python benchmarks/ops.py [names]` runs all cases, or those whose name contains one of the words.
Both sides find their operands in place: only the work between is timed, in short windows that take turns.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

import glowviz
from glowviz.bench.clock import real_time
from glowviz.compiler.backends.cpu.executable import CpuExecutable

RNG = np.random.default_rng(7)
WINDOW = 1e-3  # s of calls that are timed as one
ROUNDS = 12


@dataclass(frozen=True)
class Case:
    """One operator: `feeds` are its run-time operands, `weights` constant ones; None in `order` is left out."""

    name: str
    op: str
    feeds: dict[str, np.ndarray]
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ("y",)
    more: tuple[onnx.NodeProto, ...] = ()
    """Nodes after the operator, the last of which makes `outputs`."""
    made: tuple[str, ...] = ()
    tolerance: float = 2e-5

    @property
    def shape(self) -> str:
        """The shapes of the operands."""
        return " ".join("x".join(map(str, a.shape)) for a in (*self.feeds.values(), *self.weights.values()) if a.shape)

    def model(self) -> onnx.ModelProto:
        """The operator as a model of its own."""
        names = self.order or (*self.feeds, *self.weights)
        node = helper.make_node(self.op, names, self.made or self.outputs, **self.attributes)
        inputs = [_typed(name, array) for name, array in self.feeds.items()]
        constants = [numpy_helper.from_array(array, name) for name, array in self.weights.items()]
        results = [helper.make_empty_tensor_value_info(name) for name in self.outputs]
        graph = helper.make_graph([node, *self.more], "case", inputs, results, constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
        return onnx.shape_inference.infer_shapes(model)


def _typed(name: str, array: np.ndarray) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)


def normal(*shape: int) -> np.ndarray:
    """f32 of the standard normal distribution."""
    return RNG.standard_normal(shape).astype(np.float32)


def whole(low: int, high: int, shape: tuple[int, ...], kind: Any = np.int64) -> np.ndarray:
    """Integers low … high - 1."""
    return RNG.integers(low, high, shape).astype(kind)


def i64(*numbers: int) -> np.ndarray:
    """A constant operand of shapes, axes or pads."""
    return np.array(numbers, np.int64)


def f32(number: float) -> np.ndarray:
    """A scale."""
    return np.array(number, np.float32)


def recurrent() -> Iterator[Case]:
    """Steps of recurrent layers, the weights constant."""
    for op, gates, hidden, batch, steps in (
        ("LSTM", 4, 64, 1, 32), ("LSTM", 4, 128, 1, 64), ("LSTM", 4, 256, 8, 32), ("LSTM", 4, 512, 8, 16),
        ("LSTM", 4, 512, 1, 16), ("GRU", 3, 128, 1, 64), ("GRU", 3, 256, 8, 32), ("GRU", 3, 512, 1, 16),
        ("RNN", 1, 256, 8, 32),
    ):  # fmt: skip
        weights = {"w": normal(1, gates * hidden, hidden) / 16, "r": normal(1, gates * hidden, hidden) / 16,
                   "b": normal(1, 2 * gates * hidden)}  # fmt: skip
        more = {"linear_before_reset": 1} if op == "GRU" else {}
        yield Case(f"{op.lower()}_{hidden}_batch{batch}", op, {"x": normal(steps, batch, hidden)}, weights,
                   {"hidden_size": hidden, **more}, tolerance=1e-4)  # fmt: skip
    weights = {"w": normal(2, 512, 64) / 8, "r": normal(2, 512, 128) / 8, "b": normal(2, 1024)}
    yield Case("lstm_both_ways", "LSTM", {"x": normal(40, 4, 64)}, weights,
               {"hidden_size": 128, "direction": "bidirectional"}, tolerance=1e-4)  # fmt: skip


def convolutions() -> Iterator[Case]:
    """Shapes of convolution beside the plain one."""

    def conv(name: str, x: tuple[int, ...], w: tuple[int, ...], op: str = "Conv", **attributes: Any) -> Case:
        weights = {"w": normal(*w) / np.float32(np.prod(w[1:])) ** 0.5, "b": normal(w[0])}
        if op == "ConvTranspose":
            weights["b"] = normal(w[1] * attributes.get("group", 1))
        return Case(name, op, {"x": normal(*x)}, weights, attributes)

    yield conv("conv_group", (1, 128, 28, 28), (128, 4, 3, 3), group=32, pads=[1] * 4)
    yield conv("conv_group_wide", (1, 256, 14, 14), (256, 64, 3, 3), group=4, pads=[1] * 4)
    yield conv("conv_dilated", (1, 64, 56, 56), (64, 64, 3, 3), dilations=[2, 2], pads=[2] * 4)
    yield conv("conv_depthwise_5x5", (1, 96, 28, 28), (96, 1, 5, 5), group=96, pads=[2] * 4)
    yield conv("conv_1d", (1, 64, 1000), (128, 64, 3), pads=[1, 1])
    yield conv("conv_1d_dilated", (1, 128, 800), (128, 128, 3), dilations=[4], pads=[4, 4])
    yield conv("conv_1d_few", (1, 1, 16000), (32, 1, 80), strides=[4])
    yield conv("conv_3d", (1, 16, 16, 32, 32), (32, 16, 3, 3, 3), pads=[1] * 6)
    yield conv("conv_3d_stride2", (1, 3, 16, 56, 56), (32, 3, 3, 7, 7), strides=[1, 2, 2], pads=[1, 3, 3] * 2)
    yield conv("conv_3d_point", (1, 64, 8, 28, 28), (128, 64, 1, 1, 1))
    for kernel in (2, 3, 4):
        yield conv(f"conv_transpose_{kernel}", (1, 64, 28, 28), (64, 32, kernel, kernel), "ConvTranspose",
                   strides=[2, 2], pads=[(kernel - 1) // 2] * 4)  # fmt: skip
    yield conv("conv_transpose_group", (1, 32, 28, 28), (32, 2, 4, 4), "ConvTranspose", group=16, strides=[2, 2],
               pads=[1] * 4)  # fmt: skip
    silu = (helper.make_node("Sigmoid", ["c"], ["s"]), helper.make_node("Mul", ["c", "s"], ["y"]))
    weights = {"w": normal(64, 32, 3, 3) / 17, "b": normal(64)}
    yield Case("conv_silu", "Conv", {"x": normal(1, 32, 56, 56)}, weights, {"pads": [1] * 4}, made=("c",), more=silu)


def pools() -> Iterator[Case]:
    """Pools of one to three dims."""
    window = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4}
    yield Case(
        "max_pool_3d", "MaxPool", {"x": normal(1, 32, 16, 32, 32)}, {}, {"kernel_shape": [2] * 3, "strides": [2] * 3}
    )
    yield Case("max_pool_3d_pads", "MaxPool", {"x": normal(1, 32, 16, 28, 28)}, {},
               {"kernel_shape": [3] * 3, "strides": [2] * 3, "pads": [1] * 6})  # fmt: skip
    yield Case("max_pool_2d", "MaxPool", {"x": normal(1, 64, 56, 56)}, {}, window)
    yield Case("max_pool_places", "MaxPool", {"x": normal(1, 64, 56, 56)}, {}, window, outputs=("y", "i"))
    yield Case("max_pool_1d", "MaxPool", {"x": normal(1, 64, 4000)}, {}, {"kernel_shape": [4], "strides": [4]})
    yield Case("average_pool_pads", "AveragePool", {"x": normal(1, 64, 56, 56)}, {}, {**window, "count_include_pad": 1})
    yield Case(
        "average_pool_3d",
        "AveragePool",
        {"x": normal(1, 32, 16, 32, 32)},
        {},
        {"kernel_shape": [2] * 3, "strides": [2] * 3},
    )
    yield Case("lp_pool", "LpPool", {"x": normal(1, 64, 56, 56)}, {}, {**window, "p": 2})
    yield Case("global_average_3d", "GlobalAveragePool", {"x": normal(1, 64, 8, 28, 28)})


def moves() -> Iterator[Case]:
    """Elements change place."""
    map_ = normal(1, 64, 56, 56)
    yield Case("gather_rows", "Gather", {"x": normal(30000, 384), "i": whole(0, 30000, (1, 128))})
    yield Case("gather_last", "Gather", {"x": normal(128, 3000), "i": whole(0, 3000, (500,))}, {}, {"axis": 1})
    yield Case(
        "gather_elements", "GatherElements", {"x": normal(64, 4096), "i": whole(0, 4096, (64, 1024))}, {}, {"axis": 1}
    )
    yield Case("gather_nd", "GatherND", {"x": normal(64, 128, 64), "i": whole(0, 64, (2000, 2))})
    yield Case("scatter_nd", "ScatterND", {"x": normal(4096, 64), "i": whole(0, 4096, (512, 1)), "u": normal(512, 64)})
    yield Case("scatter_elements", "ScatterElements", {"x": normal(64, 4096), "i": whole(0, 4096, (64, 1024)),
               "u": normal(64, 1024)}, {}, {"axis": 1})  # fmt: skip
    yield Case("transpose_0213", "Transpose", {"x": normal(1, 128, 12, 64)}, {}, {"perm": [0, 2, 1, 3]})
    yield Case("transpose_0231", "Transpose", {"x": map_}, {}, {"perm": [0, 2, 3, 1]})
    yield Case("transpose_odd", "Transpose", {"x": normal(31, 45, 17, 23)}, {}, {"perm": [3, 1, 0, 2]})
    yield Case("transpose_2d", "Transpose", {"x": normal(1000, 770)}, {}, {"perm": [1, 0]})
    yield Case("pad_reflect", "Pad", {"x": map_}, {"p": i64(0, 0, 3, 3, 0, 0, 3, 3)}, {"mode": "reflect"})
    yield Case("pad_constant", "Pad", {"x": map_}, {"p": i64(0, 0, 1, 1, 0, 0, 1, 1)})
    yield Case("expand", "Expand", {"x": normal(64, 1, 128)}, {"s": i64(64, 96, 128)})
    yield Case(
        "where", "Where", {"c": whole(0, 2, (1, 1, 128, 128), bool), "x": normal(1, 12, 128, 128)}, {"z": f32(-1e9)}
    )
    yield Case("tile", "Tile", {"x": normal(64, 100)}, {"r": i64(16, 3)})
    yield Case("depth_to_space", "DepthToSpace", {"x": normal(1, 128, 56, 56)}, {}, {"blocksize": 2})
    yield Case("space_to_depth", "SpaceToDepth", {"x": normal(1, 16, 112, 112)}, {}, {"blocksize": 2})
    yield Case("slice_steps", "Slice", {"x": normal(1, 64, 112, 112)},
               {"s": i64(0, 0), "e": i64(112, 112), "a": i64(2, 3), "t": i64(2, 2)})  # fmt: skip
    yield Case("concat_last", "Concat", {"x": normal(4096, 20), "z": normal(4096, 33)}, {}, {"axis": 1})


def reductions() -> Iterator[Case]:
    """Sums, extremes, orders and norms over any axes."""
    x = normal(64, 96, 128)
    for name, axes in (("first", (0,)), ("middle", (1,)), ("last", (2,)), ("outer", (0, 2)), ("all", (0, 1, 2))):
        yield Case(f"reduce_mean_{name}", "ReduceMean", {"x": x}, {"a": i64(*axes)})
    yield Case("reduce_max_middle", "ReduceMax", {"x": x}, {"a": i64(1)})
    yield Case("reduce_l2_last", "ReduceL2", {"x": x}, {"a": i64(2)})
    yield Case("cumsum_last", "CumSum", {"x": normal(256, 1000)}, {"a": i64(1)})
    yield Case("cumsum_first", "CumSum", {"x": normal(1000, 256)}, {"a": i64(0)})
    yield Case("argmax_last", "ArgMax", {"x": normal(128, 3000)}, {}, {"axis": 1})
    yield Case("argmax_channels", "ArgMax", {"x": normal(1, 21, 128, 128)}, {}, {"axis": 1})
    yield Case("top_k_10", "TopK", {"x": normal(64, 1000)}, {"k": i64(10)}, outputs=("y", "i"))
    yield Case("top_k_big", "TopK", {"x": normal(1, 25200)}, {"k": i64(300)}, outputs=("y", "i"))
    yield Case("top_k_all", "TopK", {"x": normal(16, 1024)}, {"k": i64(1024)}, outputs=("y", "i"))
    yield Case("top_k_channels", "TopK", {"x": normal(1, 100, 1000)}, {"k": i64(5)}, {"axis": 1}, outputs=("y", "i"))
    yield Case("softmax_channels", "Softmax", {"x": normal(1, 21, 128, 128)}, {}, {"axis": 1})
    yield Case("softmax_last", "Softmax", {"x": normal(12, 128, 128)}, {}, {"axis": 2})
    yield Case("softmax_odd", "Softmax", {"x": normal(400, 197)}, {}, {"axis": 1})
    norm = {"s": normal(197), "b": normal(197)}
    yield Case("layer_norm_odd", "LayerNormalization", {"x": normal(400, 197)}, norm)
    yield Case("layer_norm_small", "LayerNormalization", {"x": normal(3136, 48)}, {"s": normal(48), "b": normal(48)})
    scale = {"s": normal(64), "b": normal(64)}
    yield Case("instance_norm", "InstanceNormalization", {"x": normal(1, 64, 56, 56)}, scale)
    yield Case("group_norm", "GroupNormalization", {"x": normal(1, 64, 56, 56)}, scale, {"num_groups": 8})
    boxes = np.sort(RNG.uniform(0, 100, (1, 1000, 2, 2)).astype(np.float32), axis=2).reshape(1, 1000, 4)
    yield Case("non_max_suppression", "NonMaxSuppression", {"x": boxes, "s": np.abs(normal(1, 4, 1000))},
               {"m": i64(50), "t": np.array([0.5], np.float32)})  # fmt: skip


def sampling() -> Iterator[Case]:
    """Resizes and free sampling of maps."""
    x = normal(1, 32, 56, 56)
    double = {"f": np.array([1, 1, 2, 2], np.float32)}
    odd = {"f": i64(1, 32, 97, 83)}
    for mode in ("nearest", "linear", "cubic"):
        more = {"mode": mode} | (
            {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"} if mode == "nearest" else {}
        )
        yield Case(f"resize_{mode}_x2", "Resize", {"x": x}, double, more, order=("x", "", "f"))
        yield Case(f"resize_{mode}_odd", "Resize", {"x": x}, odd, more, order=("x", "", "", "f"))
    yield Case("resize_linear_corners", "Resize", {"x": x}, double,
               {"mode": "linear", "coordinate_transformation_mode": "align_corners"}, order=("x", "", "f"))  # fmt: skip
    picture = normal(1, 3, 480, 640)
    yield Case("resize_picture", "Resize", {"x": picture}, {"f": i64(1, 3, 224, 224)}, {"mode": "linear"},
               order=("x", "", "", "f"))  # fmt: skip
    grid = RNG.uniform(-1.1, 1.1, (1, 48, 48, 2)).astype(np.float32)
    for mode in ("linear", "nearest", "cubic"):
        yield Case(f"grid_sample_{mode}", "GridSample", {"x": x, "g": grid}, {}, {"mode": mode})
    rois = np.sort(RNG.uniform(0, 50, (32, 2, 2)).astype(np.float32), axis=1).reshape(32, 4)
    yield Case("roi_align", "RoiAlign", {"x": x, "r": rois}, {"i": np.zeros(32, np.int64)},
               {"output_height": 7, "output_width": 7, "sampling_ratio": 2})  # fmt: skip


def integers() -> Iterator[Case]:
    """8-bit products and what stands around them."""

    def conv(name: str, x: tuple[int, ...], w: tuple[int, ...], unsigned: bool = True, **attributes: Any) -> Case:
        kind, low, high = (np.uint8, 0, 255) if unsigned else (np.int8, -128, 127)
        zero = np.array(114 if unsigned else -5, kind)
        weights = {"xs": f32(0.02), "xz": zero, "w": whole(-127, 127, w, np.int8),
                   "ws": RNG.uniform(0.001, 0.01, w[0]).astype(np.float32), "wz": np.zeros(w[0], np.int8),
                   "ys": f32(0.3), "yz": zero, "b": whole(-3000, 3000, (w[0],), np.int32)}  # fmt: skip
        return Case(name, "QLinearConv", {"x": whole(low, high, x, kind)}, weights, attributes, tolerance=1.01)

    yield conv("q_conv_3x3", (1, 64, 56, 56), (64, 64, 3, 3), pads=[1] * 4)
    yield conv("q_conv_1x1", (1, 256, 28, 28), (128, 256, 1, 1))
    yield conv("q_conv_signed", (1, 128, 28, 28), (128, 128, 3, 3), False, pads=[1] * 4)
    yield conv("q_conv_stem", (1, 3, 224, 224), (64, 3, 7, 7), strides=[2, 2], pads=[3] * 4)
    yield conv("q_conv_7", (1, 512, 7, 7), (512, 512, 3, 3), pads=[1] * 4)
    yield conv("q_conv_depthwise", (1, 192, 28, 28), (192, 1, 3, 3), group=192, pads=[1] * 4)
    yield conv("q_conv_depthwise_s2", (1, 96, 56, 56), (96, 1, 3, 3), group=96, pads=[1] * 4, strides=[2, 2])
    yield conv("q_conv_group", (1, 128, 28, 28), (128, 32, 3, 3), group=4, pads=[1] * 4)
    a, b = whole(0, 255, (128, 384), np.uint8), whole(-127, 127, (384, 1536), np.int8)
    zero = {"az": np.array(120, np.uint8), "bz": np.array(0, np.int8)}
    yield Case("mat_mul_integer", "MatMulInteger", {"a": a}, {"b": b, **zero}, tolerance=0)
    yield Case("mat_mul_integer_384", "MatMulInteger", {"a": a}, {"b": b[:, :384].copy(), **zero}, tolerance=0)
    yield Case("mat_mul_integer_row", "MatMulInteger", {"a": a[:1]}, {"b": b, **zero}, tolerance=0)
    yield Case("mat_mul_integer_free", "MatMulInteger", {"a": a, "b": b[:, :128].copy()}, zero, tolerance=0)
    scales = {
        "as": f32(0.02),
        "az": zero["az"],
        "b": b,
        "bs": f32(0.01),
        "bz": zero["bz"],
        "ys": f32(0.5),
        "yz": zero["az"],
    }
    yield Case("q_mat_mul", "QLinearMatMul", {"a": a}, scales, tolerance=1.01)
    yield Case(
        "dynamic_quantize", "DynamicQuantizeLinear", {"x": normal(128, 1536)}, outputs=("y", "s", "z"), tolerance=1.01
    )
    quantized = {"s": f32(0.02), "z": np.array(120, np.uint8)}
    yield Case("quantize", "QuantizeLinear", {"x": normal(1, 64, 56, 56)}, quantized, tolerance=1.01)
    yield Case("dequantize", "DequantizeLinear", {"x": whole(0, 255, (1, 64, 56, 56), np.uint8)}, quantized)


FAMILIES: tuple[Callable[[], Iterator[Case]], ...] = (
    recurrent, convolutions, pools, moves, reductions, sampling, integers
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """Seconds of both, the largest relative difference, and which instructions make host calls."""

    case: Case
    ours: float
    theirs: float
    difference: float
    host: tuple[str, ...]

    @property
    def ratio(self) -> float:
        """Our time by theirs."""
        return self.ours / self.theirs

    def __str__(self) -> str:
        marks = ["HOST " + ",".join(self.host)] if self.host else []
        marks += [f"WRONG {self.difference:.1e}"] if self.difference > self.case.tolerance else []
        return (f"{self.case.name:24}{self.case.shape[:44]:46}{self.ours * 1e6:10.1f}{self.theirs * 1e6:10.1f}"
                f"{self.ratio:7.2f} {' '.join(marks)}")  # fmt: skip


def measure(case: Case, target: str) -> Row:
    """Compile for both, compare once, then time in turns."""
    model = case.model()
    made: Any = glowviz.compile(model.SerializeToString(), target=target, threads=1)
    ours: CpuExecutable = made.specializations[0].executable
    session = _session(model)
    found, wanted = ours.run(case.feeds), [np.asarray(a) for a in session.run(list(case.outputs), case.feeds)]
    difference = max(_difference(found[name], right) for name, right in zip(case.outputs, wanted, strict=True))
    binding = session.io_binding()
    for name, array in case.feeds.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
    for name, array in zip(case.outputs, wanted, strict=True):
        binding.bind_ortvalue_output(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
    calls = (ours.execute, lambda: session.run_with_iobinding(binding))
    host = tuple(listed.instruction for listed in ours.listing() if not listed.native)
    with real_time():
        times = _in_turns(calls)
    return Row(case, times[0], times[1], difference, host)


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _difference(found: np.ndarray, wanted: np.ndarray) -> float:
    if found.shape != wanted.shape:
        return float("inf")
    scale = max(float(np.max(np.abs(wanted), initial=0)), 1e-30) if wanted.dtype.kind == "f" else 1.0
    return float(np.max(np.abs(found.astype(np.float64) - wanted.astype(np.float64)), initial=0)) / scale


def _in_turns(calls: tuple[Callable[[], object], ...]) -> list[float]:
    counts = [max(1, int(WINDOW / max(_timed(call, 1), _timed(call, 1), 1e-7))) for call in calls]
    best = [float("inf")] * len(calls)
    for _ in range(ROUNDS):
        for n, call in enumerate(calls):
            call()
            best[n] = min(best[n], _timed(call, counts[n]))
    return best


def _timed(call: Callable[[], object], count: int) -> float:
    begin = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - begin) / count


def main() -> None:
    """Print the table; with --json also write it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--target", default="cpu")
    parser.add_argument("--json")
    chosen = parser.parse_args()
    print(f"{'op':24}{'shapes':46}{'ours µs':>10}{'ort µs':>10}{'ratio':>7}")
    rows: list[Row] = []
    for case in (case for family in FAMILIES for case in family()):
        if chosen.names and not any(word in case.name for word in chosen.names):
            continue
        try:
            rows.append(measure(case, chosen.target))
        except Exception as problem:  # the table goes on with the next row
            print(f"{case.name:24}{case.shape[:44]:46}{type(problem).__name__}: {str(problem)[:90]}", flush=True)
            continue
        print(rows[-1], flush=True)
    over = sorted((row for row in rows if row.ratio > 1.5), key=lambda row: -row.ratio)
    mean = np.exp(np.mean([np.log(row.ratio) for row in rows])) if rows else float("nan")
    print(
        f"{len(rows)} cases, geometric mean {mean:.2f}, above 1.5: {' '.join(row.case.name for row in over) or 'none'}"
    )
    if chosen.json:
        with open(chosen.json, "w") as file:
            json.dump([{"op": r.case.name, "ours": r.ours, "onnxruntime": r.theirs} for r in rows], file, indent=1)


if __name__ == "__main__":
    sys.exit(main())
