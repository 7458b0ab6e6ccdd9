"""One network to export: the module, what it is fed, and which sizes stay open."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


@dataclass
class Export:
    """A module in eval mode, example inputs by the name of forward's parameter, names of the outputs.

    `dynamic` names open axes: {"input_ids": {0: "batch", 1: "sequence"}}.
    """

    module: nn.Module
    inputs: Mapping[str, Tensor]
    outputs: tuple[str, ...]
    dynamic: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    opset: int = 20


def lively(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module in eval mode with seeded weights that neither fade nor explode; what frameworks start from may be 0.

    Weights are N(0, 2 / inputs) in convolutions and N(0, 1 / inputs) elsewhere, running statistics are uneven.
    """
    torch.manual_seed(seed)
    for part in module.modules():
        with torch.no_grad():
            if isinstance(part, nn.modules.conv._ConvNd | nn.Linear):  # the one base of all convolutions
                spread = 2.0 if isinstance(part, nn.modules.conv._ConvNd) else 1.0
                part.weight.normal_(0, math.sqrt(spread / part.weight[0].numel()))
                if part.bias is not None:
                    part.bias.normal_(0, 0.05)
            elif isinstance(part, nn.modules.batchnorm._BatchNorm):
                part.weight.uniform_(0.8, 1.2)
                part.bias.normal_(0, 0.1)
                part.running_mean.normal_(0, 0.1)
                part.running_var.uniform_(0.8, 1.2)
            elif isinstance(part, nn.Embedding):
                part.weight.normal_(0, 0.5)
    return module.eval()


def only(name: str) -> type[nn.Module]:
    """A wrapper of modules that return a record: forward gives its field `name` alone."""

    class Only(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, *given: Any, **named: Any) -> Tensor:
            return getattr(self.inner(*given, **named), name)

    return Only
