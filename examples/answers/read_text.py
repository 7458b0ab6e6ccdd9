"""python -m examples.answers.read_text PICTURE… prints the lines of text in it, by three models of PP-OCRv4.

One finds where text is, one turns lines that stand on their head, one reads. Lines need not be straight: a line is cut
out along two parabolas, and what lies between them is stretched to a height of 48 pixels.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from PIL import Image

from examples.answers.packages import Arrays, Run, compiled, model_file, picture

PACKAGE, FIND, TURN, READ = (
    "rapidocr_onnxruntime", "models/ch_PP-OCRv4_det_infer.onnx", "models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
    "models/ch_PP-OCRv4_rec_infer.onnx",
)  # fmt: skip
HEIGHT, TURN_WIDTH = 48, 192
ENLARGED = 2
"""How many times as large the picture is looked at: letters of ten pixels are too small for the first model."""
INKED, SURE, UNCLIP = 0.3, 0.5, 2.0
"""From which probability on a pixel is text; how probable a line's pixels must be together; by how much a found core,
which is thinner than its line, is widened (area × UNCLIP / circumference, arXiv 1911.08947)."""


@dataclass(frozen=True)
class Line:
    """A line of text cut out and made straight: BGR f32[3 × 48 × width] in -1…1, and how far down it began."""

    top: float
    image: np.ndarray


def prepared(image: np.ndarray) -> np.ndarray:
    """RGB f32[h × w × 3] in 0…255 as PP-OCR was trained: BGR f32[3 × h × w] in -1…1."""
    return np.ascontiguousarray(image[:, :, ::-1].transpose(2, 0, 1) / 127.5 - 1, np.float32)


def enlarged(image: np.ndarray) -> Arrays:
    """What the finding model is fed: the picture enlarged, sides rounded to multiples of 32."""
    height, width = (round(side * ENLARGED / 32) * 32 for side in image.shape[:2])
    large = Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC)
    return {"x": prepared(np.asarray(large, np.float32))[None]}


def lines(probability: np.ndarray, image: np.ndarray) -> list[Line]:
    """The lines of text from top to bottom, given f32[h × w] of the enlarged picture."""
    found = (_straightened(region, probability, image) for region in _regions(probability > INKED))
    return sorted((line for line in found if line is not None), key=lambda line: line.top)


def _regions(mask: np.ndarray) -> Iterator[np.ndarray]:
    """(row, column) of the pixels of every connected region."""
    waiting = {(int(row), int(column)) for row, column in np.argwhere(mask)}
    while waiting:
        edge = [waiting.pop()]
        region = list(edge)
        while edge:
            row, column = edge.pop()
            beside = {(row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)} & waiting
            waiting -= beside
            edge += beside
            region += beside
        yield np.array(region)


def _straightened(region: np.ndarray, probability: np.ndarray, image: np.ndarray) -> Line | None:
    """What lies along a region; None where the region is no line of text."""
    rows, columns = region.T
    across = np.arange(columns.min(), columns.max() + 1)
    tops = np.array([rows[columns == column].min() for column in across])
    bottoms = np.array([rows[columns == column].max() + 1 for column in across])
    thickness, length = (bottoms - tops).mean(), len(across)
    if length < 10 or thickness < 4 or probability[rows, columns].mean() < SURE:
        return None
    margin = len(region) * UNCLIP / (2 * (thickness + length))
    width = max(16, round(HEIGHT * (length + 2 * margin) / (thickness + 2 * margin)))
    x = across[0] - margin + (np.arange(width) + 0.5) / width * (length + 2 * margin)
    inside = np.clip(x, across[0], across[-1])
    top, bottom = (np.polyval(np.polyfit(across, edge, 2), inside) for edge in (tops, bottoms))
    down = (np.arange(HEIGHT)[:, None] + 0.5) / HEIGHT
    y = top - margin + down * (bottom - top + 2 * margin)
    scale = np.array(image.shape[:2]) / probability.shape
    cut = _between(image, y * scale[0] - 0.5, np.broadcast_to(x * scale[1] - 0.5, y.shape))
    return Line(float(tops.mean()), prepared(cut))


def _between(image: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The picture at places that are no whole numbers, interpolated linearly."""
    y, x = (np.clip(place, 0, side - 1.001) for place, side in zip((y, x), image.shape, strict=False))
    row, column = y.astype(int), x.astype(int)
    v, h = (y - row)[..., None], (x - column)[..., None]
    upper = image[row, column] * (1 - h) + image[row, column + 1] * h
    lower = image[row + 1, column] * (1 - h) + image[row + 1, column + 1] * h
    return upper * (1 - v) + lower * v


def upright(line: Line, run: Run) -> Line:
    """The line, turned by half a turn where it stands on its head."""
    window = np.zeros((1, 3, HEIGHT, TURN_WIDTH), np.float32)
    part = line.image[:, :, :TURN_WIDTH]
    window[0, :, :, : part.shape[2]] = part
    standing, turned = next(iter(run({"x": window}).values()))[0]
    return line if standing >= turned or turned < 0.9 else Line(line.top, line.image[:, ::-1, ::-1])


def letters() -> list[str]:
    """What the numbers of the reading model stand for; 0 is "nothing"."""
    facts = {one.key: one.value for one in onnx.load(model_file(PACKAGE, READ)).metadata_props}
    return ["", *facts["character"].splitlines(), " "]


def decoded(probabilities: np.ndarray, alphabet: list[str]) -> str:
    """The text in f32[time × letters]: the best letter of each moment, repetitions taken once (CTC, greedy)."""
    best = probabilities.argmax(axis=1)
    fresh = np.diff(best, prepend=0) != 0
    return "".join(alphabet[number] for number in best[fresh]).strip()


class Reader:
    """The three models, compiled for one size of picture; all lines of a picture are padded to one width."""

    def __init__(self, image: np.ndarray) -> None:
        self.alphabet = letters()
        self.find = compiled(model_file(PACKAGE, FIND), {"x": enlarged(image)["x"].shape})
        self.turn = compiled(model_file(PACKAGE, TURN), {"x": (1, 3, HEIGHT, TURN_WIDTH)})
        self.read: Run | None = None

    def text(self, image: np.ndarray) -> list[str]:
        """The lines of text in RGB uint8[h × w × 3], from top to bottom."""
        probability = next(iter(self.find(enlarged(image)).values()))[0, 0]
        found = [upright(line, self.turn).image for line in lines(probability, image)]
        width = max((line.shape[2] for line in found), default=0)  # one width: the model is compiled once
        return [self._read(np.pad(line, ((0, 0), (0, 0), (0, width - line.shape[2])))) for line in found]

    def _read(self, line: np.ndarray) -> str:
        if self.read is None:
            self.read = compiled(model_file(PACKAGE, READ), {"x": line[None].shape})
        return decoded(next(iter(self.read({"x": line[None]}).values()))[0], self.alphabet)


def main(paths: list[str]) -> None:
    for path in paths:
        image = picture(path)
        print("\n".join(Reader(image).text(image)))


if __name__ == "__main__":
    main(sys.argv[1:])
