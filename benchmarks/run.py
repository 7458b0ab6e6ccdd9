"""python benchmarks/run.py times glowviz beside every engine installed here, on the networks that goals are set for.

The models come from examples/build.py and are kept in the user's cache folder. Exit status 1 when glowviz
is slower than the floor against onnxruntime on a model that has one.
"""

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import onnx  # noqa: E402  (the path above comes first)
import platformdirs  # noqa: E402

from examples.build import BUILDERS  # noqa: E402
from glowviz.bench import Comparison, compare  # noqa: E402

MODELS = ("light_resnet50", "mobilenet_v2", "bert", "minilm")
MODULES = {"onnxruntime": "onnxruntime", "openvino": "openvino", "mnn": "MNN"}
FLOOR = 0.7


def built(name: str) -> Path:
    """The model's file, rebuilt when a builder script is newer."""
    path = platformdirs.user_cache_path("glowviz") / "benchmarks" / f"{name}.onnx"
    sources = [*ROOT.glob("examples/*.py"), *ROOT.glob("glowviz/gallery/*.py")]
    if not path.exists() or path.stat().st_mtime < max(source.stat().st_mtime for source in sources):
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}")
        onnx.save(BUILDERS[name](), fresh)
        os.replace(fresh, path)
    return path


def below_floor(comparison: Comparison, floor: float) -> str | None:
    """A line about a first engine that is too slow against onnxruntime, or did not run; None when all is well."""
    first = comparison.rows[0]
    if not first.rounds:
        return f"{comparison.model}: {first.engine} gave no times: {first.error}"
    peer = next((row for row in comparison.rows[1:] if row.engine == "onnxruntime" and row.rounds), None)
    ratio = comparison.ratio(peer) if peer else None
    if ratio is None or ratio >= floor:
        return None
    return f"{comparison.model}: {ratio:.2f} × onnxruntime's speed, the floor is {floor:.2f}"


def main(arguments: list[str] | None = None) -> int:
    """Build, time, print; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=MODELS, help=f"default: {' '.join(MODELS)}; also a file")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0, help="of calls for each engine and model")
    parser.add_argument("--floor", type=float, default=FLOOR, help="times onnxruntime's speed")
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    options = parser.parse_args(arguments)
    engines = ["glowviz", *(name for name, module in MODULES.items() if find_spec(module))]
    paths = [built(name) if name in BUILDERS else Path(name) for name in options.models]
    report = compare(paths, engines, options.threads, options.seconds,
                     progress=lambda line: print(line, end="\x1b[K\r", file=sys.stderr))
    print(report.text())
    if options.json:
        options.json.write_text(report.json(), encoding="utf-8")
    slow = [line for comparison in report.comparisons if (line := below_floor(comparison, options.floor))]
    print("\n".join(slow), file=sys.stderr)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
