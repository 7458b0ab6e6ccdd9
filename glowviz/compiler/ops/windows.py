"""Windows that slide over the spatial dims: output sizes, padding, and numpy views of them without a copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from glowviz.compiler.types import TypeProblem

Ints = tuple[int, ...]
AUTO_PADS = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")


@dataclass(frozen=True, slots=True)
class Windows:
    """Where windows of `kernel` taps lie on `spatial` elements: all attributes explicit, one entry per spatial dim."""

    spatial: Ints
    kernel: Ints
    strides: Ints
    dilations: Ints
    begins: Ints
    ends: Ints
    out: Ints

    @property
    def pads(self) -> Ints:
        """ONNX order: all begins, then all ends."""
        return (*self.begins, *self.ends)

    @property
    def extents(self) -> Ints:
        """Elements from the first to the last tap of a window."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    @property
    def reached(self) -> Ints:
        """The kernel without taps behind the end where there is but one window: rounding up allows even 640 on 3."""
        sizes = zip(self.kernel, self.dilations, self.out, self.spatial, self.begins, self.ends, strict=True)
        return tuple(min(k, -(-(n + b + e) // d)) if count == 1 else k for k, d, count, n, b, e in sizes)


def _filled(what: str, given: Sequence[int], default: int, rank: int) -> Ints:
    if not given:
        return (default,) * rank
    if len(given) != rank:
        raise TypeProblem(f"{what} must have {rank} numbers for {rank} spatial dims, got {list(given)}")
    return tuple(given)


def explicit(
    kernel: Sequence[int], strides: Sequence[int], pads: Sequence[int], dilations: Sequence[int]
) -> tuple[Ints, Ints, Ints, Ints]:
    """Strides, pad begins, pad ends and dilations with the ONNX defaults filled in."""
    rank = len(kernel)
    both = _filled("pads (begins and ends)", pads, 0, 2 * rank)
    steps = _filled("strides", strides, 1, rank)
    spread = _filled("dilations", dilations, 1, rank)
    for what, numbers in (("kernel", kernel), ("strides", steps), ("dilations", spread)):
        if any(n < 1 for n in numbers):
            raise TypeProblem(f"{what} must be at least 1, got {list(numbers)}")
    return steps, both[:rank], both[rank:], spread


def slide(
    spatial: Ints,
    kernel: Ints,
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: bool = False,
) -> Windows:
    """The windows of a Conv or pool; TypeProblem where no window fits.

    "SAME_UPPER or SAME_LOWER mean pad the input so that output_shape[i] = ceil(input_shape[i] / strides[i])";
    with an odd number of padding elements the extra one is at the end for SAME_UPPER.
    """
    if auto_pad not in AUTO_PADS:
        raise TypeProblem(f"auto_pad must be one of {', '.join(AUTO_PADS)}, got {auto_pad!r}")
    if len(kernel) != len(spatial):
        raise TypeProblem(f"the kernel has {len(kernel)} dims, x has {len(spatial)} spatial dims")
    steps, begins, ends, spread = explicit(kernel, strides, pads, dilations)
    if auto_pad != "NOTSET":
        begins, ends = _auto_pads(auto_pad, spatial, kernel, steps, spread)
    sizes = zip(spatial, kernel, steps, spread, begins, ends, strict=True)
    out = tuple(_count(*size, ceil_mode=ceil_mode and auto_pad == "NOTSET") for size in sizes)
    return Windows(spatial, kernel, steps, spread, begins, ends, out)


def _auto_pads(auto_pad: str, spatial: Ints, kernel: Ints, steps: Ints, spread: Ints) -> tuple[Ints, Ints]:
    if auto_pad == "VALID":
        return (0,) * len(kernel), (0,) * len(kernel)
    totals = [
        max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        for n, k, s, d in zip(spatial, kernel, steps, spread, strict=True)
    ]
    small, large = tuple(t // 2 for t in totals), tuple(t - t // 2 for t in totals)
    return (small, large) if auto_pad == "SAME_UPPER" else (large, small)


def _count(size: int, kernel: int, stride: int, dilation: int, begin: int, end: int, ceil_mode: bool) -> int:
    room = size + begin + end - (kernel - 1) * dilation - 1
    if room <= (-stride if ceil_mode else -1) or size + begin + end < 1:
        raise TypeProblem(
            f"a window of {(kernel - 1) * dilation + 1} elements does not fit into {size} with pads {begin} and {end}"
        )
    if not ceil_mode:
        return room // stride + 1
    count = -(-room // stride) + 1
    # "sliding windows that would start in the right padded region are ignored"
    return count - 1 if (count - 1) * stride >= size + begin else count


def padded(x: np.ndarray, windows: Windows, fill: float) -> np.ndarray:
    """x with its spatial dims (2 and up) padded so that every tap of every window exists; negative pads crop."""
    needed = [
        (count - 1) * s + extent
        for count, s, extent in zip(windows.out, windows.strides, windows.extents, strict=True)
    ]
    sides = [
        (b, max(need - b - n, 0)) for b, n, need in zip(windows.begins, windows.spatial, needed, strict=True)
    ]
    crop = [slice(max(-b, 0), None) for b, _ in sides]
    x = x[(slice(None), slice(None), *crop)]
    width = [(0, 0), (0, 0), *((max(b, 0), e + max(b, 0) * 0) for b, e in sides)]
    return x if not any(w for pair in width for w in pair) else np.pad(x, width, constant_values=fill)


def taps_outside(x: np.ndarray, windows: Windows) -> np.ndarray:
    """A view [N, C, kernel…, out…] of a padded x: every tap of every window, taps outermost."""
    spatial = x.strides[2:]
    tap_strides = (s * d for s, d in zip(spatial, windows.dilations, strict=True))
    out_strides = (s * t for s, t in zip(spatial, windows.strides, strict=True))
    shape = (*x.shape[:2], *windows.kernel, *windows.out)
    return np.lib.stride_tricks.as_strided(x, shape, (*x.strides[:2], *tap_strides, *out_strides), writeable=False)


def tap_slices(windows: Windows) -> list[tuple[Ints, tuple[slice, ...]]]:
    """Every kernel position with the strided slices of a padded x that it reads."""
    found = []
    for position in np.ndindex(*windows.kernel):
        starts = [p * d for p, d in zip(position, windows.dilations, strict=True)]
        cuts = tuple(
            slice(a, a + (n - 1) * s + 1, s)
            for a, n, s in zip(starts, windows.out, windows.strides, strict=True)
        )
        found.append((position, cuts))
    return found


def taps(kernel: Ints) -> int:
    """Elements of one window."""
    return prod(kernel)
