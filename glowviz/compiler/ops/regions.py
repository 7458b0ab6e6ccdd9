"""Pictures of regions: RoiAlign and MaxRoiPool give every box of a picture one size; NonMaxSuppression picks boxes."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

import numpy as np

from glowviz.compiler.ops.base import Case, Op, Value, case
from glowviz.compiler.ops.cases import floats, ints
from glowviz.compiler.ops.shape import Known
from glowviz.compiler.types import Symbol, Type, TypeProblem


class RoiAlign(Op):
    """Every box of rois[R, 4] (x1, y1, x2, y2) of its picture in x[N, C, H, W] as [R, C, height, width]."""

    x: Value
    rois: Value
    batch_indices: Value
    mode: str = "avg"
    output_height: int = 1
    output_width: int = 1
    sampling_ratio: int = 0
    spatial_scale: float = 1.0
    coordinate_transformation_mode: str = "half_pixel"
    onnx = "RoiAlign"
    family = "pool"

    def infer(self, x: Type, rois: Type, batch_indices: Type) -> Type:
        if x.rank != 4 or rois.rank != 2 or rois.dims[1] != 4 or batch_indices.dims != rois.dims[:1]:
            given = f"{x}, {rois}, {batch_indices}"
            raise TypeProblem(f"x must be [N, C, H, W], rois [R, 4], batch_indices [R], got {given}")
        if self.mode not in ("avg", "max"):
            raise TypeProblem(f"mode must be avg or max, got {self.mode!r}")
        return Type(x.elem, (rois.dims[0], x.dims[1], self.output_height, self.output_width))

    def reference(self, x: np.ndarray, rois: np.ndarray, batch_indices: np.ndarray) -> np.ndarray:
        shape = (len(rois), x.shape[1], self.output_height, self.output_width)
        y = np.zeros(shape, np.float64)
        for i, (roi, picture) in enumerate(zip(rois.astype(np.float64), batch_indices, strict=True)):
            y[i] = self._region(x[picture].astype(np.float64), roi)
        return y.astype(x.dtype)

    def _region(self, plane: np.ndarray, roi: np.ndarray) -> np.ndarray:
        half = self.coordinate_transformation_mode == "half_pixel"
        left, top, right, bottom = roi * self.spatial_scale - (0.5 if half else 0.0)
        width, height = right - left, bottom - top
        if not half:
            width, height = max(width, 1.0), max(height, 1.0)
        rows, row_ok = self._taps(top, height, self.output_height, plane.shape[1])
        columns, column_ok = self._taps(left, width, self.output_width, plane.shape[2])
        parts = []
        for row_place, row_weight in rows:
            for column_place, column_weight in columns:
                value = plane[:, row_place][:, :, column_place]
                parts.append(value * (row_weight[:, None] * column_weight[None, :]))
        good = row_ok[:, None] & column_ok[None, :]
        taken = np.where(good, np.stack(parts), 0)
        # the maximum is that of the weighted corners, as ONNX's definition has it
        samples = taken.sum(0) if self.mode == "avg" else taken.max(0)
        cells = samples.reshape(
            plane.shape[0], self.output_height, -1, self.output_width, len(column_ok) // self.output_width
        )
        return cells.mean((2, 4)) if self.mode == "avg" else cells.max((2, 4))

    def _taps(
        self, start: float, length: float, cells: int, size: int
    ) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
        """Neighbours and weights of every sample along one dim, and which samples are inside."""
        count = self.sampling_ratio or max(ceil(length / cells), 1)
        each = length / cells
        places = (start + each * np.arange(cells)[:, None] + (np.arange(count) + 0.5) * each / count).reshape(-1)
        inside = (places >= -1) & (places <= size)
        places = np.clip(places, 0, size - 1)
        low = np.floor(places).astype(np.int64)
        high = np.minimum(low + 1, size - 1)
        part = places - low
        return [(low, 1 - part), (high, part)], inside

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x, rois = floats(rng, (2, 3, 10, 12)), np.array([[0, 0, 9, 9], [2, 1, 7, 5], [1, 4, 3, 9]], np.float32)
        for mode in ("half_pixel", "output_half_pixel"):
            yield case(
                x, rois, ints(0, 1, 1), output_height=3, output_width=2, sampling_ratio=2,
                coordinate_transformation_mode=mode,
            )
        yield case(x, rois, ints(1, 1, 0), output_height=2, output_width=2, spatial_scale=0.5)


class MaxRoiPool(Op):
    """The largest element of every cell of every box rois[R, 5] (picture, x1, y1, x2, y2)."""

    x: Value
    rois: Value
    pooled_shape: tuple[int, ...]
    spatial_scale: float = 1.0
    onnx = "MaxRoiPool"
    family = "pool"

    def infer(self, x: Type, rois: Type) -> Type:
        if x.rank != 4 or rois.rank != 2 or rois.dims[1] != 5 or len(self.pooled_shape) != 2:
            raise TypeProblem(f"x must be [N, C, H, W], rois [R, 5] and pooled_shape two numbers, got {x}, {rois}")
        return Type(x.elem, (rois.dims[0], x.dims[1], *self.pooled_shape))

    def reference(self, x: np.ndarray, rois: np.ndarray) -> np.ndarray:
        height, width = self.pooled_shape
        y = np.zeros((len(rois), x.shape[1], height, width), x.dtype)
        for i, roi in enumerate(rois):
            plane = x[int(roi[0])]
            left, top, right, bottom = np.floor(roi[1:].astype(np.float64) * self.spatial_scale + 0.5).astype(np.int64)
            rows = self._cells(top, max(bottom - top + 1, 1), height, plane.shape[1])
            columns = self._cells(left, max(right - left + 1, 1), width, plane.shape[2])
            for j, (r0, r1) in enumerate(rows):
                for k, (c0, c1) in enumerate(columns):
                    cell = plane[:, r0:r1, c0:c1]
                    y[i, :, j, k] = cell.max((1, 2)) if cell.size else 0
        return y

    @staticmethod
    def _cells(start: int, length: int, cells: int, size: int) -> list[tuple[int, int]]:
        each = length / cells
        edges = ((int(np.floor(i * each)) + start, int(np.ceil((i + 1) * each)) + start) for i in range(cells))
        return [(min(max(a, 0), size), min(max(b, 0), size)) for a, b in edges]

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        rois = np.array([[0, 0, 0, 9, 9], [1, 2, 1, 7, 5]], np.float32)
        yield case(floats(rng, (2, 3, 10, 12)), rois, pooled_shape=(2, 3))
        yield case(floats(rng, (2, 3, 10, 12)), rois, pooled_shape=(2, 2), spatial_scale=0.5)


class NonMaxSuppression(Op):
    """Rows (picture, class, box) of the boxes with the highest scores that do not overlap a better one too much."""

    boxes: Value
    scores: Value
    max_output_boxes_per_class: Value | None = None
    iou_threshold: Value | None = None
    score_threshold: Value | None = None
    center_point_box: bool = False
    onnx = "NonMaxSuppression"
    family = "shape"

    def infer(self, boxes: Type, scores: Type, *limits: Type | None, known: Known) -> Type:
        if boxes.rank != 3 or boxes.dims[2] != 4 or scores.rank != 3 or scores.dims[2] != boxes.dims[1]:
            raise TypeProblem(f"boxes must be [N, B, 4] and scores [N, C, B], got {boxes} and {scores}")
        contents = [known[slot.name] for slot in self.slots() if getattr(self, slot.name) is not None]
        if any(c is None for c in contents):
            return Type("i64", (Symbol("selected", scores.count), 3))
        return Type("i64", self.reference(*(known[slot.name] for slot in self.slots())).shape)  # type: ignore[arg-type]

    def reference(self, boxes: np.ndarray, scores: np.ndarray, *limits: np.ndarray | None) -> np.ndarray:
        most, overlap, least = (None if o is None else o.reshape(-1)[0] for o in limits)
        rows: list[tuple[int, int, int]] = []
        for n in range(scores.shape[0]):
            corners = self._corners(boxes[n].astype(np.float64))
            for c in range(scores.shape[1]):
                kept = _kept(corners, scores[n, c], int(most or 0), float(overlap or 0), least)
                rows.extend((n, c, box) for box in kept)
        return np.array(rows, np.int64).reshape(-1, 3)

    def _corners(self, boxes: np.ndarray) -> np.ndarray:
        """y1, x1, y2, x2 in order."""
        if self.center_point_box:
            x, y, w, h = boxes.T
            return np.stack([y - h / 2, x - w / 2, y + h / 2, x + w / 2], 1)
        y1, x1, y2, x2 = boxes.T
        low_high = (np.minimum(y1, y2), np.minimum(x1, x2), np.maximum(y1, y2), np.maximum(x1, x2))
        return np.stack(low_high, 1)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        boxes, scores = np.sort(floats(rng, (2, 6, 4)), -1), np.abs(floats(rng, (2, 2, 6)))
        limits = ints(3), np.array([0.3], np.float32), np.array([0.1], np.float32)
        yield case(boxes, scores, *limits)
        yield case(np.abs(boxes), scores, *limits, center_point_box=True)


def _kept(boxes: np.ndarray, scores: np.ndarray, most: int, overlap: float, least: float | None) -> list[int]:
    order = np.argsort(-scores, kind="stable")
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept: list[int] = []
    for box in order:
        if len(kept) == most:
            break
        if least is not None and not scores[box] > least:
            continue
        others = boxes[kept]
        sides = np.minimum(others[:, 2:], boxes[box, 2:]) - np.maximum(others[:, :2], boxes[box, :2])
        shared = np.maximum(sides, 0).prod(1)
        union = areas[kept] + areas[box] - shared
        with np.errstate(all="ignore"):
            if not np.any(np.where(union > 0, shared / union, 0) > overlap):
                kept.append(int(box))
    return kept
