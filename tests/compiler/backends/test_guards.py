"""No light kernel touches a byte outside its operands, on any x86 level."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from glowviz.compiler.backends.cpu.backend import missing_features
from glowviz.compiler.backends.cpu.objects import ObjectCache
from tests.compiler.backends.test_general_samples import GENERAL
from tests.compiler.backends.test_light_samples import MOVING, REDUCING, TARGETS

ROOT = Path(__file__).parents[3]
STACKS = ("Add", "Where", "Cast", "Clip", "Equal", "And", "Gelu", "Round")
"""All element-wise ops share their loads and stores; these have every kind of element."""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mprotect through libc")
@pytest.mark.parametrize("level", TARGETS)
def test_kernels_stay_inside_their_operands(level: str, objects: ObjectCache) -> None:
    if missing_features(TARGETS[level]):
        pytest.skip(f"this processor has no {missing_features(TARGETS[level])}")
    general = GENERAL if level == "baseline" else []  # scalars on all levels, but for a few with loops of these
    names = list(dict.fromkeys([*STACKS, *MOVING, *REDUCING, *general]))
    command = [sys.executable, "-m", "tests.compiler.backends.guarded", str(objects.folder), level, *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    reached = done.stdout.split()
    assert done.returncode == 0, f"{reached[-1:]} ended with {done.returncode}: {done.stderr[-2000:]}"
    assert reached == [*names, "done"]


def test_a_byte_too_far_is_noticed() -> None:
    code = (
        "from tests.compiler.backends.guarded import Fenced, KERNEL; import ctypes; f = Fenced(100, {0});"
        "ctypes.memset(f.address, 0, 100); print('inside', flush=True); ctypes.memset(f.address + {1}, 0, 101)"
    )
    for at_end, start in ((True, 0), (False, -1)):
        text = code.format(at_end, start)
        done = subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.stdout == "inside\n"
        assert done.returncode == -11
