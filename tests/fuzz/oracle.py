"""What glowviz computes is compared with onnxruntime's unoptimised run and with a run in double precision.

Exact outputs are compared bit for bit. Others may differ from the truth by a few units in the last place of the
largest number, or by eight times what onnxruntime itself differs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as runtime

import glowviz
from glowviz.compiler.interpreter import run_graph
from glowviz.compiler.pipeline import bound_graph
from glowviz.compiler.problem import Problem
from tests.fuzz.generator import Made

Arrays = dict[str, np.ndarray]
NEWEST = 26
"""The last opset that onnxruntime reads."""
PEER_MULTIPLE = 8.0
ULPS = 64.0
PEER_SANE = 2e-3
"""Where onnxruntime is farther than this (as a part of the largest number) from our run in double precision, one of
both has another meaning in mind, whatever the machine code says."""


@dataclass(frozen=True)
class Verdict:
    """`kind` is one of same, differs, meaning, refused, crash, invalid; `peer` whether onnxruntime had a say."""

    kind: str
    text: str = ""
    peer: bool = True


def peer_run(made: Made) -> Arrays | str:
    """onnxruntime without optimizations, or why it does not run this model."""
    if any(o.domain == "" and o.version > NEWEST for o in made.model.opset_import):
        return f"not implemented: onnxruntime takes opsets up to {NEWEST}"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(made.model.SerializeToString(), options)
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(None, made.inputs), strict=True))  # type: ignore[arg-type]  # arrays
    except runtime.NotImplemented as error:
        return f"not implemented: {error}"
    except runtime.Fail as error:
        return f"{'not implemented' if 'is not a registered function/op' in str(error) else 'fails'}: {error}"
    except (runtime.InvalidGraph, runtime.InvalidArgument, runtime.RuntimeException) as error:
        return f"fails: {error}"


def judge(made: Made, target: str = "cpu") -> Verdict:
    """Compile and run the model, and hold the result against both."""
    peers = peer_run(made)
    if isinstance(peers, str) and not peers.startswith("not implemented"):
        return Verdict("invalid", peers[:300], peer=False)
    data = made.model.SerializeToString()
    try:
        shapes = {name: array.shape for name, array in made.inputs.items()}
        graph = bound_graph(data, shapes)
        ours = glowviz.compile(data, target=target, shapes=shapes).run(made.inputs)
        truth = run_graph(graph, made.inputs, precision="f64")
        plain = run_graph(graph, made.inputs)
    except Problem as problem:
        return Verdict("refused", str(problem))
    except Exception as error:  # whatever it is, it is a finding
        return Verdict("crash", f"{type(error).__name__}: {error}")
    for name in ours:
        peer = None if isinstance(peers, str) else peers[name]
        found = _compare(name, ours[name], plain[name], truth[name], peer, name in made.exact)
        if found is not None:
            return Verdict(*found, peer=peer is not None)
    return Verdict("same", peer=not isinstance(peers, str))


def _compare(
    name: str, ours: np.ndarray, plain: np.ndarray, truth: np.ndarray, peer: np.ndarray | None, exact: bool
) -> tuple[str, str] | None:
    for other, who in ((plain, "the interpreter"), (peer, "onnxruntime")):
        if other is not None and (ours.shape != other.shape or ours.dtype != other.dtype):
            return "meaning", f"{name}: we give {ours.dtype}{ours.shape}, {who} {other.dtype}{other.shape}"
    if not exact and ours.dtype.kind in "iu" and ours.dtype.itemsize == 1:
        return _by_a_step(name, ours, plain, peer)
    if exact or ours.dtype.kind not in "fV":
        return _exactly(name, ours, plain, peer)
    return _nearly(name, ours, truth, peer)


def _exactly(name: str, ours: np.ndarray, plain: np.ndarray, peer: np.ndarray | None) -> tuple[str, str] | None:
    if peer is not None and not _same(plain, peer):
        return "meaning", f"{name}: the interpreter gives {_where(plain, peer)} as onnxruntime"
    if not _same(ours, plain):
        return "differs", f"{name}: machine code gives {_where(ours, plain)} as the interpreter"
    return None


def _by_a_step(name: str, ours: np.ndarray, plain: np.ndarray, peer: np.ndarray | None) -> tuple[str, str] | None:
    """Quantized results: a real number halfway between two steps may become either."""
    wide = ours.astype(np.int64)
    if peer is not None and np.abs(plain.astype(np.int64) - peer).max(initial=0) > 1:
        return "meaning", f"{name}: the interpreter gives {_where(plain, peer)} as onnxruntime"
    if np.abs(wide - plain).max(initial=0) > 1:
        return "differs", f"{name}: machine code gives {_where(ours, plain)} as the interpreter"
    return None


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))


def _where(a: np.ndarray, b: np.ndarray) -> str:
    other = ~((a == b) | ((a != a) & (b != b)))
    at = tuple(int(i) for i in np.argwhere(other)[0])
    return f"{a[at]!r} at {at}, not {b[at]!r}"


def _nearly(name: str, ours: np.ndarray, truth: np.ndarray, peer: np.ndarray | None) -> tuple[str, str] | None:
    if ours.size == 0:
        return None
    wide = np.asarray(truth, np.float64)
    unit = float(np.finfo(ours.dtype).eps)
    with np.errstate(all="ignore"):
        finite = np.isfinite(wide) & (np.abs(wide) < np.finfo(ours.dtype).max / 4)
        scale = float(np.abs(wide[finite]).max()) if finite.any() else 0.0
        theirs = 0.0
        if peer is not None:
            if not np.array_equal(_kinds(peer)[finite], _kinds(wide)[finite]):
                return "meaning", f"{name}: NaN or infinite at other places than in onnxruntime"
            theirs = _error(peer, wide, finite)
            if theirs > PEER_SANE * scale * max(1.0, unit / 1e-6) + 1e-30:
                return "meaning", f"{name}: onnxruntime is {theirs:.3g} from the truth, of at most {scale:.3g}"
        error = _error(ours, wide, finite)
        if not np.array_equal(_kinds(ours)[finite], _kinds(wide)[finite]) or not np.array_equal(
            np.isnan(ours), np.isnan(wide)
        ):
            return "differs", f"{name}: NaN or infinite at other places than in the interpreter"
    allowed = ULPS * unit * scale + PEER_MULTIPLE * theirs + 1e-37
    if not error <= allowed:
        return "differs", f"{name}: {error:.3g} from the truth (onnxruntime {theirs:.3g}), allowed {allowed:.3g}"
    return None


def _kinds(array: np.ndarray) -> np.ndarray:
    """0 for a number, 1 NaN, 2 and 3 the infinities."""
    return np.isnan(array) * 1 + (array == np.inf) * 2 + (array == -np.inf) * 3


def _error(array: np.ndarray, truth: np.ndarray, finite: np.ndarray) -> float:
    difference = np.abs(np.asarray(array, np.float64)[finite] - truth[finite])
    return float(difference.max()) if difference.size else 0.0
