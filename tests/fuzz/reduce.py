"""A failing model becomes its smallest part that still fails: one node, then its neighbours, until it fails again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import helper, numpy_helper, shape_inference

from tests.fuzz.generator import Made
from tests.fuzz.oracle import judge, peer_run

EXEMPTIONS: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("exemptions.yaml").read_text()) or []


def reduced(made: Made, kind: str, target: str) -> Made:
    """The shortest run of nodes that still ends in the same kind of verdict; values before it become inputs."""
    everything = _with_all_values(made)
    values = peer_run(everything)
    if isinstance(values, str):
        return made
    count = len(made.model.graph.node)
    for length in range(1, count):
        for start in range(count - length + 1):
            part = _part(made, start, start + length, values, everything)
            if part is not None and judge(part, target).kind == kind:
                return part
    return made


def _with_all_values(made: Made) -> Made:
    model = shape_inference.infer_shapes(made.model)
    there = {o.name for o in model.graph.output}
    tensors = [v for v in model.graph.value_info if v.type.HasField("tensor_type")]
    model.graph.output.extend(v for v in tensors if v.name not in there)
    return replace(made, model=model)


def _part(made: Made, start: int, end: int, values: dict[str, np.ndarray], everything: Made) -> Made | None:
    """These nodes alone; None where they read what is no tensor, or bodies take something from outside."""
    graph = made.model.graph
    nodes = list(graph.node)[start:end]
    made_here = {name for node in nodes for name in node.output if name}
    reads = dict.fromkeys(name for node in nodes for name in node.input if name and name not in made_here)
    constants = {t.name: t for t in graph.initializer}
    inputs = {n: made.inputs.get(n, values.get(n)) for n in reads if n not in constants}
    inside = any(a.type == onnx.AttributeProto.GRAPH for node in nodes for a in node.attribute)
    if inside or any(not isinstance(a, np.ndarray) for a in inputs.values()):
        return None
    infos = {v.name: v for v in (*everything.model.graph.output, *everything.model.graph.value_info)}
    given = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for n, a in inputs.items() if a is not None
    ]  # fmt: skip
    wanted = [infos[n] for n in sorted(made_here) if n in infos and infos[n].type.HasField("tensor_type")]
    if not wanted:
        return None
    part = helper.make_graph(nodes, "reduced", given, wanted,
                             [constants[n] for n in reads if n in constants])  # fmt: skip
    model = helper.make_model(part, opset_imports=list(made.model.opset_import), ir_version=made.model.ir_version)
    return replace(made, model=model, inputs={n: a for n, a in inputs.items() if a is not None})


def exempt(small: Made, text: str) -> bool:
    """Whether an entry of exemptions.yaml names what is left of a failing model."""
    return any(
        set(small.ops) <= set(e["ops"]) and e["text"] in text
        and (not e.get("empty") or _has_nothing(small)) and e.get("with", "") in told(small)
        for e in EXEMPTIONS
    )  # fmt: skip


def _has_nothing(made: Made) -> bool:
    """An operand has no elements."""
    return any(0 in a.shape for a in made.inputs.values()) or any(0 in t.dims for t in made.model.graph.initializer)


def told(made: Made) -> str:
    """The model as text, with its small contents."""
    lines = [onnx.printer.to_text(made.model)]
    for tensor in made.model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.size <= 16:
            lines.append(f"{tensor.name} = {array.tolist()}")
    lines += [f"{name} = {array.tolist()}" for name, array in made.inputs.items() if array.size <= 16]
    return "\n".join(lines)
