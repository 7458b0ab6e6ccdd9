"""Repeated blocks are found by structure, scopes by name; a fold is a box that stands for many nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from glowviz.compiler.recording.reader import NodeVersion

SMALL = 40
"""Operators up to which a graph is shown whole."""
MOST_BOXES = 60
"""Boxes that a picture may have when it opens."""
FEWEST_BOXES = 8
"""Boxes below which repeated blocks are shown one by one."""
LONGEST_PATTERN = 64
"""Steps of a repeated pattern of single operators that is looked for."""
SHAPE_OPS = frozenset({"Shape", "Size"})


@dataclass
class Fold:
    """A block: its name for selection, what it shows, and its parts (folds or node names) in order."""

    name: str
    title: str
    parts: list[Fold | str] = field(default_factory=list)
    repeat: int = 1

    def nodes(self) -> list[str]:
        """Every node inside, in order."""
        found: list[str] = []
        stack: list[Fold | str] = list(reversed(self.parts))
        while stack:
            part = stack.pop()
            if isinstance(part, str):
                found.append(part)
            else:
                stack.extend(reversed(part.parts))
        return found


@dataclass(frozen=True)
class Folding:
    """The fold tree of a model, found once on the imported graph; later nodes are filed by their ONNX names."""

    top: tuple[Fold | str, ...]
    path_of: Mapping[str, tuple[Fold, ...]]
    """ONNX node name to its folds, outermost first."""
    hidden: Mapping[str, str]
    """Imported nodes that are no operators of the data path, to what they are: constants, shape arithmetic."""
    by_name: Mapping[str, Fold] = field(default_factory=dict)
    """Every fold of the tree."""

    def path(self, node: NodeVersion) -> tuple[Fold, ...]:
        """The folds around a node of any snapshot, outermost first."""
        return self.path_by_names(node.origin or (node.name, *node.made[1:]))

    def path_by_names(self, names: Sequence[str]) -> tuple[Fold, ...]:
        """The folds around what stands for these ONNX nodes: those of the first that is filed."""
        for name in names:
            if name in self.path_of:
                return self.path_of[name]
        return ()


def differences(fold: Fold, nodes: Mapping[str, NodeVersion], most: int = 4) -> list[str]:
    """What the equal blocks that a fold stands for do not share, one sentence a place; weights are not compared."""
    blocks = [part.nodes() for part in fold.parts if isinstance(part, Fold)]
    if fold.repeat < 2 or len({len(block) for block in blocks}) != 1:
        return []
    lines: list[str] = []
    for row in zip(*blocks, strict=True):
        here = [nodes[name] for name in row if name in nodes]
        for what in ({n.types[0]: n for n in here if n.types}, {n.attributes: n for n in here}):
            if len(what) > 1:
                texts = [text.strip(" {}") or "none" for text in what]
                more = f" and {len(texts) - 2} more" if len(texts) > 2 else ""
                lines.append(f"{here[0].op} {here[0].label or here[0].name}: {texts[0]}, elsewhere {texts[1]}{more}.")
    if not lines:
        return ["They differ in their weights only."]
    rest = [f"{len(lines) - most} more differences."] if len(lines) > most else []
    return [*lines[:most], *rest]


def plumbing(nodes: Sequence[NodeVersion], inputs: Iterable[str]) -> dict[str, str]:
    """Nodes beside the data path: what depends on no input (constants), what follows from shapes alone."""
    from_data: set[str] = set(inputs)
    from_shapes: set[str] = set()
    beside: dict[str, str] = {}
    for node in nodes:
        reads_data = any(o in from_data for o in node.operands)
        if node.op in SHAPE_OPS and (reads_data or any(o in from_shapes for o in node.operands)):
            from_shapes.update(node.results)
            beside[node.name] = "shape arithmetic"
        elif reads_data:
            from_data.update(node.results)
        elif any(o in from_shapes for o in node.operands):
            from_shapes.update(node.results)
            beside[node.name] = "shape arithmetic"
        else:
            beside[node.name] = "constants"
    return beside


def fold_blocks(nodes: Sequence[NodeVersion], inputs: Sequence[str]) -> Folding:
    """Cut the data path where a single value lives, name what lies between, and fold what repeats."""
    hidden = plumbing(nodes, inputs)
    data = [n for n in nodes if n.name not in hidden]
    if len(data) <= SMALL:
        return _folding([n.name for n in data], data, hidden)
    segments = _segments(data, inputs)
    flowing = {r for n in data for r in n.results} | set(inputs)
    named = [_as_part(segment, flowing) for segment in segments]
    parts, tokens = _repeats(named, [_token(s) for s in segments], 1)
    parts, _ = _repeats(parts, tokens, LONGEST_PATTERN)
    return _folding(_sections(_opened(parts)), data, hidden)


def fold_scopes(nodes: Sequence[NodeVersion], inputs: Sequence[str]) -> Folding:
    """Fold by the path in the ONNX names (`/layer1/0/conv`), outermost scope first."""
    hidden = plumbing(nodes, inputs)
    data = [n for n in nodes if n.name not in hidden]
    root = Fold("fold:", "")
    known: dict[str, Fold] = {"": root}
    for node in data:
        _scope_of(node, known).parts.append(node.name)
    parts = _straightened(root.parts)
    while len(parts) == 1 and isinstance(parts[0], Fold):  # a scope around everything says nothing
        parts = _straightened(parts[0].parts)
    return _folding(_sections(parts), data, hidden)


def fold_nothing(nodes: Sequence[NodeVersion], inputs: Sequence[str]) -> Folding:
    """Every operator is a box of its own."""
    hidden = plumbing(nodes, inputs)
    data = [n for n in nodes if n.name not in hidden]
    return _folding([n.name for n in data], data, hidden)


def _folding(parts: Sequence[Fold | str], data: Sequence[NodeVersion], hidden: Mapping[str, str]) -> Folding:
    origin_of = {n.name: n.origin or (n.name,) for n in data}
    path_of: dict[str, tuple[Fold, ...]] = {}
    by_name: dict[str, Fold] = {}
    stack: list[tuple[Fold | str, tuple[Fold, ...]]] = [(p, ()) for p in reversed(parts)]
    while stack:
        part, path = stack.pop()
        if isinstance(part, Fold):
            by_name[part.name] = part
            stack.extend((p, (*path, part)) for p in reversed(part.parts))
        else:
            path_of.update(dict.fromkeys(origin_of.get(part, (part,)), path))
    return Folding(tuple(parts), path_of, hidden, by_name)


# blocks ----------------------------------------------------------------------------------------


def _segments(data: Sequence[NodeVersion], inputs: Sequence[str]) -> list[list[NodeVersion]]:
    """Runs of nodes between moments at which one single value lives."""
    last_use: dict[str, int] = {}
    uses: dict[str, list[int]] = {}
    for k, node in enumerate(data):
        for operand in node.operands:
            last_use[operand] = k
            uses.setdefault(operand, []).append(k)
    far = len(data) // 4
    everywhere = {v for v, at in uses.items() if len(at) >= 4 and at[-1] - at[0] > far}
    segments: list[list[NodeVersion]] = []
    current: list[NodeVersion] = []
    live = {i for i in inputs if i in uses and i not in everywhere}
    for k, node in enumerate(data):
        current.append(node)
        live.update(r for r in node.results if last_use.get(r, -1) > k and r not in everywhere)
        live -= {o for o in node.operands if last_use[o] == k}
        if len(live) <= 1 and live <= set(node.results):
            segments.append(current)
            current = []
    if current:
        segments.append(current)
    return _joined(segments)


def _joined(segments: list[list[NodeVersion]]) -> list[list[NodeVersion]]:
    """An element-wise operator right behind a block belongs to it (the Relu behind the Sum)."""
    joined: list[list[NodeVersion]] = []
    for segment in segments:
        follows = joined and len(joined[-1]) > 1 and len(segment) == 1
        if follows and segment[0].family == "elementwise":
            joined[-1].extend(segment)
        else:
            joined.append(list(segment))
    return joined


def _token(segment: Sequence[NodeVersion]) -> tuple[object, ...]:
    """What makes two segments equal: ops, their kernels, and which of them feeds which; not sizes."""
    index = {r: k for k, node in enumerate(segment) for r in node.results}
    return tuple((n.op, tuple(index.get(o, -1) for o in n.operands)) for n in segment)


def _as_part(segment: Sequence[NodeVersion], flowing: set[str]) -> Fold | str:
    if len(segment) == 1:
        return segment[0].name
    return Fold(f"fold:{segment[0].name}", block_title(segment, flowing), [n.name for n in segment])


def block_title(segment: Sequence[NodeVersion], flowing: set[str]) -> str:
    """A name for a block from what is in it; `flowing` are the values that depend on the input."""
    ops = [n.op for n in segment]
    convs, merges = ops.count("Conv"), ops.count("Concat")
    if "Softmax" in ops and ("MatMul" in ops or "Einsum" in ops):
        return "Attention"
    sums = [n for n in segment if n.op in ("Add", "Sum") and sum(o in flowing for o in n.operands) > 1]
    if convs and sums:
        inner = {r for n in segment for r in n.results}
        outside = [o for n in sums for o in n.operands if o in flowing and o not in inner]
        kind = "Bottleneck" if convs >= 3 else "Residual block"
        return kind if outside else f"{kind} with projection"
    if convs and merges:
        return "Inception module" if convs >= 4 else "Dense layer"
    if ops.count("MatMul") + ops.count("Gemm") >= 2:
        return "Feed-forward"
    heavy = next((n.op for n in segment if n.family in ("linear", "conv")), ops[0])
    return f"{heavy} block"


Parts = list[Fold | str]
Tokens = list[tuple[object, ...]]


def _repeats(parts: Parts, tokens: Tokens, longest: int) -> tuple[Parts, Tokens]:
    """Equal parts (or patterns of up to `longest` parts) that follow each other become one fold with a count."""
    numbers: dict[tuple[object, ...], int] = {}
    line = np.array([numbers.setdefault(t, len(numbers)) for t in tokens], dtype=np.int64)
    runs = _runs(line, longest)
    found: Parts = []
    left: Tokens = []
    k = 0
    while k < len(parts):
        period, count = _best(runs, k, parts)
        if count < 2:
            period = count = 1
            found.append(parts[k])
            left.append(tokens[k])
        else:
            found.append(_repeat(parts[k : k + period * count], period, count))
            left.append((*tokens[k : k + period], count))
        k += period * count
    return found, left


def _runs(line: np.ndarray, longest: int) -> list[np.ndarray]:
    """runs[p][k]: how many positions from k on equal the one p further."""
    runs: list[np.ndarray] = []
    for period in range(1, min(longest, len(line) // 2) + 1):
        equal = line[:-period] == line[period:]
        ends = np.where(equal, len(equal), np.arange(len(equal)))
        nearest = np.minimum.accumulate(ends[::-1])[::-1]
        runs.append(np.minimum(nearest, len(equal)) - np.arange(len(equal)))
    return runs


def _best(runs: list[np.ndarray], k: int, parts: Sequence[Fold | str]) -> tuple[int, int]:
    best = (1, 1)
    for period, run in enumerate(runs, 1):
        if k >= len(run):
            break
        count = 1 + int(run[k]) // period
        if period == 1 and not isinstance(parts[k], Fold):
            continue
        if count >= 2 and period * count > best[0] * best[1]:
            best = (period, count)
    return best


def _repeat(parts: Sequence[Fold | str], period: int, count: int) -> Fold:
    """One box for `count` equal blocks of `period` parts; inside are the blocks one by one."""
    blocks = [_block(parts[k * period : (k + 1) * period]) for k in range(count)]
    first = blocks[0]
    return Fold(f"{first.name}×{count}", first.title, list(blocks), repeat=count)


def _block(parts: Sequence[Fold | str]) -> Fold:
    if len(parts) == 1 and isinstance(parts[0], Fold):
        return parts[0]
    head = parts[0].name if isinstance(parts[0], Fold) else f"fold:{parts[0]}"
    titles = [p.title for p in parts if isinstance(p, Fold)]
    if "Attention" in titles and len(titles) > 1:
        return Fold(f"{head}+", "Transformer layer", list(parts))
    return Fold(f"{head}+", " + ".join(dict.fromkeys(titles)) or "Steps", list(parts))


def _sections(parts: list[Fold | str]) -> list[Fold | str]:
    """Too many boxes are cut into equal sections, as often as needed."""
    level = 0
    while len(parts) > MOST_BOXES:
        size = max(2, -(-len(parts) // (MOST_BOXES // 2)))
        groups = [parts[k : k + size] for k in range(0, len(parts), size)]
        alike = len({part.title if isinstance(part, Fold) else "" for part in parts}) == 1
        parts = [_section(group, k * size, level, alike) for k, group in enumerate(groups)]
        level += 1
    return parts


def _opened(parts: Parts) -> Parts:
    """A picture of a few boxes says nothing: repeats are shown one by one until there are some."""
    while len(parts) < FEWEST_BOXES and any(isinstance(p, Fold) and p.repeat > 1 for p in parts):
        parts = [q for p in parts for q in (p.parts if isinstance(p, Fold) and p.repeat > 1 else [p])]
    return parts


def _section(group: list[Fold | str], before: int, level: int, alike: bool) -> Fold:
    """A box for parts that follow each other: alike ones are counted in its title, others named from first to last."""
    first, last = group[0], group[-1]
    head = first.name if isinstance(first, Fold) else first
    title = f"Parts {before + 1:,}–{before + len(group):,}"
    if isinstance(first, Fold) and isinstance(last, Fold) and not level:
        title = f"{first.title} {title[6:]}" if alike else f"{first.title} … {last.title}"
    return Fold(f"fold:section{level}:{head}", title, list(group))


# scopes ----------------------------------------------------------------------------------------


def _scope_of(node: NodeVersion, known: dict[str, Fold]) -> Fold:
    """The innermost scope of a node; scopes are made from the first one that is known downwards."""
    name = (node.origin or (node.name,))[0]
    separator = "/" if "/" in name else "."
    scope = separator + separator.join([step for step in name.split(separator) if step][:-1])
    missing: list[str] = []
    while scope != separator and scope not in known:
        missing.append(scope)
        scope = scope[: scope.rindex(separator)] or separator
    fold = known[""] if scope == separator else known[scope]
    for scope in reversed(missing):
        inner = Fold(f"fold:{scope}", scope[scope.rindex(separator) + 1 :])
        fold.parts.append(inner)
        fold = known[scope] = inner
    return fold


def _straightened(parts: list[Fold | str]) -> list[Fold | str]:
    """A scope with a single part inside is that part."""
    found: list[Fold | str] = []
    for part in parts:
        while isinstance(part, Fold) and len(part.parts) == 1:
            part = part.parts[0]
        found.append(part)
    return found
