"""Residual networks (He et al. 2015, arXiv 1512.03385) written to ONNX with seeded weights: 18, 34 and 50 layers."""

from __future__ import annotations

import onnx

from glowviz.gallery.writer import Net

REPEATS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}


def _conv_norm(net: Net, x: str, channels: tuple[int, int], kernel: int, *, name: str, stride: int = 1,
               scale: float = 1.0) -> str:
    x = net.conv(x, channels, kernel, name=f"{name}.conv", stride=stride, bias=False)
    return net.batch_norm(x, channels[1], name=f"{name}.norm", gain=scale)


def _branch(net: Net, x: str, channels: tuple[int, int], stride: int, *, name: str, bottleneck: bool) -> str:
    """The residual branch; half weight at its end keeps the running sum from growing block by block."""
    if not bottleneck:
        y = _conv_norm(net, x, channels, 3, name=f"{name}.a", stride=stride)
        y = net.add("Relu", y, name=f"{name}.a.relu")
        return _conv_norm(net, y, (channels[1], channels[1]), 3, name=f"{name}.b", scale=0.5)
    narrow = channels[1] // 4
    y = net.add("Relu", _conv_norm(net, x, (channels[0], narrow), 1, name=f"{name}.a"), name=f"{name}.a.relu")
    y = _conv_norm(net, y, (narrow, narrow), 3, name=f"{name}.b", stride=stride)
    y = net.add("Relu", y, name=f"{name}.b.relu")
    return _conv_norm(net, y, (narrow, channels[1]), 1, name=f"{name}.c", scale=0.5)


def _block(net: Net, x: str, channels: tuple[int, int], stride: int, *, name: str, bottleneck: bool) -> str:
    branch = _branch(net, x, channels, stride, name=name, bottleneck=bottleneck)
    if stride != 1 or channels[0] != channels[1]:
        x = _conv_norm(net, x, channels, 1, name=f"{name}.shortcut", stride=stride, scale=0.7)
    return net.add("Relu", net.add("Add", branch, x, name=f"{name}.sum"), name=f"{name}.relu")


def resnet(layers: int = 18, size: int = 224, width: int = 64, classes: int = 1000, *, seed: int = 0,
           opset: int = 17) -> onnx.ModelProto:
    """f32[1 × 3 × size × size] -> f32[1 × classes] scores before the softmax."""
    net = Net(f"resnet{layers}", seed, opset)
    bottleneck = layers >= 50
    x = net.input("image", [1, 3, size, size])
    x = net.add("Relu", _conv_norm(net, x, (3, width), 7, name="stem", stride=2), name="stem.relu")
    x = net.add("MaxPool", x, name="stem.pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    last = width
    for stage, repeats in enumerate(REPEATS[layers]):
        channels = width * 2**stage * (4 if bottleneck else 1)
        for i in range(repeats):
            stride = 2 if stage > 0 and i == 0 else 1
            x = _block(net, x, (last, channels), stride, name=f"stage{stage}.block{i}", bottleneck=bottleneck)
            last = channels
    x = net.add("Flatten", net.add("GlobalAveragePool", x, name="pool"), name="flatten", axis=1)
    net.output("scores", net.gemm(x, (last, classes), name="classifier", gain=0.1 if bottleneck else 1.0), [1, classes])
    return net.model()
