"""What trains is written out: batch statistics, dropped elements, and the steps of optimizers as their arithmetic."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from glowviz.compiler.importer.quirks import op, plain, quirk
from glowviz.compiler.importer.site import NotTaken, Site
from glowviz.compiler.ops.base import Op

TRAINING = "ai.onnx.preview.training"


def batch_statistics(site: Site) -> Op:
    """BatchNormalization by the batch's own mean and variance; running ones move towards these."""
    if site.version < 14:
        raise NotTaken("it is in training mode, in the form before opset 14")
    x, rank = site.need(0), site.rank(site.need(0))
    if rank is None:
        raise NotTaken("it is in training mode, and the rank of x is not known")
    axes = tuple(i for i in range(rank) if i != 1)
    mean = site.add(op("ReduceMean", x, axes=axes, keepdims=False), "mean")
    column = site.const([-1, *(1,) * (rank - 2)], "column")
    moved = site.add(op("Sub", x, site.add(op("Reshape", mean, column), "means")), "moved")
    square = site.add(op("Mul", moved, moved), "square")
    variance = site.add(op("ReduceMean", square, axes=axes, keepdims=False), "variance")
    momentum = site.number("momentum", 0.9)
    for result, old, new in zip(site.results[1:], (site.need(3), site.need(4)), (mean, variance), strict=False):
        kept = site.add(op("Mul", old, _like(site, momentum, old, f"{result}.keeps")), f"{result}.kept")
        moves = site.add(op("Mul", new, _like(site, 1 - momentum, old, f"{result}.takes")), f"{result}.new")
        site.sketch.define(op("Add", kept, moves), (result,), site.origin, site.where)
    site.results = site.results[:1]
    epsilon = site.number("epsilon", 1e-5)
    return op("BatchNormalization", x, site.need(1), site.need(2), mean, variance, epsilon=float(epsilon))


def _like(site: Site, number: float, other: str, name: str) -> str:
    """A scalar constant of another value's element type."""
    return site.const(number, name, site.type(other).dtype)


def dropped(site: Site) -> Op | None:
    """Dropout in training mode: elements below the ratio go, the others grow by 1 / (1 - ratio)."""
    known = site.known(1)
    ratio = 0.5 if known is None and site.operand(1) is None else None if known is None else float(known.reshape(()))
    if ratio is None:
        raise NotTaken("it is in training mode with a ratio that is computed while it runs")
    if site.operand(1) is not None:
        site.drop(1)
    x = site.need(0)
    if ratio == 0:
        site.operands = site.operands[:1]
        return plain(site)
    seed = site.attrs.get("seed")
    drawn = site.add(op("RandomUniformLike", x, dtype="f64", seed=None if seed is None else float(seed)), "drawn")
    kept = op("GreaterOrEqual", drawn, site.const(ratio, "ratio", np.float64))
    if len(site.results) > 1:
        mask = site.results[1]
        site.sketch.define(kept, (mask,), site.origin, site.where)
    else:
        mask = site.add(kept, "mask")
    site.results = site.results[:1]
    grown = site.add(op("Mul", x, _like(site, 1 / (1 - ratio), x, "scale")), "grown")
    return op("Where", mask, grown, _like(site, 0, x, "zero"))


class Steps:
    """Writes arithmetic on values of the optimized tensors' element type, one node per operation."""

    def __init__(self, site: Site) -> None:
        self.site, self.count = site, 0
        self.like = site.need(2)

    def number(self, value: float) -> str:
        """A scalar constant."""
        self.count += 1
        return _like(self.site, value, self.like, f"number{self.count}")

    def __call__(self, kind: str, *operands: str | float) -> str:
        """One node; numbers become constants."""
        self.count += 1
        names = [o if isinstance(o, str) else self.number(o) for o in operands]
        return self.site.add(op(kind, *names), f"step{self.count}")

    def updates(self) -> str:
        """The operand T as a number of the tensors' kind."""
        self.count += 1
        return self.site.add(op("Cast", self.site.need(1), to=self.site.type(self.like).elem), f"updates{self.count}")

    def regularized(self, x: str, gradient: str) -> str:
        """The gradient with that of the squared norm."""
        return self("Add", self("Mul", x, self.site.number("norm_coefficient", 0.0)), gradient)

    def tensors(self, each: int) -> list[list[str]]:
        """X, G and `each` - 2 more for every optimized tensor."""
        rest = [self.site.need(i) for i in range(2, len(self.site.operands))]
        if not rest or len(rest) % each:
            raise self.site.problem(f"{self.site.kind} has {len(rest)} tensors", f"a multiple of {each}")
        count = len(rest) // each
        return [[rest[part * count + i] for part in range(each)] for i in range(count)]

    def finish(self, groups: list[tuple[str, ...]]) -> None:
        """The results: the first of every group, then the second …"""
        ordered = [value for part in zip(*groups, strict=True) for value in part]
        for result, value in zip(self.site.results, ordered, strict=False):
            self.site.sketch.define(op("Identity", value), (result,), self.site.origin, self.site.where)


Optimizer = Callable[[Site], None]


@quirk(f"{TRAINING}::Adagrad")
def adagrad(site: Site) -> None:
    """r · G / (sqrt(H + G²) + epsilon), with a rate that decays with the updates."""
    do = Steps(site)
    decay = do("Add", do("Mul", do.updates(), site.number("decay_factor", 0.0)), 1.0)
    rate = do("Div", site.need(0), decay)
    groups: list[tuple[str, ...]] = []
    for x, gradient, squares in do.tensors(3):
        g = do.regularized(x, gradient)
        h = do("Add", squares, do("Mul", g, g))
        root = do("Add", do("Sqrt", h), site.number("epsilon", 1e-6))
        groups.append((do("Sub", x, do("Div", do("Mul", rate, g), root)), h))
    do.finish(groups)


@quirk(f"{TRAINING}::Adam")
def adam(site: Site) -> None:
    """The averaged gradient over the root of its averaged square, both corrected while there were few updates."""
    do = Steps(site)
    alpha, beta = site.number("alpha", 0.9), site.number("beta", 0.999)
    updates = do.updates()
    top = do("Sqrt", do("Sub", 1.0, do("Pow", beta, updates)))
    corrected = do("Div", do("Mul", site.need(0), top), do("Sub", 1.0, do("Pow", alpha, updates)))
    rate = do("Where", do("Greater", updates, 0.0), corrected, site.need(0))
    groups: list[tuple[str, ...]] = []
    for x, gradient, first, second in do.tensors(4):
        g = do.regularized(x, gradient)
        v = do("Add", do("Mul", first, alpha), do("Mul", g, 1 - alpha))
        h = do("Add", do("Mul", second, beta), do("Mul", do("Mul", g, g), 1 - beta))
        root = do("Add", do("Sqrt", h), site.number("epsilon", 1e-6))
        new = do("Sub", x, do("Div", do("Mul", rate, v), root))
        groups.append((do("Mul", new, 1 - site.number("norm_coefficient_post", 0.0)), v, h))
    do.finish(groups)


@quirk(f"{TRAINING}::Momentum")
def momentum(site: Site) -> None:
    """The gradient joins a momentum that the tensor follows; Nesterov's form looks one step ahead."""
    do = Steps(site)
    alpha, nesterov = site.number("alpha", 0.0), site.attrs.get("mode") == "nesterov"
    beta = do("Where", do("Greater", do.updates(), 0.0), do.number(site.number("beta", 1.0)), 1.0)
    groups: list[tuple[str, ...]] = []
    for x, gradient, old in do.tensors(3):
        g = do.regularized(x, gradient)
        v = do("Add", do("Mul", old, alpha), do("Mul", beta, g))
        along = do("Add", g, do("Mul", v, alpha)) if nesterov else v
        groups.append((do("Sub", x, do("Mul", site.need(0), along)), v))
    do.finish(groups)
