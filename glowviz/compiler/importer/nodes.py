"""Every ONNX node becomes its op, the nodes of its function or branch, or an Opaque that can be looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from onnx import FunctionProto, GraphProto, NodeProto

from glowviz.compiler.graph import Origin
from glowviz.compiler.importer import (
    quirks_attention,
    quirks_fused,
    quirks_gradient,
    quirks_grid,
    quirks_ml,
    quirks_number,
    quirks_quantized,
    quirks_sequence,
    quirks_shape,
    quirks_training,
    quirks_trees,
)
from glowviz.compiler.importer.attributes import attributes_of, defaults_of, schema_of
from glowviz.compiler.importer.control import Body, controlled
from glowviz.compiler.importer.convert import class_of, convert
from glowviz.compiler.importer.functions import body_of, bound_attributes, with_attributes
from glowviz.compiler.importer.hints import fits_onnx
from glowviz.compiler.importer.limits import LIMITS, NEWEST, FunctionKey, call_key, check_node, plain_domain
from glowviz.compiler.importer.opaque import opaque
from glowviz.compiler.importer.order import captured
from glowviz.compiler.importer.problem import RE_EXPORT, ImportProblem, UnfitProblem
from glowviz.compiler.importer.quirks import QUIRKS
from glowviz.compiler.importer.scope import Scope
from glowviz.compiler.importer.site import NotTaken, Site, place
from glowviz.compiler.importer.sketch import Misfit, Sketch
from glowviz.compiler.importer.source import Source
from glowviz.compiler.importer.tensors import array_of
from glowviz.compiler.ops.activations import Identity
from glowviz.compiler.ops.base import Op

assert quirks_shape.reshape is QUIRKS["Reshape"]  # importing them is what declares their quirks
assert quirks_number.recurrent is QUIRKS["LSTM"]
assert quirks_training.TRAINING
assert quirks_fused.MICROSOFT == quirks_quantized.MICROSOFT == quirks_attention.MICROSOFT
assert quirks_gradient.SHARES
assert quirks_grid.affine_grid is QUIRKS["AffineGrid"]
assert quirks_sequence.optional is QUIRKS["Optional"]
assert quirks_ml.ML == quirks_trees.ML

Work = Iterator[tuple[NodeProto, Scope, Origin]]


@dataclass
class Notes:
    """Peculiarities met while reading, by kind: the names of what has them, and a reason where there is one."""

    found: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    protos: dict[str, NodeProto] = field(default_factory=dict)
    """The file's own nodes by the name of their origin."""

    def add(self, kind: str, name: str, reason: str = "") -> None:
        self.found.setdefault(kind, []).append((name, reason))


@dataclass
class Nodes:
    """Reads nodes into a sketch. Functions and branches go on a stack, so that nothing here recurses."""

    source: Source
    sketch: Sketch
    functions: dict[FunctionKey, FunctionProto]
    read: set[str]
    notes: Notes
    body: Body
    _stack: list[Work] = field(default_factory=list)

    def run(self, nodes: Sequence[NodeProto], scope: Scope) -> None:
        """Read all nodes, those of functions and branches in their place."""
        self._stack = [self._originated(nodes, scope)]
        while self._stack:
            work = next(self._stack[-1], None)
            if work is None:
                self._stack.pop()
                continue
            self._node(*work)

    def _originated(self, nodes: Sequence[NodeProto], scope: Scope) -> Work:
        for node, origin in zip(nodes, origins(nodes), strict=True):
            self.notes.protos.setdefault(origin.names[0], node)
            yield node, scope, origin

    def _node(self, node: NodeProto, scope: Scope, origin: Origin) -> None:
        site = self._site(node, scope, origin)
        if site is None:
            return
        try:
            op = self._op(site, scope)
            if op is not None:
                self.sketch.define(op, site.results, site.origin, self.source.name)
        except NotTaken as reason:
            if not self._expand(site, scope):
                self._show(site, scope, str(reason))
        except Misfit as problem:
            if not (self.sketch.unsupported(problem.op) and fits_onnx(site)):
                told_types = ", ".join(str(site.type(v)) if v else "nothing" for v in site.operands)
                raise UnfitProblem(
                    f"{site.kind} does not fit its operands: {problem}", site.where,
                    f"other operands than {told_types or 'none'}", RE_EXPORT,
                ) from None
            self._show(site, scope, str(problem))

    def _site(self, node: NodeProto, scope: Scope, origin: Origin) -> Site | None:
        if not node.op_type or len(node.input) > LIMITS.operands or len(node.output) > LIMITS.operands:
            check_node(node, place(self.source, node, origin))
        results = self._results(node, scope)
        if not results:
            self.notes.add("silent", origin.names[0])
            return None
        if scope.bound is not None:
            node = with_attributes(node, scope.bound)
        operands = self._operands(node, scope, origin)
        domain = plain_domain(node.domain)
        version = scope.versions.get(domain, 1)
        given = attributes_of(node, place(self.source, node, origin)) if node.attribute else {}
        attrs = {**defaults_of(node.op_type, version, domain), **given}
        return Site(
            node, domain, node.op_type, version, operands, results, attrs, origin, self.sketch, self.source,
            self.read, given,
        )

    def _operands(self, node: NodeProto, scope: Scope, origin: Origin) -> tuple[str | None, ...]:
        """The values that the names mean; None where one is left out, nothing behind the last one."""
        names = list(node.input)
        if scope.rename is None and all(n in self.sketch.types for n in names):
            return tuple(names)
        operands = [scope.value(v, self.sketch, place(self.source, node, origin)) if v else None for v in names]
        while operands and operands[-1] is None:
            operands.pop()
        return tuple(operands)

    def _results(self, node: NodeProto, scope: Scope) -> tuple[str, ...]:
        names = list(node.output)
        while names and not names[-1]:
            names.pop()
        if not names:
            return ()
        if scope.rename is None and "" not in names:
            return tuple(names)
        stem = next(n for n in names if n)
        results = tuple(
            scope.define(n, self.sketch) if n else self.sketch.fresh(f"{stem}.out{i}")
            for i, n in enumerate(names)
        )
        self.read.update(r for n, r in zip(names, results, strict=True) if n in scope.reads)
        return results

    def _op(self, site: Site, scope: Scope) -> Op | None:
        if call_key(site.node) in self.functions:
            raise NotTaken("it is a function of the file")
        if site.domain:
            quirk = QUIRKS.get(f"{site.domain}::{site.kind}")
            if quirk is not None:
                return quirk(site)
            cls = class_of(site.domain, site.kind)
            if cls is None:
                raise NotTaken(f"glowviz does not know the domain {site.domain}")
            return convert(cls, site)
        schema = schema_of(site.kind, site.version, "")
        if schema is not None and schema.since_version > NEWEST:
            raise NotTaken(f"it changed in opset {schema.since_version}, newer than {NEWEST}")
        if site.kind == "If" and self._inline_branch(site, scope):
            return None
        if site.kind in ("If", "Loop", "Scan"):
            return controlled(site, scope, self.body)
        quirk = QUIRKS.get(site.kind)
        if quirk is not None:
            return quirk(site)
        cls = class_of("", site.kind)
        if cls is None:
            raise NotTaken("glowviz does not know this op" if schema else "ONNX has no op of this name")
        return convert(cls, site)

    def _expand(self, site: Site, scope: Scope) -> bool:
        """Put the nodes of a function in the place of its call."""
        function = body_of(site, self.functions)
        if function is None or len(self._stack) > LIMITS.depth * 4:
            return False
        self.notes.add("function", site.origin.names[0], site.kind)
        values = dict(zip(function.input, site.operands, strict=False))
        inner = Scope(
            {**scope.versions, **{plain_domain(o.domain): o.version for o in function.opset_import}},
            rename={name: value for name, value in values.items() if value is not None},
            prefix=site.results[0], bound=bound_attributes(function, site),
            absent={name for name in function.input if values.get(name) is None},
            reads=_reads(function.node, function.output),
        )
        self._stack.append(self._inlined(function.node, inner, tuple(function.output), site))
        return True

    def _inline_branch(self, site: Site, scope: Scope) -> bool:
        """An If whose condition is known is the branch it takes."""
        condition = site.known(0)
        if condition is None or condition.size != 1:
            return False
        branch = site.attrs.get("then_branch" if bool(condition.reshape(())) else "else_branch")
        if not isinstance(branch, GraphProto):
            raise ImportProblem("If lacks a branch", site.where, "two branches", RE_EXPORT)
        site.drop(0)
        self.notes.add("branch", site.origin.names[0])
        outputs = tuple(o.name for o in branch.output)
        reads = _reads(branch.node, outputs)
        inner = Scope(scope.versions, scope, {}, site.results[0], scope.bound, reads=reads)
        for tensor in branch.initializer:
            name = inner.define(tensor.name, self.sketch)
            self.sketch.add_constant(name, array_of(tensor, self.source, site.where), site.origin, site.where)
        self._stack.append(self._inlined(branch.node, inner, outputs, site))
        return True

    def _inlined(self, nodes: Sequence[NodeProto], inner: Scope, outputs: tuple[str, ...], site: Site) -> Work:
        """The nodes of a body; results that no node of it defines become Identities at its end."""
        made = {o for n in nodes for o in n.output}
        rename = inner.rename if inner.rename is not None else {}
        later: list[tuple[str, str]] = []
        for name, result in zip(outputs, site.results, strict=False):
            if name in made and name not in rename:
                rename[name] = result
            else:
                later.append((name, result))
        yield from ((node, inner, self._inner_origin(node, inner, site)) for node in nodes)
        for name, result in later:
            if result not in self.read and name not in rename:
                continue  # nobody asked for it, and the body does not make it then
            value = inner.value(name, self.sketch, site.where)
            if value is not None:
                self.sketch.define(Identity(value), (result,), site.origin, site.where)

    def _inner_origin(self, node: NodeProto, inner: Scope, site: Site) -> Origin:
        """A node of a branch stands for itself where its name is its own; one of a function for the call."""
        if inner.outer is None or not node.name or node.name in self.notes.protos:
            return site.origin
        self.notes.protos[node.name] = node
        return Origin.of(node.name)

    def _show(self, site: Site, scope: Scope, reason: str) -> None:
        self.notes.add("opaque", site.origin.names[0], reason)
        made = opaque(site, scope, self.body)
        self.sketch.define(made, site.results, site.origin, site.where)


def _reads(nodes: Sequence[NodeProto], outputs: Sequence[str]) -> frozenset[str]:
    """Names that a body reads."""
    found = set(outputs)
    for node in nodes:
        found.update(node.input)
        if node.attribute:
            found.update(captured(node))
    return frozenset(found)


def origins(nodes: Sequence[NodeProto]) -> Iterator[Origin]:
    """An origin with a unique name for every node of a graph; nameless ones are called after op and place."""
    explicit = {n.name for n in nodes}
    used: set[str] = set()
    for index, node in enumerate(nodes):
        name = node.name
        if not name or name in used:
            stem, number = name or node.op_type, 2 if name else index
            while (name := f"{stem}_{number}") in used or name in explicit:
                number += 1
        used.add(name)
        yield Origin.of(name)
