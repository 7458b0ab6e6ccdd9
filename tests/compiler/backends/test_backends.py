"""Backends by name, and the interpreter as one of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from glowviz.compiler.backends import BACKENDS, backend_named
from glowviz.compiler.backends.base import BackendProblem, InputProblem, line_map
from glowviz.compiler.backends.cpu.backend import CpuBackend
from glowviz.compiler.backends.cpu.cpu_targets import aarch64, host_target
from glowviz.compiler.memory import plan_memory
from glowviz.compiler.program import MemoryPlan
from tests.compiler.backends.cpu.small_programs import counter, encoder_like, normal, with_host_call


@pytest.mark.parametrize("name", BACKENDS)
def test_every_backend_runs_a_program(name: str) -> None:
    backend = backend_named(name, 1)
    assert backend.name == name
    program = encoder_like()
    try:
        executable = backend.build(*plan_memory(program))
    except BackendProblem as problem:
        pytest.skip(str(problem))
    inputs = normal(program)
    wanted = backend_named("interpreter").build(program, MemoryPlan()).run(inputs)
    for public, found in executable.run(inputs).items():
        np.testing.assert_allclose(found, wanted[public], rtol=0, atol=2e-6 * np.abs(wanted[public]).max())
    assert executable.plan.total == plan_memory(program)[1].total


def test_an_unknown_backend_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(BackendProblem, match=r"no backend 'cpu-avx'.*did you mean 'cpu-avx\d"):
        backend_named("cpu-avx")
    with pytest.raises(BackendProblem, match="threads=0"):
        backend_named("cpu", 0)


def test_a_machine_that_is_not_here_is_refused() -> None:
    program = encoder_like()
    for target, missing in ((aarch64(), "aarch64"), (replace(host_target(), vector_width=32), "vectors that wide")):
        if target.triple.split("-")[0] == host_target().triple.split("-")[0] and missing == "aarch64":
            continue
        with pytest.raises(BackendProblem, match=f"this processor has no {missing}"):
            CpuBackend("there", target).build(program, MemoryPlan())


def test_the_interpreter_keeps_states_watches_and_times() -> None:
    executable = backend_named("interpreter").build(counter(), MemoryPlan())
    x = np.ones(4, np.float32)
    seen: list[str] = []
    for run in range(3):
        found = executable.run({"x": x}, lambda instr, results: seen.extend(results))
        np.testing.assert_array_equal(found["y"], run * x)
    assert seen == ["next", "y"] * 3
    spans = executable.timings(4)
    assert [(s.counters["run"], s.counters["position"]) for s in spans] == [(r, p) for r in range(4) for p in range(2)]
    assert all(s.duration > 0 for s in spans)
    np.testing.assert_array_equal(executable.run({"x": x})["y"], 3 * x)


def test_the_interpreter_has_no_code_and_says_so() -> None:
    executable = backend_named("interpreter").build(with_host_call(), MemoryPlan())
    assert not any(entry.native or entry.assembly or entry.llvm for entry in executable.listing())
    assert executable.account().code == 0
    with pytest.raises(BackendProblem, match="no code to save"):
        executable.save("anywhere")
    with pytest.raises(InputProblem, match="not given"):
        executable.run({})


def test_assembly_lines_lead_to_source_lines() -> None:
    assert line_map("\tf:\n\t.loc\t1 7 1\n\tadd\n\t.loc\t1 3 1\n\tret") == (0, 7, 7, 3, 3)
