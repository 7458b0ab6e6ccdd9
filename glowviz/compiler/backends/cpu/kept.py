"""An executable that was made once is two files: its weights as kernels read them, and everything else pickled."""

from __future__ import annotations

import io
import pickle
from functools import partial
from pathlib import Path
from typing import Any

from glowviz.compiler.backends.cpu.executable import CpuExecutable
from glowviz.compiler.backends.cpu.objects import ObjectCache
from glowviz.compiler.graph import Payload
from glowviz.compiler.program import Program

WEIGHTS, REST = "weights.bin", "program.pickle"


def can_be_kept(program: Program) -> bool:
    """Nested programs have arenas of their own, which no file holds."""
    return not any(instr.regions for instr in program.instructions)


def write_kept(folder: Path, executable: CpuExecutable) -> bool:
    """Write what the file of weights lacks; False, and nothing, where something in it cannot be written."""
    made = executable
    text = io.BytesIO()
    try:
        _Writer(text, made.program).dump(
            (made.program, made.plan, made.target, made.bindings, made.objects, made.threads)
        )
    except (RecursionError, pickle.PicklingError, TypeError, AttributeError):  # very long chains, ops from elsewhere
        return False
    (folder / REST).write_bytes(text.getbuffer())
    return True


def read_kept(folder: Path) -> CpuExecutable:
    """The executable, on weights that are mapped and not read; OSError or an unpickling error where it is broken."""
    with open(folder / REST, "rb") as file:
        reader = _Reader(file)
        program, plan, target, bindings, objects, threads = reader.load()
    weights = folder / WEIGHTS
    made = CpuExecutable(program, plan, target, bindings, objects, threads, ObjectCache(), weights=weights)
    for name, payload in reader.payloads.items():
        payload.made_by(partial(made.memory.load, name))
    return made


class _Writer(pickle.Pickler):
    """Writes the name of a weight where its contents would stand."""

    def __init__(self, file: io.BytesIO, program: Program) -> None:
        super().__init__(file, protocol=5)
        payloads = {b.name: b.payload for b in program.of_kind("weight") if b.payload is not None}
        self._names = {id(p): name for name, p in payloads.items() if p.splat is None and not p.spelling}

    def persistent_id(self, obj: Any) -> str | None:
        """The weight that a payload is the contents of."""
        return self._names.get(id(obj)) if isinstance(obj, Payload) else None


class _Reader(pickle.Unpickler):
    """Makes a payload without contents of each name, and remembers it."""

    def __init__(self, file: Any) -> None:
        super().__init__(file)
        self.payloads: dict[str, Payload] = {}

    def persistent_load(self, pid: Any) -> Payload:
        """The payload of the weight `pid`."""
        return self.payloads.setdefault(pid, Payload(None))
