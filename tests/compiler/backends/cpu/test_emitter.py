"""The emitter writes what LLVM takes: loops, masks, folded indices, and marks that lead from assembly to text."""

import numpy as np
import pytest
from kernel_harness import Loaded, aligned, targets

from glowviz.compiler.backends.base import line_map
from glowviz.compiler.backends.cpu.cpu_targets import aarch64, avx512, host_target
from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.kernels.geometry import Cut, Map
from glowviz.compiler.backends.cpu.machine_code import assembly, object_code, undefined_symbols, vector_spills
from glowviz.compiler.backends.cpu.registry import KernelCode, kernel
from glowviz.compiler.backends.cpu.values import Value, element_of, lanes_of, literal, size_of
from glowviz.compiler.target import Target


def summing(target: Target) -> Emitter:
    """result[0] = sum over i in lo..hi, step 1, of source[i]; result[1] = the number of turns."""
    em = Emitter("summing", target)
    result, source = em.argument(0), em.argument(1)
    first = [em.constant(0.0, "float"), em.constant(0.0, "float")]
    with em.loop(em.low, em.high, carry=first) as loop:
        number = em.load(em.offset(source, loop.index * 4), "float")
        loop.next = [loop.carry[0] + number, loop.carry[1] + 1.0]
    em.store(loop.results[0], result)
    em.store(loop.results[1], em.offset(result, 4))
    return em


@pytest.mark.parametrize("target", targets(), ids=lambda t: t.name)
@pytest.mark.parametrize("count", [0, 1, 7])
def test_loop_carries_values_and_may_run_zero_times(count: int, target: Target) -> None:
    out, numbers = aligned(np.full(2, 9, np.float32)), aligned(np.arange(1, 8).astype(np.float32))
    Loaded(KernelCode("summing", summing(target).text(), count, ""), target).run([out, numbers])
    assert out.tolist() == [numbers[:count].sum(), count]


@pytest.mark.parametrize("target", targets(), ids=lambda t: t.name)
def test_masked_lanes_are_not_touched(target: Target) -> None:
    em, width = Emitter("masked", target), target.vector_width
    result, source = em.argument(0), em.argument(1)
    mask = em.first_lanes(em.high)
    em.store_lanes(em.load_lanes(source, mask) + 1.0, result, mask)
    for count in range(width + 1):
        out, numbers = aligned(np.full(width, 9, np.float32)), aligned(np.arange(width).astype(np.float32))
        Loaded(KernelCode("masked", em.text(), count, ""), target).run([out, numbers])
        assert out.tolist() == [*(numbers[:count] + 1), *[9.0] * (width - count)]


def test_constant_indices_fold() -> None:
    em = Emitter("folding", avx512())
    before = len(em.lines)
    assert em.divide(7, 2) == 3
    assert em.remainder(7, 2) == 1
    assert em.smaller(3, 4) == 3
    assert em.low * 1 is em.low
    assert em.low + 0 is em.low
    assert em.offset(em.argument(0), 0).type == "ptr"
    assert len(em.lines) == before + 1  # only the load of the argument


def test_a_loop_of_one_turn_is_no_loop() -> None:
    em = Emitter("single", avx512())
    with em.loop(0, 1) as loop:
        assert loop.index == 0
    assert not any("phi" in line for line in em.lines)


def test_values_refuse_to_be_conditions() -> None:
    em = Emitter("conditions", avx512())
    with pytest.raises(TypeError, match=r"m\.where"):
        bool(em.low < 3)


def test_literals() -> None:
    assert literal(0.1, "float") == "0x3FB99999A0000000"
    assert literal(-0.0, "float") != literal(0.0, "float")
    assert literal(1e39, "float") == "0x7FF0000000000000"
    assert literal(True, "i1") == "true"
    assert literal(-3, "i32") == "-3"
    assert (element_of("<16 x float>"), lanes_of("<16 x float>"), size_of("<4 x i64>")) == ("float", 16, 32)


def test_line_marks_lead_from_assembly_to_text() -> None:
    target = host_target()
    text = summing(target).text()
    lines = text.split("\n")
    marked = assembly(text, target, lines=True)
    named = {lines[n - 1].split("=")[1].split()[0] for n in line_map(marked) if n and "=" in lines[n - 1]}
    assert {"load", "fadd"} <= named
    plain = [
        line for line in assembly(text, target).split("\n") if line.startswith("\t") and not line.startswith("\t.")
    ]
    kept = [line for line in marked.split("\n") if line.startswith("\t") and not line.startswith("\t.")]
    assert [line.split()[0] for line in plain] == [line.split()[0] for line in kept]


def test_foreign_machines_give_assembly() -> None:
    text = summing(aarch64()).text()
    assert "fadd" in assembly(text, aarch64())
    assert object_code(text, aarch64())[:4] == b"\x7fELF"


def test_what_spills_and_calls_look_like() -> None:
    assert vector_spills("\tvmovups\t%zmm0, -72(%rsp)\n\tmovq\t%rax, 8(%rsp)\n\tvmovd\t4(%rsp), %xmm1\n") == [
        "vmovups\t%zmm0, -72(%rsp)"
    ]
    assert undefined_symbols("\tcallq\texpf@PLT\n\tjmp\t.LBB0_1\n") == {"expf"}


def test_two_kernels_for_one_instruction_are_refused() -> None:
    with pytest.raises(ValueError, match="already has a kernel"):
        kernel("conv", "conv")(lambda instr, program, target: None)


@pytest.mark.parametrize(("length", "limit"), [(56, 14), (49, 14), (7, 4), (1, 9), (15, 7)])
def test_cuts_cover_their_length(length: int, limit: int) -> None:
    sizes = Cut(length, limit).sizes
    assert sum(size * count for size, count in sizes.items()) == length
    assert max(sizes) <= limit
    assert max(sizes) - min(sizes) <= 1


def test_maps_keep_what_is_written() -> None:
    array = np.random.default_rng(0).normal(size=(2, 5, 3, 4)).astype(np.float32)
    layout = Map(2, 5, 3, 4, 4, (1, 2, 0, 1))
    buffer = layout.write(array, fill=7.0)
    assert buffer.nbytes == layout.size
    assert np.array_equal(layout.read(buffer), array)
    with pytest.raises(ValueError, match="cannot be read"):
        layout.reshaped(1, 12)
    assert isinstance(Emitter("e", avx512()).zeros(), Value)
