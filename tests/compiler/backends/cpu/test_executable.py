"""Running: results, threads, host calls, states, watching, errors, timings, listings and the memory account."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest

from glowviz.compiler.backends.base import InputProblem
from glowviz.compiler.backends.cpu.build import build
from glowviz.compiler.interpreter import RunProblem, run_program
from glowviz.compiler.program import MemoryPlan, Placement
from tests.compiler.backends.cpu.small_programs import built, counter, encoder_like, lookup, normal, with_host_call


def test_outputs_equal_the_interpreter_and_are_copies() -> None:
    program = encoder_like()
    executable, inputs = built(program), normal(program)
    first = executable.run(inputs)
    kept = {name: array.copy() for name, array in first.items()}
    executable.run(normal(program, 1))
    for name, wanted in run_program(program, inputs).items():
        np.testing.assert_array_equal(first[name], kept[name])
        np.testing.assert_allclose(first[name], wanted, rtol=0, atol=2e-6 * np.abs(wanted).max())


@pytest.mark.parametrize("threads", [2, 3, 4])
def test_any_number_of_threads_gives_the_same_bits(threads: int) -> None:
    program = encoder_like(200, 300)
    inputs = [normal(program, seed) for seed in range(5)]
    one, many = built(program), built(program, threads)
    for _ in range(5):
        for given in inputs:
            wanted, found = one.run(given), many.run(given)
            assert all(np.array_equal(wanted[name], found[name]) for name in wanted)
    many.close()
    np.testing.assert_array_equal(many.run(inputs[0])["y"], one.run(inputs[0])["y"])


def test_calls_from_several_threads_do_not_mix() -> None:
    program = encoder_like()
    executable = built(program, 2)
    inputs = [normal(program, seed) for seed in range(8)]
    wanted = [executable.run(given)["y"] for given in inputs]
    with ThreadPoolExecutor(8) as pool:
        for round_ in range(5):
            for number, found in enumerate(pool.map(executable.run, inputs)):
                np.testing.assert_array_equal(found["y"], wanted[number], err_msg=f"round {round_}")


def test_what_has_no_kernel_is_a_visible_host_call() -> None:
    program = with_host_call()
    executable, inputs = built(program, 2), normal(program)
    listing = executable.listing()
    assert [entry.native for entry in listing] == [True, False, True]
    assert "host call" in listing[1].why
    assert "sorted_rows" in listing[1].why
    for _ in range(3):
        found = executable.run(inputs)
    for name, wanted in run_program(program, inputs).items():
        np.testing.assert_array_equal(found[name], wanted)


def test_a_failing_host_call_leaves_the_executable_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    program = with_host_call()
    executable, inputs = built(program, 2), normal(program)
    wanted = executable.run(inputs)
    op = type(program.instructions[1].op)
    with monkeypatch.context() as patch:
        patch.setattr(op, "reference", lambda *operands: 1 / 0)
        with pytest.raises(RunProblem, match="SortedRows"):
            executable.run(inputs)
    np.testing.assert_array_equal(executable.run(inputs)["y"], wanted["y"])


def test_watch_sees_every_result_as_it_is_written() -> None:
    program = with_host_call()
    executable, inputs = built(program), normal(program)
    seen: dict[str, np.ndarray] = {}
    order: list[str] = []

    def watch(instr: object, results: dict[str, np.ndarray]) -> None:
        order.append(next(iter(results)))
        seen.update(results)

    outputs = executable.run(inputs, watch)
    assert order == ["r", "v", "y"]
    np.testing.assert_array_equal(seen["r"], np.maximum(inputs["x"], 0))
    np.testing.assert_array_equal(seen["i"], outputs["i"])


def test_an_index_outside_its_tensor_is_reported_and_never_followed() -> None:
    executable = built(lookup())
    rows = executable.run({"ids": np.array([0, -1, 4])})["rows"]
    np.testing.assert_array_equal(rows[1], rows[2])
    with pytest.raises(RunProblem, match=r"gather %rows met an index outside.*node_rows.*table"):
        executable.run({"ids": np.array([0, 5, 1])})
    executable.run({"ids": np.array([0, -5, 1])})
    with pytest.raises(RunProblem):
        executable.run({"ids": np.array([0, 2**40, 1])})


def test_states_live_from_run_to_run() -> None:
    executable = built(counter())
    x = np.arange(4, dtype=np.float32)
    for run in range(4):
        np.testing.assert_array_equal(executable.run({"x": x})["y"], run * x)
    executable.timings(3)
    np.testing.assert_array_equal(executable.run({"x": x})["y"], 4 * x)


BAD_INPUTS = {
    "a missing one": ({}, r"input 'x' is not given.*f32\[48x80\]"),
    "an unknown one": ({"x": np.zeros((48, 80), np.float32), "xx": 1}, r"no input 'xx'.*did you mean 'x'"),
    "another shape": ({"x": np.zeros((48, 81), np.float32)}, r"shape is \[48x81\].*\[48x80\].*--shape"),
    "a missing axis": ({"x": np.zeros(3840, np.float32)}, r"reshape\(\(48, 80\)\)"),
    "integers for floats": ({"x": np.zeros((48, 80), np.uint8)}, r"elements are u8.*f32.*astype\(numpy.float32\)"),
    "strings": ({"x": np.full((48, 80), "a")}, r"Expected f32"),
    "ragged lists": ({"x": [[1.0], [1.0, 2.0]]}, r"not an array"),
    "None": ({"x": None}, r"is None"),
}


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_wrong_inputs_are_refused_in_words(case: str) -> None:
    given, message = BAD_INPUTS[case]
    with pytest.raises(InputProblem, match=message):
        built(encoder_like()).run(given)


def test_inputs_are_converted_where_the_numbers_fit() -> None:
    program = encoder_like()
    executable, x = built(program), normal(program)["x"]
    wanted = executable.run({"x": x})["y"]
    swapped = x.astype(x.dtype.newbyteorder(">"))
    for given in (x.tolist(), x.astype(np.float64), np.asfortranarray(x), swapped):
        np.testing.assert_array_equal(executable.run({"x": given})["y"], wanted)
    ids = built(lookup())
    ids.run({"ids": np.array([1, 2, 3], np.int32)})
    with pytest.raises(InputProblem, match="do not fit into i64"):
        ids.run({"ids": np.array([1, 2, 2**63], np.uint64)})


@pytest.mark.parametrize("threads", [1, 2])
def test_every_instruction_of_every_run_has_spans(threads: int) -> None:
    program = with_host_call()
    executable = built(program, threads)
    spans = executable.timings(7)
    positions = [(s.counters["run"], s.counters["position"]) for s in spans]
    assert set(positions) == {(run, position) for run in range(7) for position in range(3)}
    assert all(s.unit == "ns" and s.duration > 0 and s.lane < threads for s in spans)
    first = [s for s in spans if s.counters["run"] == 0 and s.lane == 0]
    assert all(a.start + a.duration <= b.start + 1e5 for a, b in pairwise(first))


def test_the_listing_has_source_and_machine_code_with_matching_lines() -> None:
    entry = built(encoder_like()).listing()[2]
    assert entry.native
    assert entry.kernel in entry.assembly
    assert len(entry.lines) == len(entry.assembly.split("\n"))
    lines = entry.llvm.split("\n")
    exponential = [k for k, text in enumerate(entry.assembly.split("\n")) if "fmadd" in text or "mulps" in text]
    assert exponential
    assert all("%" in lines[entry.lines[k] - 1] for k in exponential if entry.lines[k])


def test_the_account_covers_everything() -> None:
    program = encoder_like()
    account = built(program).account()
    assert account.weights >= 2 * 80 * 4
    assert account.activations >= 4 * 48 * 80 * 4
    assert account.io >= 2 * 48 * 80 * 4
    assert 500 < account.code < 100_000
    assert account.process_peak > 10_000_000


def test_buffers_lie_where_the_plan_says() -> None:
    program = counter()
    plan = MemoryPlan({"x": Placement("x", "io", 128, 16, 0, 2)}, {"io": 256})
    executable = built(program)
    assert executable.memory.place("x")[0] == "io"
    placed = build(program, plan, executable.target)
    assert placed.memory.place("x") == ("io", 128)
    assert placed.memory.address("x") % 64 == 0
