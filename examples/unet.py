"""A UNet (Ronneberger et al. 2015, arXiv 1505.04597): down by pooling, up by ConvTranspose and Resize, joined."""

import numpy as np
import onnx

from glowviz.gallery.writer import Net


def _twice(net: Net, x: str, channels: tuple[int, int], *, name: str) -> str:
    for letter, pair in (("a", channels), ("b", (channels[1], channels[1]))):
        x = net.conv(x, pair, 3, name=f"{name}.{letter}.conv", bias=False)
        x = net.add("Relu", net.batch_norm(x, pair[1], name=f"{name}.{letter}.norm"), name=f"{name}.{letter}.relu")
    return x


def _up_learned(net: Net, x: str, channels: tuple[int, int], *, name: str) -> str:
    """Twice the height and width by a 2×2 transposed convolution: each output sees one input position."""
    weight = net.normal(f"{name}.weight", (channels[0], channels[1], 2, 2), (2 / channels[0]) ** 0.5)
    bias = net.normal(f"{name}.bias", (channels[1],), 0.05)
    return net.add("ConvTranspose", x, weight, bias, name=name, kernel_shape=[2, 2], strides=[2, 2])


def _up_resized(net: Net, x: str, channels: tuple[int, int], *, name: str) -> str:
    """Twice the height and width by bilinear interpolation, then a 1×1 convolution."""
    scales = net.weight(f"{name}.scales", np.array([1, 1, 2, 2], np.float32))
    x = net.add("Resize", x, "", scales, name=f"{name}.resize", mode="linear",
                coordinate_transformation_mode="half_pixel")
    return net.conv(x, channels, 1, name=name)


def build(size: int = 128, width: int = 32, depth: int = 3, classes: int = 4, seed: int = 0) -> onnx.ModelProto:
    """f32[1 × 3 × size × size] -> f32[1 × classes × size × size] scores of each pixel."""
    net = Net("unet", seed, opset=17)
    x = net.input("image", [1, 3, size, size])
    last, kept = 3, []
    for level in range(depth):
        x = _twice(net, x, (last, width * 2**level), name=f"down{level}")
        last = width * 2**level
        kept.append((x, last))
        x = net.add("MaxPool", x, name=f"down{level}.pool", kernel_shape=[2, 2], strides=[2, 2])
    x = _twice(net, x, (last, 2 * last), name="middle")
    last = 2 * last
    for level, (skip, channels) in reversed(list(enumerate(kept))):
        # The deepest step learns its enlargement, the others interpolate: both forms occur in real files.
        up = _up_learned if level == depth - 1 else _up_resized
        x = up(net, x, (last, channels), name=f"up{level}")
        x = net.add("Concat", skip, x, name=f"up{level}.concat", axis=1)
        x = _twice(net, x, (2 * channels, channels), name=f"up{level}")
        last = channels
    net.output("scores", net.conv(x, (last, classes), 1, name="classifier", gain=1.0), [1, classes, size, size])
    return net.model()
