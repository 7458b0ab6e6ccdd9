"""MobileNetV2 at its published size: 3.5 M weights, 0.6 GFLOP for one 224×224 picture."""

import onnx

from glowviz.gallery.build_mobilenet import mobilenet_v2


def build() -> onnx.ModelProto:
    """f32[1 × 3 × 224 × 224] -> f32[1 × 1000] scores."""
    return mobilenet_v2(width=1.0, size=224, classes=1000)
