"""A recording gets the times of every instruction and of whole runs, and the machine's peaks, measured alone."""

from __future__ import annotations

from collections.abc import Callable

from glowviz.compiler.backends.base import Executable
from glowviz.compiler.quiet import alone
from glowviz.compiler.recording.writer import Recorder
from glowviz.compiler.run_facts import record_runs, record_times, whole_runs


def record_timing(
    recorder: Recorder, executable: Executable, runs: int, threads: int, progress: Callable[[str], None]
) -> None:
    """Time `runs` runs, instruction by instruction and then whole, while no other timing runs on this machine."""
    progress("Kernels: timing")
    with alone(progress) as quiet:
        peak = executable.peak_gflops()
        reading = executable.peak_gbytes(threads)
        record_times(recorder, executable, threads, runs)
        samples = whole_runs(executable, runs)
    gflops = None if peak is None else peak * threads
    recorder.set_meta({"target_facts": {"peak_gflops": gflops, "peak_gbytes": reading}, "timing": quiet.facts()})
    record_runs(recorder, threads, samples, f"wall clock, one process, {quiet}")
