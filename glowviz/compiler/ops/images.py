"""ImageDecoder reads pictures with Pillow where that is installed; a file that it cannot read has no pixels."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np

from glowviz.compiler.ops.base import Case, Op, Value, case
from glowviz.compiler.ops.shape import Known
from glowviz.compiler.types import Symbol, Type, TypeProblem

CHANNELS = {"RGB": 3, "BGR": 3, "Grayscale": 1}


class ImageDecoder(Op):
    """The pixels [height, width, channels] of a picture in the bytes of a file."""

    x: Value
    pixel_format: str = "RGB"
    onnx = "ImageDecoder"
    family = "host"

    def infer(self, x: Type, *, known: Known) -> Type:
        if x.elem != "u8" or x.rank != 1 or self.pixel_format not in CHANNELS:
            raise TypeProblem(f"x must be a row of u8 and pixel_format one of {', '.join(CHANNELS)}, got {x}")
        content = known["x"]
        if content is not None:
            return Type("u8", self.reference(content).shape)
        return Type("u8", (Symbol("height"), Symbol("width"), CHANNELS[self.pixel_format]))

    def reference(self, x: np.ndarray) -> np.ndarray:
        image = _pillow()
        try:
            picture = image.open(io.BytesIO(x.tobytes()))
            if self.pixel_format == "Grayscale":
                return np.asarray(picture.convert("L"))[:, :, None]
            pixels = np.asarray(picture.convert("RGB"))
        except (OSError, SyntaxError) as fault:
            raise TypeProblem(f"the bytes are no picture that can be read: {fault}") from None
        return pixels[:, :, ::-1] if self.pixel_format == "BGR" else pixels

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        head = b"P6 2 1 255\n" + bytes(range(6))  # the plainest format: two pixels
        for pixel_format in CHANNELS:
            yield case(np.frombuffer(head, np.uint8), pixel_format=pixel_format)


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise TypeProblem("decoding pictures needs the package pillow; install it (pip install pillow)") from None
    return Image
