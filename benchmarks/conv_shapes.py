"""Every convolution of ResNet-50 (batch 1, one thread): our kernel, its share of the FMA peak, onnxruntime."""

import argparse
import ctypes
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/compiler/backends/cpu"))
from kernel_harness import Loaded, aligned

from glowviz.compiler.backends.cpu.cpu_targets import avx2, host_target
from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.kernels.choose_conv import choose
from glowviz.compiler.backends.cpu.kernels.conv import ConvSchedule, ConvSpec, emit, pack_conv_weights
from glowviz.compiler.backends.cpu.kernels.epilogue import Epilogue, relu_step
from glowviz.compiler.backends.cpu.kernels.geometry import Map
from glowviz.compiler.backends.cpu.registry import KernelCode
from glowviz.compiler.target import Target


@dataclass(frozen=True)
class Shape:
    """One convolution and how often the network has it; `size` is the output's height."""

    inputs: int
    outputs: int
    size: int
    kernel: int
    stride: int
    count: int

    def __str__(self) -> str:
        stride = f"s{self.stride}" if self.stride > 1 else ""
        return f"{self.kernel}x{self.kernel}{stride} {self.inputs}→{self.outputs} @{self.size}"


RESNET50 = [
    Shape(3, 64, 112, 7, 2, 1),
    Shape(64, 64, 56, 1, 1, 1),
    Shape(64, 64, 56, 3, 1, 3),
    Shape(64, 256, 56, 1, 1, 4),
    Shape(256, 64, 56, 1, 1, 2),
    Shape(256, 128, 56, 1, 1, 1),
    Shape(128, 128, 28, 3, 2, 1),
    Shape(128, 512, 28, 1, 1, 4),
    Shape(512, 128, 28, 1, 1, 3),
    Shape(256, 512, 28, 1, 2, 1),
    Shape(128, 128, 28, 3, 1, 3),
    Shape(512, 256, 28, 1, 1, 1),
    Shape(256, 256, 14, 3, 2, 1),
    Shape(256, 1024, 14, 1, 1, 6),
    Shape(1024, 256, 14, 1, 1, 5),
    Shape(512, 1024, 14, 1, 2, 1),
    Shape(256, 256, 14, 3, 1, 5),
    Shape(1024, 512, 14, 1, 1, 1),
    Shape(512, 512, 7, 3, 2, 1),
    Shape(512, 2048, 7, 1, 1, 3),
    Shape(2048, 512, 7, 1, 1, 2),
    Shape(1024, 2048, 7, 1, 2, 1),
    Shape(512, 512, 7, 3, 1, 2),
]


def spec_of(shape: Shape, target: Target) -> ConvSpec:
    """The kernel spec: halo only where the kernel needs it."""
    pad = shape.kernel // 2
    size, block = shape.size * shape.stride, target.vector_width
    source = Map(1, shape.inputs, size, size, 1 if shape.inputs <= 4 else block, (pad,) * 4)
    result = Map(1, shape.outputs, shape.size, shape.size, block)
    return ConvSpec(
        source, result, (shape.kernel,) * 2, (shape.stride,) * 2, pads=(pad, pad), epilogue=Epilogue(True, "relu")
    )


def quickest(call: Callable[[], None], seconds: float = 0.25) -> float:
    """The shortest of many runs, in seconds (wall clock)."""
    best, end = 1e9, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def fma_peak(target: Target) -> float:
    """GFLOP/s of independent FMAs on one core."""
    em, turns = Emitter("peak", target), 50000
    address = em.argument(0)
    number = em.load(address)
    with em.loop(0, turns, carry=[em.zeros() for _ in range(12)]) as loop:
        loop.next = [em.fma(number, number, v) for v in loop.carry]
    for value in loop.results:
        em.store(value, address)
    kernel = Loaded(KernelCode("peak", em.text(), 1, ""), target)
    buffer = aligned(np.zeros(64, np.float32))
    return 24 * target.vector_width * turns / quickest(lambda: kernel.run([buffer])) / 1e9


class Timed:
    """One kernel with its buffers, ready to be called as often as wanted."""

    def __init__(self, spec: ConvSpec, schedule: ConvSchedule, target: Target) -> None:
        rng = np.random.default_rng(0)
        start = time.process_time()
        self.code = emit(spec, schedule, target, "conv", relu_step)
        self.kernel = Loaded(self.code, target)
        self.compile = time.process_time() - start
        x = rng.normal(size=(1, spec.source.channels, spec.source.height, spec.source.width)).astype(np.float32)
        w = rng.normal(size=(spec.result.channels, spec.source.channels, *spec.kernel)).astype(np.float32)
        self.arrays = [
            aligned(np.zeros(spec.result.size // 4, np.float32)),
            aligned(spec.source.write(x)),
            aligned(pack_conv_weights(w, spec, schedule)),
            aligned(np.zeros(spec.result.channels, np.float32)),
            aligned(np.zeros(self.code.scratch // 4, np.float32)),
        ]
        self.pointers = (ctypes.c_void_p * 5)(*[a.ctypes.data for a in self.arrays])

    def __call__(self) -> None:
        self.kernel.call(ctypes.addressof(self.pointers), 0, self.code.split_tiles, 0)


def peer_seconds(shape: Shape, folder: str) -> float:
    """onnxruntime's own time of the Conv node (fused with Relu, reorders not counted): the shortest run."""
    pad, size = shape.kernel // 2, shape.size * shape.stride
    weights = np.zeros((shape.outputs, shape.inputs, shape.kernel, shape.kernel), np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[pad] * 4, strides=[shape.stride] * 2, name="conv"),
        helper.make_node("Relu", ["c"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, shape.inputs, size, size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(weights, "w"), onnx.numpy_helper.from_array(weights[:, 0, 0, 0].copy(), "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_profiling = True
    options.profile_file_prefix = f"{folder}/profile"
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).normal(size=(1, shape.inputs, size, size)).astype(np.float32)
    quickest(lambda: session.run(None, {"x": x}), 0.3)
    events = json.loads(Path(session.end_profiling()).read_text())
    names = [e for e in events if e.get("args", {}).get("op_name") == "Conv" and e["name"].endswith("_kernel_time")]
    return min(e["dur"] for e in names) * 1e-6


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--avx2", action="store_true", help="make AVX2 code instead of the host's")
    parser.add_argument("--alone", action="store_true", help="do not time onnxruntime")
    options = parser.parse_args()
    target = avx2() if options.avx2 else host_target()
    target = replace(target, l2=host_target().l2)
    peak = fma_peak(target)
    print(f"{target.cpu}: FMA peak {peak:.1f} GFLOP/s")
    total = peers = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for shape in RESNET50:
            spec = spec_of(shape, target)
            schedule, _ = choose(spec, target)
            timed = Timed(spec, schedule, target)
            ours = quickest(timed)
            theirs = float("nan") if options.alone else peer_seconds(shape, folder)
            ours = min(ours, quickest(timed))
            total, peers = total + ours * shape.count, peers + theirs * shape.count
            rate = spec.flops / ours / 1e9
            print(
                f"{shape!s:24} x{shape.count} ours {ours * 1e6:6.0f} µs {rate:5.0f} GF/s {100 * rate / peak:4.0f} %"
                f"  ort {theirs * 1e6:6.0f} µs  {theirs / ours:4.2f}  tile {schedule.rows}x{schedule.columns}"
                f"x{schedule.vectors} {schedule.outer} {schedule.flat or ''} compile {timed.compile * 1e3:.0f} ms"
                f" {len(timed.kernel.object)} B"
            )
    print(f"sum ours {total * 1e3:.1f} ms, onnxruntime {peers * 1e3:.1f} ms, {peers / total:.3f}")


if __name__ == "__main__":
    main()
