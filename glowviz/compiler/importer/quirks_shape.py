"""ONNX history in shapes: what was an attribute has become an operand, and the other way round here."""

from __future__ import annotations

from typing import Any

import numpy as np

from glowviz.compiler.importer.quirks import op, plain, quirk
from glowviz.compiler.importer.site import NotTaken, Site
from glowviz.compiler.ops.activations import Identity
from glowviz.compiler.ops.base import Op

_LINEAR = ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd")
_OTHERS = ("ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp")


def _axes(site: Site, index: int = 1) -> tuple[int, ...] | None:
    """Axes from the attribute or from a known operand; None where there are none."""
    if "axes" in site.given:
        return site.ints("axes")
    if site.operand(index) is None:
        return None
    array = site.absorbed(index, "axes")
    if array.ndim > 1 or array.dtype.kind not in "iu":
        raise site.problem(f"The axes of {site.kind} are {array.dtype}{list(array.shape)}", "int64")
    return tuple(int(a) for a in array.reshape(-1))


def _computed(site: Site) -> bool:
    """The axes are an operand whose content is not known."""
    return site.operand(1) is not None and "axes" not in site.given and site.known(1) is None


@quirk(*_LINEAR, *_OTHERS)
def reduction(site: Site) -> Op:
    """Axes are an attribute, () for all; `noop_with_empty_axes` makes "none" mean none."""
    if _computed(site):
        keep, noop = bool(site.number("keepdims", 1)), bool(site.number("noop_with_empty_axes", 0))
        return op("AlongAxes", site.need(0), site.need(1), kind=site.kind, keepdims=keep, noop=noop)
    axes = _axes(site)
    nothing = site.attrs.pop("noop_with_empty_axes", 0) and not axes
    if nothing and site.kind in _LINEAR:
        return Identity(site.need(0))
    if nothing:
        raise NotTaken("it reduces no axis (noop_with_empty_axes)")
    site.attrs["axes"] = axes or ()
    site.operands = site.operands[:1]
    return plain(site)


@quirk("Squeeze", "Unsqueeze")
def squeeze(site: Site) -> Op:
    """Axes are an attribute; Squeeze without any takes every dim of 1."""
    if _computed(site):
        return op("AlongAxes", site.need(0), site.need(1), kind=site.kind)
    axes = _axes(site)
    if axes is None and site.kind == "Unsqueeze":
        raise site.problem("Unsqueeze does not say its axes", "axes")
    if axes == () and site.kind == "Squeeze" and site.operand(1) is not None:
        return Identity(site.need(0))
    return op(site.kind, site.need(0), axes=axes or ())


@quirk("Reshape")
def reshape(site: Site) -> Op:
    """Before opset 5 the shape is an attribute."""
    if site.version < 5:
        shape = site.const(site.ints("shape"), "shape")
        return op("Reshape", site.need(0), shape)
    return plain(site)


@quirk("Slice")
def slice_(site: Site) -> Op:
    """Before opset 10 starts, ends and axes are attributes."""
    if site.version >= 10:
        return plain(site)
    starts, ends = site.ints("starts"), site.ints("ends")
    axes = site.ints("axes") or tuple(range(len(starts)))
    if not len(starts) == len(ends) == len(axes):
        raise site.problem(f"Slice has {len(starts)} starts, {len(ends)} ends, {len(axes)} axes", "as many of each")
    names = [site.const(v, n) for v, n in ((starts, "starts"), (ends, "ends"), (axes, "axes"))]
    return op("Slice", site.need(0), *names)


@quirk("Pad")
def pad(site: Site) -> Op:
    """Before opset 11 pads and value are attributes (`paddings` at first)."""
    mode = site.attrs.get("mode", "constant")
    if site.version >= 11:
        return plain(site)
    pads = site.const(site.ints("pads") or site.ints("paddings"), "pads")
    number = site.number("value", 0.0)
    value = site.const(number, "value", site.type(site.need(0)).dtype) if number else None
    return op("Pad", site.need(0), pads, value, mode=mode)


@quirk("Split")
def split(site: Site) -> Op:
    """Sizes were an attribute before opset 13; without sizes there are as many equal parts as results."""
    axis = int(site.number("axis", 0))
    if site.version < 13 and "split" in site.given:
        sizes = site.const(site.ints("split"), "sizes")
        return op("Split", site.need(0), sizes, axis=axis, num_outputs=len(site.results))
    parts = int(site.number("num_outputs", len(site.results)))
    if parts != len(site.results) and site.operand(1) is None:
        raise NotTaken(f"it makes {parts} parts, of which {len(site.results)} are named")
    return op("Split", site.need(0), site.operand(1), axis=axis, num_outputs=len(site.results))


@quirk("TopK")
def top_k(site: Site) -> Op:
    """Before opset 10 k is an attribute."""
    if site.version < 10:
        site.operands = (site.need(0), site.const([int(site.number("k", 1))], "k"))
        site.attrs.pop("k", None)
    return plain(site)


@quirk("Scatter")
def scatter(site: Site) -> Op:
    """ScatterElements by its old name."""
    return plain(site, "ScatterElements")


@quirk("Concat")
def concat(site: Site) -> Op:
    """Before opset 4 the axis defaults to 1."""
    if site.version < 4:
        site.attrs.setdefault("axis", 1)
    return plain(site)


@quirk("Tile")
def tile(site: Site) -> Op:
    """Before opset 6 it repeats one axis."""
    if site.version >= 6:
        return plain(site)
    raise NotTaken("it is the Tile of opset 1, which repeats one axis")


@quirk("Upsample")
def upsample(site: Site) -> Op:
    """A Resize whose coordinates are x / scale, rounded down."""
    if site.version < 7:
        scales: Any = (1.0, 1.0, site.number("height_scale", 1.0), site.number("width_scale", 1.0))
    else:
        scales = site.attrs.get("scales", ())
    operand = site.operand(1) if site.version >= 9 else site.const(scales, "scales", np.float32)
    mode = str(site.attrs.get("mode", "nearest")).replace("bilinear", "linear")
    return _asymmetric(site, operand, mode, "floor")


def _asymmetric(site: Site, scales: str | None, mode: str, nearest: str) -> Op:
    return op(
        "Resize", site.need(0), None, scales, None, mode=mode, nearest_mode=nearest,
        coordinate_transformation_mode="asymmetric",
    )


@quirk("Resize")
def resize(site: Site) -> Op:
    """Version 10 is asymmetric; later an absent roi, scales or sizes may be an empty tensor."""
    if site.version < 11:
        scales = site.known(1)
        shrinks = scales is not None and bool((scales < 1).any())
        if shrinks and scales is not None and bool((scales > 1).any()):
            raise NotTaken("it shrinks one axis and stretches another in the rounding of opset 10")
        return _asymmetric(site, site.need(1), str(site.attrs.get("mode", "nearest")), "ceil" if shrinks else "floor")
    operands = [site.operand(0), *(_not_empty(site, i) for i in (1, 2, 3))]
    if site.attrs.get("coordinate_transformation_mode") != "tf_crop_and_resize" and operands[1] is not None:
        site.drop(1)
        operands[1] = None  # only that mode reads the region
    site.operands = tuple(operands)
    return plain(site)


def _not_empty(site: Site, index: int) -> str | None:
    value = site.operand(index)
    if value is not None and site.type(value).shape == (0,):
        site.drop(index)
        return None
    return value
