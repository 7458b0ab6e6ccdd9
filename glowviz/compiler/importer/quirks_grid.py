"""AffineGrid of a known size is one product; ONNX's own body of it loses the batch dim of a single plane."""

from __future__ import annotations

import numpy as np

from glowviz.compiler.importer.quirks import quirk
from glowviz.compiler.importer.site import NotTaken, Site
from glowviz.compiler.importer.writer import Writer


@quirk("AffineGrid")
def affine_grid(site: Site) -> None:
    """theta [N, d, d + 1] times the homogeneous places of a grid, whose last coordinate comes first."""
    size = site.known(1)
    if size is None:
        raise NotTaken("its size is computed at run time")
    batch, _, *spatial = (int(n) for n in size)
    do, theta = Writer(site), site.need(0)
    lines = [_line(n, bool(site.number("align_corners", 0))) for n in spatial]
    mesh = np.stack([*np.meshgrid(*lines, indexing="ij")[::-1], np.ones(spatial)], axis=-1)
    places = do.const(mesh.reshape(-1, len(spatial) + 1), like=theta)
    moved = do("MatMul", places, do("Transpose", theta, perm=(0, 2, 1)))
    do.finish(do("Reshape", moved, do.const([batch, *spatial, len(spatial)])))


def _line(count: int, corners: bool) -> np.ndarray:
    """The places of `count` pixels between -1 and 1: of their middles, or with the first and last on the ends."""
    if corners:
        return -1 + np.arange(count) * (2 / max(count - 1, 1))
    return (2 * np.arange(count) + 1) / count - 1
