"""Six-layer encoders like BERT (width 768) and MiniLM (width 384), sequence 128, over embedded tokens."""

import onnx

from glowviz.gallery.build_transformer import encoder


def build(width: int = 768, whole_layer_norm: bool = True) -> onnx.ModelProto:
    """f32[1 × 128 × width] -> the same shape; whole_layer_norm=False leaves layer norm in nine pieces."""
    return encoder(layers=6, width=width, heads=12, sequence=128, whole_layer_norm=whole_layer_norm)
