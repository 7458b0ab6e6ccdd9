"""The nine light_* models of the onnx package, with seeded weights in place of the constants they ship with."""

import onnx

from glowviz.gallery.build_light import filled


def build(name: str) -> onnx.ModelProto:
    """`name` is that of the file, such as "light_resnet50"; opset 9, as shipped."""
    return filled(name)
