"""Schedules that were measured to be faster than the default ones lie in the cache, by kernel and machine."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glowviz.compiler.backends.cpu.choose_algorithms import algorithms
from glowviz.compiler.backends.cpu.choose_products import products
from glowviz.compiler.backends.cpu.kernels import choose_conv, choose_gemm, choose_strassen, choose_winograd
from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.plan import Plan
from glowviz.compiler.backends.cpu.plan_maps import DIRECT
from glowviz.compiler.backends.cpu.plan_products import PRODUCT
from glowviz.compiler.backends.cpu.planner import plan_of
from glowviz.compiler.folders import cache_folder
from glowviz.compiler.program import Instr, Program
from glowviz.compiler.target import Target

Schedule = dict[str, Any]
DEPTHS = {"winograd": "outputs", "strassen": "levels"}
"""Algorithms with larger rounding errors -> the part of their schedules that those depend on."""
MOST = 4
"""Schedules tried for a kernel, the default one included."""


def tuned_file() -> Path:
    """Where they are kept."""
    return cache_folder() / "tuned.json"


def key_of(plan: Plan, target: Target) -> str:
    """What a schedule belongs to: shapes, strides, epilogue and the machine; no name of any value."""
    parts = (plan.family.algorithm, repr(plan.spec), target.triple, target.cpu, target.features, str(target.l2))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]


def load_tuned() -> dict[str, Schedule]:
    """All of them; none where the file is not there or not ours."""
    try:
        found = json.loads(tuned_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {k: v for k, v in found.items() if isinstance(v, dict)} if isinstance(found, dict) else {}


def keep_tuned(schedules: Mapping[str, Schedule | None]) -> None:
    """Add these, or forget the ones that are None; other processes see the old file or the new one."""
    whole = {key: schedule for key, schedule in (load_tuned() | dict(schedules)).items() if schedule is not None}
    tuned_file().parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=tuned_file().parent, prefix="tuned.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(whole, file, indent=1)
    os.replace(name, tuned_file())


def fitting(schedule: Schedule | None, fewer: Schedule | None) -> Schedule | None:
    """A kept schedule, unless it is one of fewer multiplications that was not chosen here (its error, its option)."""
    size = DEPTHS.get(schedule["algorithm"]) if schedule else None
    if schedule is None or size is None:
        return schedule
    return schedule if fewer is not None and fewer.get(size) == schedule.get(size) else None


def candidates(program: Program, target: Target) -> dict[str, tuple[str, list[Schedule]]]:
    """Value of each heavy instruction without a schedule -> its key, and what to try, the default first."""
    fewer = algorithms(program, target) | products(program, target)
    found: dict[str, tuple[str, list[Schedule]]] = {}
    for instr in program.instructions:
        name = instr.value or instr.outs[0]
        try:
            plan = plan_of(instr, program, target)
            found[name] = (key_of(plan, target), _tried(instr, program, target, plan, fewer.get(name)))
        except Unsupported:
            continue
    return found


def _tried(instr: Instr, program: Program, target: Target, plan: Plan, fewer: Schedule | None) -> list[Schedule]:
    if fewer is None:
        return _ranked(plan, target, MOST)
    with_fewer = plan_of(instr.evolve(schedule=fewer), program, target)
    others = [s for s in _ranked(with_fewer, target, MOST) if _facts(s) != _facts(fewer)]
    return [fewer, *others[: MOST - 2], plan.choose(target)]


def _facts(schedule: Schedule) -> Schedule:
    return {name: value for name, value in schedule.items() if name != "why"}


def _ranked(plan: Plan, target: Target, most: int) -> list[Schedule]:
    """The best ones by the model, as data."""
    rules: dict[str, Any] = {
        DIRECT.algorithm: choose_conv.ranked, PRODUCT.algorithm: choose_gemm.ranked, "winograd": choose_winograd.ranked,
        "strassen": choose_strassen.ranked,
    }  # fmt: skip
    ranked = rules.get(plan.family.algorithm)
    if ranked is None:
        return [plan.choose(target)]
    return [plan.written(schedule, "one of the best by the model") for schedule in ranked(plan.spec, target, most)]
