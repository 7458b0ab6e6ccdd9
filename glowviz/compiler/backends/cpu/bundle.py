"""A compiled program as files that run without glowviz: one object with one C function, weights, a description.

    model.o       `void NAME_run(void *weights, void *state, void *activations, void *io, void *scratch)`
    model.h       its declaration, with the bytes every pointer must have behind it (all 64-byte aligned)
    weights.bin   the weights arena, state.bin the first content of the state arena
    model.json    where inputs and outputs lie, and every instruction with its kernel; a tensor that is not dense
                  and row-major has `start`, and `strides` in bytes per axis
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glowviz.compiler.backends.base import BackendProblem
from glowviz.compiler.backends.cpu.kernels.boxes import strides_of
from glowviz.compiler.backends.cpu.kernels.draft import STATUS
from glowviz.compiler.backends.cpu.machine_code import object_code

if TYPE_CHECKING:
    from glowviz.compiler.backends.cpu.arena import Arenas
    from glowviz.compiler.backends.cpu.executable import Binding, CpuExecutable

ARENAS = ("weights", "state", "activations", "io")
STATUS_BYTES = 64
"""The head of `scratch`: its first i64 is not 0 after a run that met an index outside its tensor."""


def save_bundle(path: Path, executable: CpuExecutable) -> Path:
    """Write the files into a new or existing folder; BackendProblem names instructions that have no kernel."""
    hosts = [b.instr for b in executable.bindings if b.code is None]
    if hosts:
        names = ", ".join(f"{i.name} %{i.value or i.outs[0]}" for i in hosts[:5])
        raise BackendProblem(
            f"{len(hosts)} instructions have no kernel: {names}", str(path), "a program without host calls",
            "run it in Python, or replace these ops in the model",
        )  # fmt: skip
    path.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"\W", "_", executable.program.name) or "model"
    name = name if not name[0].isdigit() else f"m{name}"
    sizes = _sizes(executable)
    (path / "model.o").write_bytes(object_code(merged(executable, name), executable.target))
    (path / "model.h").write_text(_header(name, sizes))
    for arena in ("weights", "state"):
        region = executable.memory.regions.get(arena)
        (path / f"{arena}.bin").write_bytes(b"" if region is None else region.bytes.tobytes())
    (path / "model.json").write_text(json.dumps(_description(executable, name, sizes), indent=1))
    return path


def _sizes(executable: CpuExecutable) -> dict[str, int]:
    scratch = max((b.code.scratch for b in executable.bindings if b.code), default=0)
    return {arena: executable.memory.sizes.get(arena, 0) for arena in ARENAS} | {"scratch": STATUS_BYTES + scratch}


def merged(executable: CpuExecutable, name: str) -> str:
    """One module: every kernel, private to it, and the function that calls them in order."""
    texts = dict.fromkeys(b.text for b in executable.bindings)
    declarations: dict[str, None] = {}
    lines: list[str] = [f'target triple = "{executable.target.triple}"']
    for text in texts:
        for line in text.split("\n"):
            if line.startswith("declare "):
                declarations[line] = None
            elif not line.startswith("target triple"):
                lines.append(re.sub(r"^define (?!internal)", "define internal ", line))
    lines += _entry(executable, name)
    declarations["declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)"] = None
    return "\n".join([*lines, *declarations]) + "\n"


def _entry(executable: CpuExecutable, name: str) -> list[str]:
    most = max((len(b.code.operands) for b in executable.bindings if b.code), default=0) + 1
    parameters = ", ".join(f"ptr %{arena}" for arena in (*ARENAS, "scratch"))
    lines = [f"define void @{name}_run({parameters}) nounwind {{", f"  %args = alloca [{most} x ptr], align 8"]
    for number, binding in enumerate(executable.bindings):
        lines += _call(executable.memory, binding, number)
    lines += _renewals(executable)
    return [*lines, "  ret void", "}"]


def _call(memory: Arenas, binding: Binding, number: int) -> list[str]:
    code = binding.code
    if code is None:
        return []
    places = [("scratch", 0) if operand == STATUS else memory.place(operand) for operand in code.operands]
    if code.scratch:
        places.append(("scratch", STATUS_BYTES))
    lines: list[str] = []
    for position, (arena, offset) in enumerate(places):
        here = f"%p{number}.{position}"
        lines += [
            f"  {here} = getelementptr i8, ptr %{arena}, i64 {offset}",
            f"  {here}.at = getelementptr ptr, ptr %args, i64 {position}",
            f"  store ptr {here}, ptr {here}.at",
        ]
    return [*lines, f"  call void @{binding.symbol}(ptr %args, i64 0, i64 {code.split_tiles}, i64 0)"]


def _renewals(executable: CpuExecutable) -> list[str]:
    program, lines = executable.program, []
    for number, (state, source) in enumerate(program.updates.items()):
        if program.root(source).kind == "state":
            raise BackendProblem(
                f"state %{state} takes over another state, %{source}", "save", "states renewed from results",
                "copy the state in the model",
            )  # fmt: skip
        for end, buffer in (("to", state), ("from", source)):
            arena, offset = executable.memory.place(buffer)
            lines.append(f"  %{end}{number} = getelementptr i8, ptr %{arena}, i64 {offset}")
        size = program.buffers[state].bytes
        lines.append(
            f"  call void @llvm.memcpy.p0.p0.i64(ptr %to{number}, ptr %from{number}, i64 {size}, i1 false)"
        )
    return lines


def _header(name: str, sizes: dict[str, int]) -> str:
    defines = [f"#define {name.upper()}_{arena.upper()}_BYTES {size}" for arena, size in sizes.items()]
    return "\n".join([
        "/* Bytes behind every pointer; each must be a multiple of 64. Inputs and outputs: model.json. */",
        "#pragma once", *defines,
        f"void {name}_run(void *weights, void *state, void *activations, void *io, void *scratch);", "",
    ])  # fmt: skip


def _description(executable: CpuExecutable, name: str, sizes: dict[str, int]) -> dict[str, Any]:
    program, target = executable.program, executable.target
    return {
        "format": 1,
        "function": f"{name}_run",
        "target": {"triple": target.triple, "cpu": target.cpu, "features": target.features},
        "bytes": sizes,
        "inputs": _placed(executable, ((b.name, b.name) for b in program.of_kind("input"))),
        "outputs": _placed(executable, ((o.public, o.buffer) for o in program.outputs)),
        "instructions": [_described(b) for b in executable.bindings],
    }


def _placed(executable: CpuExecutable, names: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    found = []
    for public, name in names:
        buffer = executable.program.buffers[name]
        arena, offset = executable.memory.place(name)
        entry = {"name": public, "elem": buffer.type.elem, "shape": list(buffer.type.dims), "arena": arena,
                 "offset": offset, "bytes": buffer.bytes}  # fmt: skip
        if buffer.type.order is not None or buffer.halo is not None:
            lie = strides_of(buffer)
            entry |= {"order": str(buffer.type.order), "physical": list(buffer.physical), "start": lie.base,
                      "strides": list(lie.outer), "tile": list(lie.tile), "tile_strides": list(lie.inner)}  # fmt: skip
        found.append(entry)
    return found


def _described(binding: Binding) -> dict[str, Any]:
    instr, code = binding.instr, binding.code
    outs: Sequence[str] = instr.outs
    tiles = code.split_tiles if code else 0
    return {"instruction": instr.name, "value": instr.value or outs[0], "kernel": binding.symbol, "tiles": tiles}
