"""The gallery's models with seeded weights: real architectures, made-up numbers."""

from __future__ import annotations

import numpy as np

from glowviz.gallery.build_light import filled, paths
from glowviz.gallery.build_mobilenet import mobilenet_v2
from glowviz.gallery.build_resnet import resnet
from glowviz.gallery.build_transformer import encoder
from glowviz.gallery.writer import Built


def _noise(name: str, shape: tuple[int, ...]) -> dict[str, dict[str, np.ndarray]]:
    return {"noise": {name: np.random.default_rng(7).standard_normal(shape, dtype=np.float32)}}


def transformer_block() -> Built:
    """One encoder layer: sequence 16, width 32, 4 heads."""
    model = encoder(layers=1, width=32, heads=4, sequence=16, whole_layer_norm=False)
    return Built(model, samples=_noise("embedded", (1, 16, 32)))


def mobilenet_v2_small() -> Built:
    """MobileNetV2 at width 0.35 and 96 × 96 pixels."""
    return Built(mobilenet_v2(width=0.35, size=96), samples=_noise("image", (1, 3, 96, 96)))


def resnet50() -> Built:
    """light_resnet50 of the onnx package with seeded weights, or our own where that file is missing."""
    if "light_resnet50" in paths():
        model = filled("light_resnet50")
        return Built(model, samples=_noise("gpu_0/data_0", (1, 3, 224, 224)))
    return Built(resnet(50), samples=_noise("image", (1, 3, 224, 224)))
