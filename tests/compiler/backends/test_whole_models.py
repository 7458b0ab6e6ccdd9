"""Whole networks: every instruction in code of ours, and the same bits from any number of threads."""

from __future__ import annotations

import numpy as np
import pytest

from glowviz.compiler.backends import backend_named
from glowviz.compiler.backends.cpu.backend import missing_features
from glowviz.compiler.backends.cpu.elf import undefined_names
from glowviz.compiler.backends.inputs import noise
from glowviz.compiler.pipeline import compile
from tests.models import example

ALLOWED = {"memcpy", "memset", "memmove"}


@pytest.mark.parametrize("target", ["cpu", "cpu-avx2", "cpu-baseline"])
@pytest.mark.parametrize("name", ["mobilenet_v2", "minilm_pieces", "light_squeezenet"])
def test_every_instruction_is_native_and_calls_no_library(name: str, target: str) -> None:
    lacks = missing_features(backend_named(target).target)
    if lacks:
        pytest.skip(f"this processor has no {lacks}")
    executable = compile(example(name), target=target)
    assert [entry.instruction for entry in executable.listing() if not entry.native] == []
    asked = {symbol: undefined_names(code) - ALLOWED for symbol, code in executable.objects.items()}
    assert {symbol: names for symbol, names in asked.items() if names} == {}


@pytest.mark.parametrize("name", ["mobilenet_v2", "minilm_pieces"])
def test_threads_do_not_change_a_bit(name: str) -> None:
    executables = [compile(example(name), threads=threads) for threads in (1, 2, 4)]
    inputs = noise(executables[0].program)
    wanted = executables[0].run(inputs)
    for executable in executables[1:]:
        for _ in range(3):
            found = executable.run(inputs)
            assert all(np.array_equal(found[public], wanted[public]) for public in wanted)
