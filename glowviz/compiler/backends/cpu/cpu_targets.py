"""The CPU levels code is made for, and what LLVM and the system say of the machine we run on."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from llvmlite import binding

from glowviz.compiler.backends.cpu.machine_code import start_llvm
from glowviz.compiler.target import Target

KEEPS = frozenset({"Conv", "ConvTranspose", "Gemm", "GlobalAveragePool", "GlobalMaxPool", "MatMul"})
FUSES = frozenset({"AveragePool", "Conv", "ConvTranspose", "Gemm", "GlobalAveragePool", "MatMul", "MaxPool"})
BLOCKED = ("AveragePool", "ChannelShuffle", "Conv", "GlobalAveragePool", "GlobalMaxPool", "MaxPool")
WIDE = frozenset({"WideConv", "WideGemm", "WideMatMul"})
"""Products of bf16 pairs: an instruction of machines with AVX512-BF16."""
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def avx512() -> Target:
    """x86-64-v4: 32 registers of 16 floats."""
    return _x86("avx512", "x86-64-v4", vector_width=16, registers=32, has_fma=True, has_round=True, has_masks=True)


def avx2() -> Target:
    """x86-64-v3: 16 registers of 8 floats, FMA."""
    return _x86("avx2", "x86-64-v3", vector_width=8, registers=16, has_fma=True, has_round=True)


def baseline() -> Target:
    """x86-64: what every 64-bit PC has (SSE2, no FMA, no rounding instruction)."""
    return _x86("baseline", "x86-64", vector_width=4, registers=16)


def aarch64() -> Target:
    """NEON of the 2020 server cores; on other machines good for assembly listings only."""
    start_llvm()
    return _with_ops(Target(
        "aarch64", "aarch64-unknown-linux-gnu", "neoverse-n1", vector_width=4, registers=32, has_fma=True,
        has_round=True,
    ))  # fmt: skip


@lru_cache(maxsize=1)
def host_target() -> Target:
    """This machine: its CPU name and features from LLVM, its cache sizes from the system."""
    start_llvm()
    features = binding.get_host_cpu_features()
    triple = binding.get_process_triple()
    if not triple.startswith(("x86_64", "amd64")):
        cpu = binding.get_host_cpu_name()
        return replace(aarch64(), name="host", triple=triple, cpu=cpu, **cache_sizes())
    level = avx512() if features.get("avx512vl") and features.get("avx512dq") else None
    level = level or (avx2() if features.get("avx2") and features.get("fma") else baseline())
    has_bf16 = bool(level.vector_width == 16 and features.get("avx512bf16"))
    return replace(
        level,
        name="host",
        cpu=binding.get_host_cpu_name(),
        features=features.flatten(),
        has_round=bool(features.get("sse4.1")),
        has_vnni=bool(features.get("avx512vnni")),
        has_bf16=has_bf16,
        keeps=level.keeps | (WIDE if has_bf16 else frozenset()),
        fuses=level.fuses | (WIDE if has_bf16 else frozenset()),
        **cache_sizes(),
    )


def cache_sizes() -> dict[str, int]:
    """Bytes of the data caches of the first core, as far as the system tells them."""
    sizes: dict[str, int] = {}
    for entry in sorted(CACHES.glob("index*")):
        try:
            level, kind, size = ((entry / name).read_text().strip() for name in ("level", "type", "size"))
        except OSError:
            continue
        if kind != "Instruction":
            sizes[f"l{level}"] = int(size[:-1]) << {"K": 10, "M": 20, "G": 30}[size[-1]]
    return {name: size for name, size in sizes.items() if name in ("l1", "l2", "l3")}


def _x86(name: str, cpu: str, **facts: int) -> Target:
    start_llvm()
    triple = binding.get_process_triple()
    if not triple.startswith(("x86_64", "amd64")):
        triple = "x86_64-unknown-linux-gnu"
    return _with_ops(Target(name, triple, cpu, **facts))  # type: ignore[arg-type]  # numbers and booleans


def _with_ops(target: Target) -> Target:
    """What every CPU level keeps, fuses and wants in blocks of its vector width."""
    orders = tuple((op, f"NCHW{target.vector_width}c") for op in BLOCKED)
    return replace(target, keeps=KEEPS, fuses=FUSES, orders=orders)
