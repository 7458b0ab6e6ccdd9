"""A recording made up in the form of docs/payloads.md, so that the page can be tested without a compiler."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from glowviz.app import theme
from glowviz.app.problem import Problem
from glowviz.app.reader import Payload, Reader, SceneRequest
from glowviz.app.services import Services
from glowviz.app.store import Store

RECORDING = "0123456789abcdef0123456789abcdef"
EMPTY = "00000000000000000000000000000001"
BIG = "000000000000000000000000000010c0"
HUGE = "000000000000000000000000000050c0"
BROKEN = "0000000000000000000000000000dead"
OPS = ("Conv", "BatchNormalization", "Relu", "MaxPool", "Add", "Reshape", "Cast", "LSTM", "Opaque")


@dataclass
class SceneBuilder:
    """Collects boxes and edges and gives them as columns."""

    boxes: dict[str, list[Any]] = field(default_factory=dict)
    edges: list[tuple[int, int]] = field(default_factory=list)
    members: dict[int, list[str]] = field(default_factory=dict)

    def box(self, name: str, x: int, y: int, **more: Any) -> int:
        values = {"name": name, "title": name, "detail": "", "op": "Conv", "state": 0, "kind": 0, "w": 180, "h": 28,
                  "parent": -1, "count": 1, "repeat": 1, "changed": 0, "badge": "", "type": 0, **more, "x": x, "y": y}
        values["family"] = theme.family_index(values["op"])
        for key, value in values.items():
            self.boxes.setdefault(key, []).append(value)
        return len(self.boxes["name"]) - 1

    def payload(self, snapshot: int, base: int | None = None, **more: Any) -> Payload:
        points, start = [], [0]
        b = self.boxes
        for source, target in self.edges:
            points += [b["x"][source] + b["w"][source] // 2, b["y"][source] + b["h"][source],
                       b["x"][target] + b["w"][target] // 2, b["y"][target]]
            start.append(len(points) // 2)
        width = max((x + w for x, w in zip(b.get("x", []), b.get("w", []), strict=True)), default=1)
        height = max((y + h for y, h in zip(b.get("y", []), b.get("h", []), strict=True)), default=1)
        zeros = [0] * len(self.edges)
        edges = {"from": [s for s, _ in self.edges], "to": [t for _, t in self.edges], "points": points, "start": start,
                 "value": [b["name"][s] for s, _ in self.edges], "stub": zeros, "state": zeros}
        names = ["name", "title", "detail", "op", "family", "state", "kind", "x", "y", "w", "h", "parent", "count",
                 "repeat", "changed", "badge", "type"]
        count = len(b.get("name", []))
        heat = {"time": {"unit": "ms", "values": [0.1 * (i % 17) for i in range(count)]}}
        return {"snapshot": snapshot, "base": base, "level": "graph", "size": [width, height], "types": ["f32"],
                "boxes": {key: b.get(key, []) for key in names}, "edges": edges, "members": self.members,
                "heat": heat, "hidden": [], "breadcrumb": [], **more}


def chain_scene(count: int, columns: int, snapshot: int = 0) -> Payload:
    """Return `count` boxes in `columns` columns, each joined to the one above and every fifth to its neighbour."""
    scene = SceneBuilder()
    for i in range(count):
        row, column = divmod(i, columns)
        scene.box(f"v{i}", column * 204, row * 44, op=OPS[i % len(OPS)], detail="1×64×56×56", title=f"block{i}.conv")
        if row:
            scene.edges.append((i - columns, i))
            if column and i % 5 == 0:
                scene.edges.append((i - columns - 1, i))
    return scene.payload(snapshot)


def resnet_scene(request: SceneRequest) -> Payload:
    """Return resnet50 as 16 boxes, with marks when it is compared with the state before."""
    scene, y, last = SceneBuilder(), 0, None
    stages = [("Stem", "Conv"), ("Stem", "BatchNormalization"), ("Stem", "Relu"), ("Stem", "MaxPool")]
    stages += [(f"res{n}", f"×{k}") for n, k in zip((2, 3, 4, 5), (2, 3, 5, 2), strict=True) for _ in range(2)]
    stages += [("Head", op) for op in ("AveragePool", "Reshape", "Gemm", "Softmax")]
    marked = request.base is not None
    for i, (stage, what) in enumerate(stages):
        block, second = what.startswith("×"), i % 2 == 1
        name = f"fold:{stage}.{i}" if block else f"r{i}"
        more: dict[str, Any] = {"op": "Conv" if block else what, "title": what, "detail": "64×56×56", "state": 0}
        if block:
            repeat = int(what[1:]) if second else 1
            more |= {"kind": 1, "count": 16, "repeat": repeat, "w": 220,
                     "title": "Bottleneck" if second else "Bottleneck, projected", "changed": 6 if marked else 0,
                     "state": 4 if marked else 0}
        elif marked:
            more |= {"state": {0: 4, 1: 2, 2: 1, 3: 3}.get(i, 0), "badge": "2→1" if i == 0 else ""}
        if name in request.opened:
            more |= {"kind": 2, "h": 120, "w": 260}
        box = scene.box(name, 0 if more.get("w") == 220 else 20, y, **more)
        if block:
            scene.members[box] = [f"inner{i}.{k}" for k in range(16)]
        y += more.get("h", 28) + 16
        if last is not None:
            scene.edges.append((last, box))
        last = box
    return scene.payload(request.snapshot, request.base, hidden=[{"what": "constants", "count": 239}])


ROWS: Sequence[tuple[int, str, str, str, str, list[str], str, int]] = (
    (0, "Imported", "ok", "", "", ["176 nodes", "8.17 GFLOP"], "", 0),
    (1, "fold_constants", "ok", "239 of 239", "−239", ["−239 nodes", "exactly equal", "31 ms"],
     "Computed 239 constants.", 239),
    (2, "dce", "quiet", "", "", ["1 ms"], "", 0),
    (3, "fold_batchnorm", "ok", "53 of 53", "−53",
     ["−53 nodes", "−84.8 MiB moved", "peak 0", "error ≤ 3e-7", "11 ms"],
     "Merged 53 BatchNormalizations into the Convs before them. Peak stays 9.2 MiB: it moved from n13 to n14.", 53),
    (4, "cse", "quiet", "", "", ["looked at 123 nodes"], "", 0),
    (5, "fuse", "ok", "65 of 65", "−65", ["peak ≈ 9.19 → 4.97 MiB", "exactly equal", "9 ms"], "33 Conv+Relu.", 65),
)


class FakeReader:
    """Answers like a finished recording of resnet50."""

    def __init__(self, kind: str = "resnet50") -> None:
        self.kind = kind

    def finished(self) -> bool:
        return True

    def snapshots(self) -> int:
        return 6

    def overview(self) -> Payload:
        return {"name": self.kind, "status": "failed" if self.kind == "broken" else "done", "snapshots": 6,
                "first_change": 1, "bound": "1×3×224×224 · f32 · cpu · 1 thread", "disabled": [], "precision": "f32",
                "threads": 1, "problems": 1 if self.kind == "broken" else 0,
                "what": "A convolutional network of 176 operators.",
                "facts": [["Operators", "176"], ["Opset", "9"]], "inputs": [["gpu_0/data_0", "f32[1x3x224x224]"]],
                "outputs": [["gpu_0/softmax_1", "f32[1x1000]"]],
                "weights": {"kind": "seeded", "text": "Weights are seeded random: answers mean nothing."},
                "time": [{"title": "res2", "name": "r0", "share": 0.4, "text": "15.1 ms"}],
                "memory": [{"label": "weights", "bytes": 107_000_000, "text": ""}],
                "findings": [{"sign": "!", "text": "270 inputs are initializers.", "name": None}]}

    def passes(self) -> Payload:
        keys = ("snapshot", "name", "state", "fired", "delta", "facts", "sentence", "changes")
        rows: dict[str, list[Any]] = {key: [row[at] for row in ROWS] for at, key in enumerate(keys)}
        rows |= {"kept": [0] * 6, "required": [1, 0, 0, 0, 0, 0], "level": ["graph"] * 6}
        if self.kind == "broken":
            rows["state"][3], rows["state"][4:] = "failed", ["unreached"] * 2
        return {"status": "done", "groups": [["Import", 0, 1], ["Simplify", 1, 5], ["Schedule", 5, 6]], "rows": rows}

    def is_large(self, request: SceneRequest) -> bool:
        return False

    def scene(self, request: SceneRequest) -> Payload:
        if self.kind == "empty":
            return SceneBuilder().payload(request.snapshot)
        if self.kind in ("big", "huge"):
            return chain_scene(*((10_000, 12) if self.kind == "big" else (50_000, 40)), request.snapshot)
        return resnet_scene(request)

    def numbers(self, snapshot: int) -> Payload:
        rows = [("time", "Time", "38.9 ms", "±0.3"), ("memory", "Memory", "107 MiB", ""),
                ("work", "Work", "8.17 GFLOP", ""), ("nodes", "Nodes", "176 → 57", ""), ("error", "Error", "–", "")]
        keys = ("key", "label", "value", "spread")
        more = {"second": "", "why": "", "estimate": False, "stale": False, "tip": ""}
        return {"numbers": [{**more, **dict(zip(keys, row, strict=True))} for row in rows]}

    def life(self, snapshot: int, name: str) -> Payload:
        if name == "nothing":
            raise Problem("No value is called “nothing”.", remedy="Search for it with /.", status=404)
        return {"name": name, "title": f"res2_0_branch2b <{name}>", "op": "Conv 3×3", "type": "f32[1x64x56x56]",
                "gone": False, "paragraphs": [{"text": "Born at import from ONNX n7 (Conv).", "snapshot": 0},
                {"text": "fold_batchnorm merged n8 into it.", "snapshot": 3}], "attributes": [["strides", "[1, 1]"]],
                "inputs": [["r0", "r0", "f32[1x64x56x56]"]], "users": [], "origin": ["n7", "n8"], "touched": [3, 5],
                "links": {"instruction": 6, "kernel": "conv3x3", "buffer": "a3"}, "counts": {"asm": "4 lines"}}

    def changes(self, snapshot: int) -> Payload:
        if snapshot == 2:
            return {"header": "dce: nothing to do", "groups": [], "kept": []}
        items = [{"name": f"r{i}", "text": f"res{i}"} for i in range(30)]
        group = {"rule": "conv_bn", "title": "Conv + BatchNormalization → Conv", "count": 53, "reason": "", "more": 23,
                 "before": ["Conv", "BatchNormalization"], "after": ["Conv"], "items": items}
        kept = {**group, "title": "r7 has 2 users", "count": 5, "items": items[:5], "before": [], "after": [],
                "more": 0}
        return {"header": "fold_batchnorm: 53 merges by 1 rule", "groups": [group], "kept": [kept]}

    def why(self, snapshot: int, name: str) -> Payload:
        remark = {"rule": "conv_bn", "pass": "fold_batchnorm", "kind": "kept", "lines": ["fold_batchnorm kept n8."],
                  "action": {"label": "Run with it", "disable": [], "before": None}}
        return {"name": name, "remarks": [remark] if name == "r1" else []}

    def text(self, snapshot: int) -> Payload:
        lines = ["graph @resnet50(%x: f32[1x3x224x224]) {"]
        lines += [f"  %r{i}: f32[1x64x56x56] = Conv(%x, %w{i}) {{strides=[1, 1]}}  from n{i}" for i in range(4000)]
        names = [""] + [f"r{i}" for i in range(4000)]
        return {"title": "graph @resnet50", "lines": lines, "names": names, "state": [0, 4, 2] + [0] * 3998}

    def program(self, snapshot: int) -> Payload:
        lines = ["program @resnet50 {", "  alloc %a0: f32[1x64x56x56] at 0x40", "  conv out %a0, in %x, in %w0", "}"]
        return {"title": "program", "lines": lines, "names": ["", "r0", "r0", ""], "state": [0] * 4,
                "step": [-1, -1, 0, -1]}

    def memory(self, snapshot: int) -> Payload:
        count = 10_000 if self.kind in ("big", "huge") else 60
        first = [i // 2 for i in range(count)]
        buffers = {"name": [f"a{i}" for i in range(count)], "title": [f"res{i}" for i in range(count)],
                   "space": ["activations"] * count, "offset": [(i % 7) * 800_000 for i in range(count)],
                   "size": [700_000] * count, "first": first, "end": [f + 3 for f in first],
                   "kind": ["activation"] * count, "value": [f"r{i}" for i in range(count)]}
        steps = first[-1] + 3
        return {"steps": steps, "instructions": ["conv"] * steps, "planned": 1, "live": [4_200_000] * steps,
                "spaces": [{"name": "activations", "size": 5_600_000}], "bound": 5_200_000,
                "peak": {"bytes": 5_200_000, "step": 14}, "lines": ["Activations peak at 4.97 MiB, while res3_0 runs."],
                "account": [{"label": "weights", "bytes": 107_000_000, "text": "102 MiB"}], "buffers": buffers}

    def kernels(self) -> Payload:
        count = 0 if self.kind == "empty" else 58
        column = {"name": [f"conv{i % 7}" for i in range(count)], "step": list(range(count)), "op": ["conv"] * count,
                  "title": [f"res{i}" for i in range(count)], "value": [f"r{i}" for i in range(count)],
                  "ms": [0.2 + i % 5 for i in range(count)], "spread": [0.01] * count, "samples": [30] * count,
                  "gflop": [0.23] * count, "peak": [0.91] * count, "host": [0] * count, "bytes": [512] * count,
                  "spills": [0] * count, "types": ["f32"] * count, "gflops": [60.0 + i % 50 for i in range(count)],
                  "gbytes": [4.0 + i % 9 for i in range(count)], "family": [i % 7 for i in range(count)],
                  "algorithm": ["direct"] * count, "why": ["the fewest cycles"] * count}
        column |= {key: [None] * count for key in ("peer_ms", "peer_spread", "peer_ratio")}
        column["peer_told"] = [""] * count
        return {"rows": column, "unit": "ms", "total": {"ms": 38.9, "spread": 0.3, "samples": 30}, "sum_ms": 37.2,
                "roofs": {"gflops": 117.0, "gbytes": {"L2": 78.0, "memory": 16.0}}, "peer": None,
                "alone": {"alone": True, "others": 0.0, "told": "", "at": 0.0}}

    def kernel(self, name: str) -> Payload:
        return {"name": name, "title": name, "schedule": [["tile", "12×2"]], "why": "fits 28 registers", "users": [],
                "llvm": ["define void @k(ptr %0) {", "  %1 = load <16 x float>, ptr %0", "  ret void", "}"],
                "asm": ["k:", "  vmovups (%rdi), %zmm0", "  retq"], "llvm_of": [1, 2, 3]}

    def cutout(self, snapshot: int, name: str) -> str:
        return f"graph @cut() {{ // {name}\n}}\n"

    def values(self, snapshot: int, name: str) -> Payload:
        if name != "r0":
            return {"missing": "Values are kept only when the model has been run with them."}
        return {"name": name, "type": "f32[64]", "kind": "result", "stats": [["mean", "0.02"]], "edges": [-1, 0, 1],
                "counts": [3, 5], "sample": "0.1 0.2"}

    def search(self, query: str) -> Payload:
        names = [f"r{i}" for i in range(16) if query in f"r{i}"]
        return {"name": names, "title": names, "op": ["Conv"] * len(names), "type": ["f32"] * len(names),
                "born": [0] * len(names), "died": [4] * len(names), "where": ["gone in fuse (pass 5)"] * len(names),
                "level": ["graph"] * len(names), "total": len(names), "scopes": []}

    def compare(self, other: Reader) -> Payload:
        row = {"label": "Time", "before": "38.9 ms ±0.3", "after": "41.2 ms ±0.2", "difference": "+2.3 ms (+6%)",
               "verdict": "more"}
        step = {"name": "fold_batchnorm", "snapshot": 3, "before": "53 of 53", "after": "off", "cells": {}}
        graph = {"snapshot": 5, "there": 5, "same": 60, "states": [{"state": "added", "count": 1, "names": ["r7"]}]}
        return {"titles": ["all passes", "without fold_batchnorm"], "ready": True, "rows": [row], "passes": [step],
                "facts": [["Target", "cpu", "interpreter"]], "memory": [{**row, "label": "Weights"}], "graph": graph,
                "ledger": [{**step, "there": 3, "different": True}], "kernels": []}

    def scene_against(self, other: Reader, request: SceneRequest) -> Payload:
        return self.scene(request) | {"against": {"snapshot": request.snapshot, "name": "fuse", "run": "all passes"}}

    def rewrites(self) -> Payload:
        return {"total": 2, "rows": {"snapshot": [3, 3], "rule": ["conv_bn"] * 2, "name": ["r1", "r4"],
                                     "reason": ["one user", "one user"], "touches": [["r0", "r1"], ["r3", "r4"]]}}

    def trace(self) -> Payload:
        return {"traceEvents": []}

    def picture(self, snapshot: int) -> str:
        return "<svg/>"

    def content(self) -> bytes:
        return b"SQLite"

    def chart(self, kind: str, mode: str) -> object:
        return {"data": [{"type": "bar", "x": [1, 2], "y": [3, 4]}], "layout": {"title": {"text": kind}}}

    def hunt(self) -> Payload:
        return {"against": "", "rows": {"name": [], "error": [], "nans": [], "infinities": []}}

    def problems(self) -> Payload:
        if self.kind != "broken":
            return {"problems": []}
        problem = {"sign": "✕", "stage": "fold_batchnorm", "snapshot": 2, "name": "r1", "where": "In resnet50.onnx.",
                   "what": "Cannot fold n8: its scale has 128 values, the Conv has 64 output channels.",
                   "expected": "Expected f32[64].", "remedy": "Re-export the file.", "report": "report",
                   "cutout": ["glow"], "skip": True}
        return {"problems": [problem]}


class FakeWorkshop:
    """Compiles everything into the same recording at once."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.requests: list[Payload] = []

    def compile(self, request: Payload) -> Payload:
        self.requests.append(request)
        if "upload" in request:
            model = self.store.finish_upload(request["upload"])
            if model.title == "free.onnx" and "shapes" not in request:
                return {"dims": [{"name": "N", "input": "x", "position": 1, "default": None}]}
        return {"recording": RECORDING, "job": None}

    def job(self, identifier: str) -> Payload:
        raise Problem("There is no such job.", status=404)

    def cancel(self, identifier: str) -> None:
        """Nothing ever runs."""

    def open_path(self, path: Path, shapes: dict[str, int] | None = None) -> Payload:
        if not path.exists():
            raise Problem(f"There is no file {path}.", expected="An .onnx file.", remedy="Check the path.", status=404)
        return {"recording": RECORDING, "job": None}

    def glow(self, text: str, passes: list[str]) -> Payload:
        if not text.startswith("graph"):
            raise Problem("Line 1 is not a graph.", expected="graph @name(…) {")
        return {"text": text.upper(), "reasons": ["cse merged %b into %a."], "scene": chain_scene(3, 1)}

    def gallery(self) -> list[Payload]:
        card = {"id": "cnn12", "title": "Small CNN", "nodes": 12, "answers": "Which digit is it?", "weights": "trained",
                "compiled": RECORDING, "picture": [[0, i * 44, 120, 28, i % 4] for i in range(12)]}
        seeded = "seeded: answers mean nothing"
        return [card, {**card, "id": "resnet50", "title": "ResNet-50", "nodes": 176, "weights": seeded}]


KINDS = {RECORDING: "resnet50", EMPTY: "empty", BIG: "big", HUGE: "huge", BROKEN: "broken"}


def fake_services(folder: Path, local: bool = True) -> Services:
    """Return services that answer from this file; unknown recordings are refused as the real ones are."""
    store = Store(folder)

    def open_reader(identifier: str) -> FakeReader:
        if identifier not in KINDS:
            raise Problem("This recording is not on this server.", remedy="Open the model again.", status=404)
        return FakeReader(KINDS[identifier])

    return Services(store, open_reader, FakeWorkshop(store), local)
