"""Which instruction has a native kernel: one function per instruction name, found by `lower`."""

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


def kernel(*instructions: str) -> Callable[[Lowering], Lowering]:
    """Decorator: the function makes the kernels of these instructions, or None for a host call."""

    def register(function: Lowering) -> Lowering:
        for name in instructions:
            if name in KERNELS:
                raise ValueError(f"instruction {name} already has a kernel: {KERNELS[name].__qualname__}")
            KERNELS[name] = function
        return function

    return register


def lower(name: str, instr: "Instr", program: "Program", target: Target) -> KernelCode | None:
    """The kernel of `instr`, or None where the interpreter has to do it."""
    function = KERNELS.get(name)
    return function(instr, program, target) if function else None
