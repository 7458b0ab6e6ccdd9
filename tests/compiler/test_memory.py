"""Packing reaches its lower bound on real traces, and the checker catches every planted overlap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glowviz.compiler.memory import pack
from glowviz.compiler.program import MemoryOverlap, MemoryPlan, Placement

TRACES = Path(__file__).parents[3] / "shared" / "data" / "allocation_traces.txt"


@dataclass(frozen=True)
class Trace:
    """One model's allocations: what Glow's own allocator needs is `mem`."""

    name: str
    alignment: int
    sizes: list[int]
    births: list[int]
    deaths: list[int]
    mem: int


def traces() -> Iterator[Trace]:
    name, alignment, events, mem = "", 64, [], 0
    for line in TRACES.read_text().splitlines() if TRACES.is_file() else ():
        match line.split():
            case ["MODEL", name]:
                events = []
            case ["ALIGN", text]:
                alignment = int(text)
            case ["ALLOC" | "FREE", *_] as event:
                events.append(event)
            case ["MEM", text]:
                mem = int(text)
            case ["EFF", _]:
                yield trace(name, alignment, events, mem)


def trace(name: str, alignment: int, events: list[list[str]], mem: int) -> Trace:
    index: dict[str, int] = {}
    sizes: list[int] = []
    births: list[int] = []
    deaths: list[int] = []
    for time, event in enumerate(events):
        if event[0] == "ALLOC":
            index[event[1]] = len(sizes)
            sizes.append(int(event[2]))
            births.append(time)
            deaths.append(len(events))
        else:
            deaths[index[event[1]]] = time
    return Trace(name, alignment, sizes, births, deaths, mem)


@pytest.mark.skipif(not TRACES.is_file(), reason="the published allocation traces are not beside the project")
@pytest.mark.parametrize("t", list(traces()), ids=lambda t: t.name)
def test_real_traces_reach_the_bound(t: Trace) -> None:
    packing = pack(t.sizes, t.births, t.deaths, t.alignment, seconds=5.0)
    assert packing.total == packing.lower_bound
    assert packing.total <= t.mem
    plan_of(t.sizes, t.births, t.deaths, packing.offsets, packing.total, t.alignment).check()


def plan_of(
    sizes: list[int], births: list[int], deaths: list[int], offsets: tuple[int, ...], total: int, alignment: int = 64
) -> MemoryPlan:
    columns = enumerate(zip(offsets, sizes, births, deaths, strict=True))
    places = {f"b{k}": Placement(f"b{k}", "activations", *place) for k, place in columns}
    return MemoryPlan(places, {"activations": total}, 0, alignment)


intervals = st.lists(
    st.tuples(st.integers(0, 5000), st.integers(0, 40), st.integers(0, 20)), max_size=25
)


@given(intervals)
@settings(max_examples=150, deadline=None)
def test_every_packing_is_proven(found: list[tuple[int, int, int]]) -> None:
    sizes = [size for size, _, _ in found]
    births = [birth for _, birth, _ in found]
    deaths = [birth + length for _, birth, length in found]
    packing = pack(sizes, births, deaths, seconds=0.01)
    assert packing.lower_bound <= packing.total
    plan_of(sizes, births, deaths, packing.offsets, packing.total).check()


def test_thousand_planted_overlaps_are_caught() -> None:
    rng = np.random.default_rng(0)
    for _ in range(1000):
        count = int(rng.integers(2, 12))
        sizes = [64 * int(n) for n in rng.integers(1, 50, count)]
        births = [int(b) for b in rng.integers(0, 10, count)]
        deaths = [b + int(n) for b, n in zip(births, rng.integers(1, 10, count), strict=True)]
        births[0], deaths[0], births[1], deaths[1] = 3, 6, 5, 8
        packing = pack(sizes, births, deaths, seconds=0.0)
        offsets = list(packing.offsets)
        shift = 64 * int(rng.integers(0, -(-sizes[0] // 64)))
        offsets[1] = offsets[0] + shift
        total = max(o + s for o, s in zip(offsets, sizes, strict=True))
        with pytest.raises(MemoryOverlap):
            plan_of(sizes, births, deaths, tuple(offsets), total).check()


def test_leaving_the_arena_and_misalignment_are_caught() -> None:
    with pytest.raises(MemoryOverlap, match="leaves"):
        plan_of([128], [0], [1], (64,), 128).check()
    with pytest.raises(MemoryOverlap, match="aligned"):
        plan_of([64], [0], [1], (32,), 128).check()


def test_half_open_lifetimes_share() -> None:
    packing = pack([640, 640], [0, 5], [5, 9])
    assert packing.total == packing.lower_bound == 640


def test_counts_must_agree() -> None:
    with pytest.raises(ValueError, match="2 sizes, 1 births"):
        pack([1, 2], [0], [1, 2])
