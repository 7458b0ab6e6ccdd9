"""What tests feed to trained models beside examples/answers, and what onnxruntime needs to run them alike.

Nothing here runs a model. A test does, with whatever runs models:
    outputs = exe.run(faces.feed(picture("astronaut")));  found = faces.answer(outputs)
"""

from __future__ import annotations

import io
import json
import sys
import wave
from pathlib import Path

import numpy as np
import onnx
from PIL import Image

Arrays = dict[str, np.ndarray]


def rebound(path: Path, shapes: dict[str, tuple[int, ...]]) -> bytes:
    """The model with these input shapes in place of its own and its output shapes left open.

    For peers: centerface.onnx says 10 × 3 × 32 × 32, which its own package rewrites before use.
    """
    model = onnx.load(path)
    for value in model.graph.input:
        for dim, size in zip(value.type.tensor_type.shape.dim, shapes.get(value.name, ()), strict=False):
            dim.dim_value = size
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    return model.SerializeToString()


def before_saturation(model: bytes) -> bytes:
    """The model with the logits as outputs in place of the Softmax or Sigmoid behind them, which would hide errors
    where it is flat and enlarge them where it is steep."""
    proto = onnx.load_from_string(model)
    squashes = {n.output[0]: n.input[0] for n in proto.graph.node if n.op_type in ("Softmax", "Sigmoid")}
    for value in proto.graph.output:
        value.name = squashes.get(value.name, value.name)
    return proto.SerializeToString()


def magika_files() -> dict[str, bytes]:
    """Contents of eight files by the name that magika gives their kind."""
    sound = io.BytesIO()
    with wave.open(sound, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes((8000 * np.sin(np.arange(4000) / 3)).astype("<i2").tobytes())
    drawn = io.BytesIO()
    Image.fromarray(np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)).save(drawn, "PNG")
    records = [{"name": f"layer {i}", "shape": [1, i, 7], "trained": True} for i in range(40)]
    style = "\n".join(f".card-{i} {{ color: #33{i:02d}ff; margin: {i}px auto; }}" for i in range(40))
    return {
        "python": Path(__file__).read_bytes(),
        "png": drawn.getvalue(),
        "elf": Path(sys.executable).resolve().read_bytes()[:1 << 20],
        "json": json.dumps(records, indent=1).encode(),
        "wav": sound.getvalue(),
        "css": style.encode(),
        "markdown": b"# Title\n\nSome *text* with a [link](to/there.md).\n\n- one\n- two\n\n```sh\nmake\n```\n" * 8,
        "npz": _npz(),
    }


def _npz() -> bytes:
    out = io.BytesIO()
    np.savez(out, a=np.arange(300), b=np.eye(9))
    return out.getvalue()


def _scaled(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """BGR f32[3 × height × width] in -1…1, as PP-OCR was trained."""
    image = Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image, np.float32)[:, :, ::-1].transpose(2, 0, 1) / 127.5 - 1


def det_feed(picture: np.ndarray, height: int = 192, width: int = 384) -> Arrays:
    """A picture scaled to height × width, multiples of 32: f32[1 × 3 × height × width]."""
    return {"x": np.ascontiguousarray(_scaled(picture, height, width)[None])}


def det_answer(outputs: Arrays, threshold: float = 0.3) -> list[tuple[int, int]]:
    """Rows of text as (top, bottom) in pixels of the scaled picture: bands where the mask is wider than 5 %."""
    mask = next(iter(outputs.values()))[0, 0] > threshold
    inked = np.concatenate([[False], mask.mean(axis=1) > 0.05, [False]])
    edges = np.flatnonzero(np.diff(inked.astype(int)))
    return [(int(top), int(bottom)) for top, bottom in zip(edges[::2], edges[1::2], strict=True)]


def text_line(picture: np.ndarray, row: tuple[int, int]) -> np.ndarray:
    """The beginning of one line of text, cut out of the unscaled picture with a margin of two pixels."""
    return picture[max(0, row[0] - 2):row[1] + 2, :150]


def cls_feed(line: np.ndarray) -> Arrays:
    """One line of text, 48 high and at most 192 wide, padded with 0: f32[1 × 3 × 48 × 192]."""
    width = min(192, round(48 * line.shape[1] / line.shape[0]))
    result = np.zeros((1, 3, 48, 192), np.float32)
    result[0, :, :, :width] = _scaled(line, 48, width)
    return {"x": result}


def cls_answer(outputs: Arrays) -> tuple[str, float]:
    """"upright" or "upside down", and its probability."""
    probability = next(iter(outputs.values()))[0]
    return ("upright", "upside down")[int(probability.argmax())], float(probability.max())
