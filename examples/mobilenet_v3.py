"""MobileNetV3-small (Howard et al. 2019, arXiv 1905.02244): HardSwish, and squeeze-and-excite with HardSigmoid."""

from dataclasses import dataclass

import onnx

from glowviz.gallery.build_mobilenet import rounded
from glowviz.gallery.writer import Net


@dataclass(frozen=True)
class Block:
    """One row of table 2 of the paper."""

    kernel: int
    wide: int
    channels: int
    excite: bool
    activation: str
    stride: int


BLOCKS = (
    Block(3, 16, 16, True, "Relu", 2), Block(3, 72, 24, False, "Relu", 2), Block(3, 88, 24, False, "Relu", 1),
    Block(5, 96, 40, True, "HardSwish", 2), Block(5, 240, 40, True, "HardSwish", 1),
    Block(5, 240, 40, True, "HardSwish", 1), Block(5, 120, 48, True, "HardSwish", 1),
    Block(5, 144, 48, True, "HardSwish", 1), Block(5, 288, 96, True, "HardSwish", 2),
    Block(5, 576, 96, True, "HardSwish", 1), Block(5, 576, 96, True, "HardSwish", 1),
)


def _conv_norm(net: Net, x: str, channels: tuple[int, int], kernel: int, *, name: str, stride: int = 1,
               group: int = 1, activation: str | None = None, gain: float = 2.0, scale: float = 1.0) -> str:
    x = net.conv(x, channels, kernel, name=f"{name}.conv", stride=stride, group=group, gain=gain, bias=False)
    x = net.batch_norm(x, channels[1], name=f"{name}.norm", gain=scale)
    return net.add(activation, x, name=f"{name}.act") if activation else x


def _excite(net: Net, x: str, channels: int, *, name: str) -> str:
    """x · hardsigmoid(W2·relu(W1·mean(x))): each channel is weighed by a look at all of them."""
    narrow = rounded(channels / 4)
    y = net.add("GlobalAveragePool", x, name=f"{name}.mean")
    y = net.add("Relu", net.conv(y, (channels, narrow), 1, name=f"{name}.down"), name=f"{name}.relu")
    y = net.conv(y, (narrow, channels), 1, name=f"{name}.up")
    y = net.add("HardSigmoid", y, name=f"{name}.gate", alpha=1 / 6, beta=0.5)
    return net.add("Mul", x, y, name=name)


def _block(net: Net, x: str, last: int, block: Block, *, name: str) -> str:
    residual = block.stride == 1 and last == block.channels
    y = x
    if block.wide != last:
        y = _conv_norm(net, y, (last, block.wide), 1, name=f"{name}.expand", activation=block.activation, gain=1.0)
    y = _conv_norm(net, y, (block.wide, block.wide), block.kernel, name=f"{name}.depthwise", stride=block.stride,
                   group=block.wide, activation=block.activation)
    if block.excite:
        y = _excite(net, y, block.wide, name=f"{name}.excite")
    # An excited branch is halved by its gate; four times the variance brings it back.
    y = _conv_norm(net, y, (block.wide, block.channels), 1, name=f"{name}.project",
                   gain=8.0 if block.excite else 2.0, scale=0.5 if residual else 1.0)
    return net.add("Add", x, y, name=f"{name}.sum") if residual else y


def build(size: int = 224, classes: int = 1000, seed: int = 0) -> onnx.ModelProto:
    """f32[1 × 3 × size × size] -> f32[1 × classes] scores."""
    net = Net("mobilenet_v3_small", seed, opset=17)
    x = net.input("image", [1, 3, size, size])
    x = _conv_norm(net, x, (3, 16), 3, name="stem", stride=2, activation="HardSwish")
    last = 16
    for i, block in enumerate(BLOCKS):
        x = _block(net, x, last, block, name=f"block{i}")
        last = block.channels
    x = _conv_norm(net, x, (last, 576), 1, name="head", activation="HardSwish", gain=1.0)
    x = net.add("Flatten", net.add("GlobalAveragePool", x, name="pool"), name="flatten", axis=1)
    x = net.add("HardSwish", net.gemm(x, (576, 1024), name="wide", gain=4.0), name="wide.act")
    net.output("scores", net.gemm(x, (1024, classes), name="classifier", gain=2.0), [1, classes])
    return net.model()
