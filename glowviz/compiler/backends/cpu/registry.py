"""Which instruction has a native kernel: functions by instruction name, found by `lower`; fast ones are asked first."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from glowviz.compiler.target import Target

if TYPE_CHECKING:
    from glowviz.compiler.program import Instr, Program


@dataclass(frozen=True)
class KernelCode:
    """One kernel, ready to be compiled: `void name(ptr %args, i64 %lo, i64 %hi, i64 %worker)`.

    `text` is a whole LLVM module. Any sub-ranges of 0..split_tiles may run in any order and on any thread
    with the same bits as result. `operands` names the Program's buffers in the order of the args array
    (outputs first); empty where the caller knows them. `scratch` is how many bytes each worker needs behind
    the last pointer of args (at worker · scratch). `schedule` is JSON data, `why` says how it was chosen.
    """

    name: str
    text: str
    split_tiles: int
    why: str
    schedule: dict[str, Any] = field(default_factory=dict)
    operands: tuple[str, ...] = ()
    scratch: int = 0


Lowering = Callable[["Instr", "Program", Target], KernelCode | None]
KERNELS: dict[str, Lowering] = {}
GENERAL: dict[str, Lowering] = {}


def kernel(*instructions: str) -> Callable[[Lowering], Lowering]:
    """Decorator: the function makes the kernels of these instructions, or None where it cannot."""
    return _registers(KERNELS, instructions)


def general(*instructions: str) -> Callable[[Lowering], Lowering]:
    """Decorator: the function is asked where the first kernel of an instruction says None, or there is no first."""
    return _registers(GENERAL, instructions)


def _registers(table: dict[str, Lowering], instructions: tuple[str, ...]) -> Callable[[Lowering], Lowering]:
    def register(function: Lowering) -> Lowering:
        for name in instructions:
            if name in table:
                raise ValueError(f"instruction {name} already has a kernel: {table[name].__qualname__}")
            table[name] = function
        return function

    return register


def lower(name: str, instr: "Instr", program: "Program", target: Target) -> KernelCode | None:
    """The kernel of `instr`, or None where the interpreter has to do it."""
    for table in (KERNELS, GENERAL):
        function = table.get(name)
        code = function(instr, program, target) if function else None
        if code is not None:
            return code
    return None
