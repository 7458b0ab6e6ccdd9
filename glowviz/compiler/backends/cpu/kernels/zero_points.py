"""Zero points of 8-bit operands: one number or many, perhaps known when compiling, less a shift of their bytes."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.kernels.byte_products import LANES
from glowviz.compiler.backends.cpu.kernels.cells import Cells, Tensor
from glowviz.compiler.backends.cpu.kernels.draft import known
from glowviz.compiler.backends.cpu.kernels.elements import convert
from glowviz.compiler.backends.cpu.values import Index, Value, vector_of


@dataclass(frozen=True)
class Zero:
    """The zero points of one side, less the shift of its bytes; `always` is the number that all of them surely are."""

    tensor: Tensor | None
    shift: int
    always: int | None

    @classmethod
    def of(cls, cells: Cells, name: str | None, shift: int) -> Zero:
        """The zero points of an operand."""
        if name is None:
            return cls(None, shift, -shift)
        tensor, array = cells.tensor(name), known(cells.program, name)
        if len([n for n in tensor.dims if n != 1]) > 1:
            raise Unsupported("zero points of several dims")
        same = array is not None and bool(np.all(array == array.reshape(-1)[0]))
        return cls(tensor, shift, int(array.reshape(-1)[0]) - shift if same and array is not None else None)

    @property
    def single(self) -> bool:
        """Whether one number serves all."""
        return self.always is not None or self.tensor is None or prod(self.tensor.dims) == 1

    def at(self, em: Any, index: Index) -> Value:
        """The zero point number `index` as i32."""
        if self.always is not None or self.tensor is None:
            return em.constant(self.always or 0, "i32")
        return convert(em, self.tensor.read(_one_of(self.tensor, index)), "i32") - self.shift

    def lanes(self, em: Any, first: Index, count: int) -> Value:
        """Those of neighbours as a vector."""
        if self.single or self.tensor is None:
            return em.splat(self.at(em, 0), LANES)
        start, kind = self.tensor.address(_one_of(self.tensor, first)), vector_of("i8", LANES)
        found = em.load_lanes(start, em.first_lanes(count, LANES), kind)
        return em.convert("zext" if self.tensor.elem == "u8" else "sext", found, "i32") - self.shift


def _one_of(tensor: Tensor, index: Index) -> list[Index]:
    """The place of number `index` of a tensor with one long dim at most."""
    return [index if n != 1 else 0 for n in tensor.dims]
