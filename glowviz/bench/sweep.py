"""sweep() compares engines at several sizes of a model's open dimensions, and says how time grows with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path

from glowviz.bench.compare import compare
from glowviz.bench.report import Comparison, Report
from glowviz.compiler.importer import inspect_model, read_model
from glowviz.compiler.passes.bind_shapes import proposals
from glowviz.compiler.problem import Problem

Shapes = Mapping[str, tuple[int, ...]]
Sizes = Mapping[str, Sequence[int]]
"""Numbers to try by the name of an open dimension; several dimensions are tried in all combinations."""


def sweep(
    model: str | Path, sizes: Sizes, engines: Sequence[str] = ("glowviz", "onnxruntime"), threads: int = 1,
    seconds: float = 2.0, shapes: Shapes | None = None, precision: str = "f32",
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """One comparison for every combination of sizes; open dimensions that are not swept have their proposed size.

    `shapes` gives whole inputs other sizes than the proposed ones. Raises Problem for a dimension that is not open.
    """
    if not Path(model).is_file():
        raise Problem("There is no such file.", str(model), "an ONNX model")
    found: list[Comparison] = []
    for bound in swept_shapes(model, sizes, shapes or {}):
        found += compare([model], engines, threads, seconds, bound, precision, progress).comparisons
    return Report(found)


def swept_shapes(model: str | Path, sizes: Sizes, given: Shapes) -> list[dict[str, tuple[int, ...]]]:
    """The shapes of all inputs with open dimensions, one dict for each combination of sizes, in order."""
    declared = {one.name: one.dims for one in inspect_model(model).inputs if one.free and one.dims is not None}
    names = {dim for dims in declared.values() for dim in dims if isinstance(dim, str)}
    for name in sizes:
        if name not in names:
            raise Problem(f"{Path(model).name} has no open dimension {name!r}", "--sweep",
                          ", ".join(sorted(names)) or "a model with open dimensions", "Sweep one of these")
    usual = {**proposals(read_model(model), given), **{name: tuple(dims) for name, dims in given.items()}}
    return [
        {name: tuple(chosen.get(dim, size) if isinstance(dim, str) else size
                     for dim, size in zip(declared[name], usual[name], strict=True)) for name in declared}
        for chosen in (dict(zip(sizes, numbers, strict=True)) for numbers in product(*sizes.values()))
    ]  # fmt: skip


def growth(report: Report) -> str:
    """One line a size: milliseconds of every engine, the ratio to the first other one, and the largest difference."""
    lines = ["  ".join([f"{'shapes':<32}", *(f"{row.engine:>14} ms" for row in report.comparisons[0].rows),
                        f"{'ratio':>7}", f"{'max diff':>9}", f"{'first s':>8}"])]
    for one in report.comparisons:
        first, *others = one.rows
        alike = {tuple(dims): name for name, dims in reversed(one.inputs.items())}  # one name for all of a shape
        told = " ".join(f"{name}={'x'.join(map(str, dims))}" for dims, name in reversed(alike.items()))
        times = [f"{row.least:>17.3f}" if row.rounds else f"{'refused':>17}" for row in one.rows]
        ratio = one.ratio(others[0]) if others else None
        apart = f"{first.difference:.1e}" if first.difference is not None else ""
        lines.append("  ".join([f"{told:<32}", *times, f"{'' if ratio is None else f'{ratio:.2f}':>7}",
                                f"{apart:>9}", f"{first.first_wall:>8.2f}"]))
    return "\n".join(lines)
