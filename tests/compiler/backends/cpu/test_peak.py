"""The measured peak is what no kernel beats by more than the noise of timing."""

from __future__ import annotations

from glowviz.compiler.backends.cpu.cpu_targets import avx2, baseline
from glowviz.compiler.backends.cpu.machine_code import assembly, vector_spills
from glowviz.compiler.backends.cpu.peak import CHAINS, measured_peak, peak_text


def test_the_loop_touches_no_memory_and_does_all_its_sums() -> None:
    text = assembly(peak_text(avx2()), avx2(), lines=False)
    assert not vector_spills(text)
    assert text.count("vfmadd") >= CHAINS


def test_a_peak_is_measured() -> None:
    assert measured_peak(baseline()) > 0.1
