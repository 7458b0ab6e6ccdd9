"""python benchmarks/start.py [MODEL …] prints what it costs to start: cold, from the cache, and the peak of memory.

Every line is the least of three fresh processes. `cold` has an empty cache: CPU seconds from the file to the first
result, with the whole process beside it. `cached` is the wall time of compiling after `import glowviz`, and of the
first run behind it. onnxruntime does the same on one thread, for its seconds and its memory. Models are names of
benchmarks/run.py or files.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.run import BUILDERS, built  # noqa: E402  (the path above comes first)

TIMES = 3
OURS = """
import json, resource, sys, time
import numpy as np
import glowviz
from glowviz.bench.clock import cpu_seconds, peak_bytes
start = time.perf_counter(), cpu_seconds()
executable = glowviz.compile(sys.argv[1])
ready = time.perf_counter()
executable.run({b.name: np.ones(b.type.dims, b.type.dtype) for b in executable.program.of_kind("input")})
print(json.dumps({"compile": ready - start[0], "first": time.perf_counter() - ready, "cpu": cpu_seconds() - start[1],
                  "process": cpu_seconds(), "peak": peak_bytes()}))
"""
THEIRS = """
import json, sys, time
import numpy as np
import onnxruntime
from glowviz.bench.clock import cpu_seconds, peak_bytes
start = cpu_seconds()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
kinds = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(bool)": np.bool_}
session.run(None, {i.name: np.ones([d if isinstance(d, int) else 1 for d in i.shape], kinds[i.type])
                   for i in session.get_inputs()})
print(json.dumps({"cpu": cpu_seconds() - start, "process": cpu_seconds(), "peak": peak_bytes()}))
"""


def started(script: str, model: Path, cache: str) -> dict[str, float]:
    """What one fresh process tells of itself."""
    environment = os.environ | {"GLOWVIZ_CACHE": cache}
    command = [sys.executable, "-c", script, str(model)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def least(runs: list[dict[str, float]]) -> dict[str, float]:
    """The smallest of each number."""
    return {key: min(run[key] for run in runs) for key in runs[0]}


def line(name: str, model: Path) -> str:
    """One model."""
    cold: list[dict[str, float]] = []
    for _ in range(TIMES):
        with tempfile.TemporaryDirectory() as cache:
            cold.append(started(OURS, model, cache))
    with tempfile.TemporaryDirectory() as cache:
        started(OURS, model, cache)
        cached = least([started(OURS, model, cache) for _ in range(TIMES)])
    peer = least([started(THEIRS, model, "") for _ in range(TIMES)])
    first = least(cold)
    return (f"{name:<20}{first['cpu']:>8.2f}{first['process']:>9.2f}{cached['compile']:>9.3f}{cached['first']:>8.3f}"
            f"{cached['process']:>9.2f}{first['peak'] / 1e6:>9.0f}{cached['peak'] / 1e6:>8.0f}"
            f"{peer['cpu']:>10.2f}{peer['process']:>9.2f}{peer['peak'] / 1e6:>8.0f}")  # fmt: skip


def main() -> None:
    """Print the table."""
    parser: Any = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["light_resnet50"])
    print(f"{'':<20}{'cold':^17}{'cached':^26}{'peak MB':^17}{'onnxruntime':^27}")
    print(f"{'model':<20}{'CPU s':>8}{'process':>9}{'compile':>9}{'first':>8}{'process':>9}{'cold':>9}{'cached':>8}"
          f"{'CPU s':>10}{'process':>9}{'MB':>8}")  # fmt: skip
    for name in parser.parse_args().models:
        print(line(Path(name).stem, built(name) if name in BUILDERS else Path(name)), flush=True)


if __name__ == "__main__":
    main()
