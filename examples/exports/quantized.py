"""centerface in 8-bit integers as onnxruntime's quantizer writes it: QDQ (standard ONNX) and QOperator (com.microsoft).

python -m examples.exports.quantized FOLDER writes both, NAME.onnx with NAME.npz (a picture as input). It needs
onnxruntime and scikit-image's astronaut.png, not torch.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import version_converter
from onnxruntime import quantization

from examples.answers import faces
from examples.answers.packages import model_file, picture

SIZE = 128
FORMATS = {"centerface_qdq": quantization.QuantFormat.QDQ, "centerface_qoperator": quantization.QuantFormat.QOperator}


class Crops(quantization.CalibrationDataReader):
    """Nine pieces of a photograph, which the ranges of all values are measured on."""

    def __init__(self, image: np.ndarray) -> None:
        self.left: Iterator[np.ndarray] = (
            image[y : y + SIZE, x : x + SIZE] for y in (0, 96, 192) for x in (80, 176, 272)
        )

    def get_next(self) -> dict[str, np.ndarray] | None:
        cut = next(self.left, None)
        return None if cut is None else faces.feed(cut)


def raised(path: Path) -> onnx.ModelProto:
    """centerface at opset 13, which knows scales per channel, for one picture; weights no longer listed as inputs."""
    model = onnx.load(path)
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in stored]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.ir_version = 8
    for dim, size in zip(model.graph.input[0].type.tensor_type.shape.dim, (1, 3, SIZE, SIZE), strict=True):
        dim.dim_value = size
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    return version_converter.convert_version(onnx.shape_inference.infer_shapes(model), 13)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    logging.getLogger().setLevel(logging.ERROR)
    image = picture(model_file("skimage", "data/astronaut.png"))
    source = folder / "centerface_13.onnx"
    onnx.save(raised(model_file(*faces.MODEL)), source)
    for name, form in FORMATS.items():
        quantization.quantize_static(
            source, folder / f"{name}.onnx", Crops(image), quant_format=form, per_channel=True,
            activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8,
        )  # fmt: skip
        np.savez(folder / f"{name}.npz", **faces.feed(image[64 : 64 + SIZE, 160 : 160 + SIZE]))
        print(f"{name}: {len(onnx.load(folder / f'{name}.onnx').graph.node)} nodes")
    source.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
