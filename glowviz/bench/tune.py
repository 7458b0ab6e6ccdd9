"""tune() tries a few schedules for every heavy kernel of a model inside the model, and keeps the fastest ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from glowviz.bench.clock import real_time
from glowviz.compiler.backends import backend_named
from glowviz.compiler.backends.cpu.backend import CpuBackend
from glowviz.compiler.backends.cpu.tuned import MOST, candidates, keep_tuned, tuned_file
from glowviz.compiler.pipeline import compile, snapshots
from glowviz.compiler.problem import Problem

WORTH = 0.98
"""A schedule must take less than this part of the default's time to replace it."""
RUNS = 15
Schedule = dict[str, Any]


@dataclass(frozen=True)
class Tried:
    """One kernel: the value it computes first, how often it is used, and its schedules with their microseconds."""

    value: str
    uses: int
    key: str
    schedules: tuple[Schedule, ...]
    times: tuple[float, ...]

    @property
    def best(self) -> int:
        """The number of the schedule to keep; 0 is the default, which also keeps its place in a draw."""
        fastest = min(range(len(self.times)), key=lambda n: self.times[n])
        return fastest if self.times[fastest] < WORTH * self.times[0] else 0

    def text(self) -> str:
        """A line for the kernel and one for each schedule."""
        head = f"{self.value} x{self.uses}"
        lines = [
            f"{'>' if n == self.best else ' '} {time:>9.1f} µs  {told(schedule)}"
            for n, (schedule, time) in enumerate(zip(self.schedules, self.times, strict=True))
        ]
        return "\n".join([head, *lines])


def told(schedule: Mapping[str, Any]) -> str:
    """A schedule in one line, without what is as always."""
    facts = {k: v for k, v in schedule.items() if k != "why" and v not in (None, False)}
    return " ".join(f"{name}={value}" for name, value in facts.items())


def tune(
    model: Any, *, shapes: Mapping[str, tuple[int, ...]] | None = None, target: str = "cpu", threads: int = 1,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Tried]:  # fmt: skip
    """Compile the model up to MOST times, each time with other schedules, and time every kernel in its place.

    What is faster than the default goes into the cache, where every later compilation finds it, for any model with
    such a kernel. Raises Problem for targets that have no schedules.
    """
    backend = backend_named(target, threads)
    if not isinstance(backend, CpuBackend):
        raise Problem(f"target {target!r} has no schedules to try", "--target", "a cpu target, such as cpu")
    states = dict(before_schedules(model, shapes, target, threads))
    choices = candidates(states["program"], backend.target)
    times: dict[str, list[float]] = defaultdict(list)
    for turn in range(MOST):
        progress(f"schedules {turn + 1} of {MOST}: compiling and timing {len(choices)} kernels")
        given = {value: tried[min(turn, len(tried) - 1)] for value, (_, tried) in choices.items()}
        for value, time in _timed(model, shapes, target, threads, given).items():
            times[value].append(time)
    found = _by_kernel(choices, times)
    keep_tuned({t.key: _kept(t) for t in found})
    progress(f"kept in {tuned_file()}")
    return found


def before_schedules(model: Any, shapes: Any, target: str, threads: int) -> list[tuple[str, Any]]:
    """The Program as choose_schedules finds it."""
    states = snapshots(model, shapes=shapes, target=target, threads=threads)
    place = next(n for n, (name, _) in enumerate(states) if name == "choose_schedules")
    return [("program", states[place - 1][1])]


def _timed(model: Any, shapes: Any, target: str, threads: int, given: Mapping[str, Schedule]) -> dict[str, float]:
    """Microseconds of every scheduled value: its instruction, and what prepares its input."""
    options = {"choose_schedules": {"schedules": given, "tuned": False}}
    executable = compile(model, shapes=shapes, target=target, threads=threads, options=options)
    runs: dict[str, dict[float, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    with real_time():
        for span in executable.timings(RUNS):
            runs[span.instruction][span.counters["run"]].append((span.start, span.start + span.duration))
    executable.close()  # type: ignore[attr-defined]  # of the CPU backend
    least = {
        name: min(max(e for _, e in lanes) - min(s for s, _ in lanes) for lanes in each.values()) / 1e3
        for name, each in runs.items()
    }
    return {value: least.get(value, 0.0) + least.get(f"{value}.tiles", 0.0) for value in given}


def _by_kernel(choices: Mapping[str, tuple[str, list[Schedule]]], times: Mapping[str, list[float]]) -> list[Tried]:
    """Equal kernels together: the time of each schedule is the sum over all their uses."""
    groups: dict[str, list[str]] = defaultdict(list)
    for value, (key, _) in choices.items():
        groups[key].append(value)
    found = []
    for key, values in groups.items():
        schedules = choices[values[0]][1]
        sums = tuple(sum(times[value][n] for value in values) for n in range(len(schedules)))
        found.append(Tried(values[0], len(values), key, tuple(schedules), sums))
    return sorted(found, key=lambda t: -t.times[0])


def _kept(tried: Tried) -> Schedule | None:
    """What goes into the cache, with its reason; None where the default stays."""
    if tried.best == 0:
        return None
    now, default = tried.times[tried.best] / tried.uses, tried.times[0] / tried.uses
    why = f"tuned: {now:.0f} µs, the default {default:.0f} µs, best of {len(tried.times)} tried on this machine"
    return tried.schedules[tried.best] | {"why": why}
