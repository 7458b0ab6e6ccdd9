"""A vision transformer (Dosovitskiy et al. 2020, arXiv 2010.11929), tiny size: 12 layers, width 192, 3 heads."""

import numpy as np
import onnx

from glowviz.gallery.build_transformer import Shape, attention, gelu_erf, layer_norm
from glowviz.gallery.writer import Net


def _embed(net: Net, image: str, size: int, patch: int, width: int) -> tuple[str, int]:
    """Cut the picture into patches, one token each, put the class token in front and add positions."""
    count = (size // patch) ** 2
    x = net.conv(image, (3, width), patch, name="patches", stride=patch, pad=0, gain=1.0)
    x = net.add("Reshape", x, net.integers("patches.shape", [1, width, count]), name="patches.flat")
    x = net.add("Transpose", x, name="patches.tokens", perm=[0, 2, 1])
    x = net.add("Concat", net.normal("class_token", (1, 1, width), 1.0), x, name="tokens", axis=1)
    return net.add("Add", x, net.normal("positions", (1, count + 1, width), 0.3), name="embedded"), count + 1


def build(size: int = 224, patch: int = 16, layers: int = 12, width: int = 192, heads: int = 3,
          classes: int = 1000, seed: int = 0) -> onnx.ModelProto:
    """f32[1 × 3 × size × size] -> f32[1 × classes] scores; normalization comes before each branch."""
    net = Net("vit", seed, opset=17)
    x, count = _embed(net, net.input("image", [1, 3, size, size]), size, patch, width)
    shape = Shape(count, width, heads)
    for i in range(layers):
        name = f"layer{i}"
        y = layer_norm(net, x, width, name=f"{name}.norm1", whole=True)
        x = net.add("Add", x, attention(net, y, shape, name=f"{name}.attention"), name=f"{name}.residual1")
        y = layer_norm(net, x, width, name=f"{name}.norm2", whole=True)
        y = gelu_erf(net, net.linear(y, (width, 4 * width), name=f"{name}.up"), name=f"{name}.gelu")
        y = net.linear(y, (4 * width, width), name=f"{name}.down", gain=2.0)
        x = net.add("Add", x, y, name=f"{name}.residual2")
    x = layer_norm(net, x, width, name="norm", whole=True)
    first = net.weight("first", np.array(0, np.int64))
    x = net.add("Gather", x, first, name="class", axis=1)
    net.output("scores", net.gemm(x, (width, classes), name="classifier"), [1, classes])
    return net.model()
