"""`python -m tests.fuzz N`: N random models against onnxruntime and the interpreter, in child processes.

A child that dies leaves the model that killed it. Every mismatch is reduced and kept in a folder. The exit status is
1 for any mismatch or crash that exemptions.yaml does not name, and for more than 2 % of refusals.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnx

from tests.fuzz.generator import Made, grown
from tests.fuzz.oracle import judge
from tests.fuzz.reduce import exempt, reduced, told

CHUNK = 50
MOST_REFUSED = 0.02


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", default="cpu")
    parser.add_argument("--folder", type=Path, default=None, help="where failing models are kept")
    parser.add_argument("--ops", default="", help="only these operators, with commas between")
    parser.add_argument("--chunk", type=int, default=-1, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.chunk >= 0:
        run_chunk(asked, asked.count)
        return 0
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="glowviz-fuzz-"))
    folder.mkdir(parents=True, exist_ok=True)
    return report(list(every_chunk(asked, folder)), folder)


def every_chunk(asked: argparse.Namespace, folder: Path) -> Any:
    """The verdicts of all children, one after the other."""
    for number, start in enumerate(range(0, asked.count, CHUNK)):
        count = min(CHUNK, asked.count - start)
        command = [sys.executable, "-m", "tests.fuzz", str(count), "--chunk", str(number), "--seed", str(asked.seed),
                   "--target", asked.target, "--folder", str(folder), "--ops", asked.ops]  # fmt: skip
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=3600, check=False)
        found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        yield from found
        if done.returncode:
            yield {"kind": "crash", "text": f"the process ended with {done.returncode}; its last model is kept",
                   "ops": [], "exempt": False}  # fmt: skip
        print(f"\r{start + count} of {asked.count}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def run_chunk(asked: argparse.Namespace, count: int) -> None:
    """In the child: `count` models, a line of JSON for each; the model under way lies in the folder."""
    last = asked.folder / f"running-{asked.chunk}.onnx"
    for number in range(count):
        made = grown(Random(f"{asked.seed} {asked.chunk} {number}").randint, tuple(filter(None, asked.ops.split(","))))
        onnx.save(made.model, last)
        np.savez(last.with_suffix(".npz"), **made.inputs)  # type: ignore[arg-type]  # arrays by name
        verdict = judge(made, asked.target)
        known = False
        if verdict.kind in ("differs", "meaning", "crash"):
            known = keep(made, verdict.kind, verdict.text, asked, number)
        print(json.dumps({"kind": verdict.kind, "text": verdict.text, "ops": made.ops, "peer": verdict.peer,
                          "exempt": known}), flush=True)  # fmt: skip
    last.unlink(missing_ok=True)
    last.with_suffix(".npz").unlink(missing_ok=True)


def keep(made: Made, kind: str, text: str, asked: argparse.Namespace, number: int) -> bool:
    """Reduce and keep a failing model; true where an exemption names what is left of it."""
    small = reduced(made, kind, asked.target)
    verdict = judge(small, asked.target)
    name = asked.folder / f"{kind}-{asked.chunk}-{number}-{'-'.join(small.ops)[:60]}"
    onnx.save(small.model, name.with_suffix(".onnx"))
    np.savez(name.with_suffix(".npz"), **small.inputs)  # type: ignore[arg-type]  # arrays by name
    name.with_suffix(".txt").write_text(f"{verdict.text or text}\n\n{told(small)}\n", encoding="utf-8")
    return exempt(small, verdict.text)


def report(found: list[dict[str, Any]], folder: Path) -> int:
    """Print the totals; the exit status."""
    kinds = Counter(f["kind"] + (" (exempt)" if f.get("exempt") else "") for f in found)
    ops = Counter(op for f in found for op in set(f["ops"]) if f["kind"] == "same")
    valid = len(found) - kinds["invalid"]
    print(f"{len(found)} models, {len(ops)} operators: " + ", ".join(f"{n} {k}" for k, n in kinds.most_common()))
    print(f"onnxruntime had a say in {sum(bool(f.get('peer')) for f in found)}; refused {kinds['refused']} of {valid}")
    for f in found:
        if f["kind"] in ("differs", "meaning", "crash", "refused") and not f.get("exempt"):
            print(f"  {f['kind']}: {' '.join(f['ops'])}: {f['text'][:200]}")
    bad = kinds["differs"] + kinds["meaning"] + kinds["crash"]
    if bad:
        print(f"the reduced models are in {folder}")
    return 1 if bad or kinds["refused"] > MOST_REFUSED * max(valid, 1) else 0


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["GLOWVIZ_KEEP"] = "0"  # a random model is compiled once, so none is worth keeping
    sys.exit(main())
