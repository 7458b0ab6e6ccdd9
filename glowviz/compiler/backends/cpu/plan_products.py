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
from glowviz.compiler.backends.cpu.maps import matrix_of, plain
from glowviz.compiler.backends.cpu.plan import Family, Plan
from glowviz.compiler.backends.cpu.values import Value
from glowviz.compiler.ops import Gemm, MatMul
from glowviz.compiler.program import Program
from glowviz.compiler.target import Target
from glowviz.compiler.types import Order, broadcast

PRODUCT = Family("panels", GemmSchedule, choose_gemm.choose, gemm.emit)


def plan_matmul(heavy: Heavy, program: Program, target: Target) -> Plan:
    """matmul: a constant B is packed and serves all rows at once; otherwise one product per matrix of the batch."""
    op: MatMul = heavy.op  # type: ignore[assignment]  # the caller looked
    a, b = plain(program, op.a), _dims(program, op.b)
    plain(program, heavy.result)
    rows = a if len(a) > 1 else (1, *a)
    columns = b if len(b) > 1 else (*b, 1)
    batch = tuple(int(n) for n in broadcast(rows[:-2], columns[:-2]))  # type: ignore[arg-type]  # bound dims
    packable = is_constant(program, op.b) and prod(columns[:-2]) == 1 and len(b) == 2
    if packable and _flat(heavy, program, (*batch, rows[-2], columns[-1])):
        batch, rows = (), (prod(batch) * rows[-2], rows[-1])
    m, k, n = rows[-2], rows[-1], columns[-1]
    whole = (*batch, m, n)
    right = None if packable else matrix_of(columns, batch)
    epilogue = heavy.epilogue(False, _extra(program, batch, m, n))
    spec = _made(m, n, k, matrix_of(rows, batch), matrix_of(whole, batch), right, prod(batch), epilogue)

    def orders(schedule: GemmSchedule) -> Mapping[str, Order]:
        return {op.b: gemm.gemm_b_order(schedule, target)} if packable else {}

    operands = (heavy.result, op.a, op.b, *(buffer for _, buffer in heavy.extras))
    return Plan(PRODUCT, spec, operands, heavy.step, orders, name_of(heavy, spec))


def plan_gemm(heavy: Heavy, program: Program, target: Target) -> Plan:
    """gemm: transposes are strides, alpha, beta and c come before the rest of the epilogue."""
    op: Gemm = heavy.op  # type: ignore[assignment]  # the caller looked
    a, b = plain(program, op.a), _dims(program, op.b)
    m, n = plain(program, heavy.result)
    left = matrix_of(a, ())
    k = a[0] if op.trans_a else a[1]
    constant = is_constant(program, op.b)
    right = matrix_of(b, ())
    right = None if constant else right.transposed if op.trans_b else right
    extras = [buffer for _, buffer in heavy.extras]
    read = _extra(program, (), m, n)
    bias = op.c is not None and (op.alpha, op.beta) == (1.0, 1.0) and plain(program, op.c) in ((n,), (1, n))
    first = [op.c] if op.c is not None and not bias else []
    text = heavy.text if bias or (op.c is None and op.alpha == 1.0) else f"gemm({op.alpha}, {op.beta}); {heavy.text}"
    epilogue = Epilogue(bias, text, tuple(read(buffer) for buffer in (*first, *extras)))
    spec = _made(
        m, n, k, left.transposed if op.trans_a else left, matrix_of((m, n), ()), right, 1, epilogue
    )  # fmt: skip

    def orders(schedule: GemmSchedule) -> Mapping[str, Order]:
        return {op.b: gemm.gemm_b_order(schedule, target, op.trans_b)} if constant else {}

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
        dims = plain(program, buffer)
        lead = ((1,) * len(whole) + dims)[-len(whole) : -1]
        if prod(lead) not in (1, prod(whole[:-1])):
            return False
    return True


def _extra(program: Program, batch: tuple[int, ...], m: int, n: int) -> Any:
    def read(name: str) -> Extra:
        dims = plain(program, name)
        if not batch and len(dims) > 2:
            dims = (prod(dims[:-1]), dims[-1])
        if dims and dims[-1] not in (1, n):
            raise Unsupported(f"%{name} does not broadcast to {n} columns")
        return Extra(matrix=matrix_of(dims if len(dims) > 1 else (1, *(dims or (1,))), batch, columns=False))

    return read


def _made(
    m: int, n: int, k: int, a: Matrix, result: Matrix, b: Matrix | None, batch: int, epilogue: Epilogue
) -> GemmSpec:  # fmt: skip
    # strides of dims of size 1 are 0; a column of a result is a column all the same
    result = Matrix(result.row, FLOAT, result.batches)
    if b is not None and b.row == 0:
        b = Matrix(n * FLOAT, b.column, b.batches)
    try:
        return GemmSpec(m, n, k, a, result, b, batch, epilogue)
    except ValueError as problem:
        raise Unsupported(str(problem)) from None


def name_of(heavy: Heavy, spec: GemmSpec) -> str:
    """`matmul.f32.128x768x768.add_gelu`: rows, columns, depth."""
    steps = "_".join(node.op.instruction for node in heavy.steps)
    batch = f"{spec.batch}x" if spec.batch > 1 else ""
    parts = [heavy.op.instruction, "f32", f"{batch}{spec.m}x{spec.n}x{spec.k}", *([steps] if steps else [])]
    return ".".join(parts)
