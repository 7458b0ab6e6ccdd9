"""python -m examples.answers.file_types FILE… prints which kind of file each is, by magika."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from examples.answers.packages import Arrays, compiled, model_file

MODEL = ("magika", "models/standard_v3_3/model.onnx")
SHAPES = {"bytes": (1, 2048)}


def feed(content: bytes) -> Arrays:
    """The first and last 1,024 bytes without white space at the ends, padded by 256: int32[1 × 2048]."""
    head = content[:4096].lstrip()[:1024]
    tail = content[-4096:].rstrip()[-1024:]
    numbers = np.full((1, 2048), 256, np.int32)
    numbers[0, : len(head)] = list(head)
    numbers[0, 2048 - len(tail) :] = list(tail)
    return {"bytes": numbers}


def answer(outputs: Arrays) -> tuple[str, float]:
    """The kind of file and its probability."""
    config = model_file(*MODEL).with_name("config.min.json")
    labels = json.loads(config.read_text(encoding="utf-8"))["target_labels_space"]
    probability = next(iter(outputs.values()))[0]
    return labels[int(probability.argmax())], float(probability.max())


def main(paths: list[str]) -> None:
    run = compiled(model_file(*MODEL), SHAPES)
    for path in paths:
        kind, probability = answer(run(feed(Path(path).read_bytes())))
        print(f"{path}: {kind} ({probability:.3f})")


if __name__ == "__main__":
    main(sys.argv[1:])
