"""Fourier transforms of signals and of their frames, and the matrix that sums spectra into mel bands."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from glowviz.compiler.ops.base import Case, Op, Value, Work, case
from glowviz.compiler.ops.cases import floats
from glowviz.compiler.ops.shape import Known, numbers
from glowviz.compiler.types import ELEMENTS, FLOATS, Type, TypeProblem


def _one(known: Known, operand: str, what: str) -> int:
    (number,) = numbers(known, operand, what)
    return number


def _joined(x: np.ndarray) -> np.ndarray:
    """The last dim, of 1 or 2, as real or complex numbers."""
    wide = x.astype(np.promote_types(x.dtype, np.float32), copy=False)
    return wide[..., 0] + np.complex64(1j) * wide[..., 1] if x.shape[-1] == 2 else wide[..., 0]


def _apart(z: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Real and imaginary parts along a new last dim."""
    return np.stack([np.real(z), np.imag(z)], -1).astype(dtype)


class DFT(Op):
    """The discrete Fourier transform of x[…, 1 or 2] along an axis; `onesided` for real signals.

    Forward and onesided gives n // 2 + 1 numbers; inverse and onesided takes so many and gives a real signal.
    """

    x: Value
    dft_length: Value | None = None
    axis: int = -2
    inverse: bool = False
    onesided: bool = False
    onnx = "DFT"
    family = "linear"

    def _axis(self, rank: int) -> int:
        axis = self.axis % rank if -rank <= self.axis < rank else rank - 1
        if axis == rank - 1:
            raise TypeProblem(f"axis must be one of the {rank - 1} dims before the last, got {self.axis}")
        return axis

    def _length(self, size: int, given: int | None) -> int:
        if given is not None:
            return given
        return 2 * (size - 1) if self.onesided and self.inverse else size

    def infer(self, x: Type, dft_length: Type | None, *, known: Known) -> Type:
        if x.elem not in FLOATS or x.rank < 2 or x.dims[-1] not in (1, 2):
            raise TypeProblem(f"x must be floating-point with a last dim of 1 or 2, got {x}")
        axis = self._axis(x.rank)
        given = None if dft_length is None else _one(known, "dft_length", "the length")
        n = self._length(x.dims[axis], given)
        bins = n // 2 + 1 if self.onesided and not self.inverse else n
        parts = 1 if self.onesided and self.inverse else 2
        return Type(x.elem, (*x.dims[:axis], bins, *x.dims[axis + 1 : -1], parts))

    def reference(self, x: np.ndarray, dft_length: np.ndarray | None) -> np.ndarray:
        axis = self._axis(x.ndim)
        n = self._length(x.shape[axis], None if dft_length is None else int(dft_length.reshape(())))
        z = _joined(x)
        if self.onesided and self.inverse:
            return np.fft.irfft(z, n, axis)[..., None].astype(x.dtype)
        if self.inverse:
            return _apart(np.fft.ifft(z, n, axis), x.dtype)
        whole = np.fft.fft(z, n, axis)
        if self.onesided:
            whole = np.take(whole, range(n // 2 + 1), axis)
        return _apart(whole, x.dtype)

    def work(self, operands: tuple[Type, ...], results: tuple[Type, ...]) -> Work:
        n = max(results[0].dims[self._axis(results[0].rank)], 2)
        return Work(5 * results[0].count * n.bit_length(), sum(t.bytes for t in (*operands, *results)))

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        for parts, attributes in ((1, {}), (2, {}), (2, {"inverse": True}), (1, {"onesided": True})):
            yield case(floats(rng, (2, 8, parts)), **attributes)
        yield case(floats(rng, (1, 6, 5, 2)), axis=1)
        yield case(floats(rng, (2, 8, 1)), np.array(10, np.int64))


class STFT(Op):
    """The Fourier transform of every frame of signal[N, L, 1 or 2], weighed by a window."""

    signal: Value
    frame_step: Value
    window: Value | None = None
    frame_length: Value | None = None
    onesided: bool = True
    onnx = "STFT"
    family = "linear"

    def infer(
        self, signal: Type, frame_step: Type, window: Type | None, frame_length: Type | None, *, known: Known
    ) -> Type:
        if signal.rank != 3 or signal.elem not in FLOATS:
            raise TypeProblem(f"the signal must be [N, L, 1 or 2] of floats, got {signal}")
        length = signal.dims[1]
        if frame_length is not None:
            length = _one(known, "frame_length", "the frame length")
        elif window is not None:
            length = window.dims[0]
        step = _one(known, "frame_step", "the frame step")
        if step < 1 or not 1 <= length <= signal.dims[1]:
            raise TypeProblem(f"frames of {length} every {step} do not fit into a signal of {signal.dims[1]}")
        bins = length // 2 + 1 if self.onesided else length
        return Type(signal.elem, (signal.dims[0], (signal.dims[1] - length) // step + 1, bins, 2))

    def reference(
        self, signal: np.ndarray, frame_step: np.ndarray, window: np.ndarray | None, frame_length: np.ndarray | None
    ) -> np.ndarray:
        length, step = signal.shape[1], int(frame_step.reshape(()))
        if frame_length is not None:
            length = int(frame_length.reshape(()))
        elif window is not None:
            length = window.shape[0]
        frames = np.lib.stride_tricks.sliding_window_view(_joined(signal), length, 1)[:, ::step]
        if window is not None:
            frames = frames * window.astype(np.real(frames).dtype)
        whole = np.fft.fft(frames, length, -1)
        return _apart(whole[..., : length // 2 + 1] if self.onesided else whole, signal.dtype)

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        x, step = floats(rng, (2, 32, 1)), np.array(4, np.int64)
        yield case(x, step, floats(rng, (8,)), np.array(8, np.int64))
        yield case(x, step, None, np.array(16, np.int64), onesided=False)
        yield case(x, step, floats(rng, (8,)))


class MelWeightMatrix(Op):
    """[dft_length // 2 + 1, num_mel_bins]: how much every frequency counts in every triangular mel band."""

    num_mel_bins: Value
    dft_length: Value
    sample_rate: Value
    lower_edge_hertz: Value
    upper_edge_hertz: Value
    output_datatype: str = "f32"
    onnx = "MelWeightMatrix"
    family = "linear"

    def infer(self, *operands: Type, known: Known) -> Type:
        bins = _one(known, "num_mel_bins", "the number of mel bands")
        length = _one(known, "dft_length", "the length of the transform")
        return Type(self.output_datatype, (length // 2 + 1, bins))

    def reference(self, *operands: np.ndarray) -> np.ndarray:
        bins, length, rate = (int(o.reshape(())) for o in operands[:3])
        edges = [2595 * np.log10(1 + float(o.reshape(())) / 700) for o in operands[3:]]
        mel = edges[0] + np.arange(bins + 2) * (edges[1] - edges[0]) / (bins + 2)
        places = np.floor((length + 1) * (700 * (10 ** (mel / 2595) - 1)) / rate).astype(np.int64)
        rows = np.arange(length // 2 + 1)[:, None]
        low, center, high = places[:-2], places[1:-1], places[2:]
        with np.errstate(all="ignore"):
            up = np.where(center == low, 1.0, (rows - low) / (center - low))
            down = (high - rows) / (high - center)
        rising = (rows >= low) & (rows <= center)
        falling = (rows >= center) & (rows < high)
        matrix = np.where(falling, down, np.where(rising, up, 0.0))
        peak = (center == low) & (rows == center)
        return np.where(peak, 1.0, matrix).astype(ELEMENTS[self.output_datatype])

    def samples(self, rng: np.random.Generator) -> Iterator[Case]:
        whole = (np.array(n, np.int64) for n in (8, 16, 8192))
        yield case(*whole, np.array(0.0, np.float32), np.array(8192 / 2, np.float32))
