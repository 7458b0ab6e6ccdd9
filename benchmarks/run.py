"""python benchmarks/run.py times glowviz beside every engine installed here, on the networks that goals are set for.

The models come from examples/build.py and are kept in the user's cache folder. At the end stands one line a
network with its goal, met or missed; exit status 1 when one is missed. `light_resnet50_8` and `light_vgg19_8` have a
batch of eight. With --threads 2 our own one-thread time is
measured in the same rounds, and only rounds in which a calibration loop scaled count.
"""

import argparse
import json
import os
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import onnx  # noqa: E402  (the path above comes first)
import platformdirs  # noqa: E402

from benchmarks.goals import GOALS, GOALS_OF_BATCH, GOALS_OF_BF16, missed, table  # noqa: E402
from examples import build, gpt2, light  # noqa: E402
from glowviz.bench import Report, compare  # noqa: E402

MODELS = tuple(GOALS)
BUILDERS = build.BUILDERS | {
    "gpt2_small": partial(gpt2.build, 12, 768, 12),
    **{name: partial(light.build, name.removesuffix("_8"), 8) for name in GOALS_OF_BATCH},
}
MODULES = {"onnxruntime": "onnxruntime", "openvino": "openvino", "mnn": "MNN"}


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


def changes(report: Report, before: Path) -> str:
    """Each network's ratio to our own time in a report that was written earlier: above 1 is faster now."""
    then = {entry["model"]: entry["rows"][0].get("min_ms") for entry in json.loads(before.read_text())["comparisons"]}
    lines = [
        f"{comparison.model:<20}{then[comparison.model] / comparison.rows[0].least:>7.2f} x as fast as before"
        for comparison in report.comparisons
        if then.get(comparison.model) and comparison.rows[0].rounds
    ]
    return "\n".join(lines)


def speed_ups(report: Report) -> str:
    """How many times as fast we are as on one thread, a line a network."""
    lines = []
    for comparison in report.comparisons:
        alone = next((row for row in comparison.rows if row.engine.endswith("@1") and row.rounds), None)
        ratio = comparison.ratio(alone) if alone else None
        if ratio is not None:
            lines.append(f"{comparison.model:<20}{ratio:>7.2f} x our own speed on one thread")
    return "\n".join(lines)


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", help=f"default: {' '.join(MODELS)}; also a file")
    parser.add_argument("--precision", default="f32", help="bf16 is measured on the networks that have a goal for it")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0, help="of calls for each engine and model")
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    parser.add_argument("--before", type=Path, help="a file that --json wrote, to compare our times with")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Build, time, print; see the module's docstring."""
    options = parsed(arguments)
    models = options.models or (MODELS if options.precision == "f32" else tuple(GOALS_OF_BF16))
    engines = ["glowviz", *(name for name, module in MODULES.items() if find_spec(module))]
    engines += ["glowviz@1"] if options.threads > 1 else []
    paths = [built(name) if name in BUILDERS else Path(name) for name in models]
    report = compare(paths, engines, options.threads, options.seconds, precision=options.precision,
                     progress=lambda line: print(line, end="\x1b[K\r", file=sys.stderr))
    print(report.text(), table(report.comparisons), sep="\n\n")
    if options.threads > 1:
        print(speed_ups(report))
    if options.before:
        print(changes(report, options.before))
    if options.json:
        options.json.write_text(report.json(), encoding="utf-8")
    slow = missed(report.comparisons) if options.threads == 1 else []
    print("\n".join(slow), file=sys.stderr)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
