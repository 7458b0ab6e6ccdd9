"""LLVM IR text becomes object bytes or assembly for a Target; nothing else here knows llvmlite."""

import re
import threading
from collections.abc import Sequence
from functools import lru_cache

from llvmlite import binding

from glowviz.compiler.target import Target

CODEGEN_LEVEL = 2  # levels 1 and 3 are no faster, level 0 makes code eight times slower
SCALAR_MOVES = ("vmovd", "movd", "vmovq", "movq", "vpbroadcast", "vcvtsi2ss", "cvtsi2ss")
ARM_STACK = re.compile(r"\s*(?:str|ldr|stp|ldp|stur|ldur)\s+[qdsv]\d+.*\[sp")
LABEL = re.compile(r"(\.L\w+):")
BRANCH = re.compile(r"\s*(?:j\w+|b\.?\w*|cbn?z|tbn?z)\s+(?:.*\s)?(\.L\w+)\s*$")
_LOCK = threading.Lock()


@lru_cache(maxsize=1)
def start_llvm() -> str:
    """Make LLVM's code generators ready; gives the LLVM version."""
    with _LOCK:
        binding.initialize_all_targets()
        binding.initialize_all_asmprinters()
        binding.initialize_native_asmparser()
    return ".".join(map(str, binding.llvm_version_info))


@lru_cache(maxsize=32)
def target_machine(triple: str, cpu: str, features: str, level: int = CODEGEN_LEVEL) -> binding.TargetMachine:
    """LLVM's code generator for one machine, kept because making it costs a millisecond."""
    start_llvm()
    kind = binding.Target.from_triple(triple or binding.get_process_triple())
    return kind.create_target_machine(cpu=cpu, features=features, opt=level, reloc="pic", codemodel="default")


def parse(text: str) -> binding.ModuleRef:
    """The verified module; a mistake in the text raises RuntimeError with LLVM's message."""
    start_llvm()
    module = binding.parse_assembly(text)
    module.verify()
    return module


def object_code(text: str, target: Target) -> bytes:
    """Relocatable object bytes of a module text, without any LLVM optimization pass."""
    return target_machine(target.triple, target.cpu, target.features).emit_object(parse(text))


def assembly(text: str, target: Target, lines: bool = False) -> str:
    """Assembly of a module text; with `lines`, `.loc` marks carry the line numbers of the text."""
    machine = target_machine(target.triple, target.cpu, target.features)
    machine.set_asm_verbosity(False)
    return machine.emit_assembly(parse(mark_lines(text) if lines else text))


def mark_lines(text: str, file: str = "kernel.ll") -> str:
    """The same module with a DILocation on every instruction: its line in `text` (1 is the first)."""
    marked, places = [], []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.startswith("define "):
            line = line.replace(" {", " !dbg !2 {")
        elif line.startswith("  "):
            line = f"{line}, !dbg !{len(places) + 5}"
            places.append(f"!{len(places) + 5} = !DILocation(line: {number}, column: 1, scope: !2)")
        marked.append(line)
    head = [
        "!llvm.dbg.cu = !{!0}",
        "!llvm.module.flags = !{!3}",
        "!0 = distinct !DICompileUnit(language: DW_LANG_C, file: !1, emissionKind: LineTablesOnly)",
        f'!1 = !DIFile(filename: "{file}", directory: ".")',
        '!2 = distinct !DISubprogram(name: "kernel", file: !1, line: 1, type: !4, unit: !0, '
        "spFlags: DISPFlagDefinition)",
        '!3 = !{i32 2, !"Debug Info Version", i32 3}',
        "!4 = !DISubroutineType(types: !{null})",
    ]
    return "\n".join(marked + head + places) + "\n"


def vector_spills(assembly_text: str) -> list[str]:
    """Lines of x86-64 assembly that keep a vector register on the stack."""
    return [line.strip() for line in assembly_text.split("\n") if _is_spill(line)]


def hot_spills(assembly_text: str) -> list[str]:
    """Lines of x86-64 or aarch64 assembly inside innermost loops that keep a vector register on the stack."""
    lines = assembly_text.split("\n")
    inside = [line for first, last in innermost_loops(lines) for line in lines[first : last + 1]]
    return [line.strip() for line in inside if _is_spill(line) or ARM_STACK.match(line)]


def innermost_loops(lines: Sequence[str]) -> list[tuple[int, int]]:
    """First and last line of every loop that holds no other: from a label to the last branch back to it."""
    labels = {match[1]: n for n, line in enumerate(lines) if (match := LABEL.match(line))}
    loops: dict[int, int] = {}
    for n, line in enumerate(lines):
        match = BRANCH.match(line)
        if match and labels.get(match[1], n) < n:
            loops[labels[match[1]]] = n
    return [(a, b) for a, b in loops.items() if not any(a < c and d <= b for c, d in loops.items())]


def _is_spill(line: str) -> bool:
    code = line.split("#")[0].strip()
    # rbp is an ordinary register here; a spilled integer on its way into a vector costs a hot loop nothing
    return "(%rsp)" in code and "mm" in code and not code.startswith(SCALAR_MOVES)


def undefined_symbols(assembly_text: str) -> set[str]:
    """Names of functions that x86-64 or aarch64 assembly calls outside itself."""
    calls = re.findall(r"^\s*(?:callq?|jmp|jmpq|bl|b)\s+([A-Za-z_][\w.]*)(?:@PLT)?", assembly_text, re.MULTILINE)
    return {name for name in calls if not name.startswith(".L")}
