"""Matrix products of a Program as kernel specs."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from glowviz.compiler.backends.cpu.emitter import Emitter
from glowviz.compiler.backends.cpu.heavy import Heavy
from glowviz.compiler.backends.cpu.kernels import choose_gemm, gemm
from glowviz.compiler.backends.cpu.kernels.boxes import Unsupported
from glowviz.compiler.backends.cpu.kernels.epilogue import Epilogue, Extra, LoadExtra, Step
from glowviz.compiler.backends.cpu.kernels.gemm import GemmSchedule, GemmSpec
from glowviz.compiler.backends.cpu.kernels.geometry import FLOAT, Matrix
from glowviz.compiler.backends.cpu.maps import NUMBERS, matrix_of, plain
from glowviz.compiler.backends.cpu.plan import Family, Plan
from glowviz.compiler.backends.cpu.values import Value
from glowviz.compiler.ops import Gemm, MatMul, WideGemm, WideMatMul
from glowviz.compiler.program import Program
from glowviz.compiler.target import Target
from glowviz.compiler.types import Order, broadcast

PLAIN, WIDE = ("f32",), ("bf16",)
"""What A may hold: of a plain product, and of one whose pairs are added in one instruction."""
PRODUCT = Family("panels", GemmSchedule, choose_gemm.choose, gemm.emit)


def plan_matmul(heavy: Heavy, program: Program, target: Target) -> Plan:
    """matmul: a constant B is packed and serves all rows at once; otherwise one product per matrix of the batch."""
    op: MatMul = heavy.op  # type: ignore[assignment]  # the caller looked
    wide = isinstance(op, WideMatMul)
    a, b = plain(program, op.a, WIDE if wide else PLAIN), _dims(program, op.b)
    plain(program, heavy.result, NUMBERS)
    rows = a if len(a) > 1 else (1, *a)
    columns = b if len(b) > 1 else (*b, 1)
    batch = tuple(int(n) for n in broadcast(rows[:-2], columns[:-2]))  # type: ignore[arg-type]  # bound dims
    packable = is_constant(program, op.b) and prod(columns[:-2]) == 1 and len(b) == 2
    if packable and _flat(heavy, program, (*batch, rows[-2], columns[-1])):
        batch, rows = (), (prod(batch) * rows[-2], rows[-1])
    m, k, n = rows[-2], rows[-1], columns[-1]
    whole = (*batch, m, n)
    right = None if packable else matrix_of(columns, batch)
    epilogue = heavy.epilogue(False, extra_of(program, batch, m, n))
    if wide:
        _check_wide(packable, k, target)
    left = matrix_of(rows, batch, number=_size(program, op.a))
    goal = matrix_of(whole, batch, number=_size(program, heavy.result))
    spec = _made(m, n, k, left, goal, right, prod(batch), epilogue, wide)

    def orders(schedule: GemmSchedule) -> Mapping[str, Order]:
        return {op.b: gemm.gemm_b_order(schedule, target, pairs=wide)} if packable else {}

    operands = (heavy.result, op.a, op.b, *(buffer for _, buffer in heavy.extras))
    return Plan(PRODUCT, spec, operands, heavy.step, orders, name_of(heavy, spec))


def plan_gemm(heavy: Heavy, program: Program, target: Target) -> Plan:
    """gemm: transposes are strides, alpha, beta and c come before the rest of the epilogue."""
    op: Gemm = heavy.op  # type: ignore[assignment]  # the caller looked
    wide = isinstance(op, WideGemm)
    a, b = plain(program, op.a, WIDE if wide else PLAIN), _dims(program, op.b)
    m, n = plain(program, heavy.result, NUMBERS)
    left = matrix_of(a, (), number=_size(program, op.a))
    k = a[0] if op.trans_a else a[1]
    constant = is_constant(program, op.b)
    if wide:
        _check_wide(constant and not op.trans_a, k, target)
    right = matrix_of(b, ())
    right = None if constant else right.transposed if op.trans_b else right
    extras = [buffer for _, buffer in heavy.extras]
    read = extra_of(program, (), m, n)
    bias = op.c is not None and (op.alpha, op.beta) == (1.0, 1.0) and plain(program, op.c) in ((n,), (1, n))
    first = [op.c] if op.c is not None and not bias else []
    text = heavy.text if bias or (op.c is None and op.alpha == 1.0) else f"gemm({op.alpha}, {op.beta}); {heavy.text}"
    epilogue = Epilogue(bias, text, tuple(read(buffer) for buffer in (*first, *extras)))
    goal = matrix_of((m, n), (), number=_size(program, heavy.result))
    spec = _made(m, n, k, left.transposed if op.trans_a else left, goal, right, 1, epilogue, wide)

    def orders(schedule: GemmSchedule) -> Mapping[str, Order]:
        return {op.b: gemm.gemm_b_order(schedule, target, op.trans_b, wide)} if constant else {}

    operands = (heavy.result, op.a, op.b, *([op.c] if bias and op.c else []), *first, *extras)
    return Plan(PRODUCT, spec, operands, gemm_step(op, bias, heavy.step), orders, name_of(heavy, spec))


def gemm_step(op: Gemm, bias: bool, then: Step | None) -> Step | None:
    """alpha · sum + beta · extra 0, then the rest of the epilogue with the other extras."""
    if bias or (op.c is None and op.alpha == 1.0):
        return then
    skipped = int(op.c is not None)

    def step(em: Emitter, acc: Value, load_extra: LoadExtra) -> Value:
        value = acc if op.alpha == 1.0 else acc * op.alpha
        if op.c is not None:
            addend = load_extra(0)
            value = value + (addend if op.beta == 1.0 else addend * op.beta)
        return then(em, value, lambda n: load_extra(n + skipped)) if then else value

    return step


def is_constant(program: Program, name: str) -> bool:
    """Whether a buffer holds the same numbers in every run."""
    return program.buffers[name].kind == "weight"


def _dims(program: Program, name: str) -> tuple[int, ...]:
    """The dims of B; a constant may lie in any order, because it is packed anew."""
    return program.buffers[name].type.dims if is_constant(program, name) else plain(program, name)


def _flat(heavy: Heavy, program: Program, whole: tuple[int, ...]) -> bool:
    """Whether all leading dims can be counted as rows for every operand of the epilogue."""
    for _, buffer in heavy.extras:
        dims = plain(program, buffer, NUMBERS)
        lead = ((1,) * len(whole) + dims)[-len(whole) : -1]
        if prod(lead) not in (1, prod(whole[:-1])):
            return False
    return True


def extra_of(program: Program, batch: tuple[int, ...], m: int, n: int) -> Any:
    """How an operand of the epilogue is read beside a result [*batch, m, n]."""

    def read(name: str) -> Extra:
        dims = plain(program, name, NUMBERS)
        if not batch and len(dims) > 2:
            dims = (prod(dims[:-1]), dims[-1])
        if dims and dims[-1] not in (1, n):
            raise Unsupported(f"%{name} does not broadcast to {n} columns")
        wide = dims if len(dims) > 1 else (1, *(dims or (1,)))
        return Extra(matrix=matrix_of(wide, batch, columns=False, number=_size(program, name)))

    return read


def _size(program: Program, name: str) -> int:
    return NUMBERS[program.buffers[name].type.elem]


def _check_wide(packable: bool, depth: int, target: Target) -> None:
    if not target.has_bf16:
        raise Unsupported(f"{target.name} has no instruction for bf16")
    if not packable or depth % 2:
        raise Unsupported("pairs of bf16 need a constant B, rows of A side by side and an even depth")


def _made(
    m: int, n: int, k: int, a: Matrix, result: Matrix, b: Matrix | None, batch: int, epilogue: Epilogue, wide: bool
) -> GemmSpec:  # fmt: skip
    # strides of dims of size 1 are 0; a column of a result is a column all the same
    result = Matrix(result.row, result.number, result.batches, result.number)
    if wide:
        a, k = Matrix(a.row, FLOAT, a.batches), k // 2
    if b is not None and b.row == 0:
        b = Matrix(n * FLOAT, b.column, b.batches)
    try:
        return GemmSpec(m, n, k, a, result, b, batch, epilogue, wide)
    except ValueError as problem:
        raise Unsupported(str(problem)) from None


def name_of(heavy: Heavy, spec: GemmSpec) -> str:
    """`matmul.f32.128x768x768.add_gelu`: rows, columns, depth."""
    steps = "_".join(node.op.instruction for node in heavy.steps)
    batch = f"{spec.batch}x" if spec.batch > 1 else ""
    kind, k = ("bf16", 2 * spec.k) if spec.pairs else ("f32", spec.k)
    parts = [heavy.op.instruction, kind, f"{batch}{spec.m}x{spec.n}x{k}", *([steps] if steps else [])]
    return ".".join(parts)
