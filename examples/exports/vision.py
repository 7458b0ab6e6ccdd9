"""Networks that look at pictures: own ones in torch, and small ones of the architectures in transformers."""

from __future__ import annotations

import itertools

import torch
import transformers
from torch import Tensor, nn
from torch.nn import functional as f

from examples.exports.case import Export, lively


def picture(*shape: int) -> dict[str, Tensor]:
    return {"x": torch.randn(*shape, generator=torch.Generator().manual_seed(1))}


class Residual(nn.Module):
    """Two 3 × 3 convolutions beside a shortcut (He et al. 2015, arXiv 1512.03385)."""

    def __init__(self, into: int, out: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(into, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out))
        same = into == out and stride == 1
        self.short = nn.Identity() if same else nn.Sequential(nn.Conv2d(into, out, 1, stride), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        return f.relu(self.second(self.first(x)) + self.short(x))


def resnet18(width: int = 16, size: int = 96) -> Export:
    sizes = [width, width, 2 * width, 4 * width, 8 * width]
    blocks = [Residual(a if k == 0 else b, b, 2 if k == 0 and a != b else 1)
              for a, b in itertools.pairwise(sizes) for k in range(2)]
    stem = [nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8 * width, 100)]
    return Export(lively(Sequence(*stem, *blocks, *head)), picture(1, 3, size, size), ("scores",))


class Sequence(nn.Sequential):
    """nn.Sequential whose input is called x."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


class Squeeze(nn.Module):
    """Channels weighed by what is seen of them everywhere (Hu et al. 2017, arXiv 1709.01507)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(width, width // 4, 1), nn.Conv2d(width // 4, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * f.hardsigmoid(self.up(f.relu(self.down(x.mean((2, 3), keepdim=True)))))


class Inverted(nn.Module):
    """Wide in the middle, depthwise there (Howard et al. 2019, arXiv 1905.02244)."""

    def __init__(self, into: int, wide: int, out: int, kernel: int, stride: int, squeezed: bool) -> None:
        super().__init__()
        layers = [nn.Conv2d(into, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.Hardswish(),
                  nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False), nn.BatchNorm2d(wide),
                  *([Squeeze(wide)] if squeezed else []), nn.Hardswish(),
                  nn.Conv2d(wide, out, 1, bias=False), nn.BatchNorm2d(out)]
        self.layers, self.same = nn.Sequential(*layers), into == out and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.same else self.layers(x)


MOBILE = ((16, 16, 3, 2, True), (72, 24, 3, 2, False), (88, 24, 3, 1, False), (96, 40, 5, 2, True),
          (240, 40, 5, 1, True), (240, 40, 5, 1, True), (120, 48, 5, 1, True), (144, 48, 5, 1, True),
          (288, 96, 5, 2, True), (576, 96, 5, 1, True), (576, 96, 5, 1, True))


def mobilenet_v3_small(size: int = 128) -> Export:
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.Hardswish()]
    into = 16
    for wide, out, kernel, stride, squeezed in MOBILE:
        layers.append(Inverted(into, wide, out, kernel, stride, squeezed))
        into = out
    layers += [nn.Conv2d(96, 576, 1), nn.BatchNorm2d(576), nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
               nn.Linear(576, 1024), nn.Hardswish(), nn.Linear(1024, 1000)]
    return Export(lively(Sequence(*layers)), picture(1, 3, size, size), ("scores",))


def twice(into: int, out: int) -> nn.Sequential:
    """Two convolutions with group norm and SiLU."""
    one = [nn.Conv2d(into, out, 3, padding=1), nn.GroupNorm(4, out), nn.SiLU()]
    return nn.Sequential(*one, nn.Conv2d(out, out, 3, padding=1), nn.GroupNorm(4, out), nn.SiLU())


class UNet(nn.Module):
    """Down by pooling, up by transposed convolution and by resizing (Ronneberger et al. 2015, arXiv 1505.04597)."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.a, self.b, self.c = twice(3, width), twice(width, 2 * width), twice(2 * width, 4 * width)
        self.up = nn.ConvTranspose2d(4 * width, 2 * width, 2, 2)
        self.d, self.e, self.last = twice(4 * width, 2 * width), twice(3 * width, width), nn.Conv2d(width, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.a(x)
        b = self.b(f.max_pool2d(a, 2))
        d = self.d(torch.cat([self.up(self.c(f.avg_pool2d(b, 2))), b], 1))
        return self.last(self.e(torch.cat([f.interpolate(d, scale_factor=2, mode="bilinear"), a], 1)))


def unet() -> Export:
    return Export(lively(UNet()), picture(1, 3, 64, 64), ("mask",))


class Detector(nn.Module):
    """Boxes and scores on three scales, decoded from distances to the cell (like YOLO without anchors)."""

    def __init__(self, width: int = 16, classes: int = 4) -> None:
        super().__init__()
        self.stem = nn.Sequential(*(layer for k in range(3) for layer in (
            nn.Conv2d(3 if k == 0 else width << (k - 1), width << k, 3, 2, 1), nn.BatchNorm2d(width << k), nn.SiLU())))
        self.downs = nn.ModuleList(nn.Sequential(nn.Conv2d(4 * width, 4 * width, 3, 2, 1), nn.SiLU()) for _ in range(2))
        self.heads = nn.ModuleList(nn.Conv2d(4 * width, 4 + classes, 1) for _ in range(3))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        levels = [self.stem(x)]
        for down in self.downs:
            levels.append(down(levels[-1]))
        up = levels[0] + f.interpolate(levels[1], scale_factor=2.0, mode="nearest")
        found = [self._decoded(head(y), 8 << k) for k, (head, y) in enumerate(
            zip(self.heads, (up, *levels[1:]), strict=True))]
        boxes, scores = (torch.cat(parts, 1) for parts in zip(*found, strict=True))
        best = torch.topk(scores.amax(2), 50, dim=1).indices
        return (torch.gather(boxes, 1, best[..., None].expand(-1, -1, 4)),
                torch.gather(scores, 1, best[..., None].expand(-1, -1, scores.shape[2])))

    @staticmethod
    def _decoded(y: Tensor, stride: int) -> tuple[Tensor, Tensor]:
        rows, columns = torch.meshgrid(torch.arange(y.shape[2]), torch.arange(y.shape[3]), indexing="ij")
        centre = (torch.stack([columns, rows], -1).reshape(1, -1, 2) + 0.5) * stride
        y = y.flatten(2).transpose(1, 2)
        reach = f.softplus(y[..., :4]) * stride
        return torch.cat([centre - reach[..., :2], centre + reach[..., 2:]], -1), torch.sigmoid(y[..., 4:])


def detector() -> Export:
    return Export(lively(Detector()), picture(1, 3, 128, 160), ("boxes", "scores"))


class Pixels(nn.Module):
    """A model of transformers whose input is called x and which returns one field of its record."""

    def __init__(self, inner: nn.Module, field: str) -> None:
        super().__init__()
        self.inner, self.field = inner, field

    def forward(self, x: Tensor) -> Tensor:
        return getattr(self.inner(pixel_values=x), self.field)


def vit() -> Export:
    config = transformers.ViTConfig(hidden_size=64, num_hidden_layers=4, num_attention_heads=4, intermediate_size=256,
                                    image_size=64, patch_size=8)
    return Export(lively(Pixels(transformers.ViTModel(config), "last_hidden_state")), picture(1, 3, 64, 64), ("y",))


def convnext() -> Export:
    config = transformers.ConvNextConfig(hidden_sizes=[16, 32, 64, 128], depths=[2, 2, 3, 2],
                                         layer_scale_init_value=0.5)
    model = transformers.ConvNextModel(config)
    return Export(lively(Pixels(model, "pooler_output")), picture(1, 3, 96, 96), ("y",))


def efficientnet() -> Export:
    config = transformers.EfficientNetConfig(width_coefficient=0.5, depth_coefficient=1.0, image_size=96,
                                             hidden_dim=640)
    model = transformers.EfficientNetModel(config)
    return Export(lively(Pixels(model, "pooler_output")), picture(1, 3, 96, 96), ("y",))


def segformer() -> Export:
    config = transformers.SegformerConfig(hidden_sizes=[16, 32, 64, 96], depths=[1, 1, 1, 1], decoder_hidden_size=64,
                                          num_labels=5)
    model = transformers.SegformerForSemanticSegmentation(config)
    return Export(lively(Pixels(model, "logits")), picture(1, 3, 64, 96), ("logits",))


def swin() -> Export:
    """Windows that are shifted by rolling the picture, with a bias for every pair of places."""
    config = transformers.SwinConfig(image_size=64, patch_size=4, embed_dim=24, depths=[2, 2], num_heads=[2, 4],
                                     window_size=4)
    return Export(lively(Pixels(transformers.SwinModel(config), "last_hidden_state")), picture(1, 3, 64, 64), ("y",))


NETWORKS = {"resnet18": resnet18, "mobilenet_v3_small": mobilenet_v3_small, "unet": unet, "detector": detector,
            "vit": vit, "convnext": convnext, "efficientnet": efficientnet, "segformer": segformer, "swin": swin}
