"""After this pass what can run as one pass over memory is one Fused node: a heavy op with its epilogue, or a stack."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from glowviz.compiler.graph import Graph, Node
from glowviz.compiler.ops import Fused, fuse_nodes
from glowviz.compiler.ops import heavy as fused_heavy
from glowviz.compiler.ops.base import Elementwise, Op
from glowviz.compiler.recording.records import Refusal
from glowviz.compiler.rewrite import Edit, Keep, Miss, Rewrite, graph_pass, log, rule
from glowviz.compiler.rewrite.facts import named, readers_text, shape_text, twice
from glowviz.compiler.rewrite.rules import anonymous, perform
from glowviz.compiler.target import Target
from glowviz.compiler.types import Type

HEAVY = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm"})
"""Ops that take an epilogue unless a machine says otherwise; it may add pools by its `fuses`."""


@dataclass(frozen=True)
class Limits:
    """What one Fused node may hold."""

    heavy: frozenset[str] = HEAVY
    machine: str = ""
    max_inputs: int = 8
    max_nodes: int = 32
    positions: dict[str, int] = field(default_factory=dict)
    """Place of every node in the graph: of two heavy ops the later one takes the epilogue."""


@dataclass
class Cone:
    """Nodes whose results nobody but their root's users see; `refusals` tell what stayed outside and why."""

    root: Node
    nodes: dict[str, Node]
    heavy: Node | None = None
    refusals: dict[str, str] = field(default_factory=dict)
    inputs: frozenset[str] = frozenset()
    """Operands from outside, constants of one element aside: those stand in the code."""


@rule(Op)
def fuse_epilogue(edit: Edit, node: Node) -> Rewrite | None:
    """Relu(Add(Conv(x, w), r)) -> Fused(x, w, r): one heavy op and the element-wise ops after it"""
    return _explained(edit, node, wants_heavy=True)


@rule(Elementwise)
def stack_elementwise(edit: Edit, node: Node) -> Rewrite | None:
    """Relu(Mul(x, y)) -> Fused(x, y): element-wise ops in one pass over memory"""
    return _explained(edit, node, wants_heavy=False)


@graph_pass(rules=(fuse_epilogue, stack_elementwise), level="lowered")
def fuse(graph: Graph, target: Target | None = None, *, max_inputs: int = 8, max_nodes: int = 32) -> Graph:
    """Relu(Add(Conv(x, w), r)) -> Fused(x, w, r); Relu(Mul(x, y)) -> Fused(x, y). What is inside has one user."""
    heavy = HEAVY if target is None else target.fuses
    positions = {name: i for i, name in enumerate(graph.nodes)}
    limits = Limits(heavy, "" if target is None else target.name, max_inputs, max_nodes, positions)
    edit = Edit(graph)
    log().tried += len(graph.nodes)
    # from the outputs on, so that every cone is grown from its last node
    for name in reversed(positions):
        node = edit.node(name)
        if node is None:
            continue
        if isinstance(node.op, Elementwise):
            _fuse_at(edit, node, limits)
        elif node.kind in limits.heavy:
            _tell_unfused(edit, node)
    return edit.finish()


def _fuse_at(edit: Edit, node: Node, limits: Limits) -> None:
    cone = grow(edit, node, limits)
    fired = fuse_epilogue if cone.heavy is not None else stack_elementwise
    for about, reason in cone.refusals.items():
        blamed = fuse_epilogue if about in edit and edit.op(about).name in limits.heavy else fired
        log().refuse(Refusal(blamed.name, node.name, "keep", reason), anonymous(reason))
    if len(cone.nodes) > 1:
        edit.pending = None
        perform(edit, node, fired, fused(edit, cone))


def _tell_unfused(edit: Edit, node: Node) -> None:
    """Record why a heavy op has no epilogue."""
    try:
        why_not(edit, node)
    except Keep as keep:
        log().refuse(Refusal(fuse_epilogue.name, node.name, "keep", str(keep)), anonymous(str(keep)))
    except Miss as miss:
        refusal = Refusal(fuse_epilogue.name, node.name, "miss", str(miss), miss.expected, miss.found, miss.stranger)
        log().refuse(refusal, anonymous(str(miss)))


def why_not(edit: Edit, heavy: Node) -> None:
    """Keep or Miss for a heavy op that stands alone; nothing where an element-wise op could take it in."""
    users = edit.users(heavy.name)
    if edit.use_count(heavy.name) > 1:
        told = readers_text(heavy.name, edit.graph.users.get(heavy.name, ()), edit.is_returned(heavy.name))
        raise Keep(f"{told}. {twice(edit, heavy)}")
    if not users:
        raise Miss(f"an element-wise op after {heavy.kind}", "the graph's output", heavy.name)
    taken = fused_heavy(users[0].op)
    if taken is not None and heavy.name in taken.op.operands:
        raise Miss(f"an element-wise op after {heavy.kind}", named(taken), taken.name)
    if taken is not None:
        raise Keep(f"%{heavy.name} goes into {named(users[0])}, whose one heavy op is {named(taken)}.")
    if not isinstance(users[0].op, Elementwise):
        raise Miss(f"an element-wise op after {heavy.kind}", named(users[0]), users[0].name)


def _explained(edit: Edit, node: Node, wants_heavy: bool) -> Rewrite | None:
    """The rewrite at one node, for `explain`; the pass grows each cone once for both rules."""
    if not isinstance(node.op, Elementwise):
        if node.kind in HEAVY and wants_heavy:
            why_not(edit, node)
        return None
    positions = {name: i for i, name in enumerate(edit.graph.nodes)}
    cone = grow(edit, node, Limits(positions=positions))
    if len(cone.nodes) > 1 and (cone.heavy is not None) == wants_heavy:
        return fused(edit, cone)
    for reason in cone.refusals.values():
        raise Keep(reason)
    first = node.op.operands[0]
    before = edit.maker(first)
    if before is None or not (isinstance(before.op, Elementwise) or before.kind in HEAVY):
        wanted = " or ".join(sorted(HEAVY)) if wants_heavy else "an element-wise op"
        found = named(before) if before is not None else f"%{first}, which no node makes"
        raise Miss(f"{wanted} before {node.kind}", found, first)
    return None


# growing a cone ----------------------------------------------------------------------------------


def grow(edit: Edit, root: Node, limits: Limits) -> Cone:
    """All nodes that only the root needs, as far as one pass over memory can compute them."""
    cone = Cone(root, {root.name: root}, inputs=_operands(edit, root))
    if not _fits(edit, root, root, limits, cone):
        return cone
    waiting = _grow_elementwise(edit, cone, limits)
    heavies = [n for n in waiting if n.kind in HEAVY | limits.heavy and _may_end_here(edit, n, cone, limits)]
    if heavies:
        heavies.sort(key=lambda n: limits.positions.get(n.name, 0))
        cone.heavy = heavies.pop()
        cone.nodes[cone.heavy.name] = cone.heavy
        for other in heavies:
            one = f"a pass over memory has one heavy op, here {named(cone.heavy)}"
            cone.refusals[other.name] = f"{named(other)} stays outside: {one}."
        _leave_to_others(edit, cone, heavies)
    return cone


def _grow_elementwise(edit: Edit, cone: Cone, limits: Limits) -> list[Node]:
    """Take in element-wise nodes until nothing fits; returns the makers that are not element-wise."""
    waiting: dict[str, Node] = {}
    queue = [cone.root]
    while queue:
        node = queue.pop()
        for operand in dict.fromkeys(node.op.operands):
            maker = edit.maker(operand)
            if maker is None or maker.name in cone.nodes:
                continue
            if not isinstance(maker.op, Elementwise):
                waiting[maker.name] = maker
            elif _may_join(edit, maker, cone, limits):
                cone.nodes[maker.name] = maker
                cone.inputs = _with(edit, cone, maker)
                cone.refusals.pop(maker.name, None)
                queue.append(maker)
    return list(waiting.values())


def _may_end_here(edit: Edit, heavy: Node, cone: Cone, limits: Limits) -> bool:
    """The heavy op can have the cone as its epilogue."""
    if heavy.kind not in limits.heavy:
        cone.refusals[heavy.name] = f"The {limits.machine} machine has no epilogue for {named(heavy)}."
        return False
    return _may_join(edit, heavy, cone, limits) and _reads_features(edit, heavy, cone)


def _reads_features(edit: Edit, heavy: Node, cone: Cone) -> bool:
    """What spreads in the epilogue is one number, or one per feature of the heavy op."""
    axis, what = (heavy.type.rank - 1, "column") if heavy.kind in ("MatMul", "Gemm") else (1, "channel")
    for node in cone.nodes.values():
        for operand in node.op.operands:
            small = edit.type(operand)
            if small.dims == heavy.type.dims or operand in cone.nodes or larger_axes(small, heavy.type) in ([], [axis]):
                continue
            told = f"%{operand} {small} of {named(node)} is not one number per {what} of {named(heavy)}."
            cone.refusals[heavy.name] = told
            return False
    return True


def _may_join(edit: Edit, node: Node, cone: Cone, limits: Limits) -> bool:
    if any(edit.is_returned(r) or any(u.name not in cone.nodes for u in edit.users(r)) for r in node.results):
        if node.kind in limits.heavy or isinstance(node.op, Elementwise):
            cost = f" {twice(edit, node)}" if node.kind in limits.heavy else " It is stored for them anyway."
            # the readers as they were before this pass, not the Fused nodes that some of them are by now
            told = readers_text(node.name, edit.graph.users.get(node.name, ()), edit.is_returned(node.name))
            cone.refusals[node.name] = f"{told}.{cost}"
        return False
    if len(cone.nodes) >= limits.max_nodes:
        cone.refusals[node.name] = f"{named(cone.root)} has {limits.max_nodes} nodes in one pass already (max_nodes)."
        return False
    if not _fits(edit, node, cone.root, limits, cone):
        return False
    inputs = _with(edit, cone, node)
    if len(inputs) > limits.max_inputs:
        cone.refusals[node.name] = (
            f"{named(node)} would make {len(inputs)} operands of one pass (max_inputs={limits.max_inputs})."
        )
        return False
    return True


def _fits(edit: Edit, node: Node, root: Node, limits: Limits, cone: Cone) -> bool:
    """The node's results have the root's shape and order, and its operands spread over it in a simple way."""
    types = [*node.types, *(edit.type(o) for o in node.op.operands)]
    if len(node.results) > 1 or not all(isinstance(t, Type) and t.static and t.elem != "string" for t in types):
        return False
    if node.type.dims != root.type.dims or node.type.order != root.type.order:
        both = f"{named(node)} is {node.type}, {named(root)} is {root.type}"
        cone.refusals[node.name] = f"{both}: not the same shape and order."
        return False
    if node.kind in limits.heavy:
        return True
    for operand in node.op.operands:
        if not spreads_simply(edit.type(operand), root.type):
            cone.refusals[node.name] = (
                f"%{operand} {edit.type(operand)} of {named(node)} is neither one number, one per channel, a last row"
                f" nor of the full shape {shape_text(root.type)}."
            )
            return False
    return True


def spreads_simply(small: Type, whole: Type) -> bool:
    """Same shape and order, one number, one per channel (axis 1), or one per place of the last axis."""
    if small.dims == whole.dims:
        return small.order == whole.order
    if small.count == 1:
        return True
    return small.rank <= whole.rank and larger_axes(small, whole) in ([1], [whole.rank - 1])


def larger_axes(small: Type, whole: Type) -> list[int]:
    """Axes of `whole` along which an operand that broadcasts has more than one number."""
    if small.count == 1:
        return []
    before = whole.rank - small.rank
    return [axis + before for axis, size in enumerate(small.dims) if size != 1]


def _with(edit: Edit, cone: Cone, node: Node) -> frozenset[str]:
    """The operands from outside once the node is inside."""
    return cone.inputs.difference(node.results) | _operands(edit, node)


def _operands(edit: Edit, node: Node) -> frozenset[str]:
    return frozenset(o for o in node.op.operands if not _is_number(edit, o))


def _is_number(edit: Edit, value: str) -> bool:
    constant = edit.constant(value)
    return constant is not None and constant.type.count == 1


def _leave_to_others(edit: Edit, cone: Cone, heavies: list[Node]) -> None:
    """Element-wise nodes between another heavy op and the join are that op's epilogue, not ours."""
    assert cone.heavy is not None
    behind = _behind(edit, cone, {cone.heavy.name})
    others = _behind(edit, cone, {h.name for h in heavies})
    for name in others - behind - {cone.root.name}:
        del cone.nodes[name]
    shrunk = True
    while shrunk:
        shrunk = False
        for name, node in list(cone.nodes.items()):
            if node is not cone.root and any(u.name not in cone.nodes for u in edit.users(name)):
                del cone.nodes[name]
                shrunk = True
    if cone.heavy.name not in cone.nodes:
        cone.heavy = None


def _behind(edit: Edit, cone: Cone, sources: set[str]) -> set[str]:
    """Nodes of the cone that depend on one of the sources."""
    found: set[str] = set()
    stack = list(sources)
    while stack:
        for user in edit.users(stack.pop()):
            if user.name in cone.nodes and user.name not in found:
                found.add(user.name)
                stack.append(user.name)
    return found


# writing it down ---------------------------------------------------------------------------------


def fused(edit: Edit, cone: Cone) -> Rewrite:
    """The Fused node for a cone, with the reason that names who was taken in."""
    nodes = in_order(cone)
    op, _ = fuse_nodes(nodes, (cone.root.name,), edit.type)
    op = with_numbers(edit, op)
    inner = nodes[:-1]
    absorbed = tuple(reversed(inner))
    if cone.heavy is None:
        listed = ", ".join(named(n) for n in inner)
        reason = f"{listed} and {named(cone.root)} are one pass over memory: same shape, one user each"
        return Rewrite(op, reason, absorbs=absorbed)
    taken = [n for n in nodes if n is not cone.heavy]
    listed = ", ".join(named(n) for n in taken)
    facts = "one user, same shape" if len(taken) == 1 else "one user each, same shape"
    reason = f"{named(cone.heavy)} takes in {listed} ({facts})"
    return Rewrite(op, reason, absorbs=absorbed, continues={cone.heavy.name: cone.root.name})


def in_order(cone: Cone) -> list[Node]:
    """The nodes so that each stands after what it reads."""
    ordered: dict[str, Node] = {}
    stack = [cone.root]
    while stack:
        node = stack[-1]
        missing = [
            cone.nodes[o] for o in node.op.operands if o in cone.nodes and o not in ordered
        ]
        if missing:
            stack.extend(reversed(missing))
        else:
            ordered.setdefault(stack.pop().name, node)
    return list(ordered.values())


def with_numbers(edit: Edit, op: Fused) -> Fused:
    """Constants of one element stand inside the body: the code holds them as numbers."""
    numbers = {name: c for name in op.xs if (c := edit.constant(name)) is not None and c.type.count == 1}
    if not numbers or len(numbers) == len(op.xs):
        return op
    inputs = {n: t for n, t in op.body.inputs.items() if n not in numbers}
    body = op.body.evolve(inputs=inputs, constants={n: replace(c, name=n) for n, c in numbers.items()})
    return Fused(tuple(inputs), body)  # type: ignore[arg-type]  # evolve keeps the Region a Region


