"""MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381) written to ONNX with seeded weights, any width and size."""

from __future__ import annotations

from math import ceil

import onnx

from glowviz.gallery.writer import Net

# Table 2 of the paper: expansion, channels, repeats, first stride.
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def rounded(channels: float) -> int:
    """Channels as the authors round them: to a multiple of 8, never more than a tenth down."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near


def relu6(net: Net, x: str, *, name: str) -> str:
    """min(max(x, 0), 6) as one Clip."""
    low, high = net.scalar(f"{name}.low", 0.0), net.scalar(f"{name}.high", 6.0)
    return net.add("Clip", x, low, high, name=name)


def _conv_norm(net: Net, x: str, channels: tuple[int, int], kernel: int, *, name: str, stride: int = 1,
               group: int = 1, gain: float = 2.0, active: bool = True, scale: float = 1.0) -> str:
    x = net.conv(x, channels, kernel, name=f"{name}.conv", stride=stride, group=group, gain=gain, bias=False)
    x = net.batch_norm(x, channels[1], name=f"{name}.norm", gain=scale)
    return relu6(net, x, name=f"{name}.relu6") if active else x


def _block(net: Net, x: str, channels: tuple[int, int], expansion: int, stride: int, *, name: str) -> str:
    wide = channels[0] * expansion
    residual = stride == 1 and channels[0] == channels[1]
    y = x
    if expansion != 1:
        y = _conv_norm(net, y, (channels[0], wide), 1, name=f"{name}.expand", gain=1.0)
    y = _conv_norm(net, y, (wide, wide), 3, name=f"{name}.depthwise", stride=stride, group=wide)
    # A residual branch at half weight keeps the sum of many blocks from growing into the clip.
    y = _conv_norm(net, y, (wide, channels[1]), 1, name=f"{name}.project", active=False,
                   scale=0.5 if residual else 1.0)
    return net.add("Add", x, y, name=f"{name}.sum") if residual else y


def mobilenet_v2(width: float = 1.0, size: int = 224, classes: int = 1000, *, seed: int = 0,
                 opset: int = 17) -> onnx.ModelProto:
    """f32[1 × 3 × size × size] -> f32[1 × classes] scores before the softmax."""
    net = Net("mobilenet_v2", seed, opset)
    x = net.input("image", [1, 3, size, size])
    last = rounded(32 * width)
    x = _conv_norm(net, x, (3, last), 3, name="stem", stride=2)
    for stage, (expansion, base, repeats, first) in enumerate(STAGES):
        channels = rounded(base * width)
        for i in range(repeats):
            stride = first if i == 0 else 1
            x = _block(net, x, (last, channels), expansion, stride, name=f"stage{stage}.block{i}")
            last = channels
    head = ceil(1280 * max(1.0, width))
    x = _conv_norm(net, x, (last, head), 1, name="head", gain=1.0)
    x = net.add("GlobalAveragePool", x, name="pool")
    x = net.add("Flatten", x, name="flatten", axis=1)
    net.output("scores", net.gemm(x, (head, classes), name="classifier", gain=4.0), [1, classes])
    return net.model()
