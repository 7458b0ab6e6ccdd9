"""Where numbers lie: Map for feature maps, Matrix for matrices; and how a Cut makes nearly equal tiles."""

from dataclasses import dataclass, replace

import numpy as np

FLOAT = 4  # bytes


@dataclass(frozen=True)
class Map:
    """The feature map [batch, channels, height, width] in memory, of f32 or, `number` being 2 bytes, of bf16.

    `block` channels lie innermost (@NCHW16c has 16; 1 is plain NCHW), the last block is padded with zero
    lanes. `halo` is the width of the physical border (top, left, bottom, right) around every plane, in
    pixels; the kernels read it as padding and never write it. All offsets are bytes from the buffer's start.
    """

    batch: int
    channels: int
    height: int
    width: int
    block: int = 1
    halo: tuple[int, int, int, int] = (0, 0, 0, 0)
    number: int = FLOAT

    @property
    def blocks(self) -> int:
        """Channel blocks of one image."""
        return -(-self.channels // self.block)

    @property
    def in_pairs(self) -> "Map":
        """A blocked map of bf16, two neighbouring channels counted as one number of 4 bytes."""
        return replace(self, channels=-(-self.channels // 2), block=self.block // 2, number=2 * self.number)

    @property
    def pixel(self) -> int:
        """From one column to the next."""
        return self.block * self.number

    @property
    def row(self) -> int:
        """From one row to the next."""
        return (self.halo[1] + self.width + self.halo[3]) * self.pixel

    @property
    def plane(self) -> int:
        """From one channel block to the next."""
        return (self.halo[0] + self.height + self.halo[2]) * self.row

    @property
    def image(self) -> int:
        """From one image of the batch to the next."""
        return self.blocks * self.plane

    @property
    def size(self) -> int:
        """Bytes of the whole buffer."""
        return self.batch * self.image

    @property
    def origin(self) -> int:
        """The offset of pixel (0, 0) of the first plane: behind the halo."""
        return self.halo[0] * self.row + self.halo[1] * self.pixel

    def follows(self, width: int) -> bool:
        """Whether the pixels of a plane follow each other without a gap, in rows of `width`."""
        return not any(self.halo) and width == self.width

    def reshaped(self, height: int, width: int) -> "Map":
        """The same bytes with the pixels of each plane counted otherwise (only without a halo)."""
        if any(self.halo) or height * width != self.height * self.width:
            raise ValueError(f"{self} cannot be read as {height}x{width} pixels")
        return replace(self, height=height, width=width)

    def write(self, array: np.ndarray, fill: float = 0.0) -> np.ndarray:
        """A new flat buffer that holds `array` [N, C, H, W], with `fill` in the halo and 0 in spare lanes."""
        top, left, bottom, right = self.halo
        n, c, h, w = array.shape
        full = np.zeros((n, self.blocks * self.block, h + top + bottom, w + left + right), np.float32)
        full[:, :c] = fill
        full[:, :c, top : top + h, left : left + w] = array
        blocked = full.reshape(n, self.blocks, self.block, *full.shape[2:]).transpose(0, 1, 3, 4, 2)
        return np.ascontiguousarray(blocked).reshape(-1)

    def read(self, buffer: np.ndarray) -> np.ndarray:
        """The array [N, C, H, W] that a flat buffer holds."""
        full = self.lanes(buffer)
        return full[:, : self.channels]

    def lanes(self, buffer: np.ndarray) -> np.ndarray:
        """Like `read`, but with the spare lanes of the last block."""
        top, left, bottom, right = self.halo
        padded = (top + self.height + bottom, left + self.width + right)
        full = buffer.reshape(self.batch, self.blocks, *padded, self.block).transpose(0, 1, 4, 2, 3)
        full = full.reshape(self.batch, -1, *padded)
        return full[:, :, top : top + self.height, left : left + self.width]


@dataclass(frozen=True)
class Steps:
    """How an operand that broadcasts to a map is walked, in bytes; `splat` means one channel for all lanes."""

    origin: int
    image: int
    plane: int
    row: int
    pixel: int
    splat: bool = False
    number: int = FLOAT

    def follows(self, width: int) -> bool:
        """Whether the pixels may be counted without regard to rows of `width`."""
        return self.row == self.pixel * width

    def reshaped(self, height: int, width: int) -> "Steps":
        """The same walk over rows of another width (only where `follows`)."""
        return replace(self, row=self.pixel * width)


@dataclass(frozen=True)
class Matrix:
    """Matrices: bytes from row to row and from column to column, and where each of the batch starts.

    `batches` has one offset per matrix of the result's batch (broadcast operands repeat offsets); an empty
    tuple means that one matrix serves all. A `number` is f32, or bf16 where it has 2 bytes.
    """

    row: int
    column: int = FLOAT
    batches: tuple[int, ...] = ()
    number: int = FLOAT

    @classmethod
    def dense(cls, rows: int, columns: int, batch: int = 1) -> "Matrix":
        """Row-major matrices one behind the other."""
        size = rows * columns * FLOAT
        return cls(columns * FLOAT, FLOAT, tuple(range(0, batch * size, size)) if batch > 1 else ())

    @property
    def transposed(self) -> "Matrix":
        """The same numbers with rows and columns exchanged."""
        return Matrix(self.column, self.row, self.batches, self.number)


@dataclass(frozen=True)
class Cut:
    """`length` in nearly equal tiles of at most `limit`: first the long ones, then those one shorter."""

    length: int
    limit: int

    @property
    def tiles(self) -> int:
        """How many tiles."""
        return -(-self.length // self.limit)

    @property
    def short(self) -> int:
        """The size of the shorter tiles; all are this long where the length divides evenly."""
        return self.length // self.tiles

    @property
    def long_tiles(self) -> int:
        """How many tiles are one longer than `short`."""
        return self.length % self.tiles

    @property
    def sizes(self) -> dict[int, int]:
        """Tile size -> how many tiles have it, in their order along the axis."""
        counts = {self.short + 1: self.long_tiles, self.short: self.tiles - self.long_tiles}
        return {size: count for size, count in counts.items() if count}


def check_reach(
    source: Map, result: Map, kernel: tuple[int, int], strides: tuple[int, int], dilations: tuple[int, int],
    pads: tuple[int, int],
) -> None:  # fmt: skip
    """Refuse a source whose halo does not hold every pixel that the windows of the result touch."""
    for axis, (size, count) in enumerate(((source.height, result.height), (source.width, result.width))):
        last = (count - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis] - pads[axis]
        if source.halo[axis] < pads[axis] or last > size - 1 + source.halo[axis + 2]:
            need = (pads[axis], max(0, last - size + 1))
            raise ValueError(f"axis {axis} of {source} needs a halo of {need} for its windows, not {source.halo}")


def blocks_of(channels: int, block: int) -> int:
    """Blocks needed for that many channels."""
    return -(-channels // block)
