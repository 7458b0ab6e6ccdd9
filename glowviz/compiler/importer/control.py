"""If, Loop and Scan get their bodies as closed regions: what a body takes from outside is an operand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from onnx import GraphProto

from glowviz.compiler.graph import Constant, Region, constant
from glowviz.compiler.importer.order import captured
from glowviz.compiler.importer.problem import UnfitProblem
from glowviz.compiler.importer.scope import Scope
from glowviz.compiler.importer.site import Site
from glowviz.compiler.ops.base import Op
from glowviz.compiler.ops.branches import If, unfit
from glowviz.compiler.ops.control import Loop, Scan

Body = Callable[[GraphProto, Site, tuple[tuple[str, str], ...]], Region]


def controlled(site: Site, scope: Scope, body: Body) -> Op:
    """The op of a node that has bodies."""
    outside = {n: v for n in captured(site.node) if (v := scope.value(n, site.sketch, site.where)) is not None}
    pairs, taken = tuple(outside.items()), tuple(outside.values())
    if site.kind == "If":
        op: Any = If(site.need(0), taken, *_branches(site, body, pairs))
    else:
        region = body(_graph(site, "body"), site, pairs)
        op = _loop(site, taken, region) if site.kind == "Loop" else _scan(site, taken, region)
    return op.with_constants({v: c for v in taken if (c := _constant(site, v)) is not None})


def _constant(site: Site, value: str) -> Constant | None:
    """What a body takes from outside, where its content is known."""
    if value in site.sketch.constants:
        return site.sketch.constants[value]
    array = site.sketch.known(value)
    return None if array is None else constant(value, array)


def _branches(site: Site, body: Body, pairs: tuple[tuple[str, str], ...]) -> list[Region]:
    """Both branches; one that does not fit these shapes is refused only when a run takes it."""
    regions: list[Region | UnfitProblem] = []
    for name in ("then_branch", "else_branch"):
        try:
            regions.append(body(_graph(site, name), site, pairs))
        except UnfitProblem as problem:
            regions.append(problem)
    fits = [r for r in regions if isinstance(r, Region)]
    if not fits:
        raise next(r for r in regions if isinstance(r, UnfitProblem))
    return [r if isinstance(r, Region) else unfit(fits[0], str(r)) for r in regions]


def _graph(site: Site, name: str) -> GraphProto:
    graph = site.attrs.get(name)
    if not isinstance(graph, GraphProto):
        raise site.problem(f"{site.kind} lacks its {name}", "a graph")
    return graph


def _loop(site: Site, taken: tuple[str, ...], body: Region) -> Loop:
    carried = _present(site, 2)
    _same_count(site, body, 2 + len(carried) + len(taken))
    return Loop(site.operand(0), site.operand(1), (*carried, *taken), body, len(carried))


def _scan(site: Site, taken: tuple[str, ...], body: Region) -> Scan:
    batched = site.version < 9
    xs = _present(site, 1 if batched else 0)
    scanned = site.number("num_scan_inputs", 0)
    _same_count(site, body, len(xs) + len(taken))
    if not 0 < scanned <= len(xs):
        raise site.problem(f"Scan cuts {scanned} of {len(xs)} operands", "at least one, and not more than there are")
    return Scan(
        site.operand(0) if batched else None, (*xs, *taken), body, len(xs) - scanned, scanned,
        site.ints("scan_input_axes"), site.ints("scan_output_axes"),
        site.ints("directions" if batched else "scan_input_directions"), site.ints("scan_output_directions"), batched,
    )  # fmt: skip


def _present(site: Site, first: int) -> tuple[str, ...]:
    return tuple(site.need(index) for index in range(first, len(site.operands)))


def _same_count(site: Site, body: Region, entering: int) -> None:
    if len(body.inputs) != entering:
        found = f"The body of {site.kind} has {len(body.inputs)} inputs"
        raise site.problem(found, f"{entering}, one for each operand")
