"""ONNX history of quantization and recurrence: defaults that are numbers of nothing, operands that only say a type."""

from __future__ import annotations

from glowviz.compiler.importer.quirks import op, plain, quirk
from glowviz.compiler.importer.site import NotTaken, Site
from glowviz.compiler.ops.base import Op


@quirk("QuantizeLinear", "DequantizeLinear")
def quantization(site: Site) -> Op:
    """An element type of 0 is none; before opset 19 x and the scale are f32."""
    for name in ("output_dtype", "precision"):
        if not site.attrs.get(name, 0):
            site.attrs.pop(name, None)
    return plain(site)


@quirk("LSTM", "GRU", "RNN")
def recurrent(site: Site) -> Op:
    """Before opset 7 `output_sequence` says whether the first result is there; before 14 there is no layout."""
    site.attrs.pop("output_sequence", None)
    if site.attrs.get("clip") is None:
        site.attrs.pop("clip", None)
    if not site.given.get("activations"):
        site.attrs.pop("activations", None)  # the default repeats what no attribute says
    return plain(site)


@quirk("CastLike")
def cast_like(site: Site) -> Op:
    """A Cast to the element type of the second operand, whose contents nobody reads."""
    like = site.type(site.need(1))
    if like.shape is None and site.need(1) in site.sketch.guessed:
        raise NotTaken("the element type that it casts to is not known")
    saturate, mode = bool(site.attrs.get("saturate", 1)), str(site.attrs.get("round_mode", "up"))
    return op("Cast", site.need(0), to=like.elem, saturate=saturate, round_mode=mode)


@quirk("DFT")
def fourier(site: Site) -> Op:
    """Before opset 20 the axis is an attribute that defaults to 1; here it always is one."""
    axis = int(site.number("axis", 1)) if site.version < 20 else -2
    if site.operand(2) is not None:
        axis = int(site.absorbed(2, "axis").reshape(()))
    site.operands = site.operands[:2]
    site.attrs["axis"] = axis
    return plain(site)


@quirk("RoiAlign")
def roi_align(site: Site) -> Op:
    """Before opset 16 boxes are not moved by half a pixel."""
    if site.version < 16:
        site.attrs["coordinate_transformation_mode"] = "output_half_pixel"
    return plain(site)


@quirk("GridSample")
def grid_sample(site: Site) -> Op:
    """Before opset 20 the modes are called after two dims."""
    mode = str(site.attrs.get("mode", "linear"))
    site.attrs["mode"] = {"bilinear": "linear", "bicubic": "cubic"}.get(mode, mode)
    return plain(site)
