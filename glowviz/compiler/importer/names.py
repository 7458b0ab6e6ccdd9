"""Every node has a display name that says something, is unique in its graph, and stays the same from run to run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import takewhile

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.types import Type

_COUNTED = re.compile(
    r"(?i)^((n|node|op|layer|id|x|v|r|val|t|tmp|tensor|const|constant|param|var|arg|auto|initializer|input|output)?"
    r"[_.:-]*\d+|node_?[a-z]\w*?_?\d*|onnx::\w+_\d+|const_fold_opt__\d+|\w*constant_output_\d+)$"
)
"""`12`, `n7`, `node_5`, `node_conv2d_3`, `onnx::Conv_423`: a counter, not a name."""
_TAIL = re.compile(r"(?i)(:\d+|__\d+|[/_]?readvariableop(_\d+)?|/read|_quantized)$")
_ROLE = re.compile(
    r"(?i)([_./:-]|^)(w|b|s|rm|riv|weights?|bias(es)?|kernel|filters?|gamma|beta|scale|mean|var|variance|slope|alpha|"
    r"(moving|running)_(mean|var|variance)|offset|value)(_\d+)?$"
)
"""The last word of a weight's name that tells its role: `_w_0`, `.weight`, `/kernel`."""


def says_something(name: str, op_type: str) -> bool:
    """Is this a name that somebody gave, rather than a counter or the op's own name with a number?"""
    if not name or _COUNTED.match(name):
        return False
    bare = re.sub(r"[_.:-]?\d+$", "", name)
    return re.sub(r"[_\W]", "", bare).lower() not in (op_type.lower(), f"node{op_type.lower()}", "")


def stem(weights: list[str]) -> str:
    """What the names of a node's weights have in common, without their roles; empty where that is nothing."""
    bare = [_without_role(name) for name in weights if not _COUNTED.match(name)]
    bare = [name for name in bare if name and not _COUNTED.match(name)]
    if not bare:
        return ""
    common = bare[0] if len(set(bare)) == 1 else _common_start(bare).rstrip("_./:-")
    common = common if len(common) > 2 else bare[0]
    found = common.rsplit("/", 1)[-1] if re.match(r"^(gpu|cpu)_\d+/", common) else common
    return "" if _COUNTED.match(found) or not re.search(r"[A-Za-z]", found) else found


def _common_start(names: list[str]) -> str:
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    return "".join(letters[0] for letters in same)


def _without_role(name: str) -> str:
    while (shorter := _TAIL.sub("", name)) != name:
        name = shorter
    return _ROLE.sub("", name).strip("_./:-")


def fixed_values(graph: Graph) -> dict[str, str]:
    """Values that no input has a part in, with the name that tells most: their own, or that of their first source."""
    fixed: dict[str, str] = {name: name for name in graph.constants}
    for node in graph:
        if all(o in fixed for o in node.op.operands):
            first = fixed[node.op.operands[0]] if node.op.operands else ""
            fixed.update({r: first if _COUNTED.match(r) and first else r for r in node.results})
    return fixed


def labels(graph: Graph, given: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """A unique label for every node; `given` holds the file's own name and op by origin name."""
    fixed = fixed_values(graph)
    wishes = {node.name: _wish(node, graph, given, fixed) for node in graph}
    used: dict[str, int] = {}
    taken = set(wishes.values())
    made: dict[str, str] = {}
    for name, wish in wishes.items():
        used[wish] = used.get(wish, 0) + 1
        label, number = wish, used[wish]
        while number > 1 and (label := f"{wish} #{number}") in taken:
            number += 1
        taken.add(label)
        made[name] = label
    return made


def _wish(node: Node, graph: Graph, given: Mapping[str, tuple[str, str]], fixed: Mapping[str, str]) -> str:
    origin = node.origin.names[0] if node.origin.names else ""
    own, op_type = given.get(origin, ("", node.kind))
    if says_something(own, op_type):
        return own if _is_main(node, op_type) else f"{own} · {node.kind}"
    weights = [fixed[o] for o in node.op.operands if o in fixed and _weighty(graph.type(o))]
    if node.name in fixed:
        weights = []  # a constant in the making is called after itself
    return stem(weights) or _shape_name(node)


def _weighty(type_: Type) -> bool:
    """Numbers that were trained; not shapes, axes and single factors."""
    return type_.shape != () and type_.elem not in ("i64", "i32", "bool", "string")


def _is_main(node: Node, op_type: str) -> bool:
    return node.kind == op_type or getattr(node.op, "op_type", "") == op_type


def _shape_name(node: Node) -> str:
    type_ = node.type
    kind = getattr(node.op, "op_type", "") or node.kind
    if type_.shape is None:
        return kind
    return f"{kind} {'×'.join(map(str, type_.shape)) or 'scalar'}"
