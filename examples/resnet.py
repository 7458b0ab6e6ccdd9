"""ResNet-18 and ResNet-50 as convolutions, batch normalizations and residual sums, nothing folded yet."""

import onnx

from glowviz.gallery.build_resnet import resnet


def build(layers: int = 18) -> onnx.ModelProto:
    """f32[1 × 3 × 224 × 224] -> f32[1 × 1000] scores."""
    return resnet(layers)
