"""What becomes of one case on one target: passed, differs, refused, opaque, failed, and what the host had to run."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, numpy_helper

from glowviz.compiler.backends.base import Executable
from glowviz.compiler.graph import Graph
from glowviz.compiler.importer import read_model
from glowviz.compiler.ops import Opaque
from glowviz.compiler.pipeline import compile as compile_model
from glowviz.compiler.problem import Problem
from tests.conformance.suites import Case

SMALL = 4096
"""Elements up to which an operand that types depend on is made a constant."""
FIRST_TOO = ("Range", "OneHot", "ConstantOfShape", "Hann", "Hamming", "Blackman")
"""Ops whose first operand is a size."""
BF16 = 2.0**-6
"""Two places of bf16, as the suite's own runner allows."""


@dataclass(frozen=True)
class Outcome:
    """`told` says why it did not pass; `given` how many inputs were fixed before it passed.

    `hosts` are instructions that the interpreter ran on target cpu, `settled` those of them that are left where the
    operands that sizes follow from are constants, as they are in nearly every model.
    """

    case: str
    suite: str
    target: str
    state: str
    told: str = ""
    hosts: tuple[str, ...] = ()
    settled: tuple[str, ...] = ()
    given: int = 0
    ops: tuple[str, ...] = ()
    opset: int = 0
    seconds: float = field(default=0.0, compare=False)


def outcome(case: Case, target: str) -> Outcome:
    """Compile the case and compare all its results."""
    model = onnx.load_model_from_string(case.model)
    opset = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=1)
    ops = tuple(dict.fromkeys(f"{n.domain}.{n.op_type}" if n.domain else n.op_type for n in model.graph.node))
    started = time.process_time()
    state, told, hosts, given = _tried(case, model, target)
    settled = hosts
    if state == "pass" and hosts and not given:
        again = _one(case, model, target, _fixings(case, model)[1:2][0]) if len(_fixings(case, model)) > 1 else None
        settled = again[2] if again is not None and again[0] == "pass" else hosts
    seconds = round(time.process_time() - started, 3)
    return Outcome(case.name, case.suite, target, state, told[:300], hosts, settled, given, ops, opset, seconds)


def _tried(case: Case, model: ModelProto, target: str) -> tuple[str, str, tuple[str, ...], int]:
    """First as it is; where its types depend on what it is fed, with more and more of that as constants."""
    first: tuple[str, str, tuple[str, ...], int] | None = None
    for fixed in _fixings(case, model):
        found = _one(case, model, target, fixed)
        if found[0] == "pass":
            return found
        if first is None or (first[0] in ("refused", "opaque") and found[0] == "differs"):
            first = found
        if found[0] == "differs":
            return first
    assert first is not None
    return first


def _fixings(case: Case, model: ModelProto) -> list[frozenset[str]]:
    """Names of inputs to be made constants: none, the small integers behind the first, all small integers."""
    names = free_inputs(model, len(case.data[0][0]))
    arrays = dict(zip(names, case.data[0][0], strict=False))
    small = [n for n, a in arrays.items() if isinstance(a, np.ndarray | np.generic) and _may_be_shape(np.asarray(a))]
    first_too = any(n.op_type.startswith(FIRST_TOO) for n in model.graph.node)
    later = frozenset(n for n in small if first_too or n != names[0])
    found = [frozenset(), later, frozenset(small)]
    return list(dict.fromkeys(found))


def _may_be_shape(array: np.ndarray) -> bool:
    return array.size <= SMALL and array.ndim <= 2 and (array.dtype.kind in "biuO" or array.ndim < 2)


def free_inputs(model: ModelProto, count: int) -> list[str]:
    """Names of the inputs that are fed, in order."""
    weights = {t.name for t in model.graph.initializer}
    free = [v.name for v in model.graph.input if v.name not in weights]
    return free if len(free) >= count else [v.name for v in model.graph.input]


def _with_constants(model: ModelProto, arrays: dict[str, Any], fixed: frozenset[str]) -> ModelProto:
    found = ModelProto()
    found.CopyFrom(model)
    for info in list(found.graph.input):
        if info.name in fixed:
            found.graph.initializer.append(numpy_helper.from_array(np.asarray(arrays[info.name]), info.name))
            found.graph.input.remove(info)
    return found


def _one(case: Case, model: ModelProto, target: str, fixed: frozenset[str]) -> tuple[str, str, tuple[str, ...], int]:
    names = free_inputs(model, len(case.data[0][0]))
    arrays = dict(zip(names, case.data[0][0], strict=False))
    hosts: tuple[str, ...] = ()
    try:
        graph = read_model(_with_constants(model, arrays, fixed))
        unknown = sorted({n.op.full_name for n in graph if isinstance(n.op, Opaque)})
        if unknown:
            return "opaque", ", ".join(unknown), (), len(fixed)
        exe = compiled(graph, arrays, target)
        hosts = host_ops(exe) if target != "interpreter" else ()
        told = _compared(case, names, exe, fixed)
        if hosts and not told:
            hosts = host_ops(exe, [_fed(exe, names, given, fixed) for given, _ in case.data])
    except Problem as problem:
        return "refused", str(problem).replace("\n", " "), hosts, len(fixed)
    except Exception as fault:  # every fault is a row of the table, not the end of the run
        return "failed", f"{type(fault).__name__}: {fault}", hosts, len(fixed)
    return ("differs" if told else "pass"), told, hosts, len(fixed)


def compiled(graph: Graph, arrays: dict[str, Any], target: str) -> Executable:
    """The executable, with open dimensions bound to those of the arrays."""
    shapes = {
        name: np.shape(arrays[name])
        for name, type_ in graph.inputs.items()
        if isinstance(arrays.get(name), np.ndarray | np.generic) and not type_.static
    }
    return compile_model(graph, shapes=shapes or None, target=target)


def host_ops(exe: Any, feeds: Sequence[Any] = (None,)) -> tuple[str, ...]:
    """Instructions without machine code, in the code that runs with these inputs (None: with whatever comes)."""
    try:
        rows = [row for feed in feeds for row in exe.listing(feed)]
    except (AttributeError, NotImplementedError):
        return ()
    return tuple(sorted({row.instruction for row in rows if not row.native}))


def _compared(case: Case, names: list[str], exe: Executable, fixed: frozenset[str]) -> str:
    outputs = [o.public for o in exe.program.outputs]
    for given, wanted in case.data if not fixed else case.data[:1]:
        found = exe.run(_fed(exe, names, given, fixed))
        for name, value in zip(outputs, wanted, strict=False):
            told = difference(found[name], value, case.rtol, case.atol)
            if told:
                return f"{name}: {told}"
    return ""


def _fed(exe: Executable, names: list[str], given: Sequence[Any], fixed: frozenset[str]) -> dict[str, Any]:
    """The inputs of one run by name."""
    known = {b.name for b in exe.program.of_kind("input")} - fixed
    return {n: _plain(v) for n, v in zip(names, given, strict=False) if n in known}


def _plain(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, np.generic | int | float) else value


def difference(found: Any, wanted: Any, rtol: float, atol: float) -> str:
    """How two values differ, empty where they do not: integers exactly, floats within the tolerance."""
    if wanted is None or found is None:
        return "" if wanted is None and found is None else f"{found!r}, not {wanted!r}"
    if isinstance(wanted, list | tuple):
        if not isinstance(found, list | tuple) or len(found) != len(wanted):
            return f"{type(found).__name__}, not a list of {len(wanted)}"
        return next((t for f, w in zip(found, wanted, strict=True) if (t := difference(f, w, rtol, atol))), "")
    found, wanted = np.asarray(found), np.asarray(wanted)
    if found.shape != wanted.shape:
        return f"shape {found.shape}, not {wanted.shape}"
    if wanted.dtype.kind in "OU":
        return "" if found.dtype.kind in "OU" and bool(np.all(found == wanted)) else f"{found!r}, not {wanted!r}"
    if found.dtype != wanted.dtype:
        return f"{found.dtype}, not {wanted.dtype}"
    return _numbers(found, wanted, rtol, atol)


def _numbers(found: np.ndarray, wanted: np.ndarray, rtol: float, atol: float) -> str:
    if wanted.dtype.kind in "biu" or "int" in wanted.dtype.name:
        wrong = found != wanted
    else:
        rtol = max(rtol, BF16) if wanted.dtype.name == "bfloat16" else rtol
        wide = np.complex128 if wanted.dtype.kind == "c" else np.float64
        wrong = ~np.isclose(found.astype(wide), wanted.astype(wide), rtol=rtol, atol=atol, equal_nan=True)
    if not wrong.any():
        return ""
    at = tuple(int(i) for i in np.argwhere(wrong)[0]) if wrong.ndim else ()
    return f"{int(wrong.sum())} of {wrong.size} numbers, at {at} {found[at]!r} instead of {wanted[at]!r}"


if __name__ == "__main__":  # one case: python -m tests.conformance.outcome node test_abs cpu
    from tests.conformance.suites import load

    print(outcome(load(sys.argv[1], sys.argv[2]), sys.argv[3]))
