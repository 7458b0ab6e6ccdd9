"""Object code: found again on disk, whole, and asking for nothing but memory, thread and scheduler functions."""

from __future__ import annotations

import ctypes
import json
import os
from pathlib import Path

import numpy as np
import pytest

from glowviz.compiler.backends.base import BackendProblem
from glowviz.compiler.backends.cpu.cpu_targets import avx2, avx512, baseline, host_target
from glowviz.compiler.backends.cpu.elf import BrokenObject, code_bytes, sections, undefined_names
from glowviz.compiler.backends.cpu.objects import Library, ObjectCache, kernel_folder
from glowviz.compiler.backends.cpu.pool_code import pool_text
from tests.compiler.backends.cpu.small_programs import built, encoder_like, normal, with_host_call

ALLOWED = {"memcpy", "memset", "memmove", "pthread_create", "pthread_join", "syscall", "sched_yield"}
TEXT = "define void @f(ptr %args, i64 %lo, i64 %hi, i64 %worker) nounwind {\nentry:\n  ret void\n}\n"


def test_an_object_is_compiled_once(tmp_path: Path) -> None:
    target = host_target()
    first = ObjectCache(tmp_path)
    code = first.object_of(TEXT, target)
    assert (first.hits, first.misses) == (0, 1)
    again = ObjectCache(tmp_path)
    assert again.object_of(TEXT, target) == code
    assert (again.hits, again.misses) == (1, 0)
    assert {p.suffix for p in tmp_path.iterdir()} == {".o", ".ll"}
    assert ".loc" in again.assembly_of(TEXT, target)
    assert {p.suffix for p in tmp_path.iterdir()} == {".o", ".ll", ".s"}


def test_another_machine_gets_another_object(tmp_path: Path) -> None:
    cache = ObjectCache(tmp_path)
    for target in (avx512(), avx2(), baseline()):
        cache.object_of(TEXT, target)
    assert cache.misses == 3


@pytest.mark.parametrize("broken", [b"", b"\x7fELF", b"x" * 500])
def test_a_broken_object_on_disk_is_compiled_again(tmp_path: Path, broken: bytes) -> None:
    cache, target = ObjectCache(tmp_path), host_target()
    code = cache.object_of(TEXT, target)
    next(tmp_path.glob("*.o")).write_bytes(broken)
    assert cache.object_of(TEXT, target) == code
    with pytest.raises(BrokenObject):
        sections(broken)


def test_a_cut_object_is_noticed(tmp_path: Path) -> None:
    code = ObjectCache(tmp_path).object_of(TEXT, host_target())
    with pytest.raises(BrokenObject):
        sections(code[:-40])


def test_a_folder_that_cannot_be_written_costs_time_only(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    cache = ObjectCache(file / "below")
    assert cache.object_of(TEXT, host_target()) == cache.object_of(TEXT, host_target())
    assert cache.misses == 2


def test_what_was_unused_for_longest_is_deleted_first(tmp_path: Path) -> None:
    cache, target = ObjectCache(tmp_path), host_target()
    texts = [TEXT.replace("@f", f"@f{n}") for n in range(4)]
    for age, text in enumerate(texts):
        cache.object_of(text, target)
        for file in tmp_path.iterdir():
            if file.stat().st_mtime > 1000:
                os.utime(file, (age, age))
    cache.object_of(texts[0], target)
    size = sum(file.stat().st_size for file in tmp_path.iterdir())
    cache.prune(size)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) == size
    cache.prune(size - 1)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= size * 3 // 4
    again = ObjectCache(tmp_path)
    for text in (texts[0], texts[3], texts[1]):
        again.object_of(text, target)
    assert (again.hits, again.misses) == (2, 1)


def test_the_environment_chooses_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GLOWVIZ_CACHE", str(tmp_path))
    assert kernel_folder() == tmp_path / "kernels"


def test_the_reader_finds_what_an_object_asks_for(tmp_path: Path) -> None:
    body = "define float @g(float %x) {\n  %y = call float @sinf(float %x)\n  ret float %y\n}\n"
    text = f"declare float @sinf(float)\n{body}"
    code = ObjectCache(tmp_path).object_of(text, host_target())
    assert undefined_names(code) == {"sinf"}
    assert 0 < code_bytes(code) < 200


def test_loaded_code_runs(tmp_path: Path) -> None:
    text = "define i64 @seven(i64 %x) {\n  %y = mul i64 %x, 7\n  ret i64 %y\n}\n"
    library = Library([ObjectCache(tmp_path).object_of(text, host_target())], ["seven"])
    assert ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(library.addresses["seven"])(6) == 42


@pytest.mark.parametrize("target", [avx512(), avx2(), baseline(), host_target()], ids=lambda t: t.name)
def test_the_pool_asks_for_threads_and_the_scheduler_only(target: object, tmp_path: Path) -> None:
    names = undefined_names(ObjectCache(tmp_path).object_of(pool_text(target), target))  # type: ignore[arg-type]
    assert names == {"pthread_create", "pthread_join", "syscall", "sched_yield"}


def test_programs_call_nothing_but_memory_functions() -> None:
    for code in built(encoder_like()).objects.values():
        assert undefined_names(code) <= ALLOWED


def _room(size: int) -> np.ndarray:
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size]


def test_a_bundle_runs_without_us(tmp_path: Path) -> None:
    program = encoder_like()
    executable, inputs = built(program), normal(program)
    folder = executable.save(tmp_path / "bundle")
    facts = json.loads((folder / "model.json").read_text())
    library = Library([(folder / "model.o").read_bytes()], [facts["function"]])
    assert facts["function"] in (folder / "model.h").read_text()
    arenas = {arena: _room(size) for arena, size in facts["bytes"].items()}
    arenas["weights"][:] = np.fromfile(folder / "weights.bin", np.uint8)
    for entry in facts["inputs"]:
        place = slice(entry["offset"], entry["offset"] + entry["bytes"])
        arenas[entry["arena"]][place] = inputs[entry["name"]].reshape(-1).view(np.uint8)
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 5)(library.addresses[facts["function"]])
    call(*(arenas[name].ctypes.data for name in ("weights", "state", "activations", "io", "scratch")))
    wanted = executable.run(inputs)
    for entry in facts["outputs"]:
        found = arenas[entry["arena"]][entry["offset"] : entry["offset"] + entry["bytes"]].view(np.float32)
        np.testing.assert_array_equal(found.reshape(entry["shape"]), wanted[entry["name"]])
    assert len(facts["instructions"]) == len(program.instructions)


def test_a_program_with_host_calls_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(BackendProblem, match="1 instructions have no kernel: sorted_rows %v"):
        built(with_host_call()).save(tmp_path)
