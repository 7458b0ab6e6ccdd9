"""A kernel is one LLVM function, written as text line by line by an Emitter."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from glowviz.compiler.backends.cpu.values import (
    Index,
    Number,
    Value,
    element_of,
    is_float,
    lanes_of,
    like,
    literal,
    size_of,
    vector_of,
)
from glowviz.compiler.backends.cpu.vector_math import Math
from glowviz.compiler.target import Target

SIGNED = {"lt": "slt", "le": "sle", "gt": "sgt", "ge": "sge", "eq": "eq", "ne": "ne"}
UNSIGNED = {"lt": "ult", "le": "ule", "gt": "ugt", "ge": "uge", "eq": "eq", "ne": "ne"}
# only != is true for NaN, as in numpy
ORDERED = {"lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge", "eq": "oeq", "ne": "une"}
FLOAT_OPS = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}
INT_OPS = {"add": "add", "sub": "sub", "mul": "mul", "and": "and", "or": "or", "xor": "xor", "shl": "shl"}
# identities that would otherwise stay in the text: no LLVM pass cleans up behind us
NEUTRAL = {("add", "0"), ("sub", "0"), ("mul", "1"), ("shl", "0"), ("shr", "0"), ("div", "1")}


def _mangled(kind: str) -> str:
    element = element_of(kind)
    short = {"float": "f32", "double": "f64", "half": "f16", "bfloat": "bf16"}.get(element, element)
    return f"v{lanes_of(kind)}{short}" if kind[0] == "<" else short


class Loop:
    """A running loop: `index`, the carried values, and what they become next (`results` after its end)."""

    def __init__(self, index: Index, carry: list[Value]) -> None:
        self.index, self.carry = index, carry
        self.next: list[Value] = []
        self.results: list[Value] = carry


class Emitter:
    """Writes one kernel `void name(ptr %args, i64 %lo, i64 %hi, i64 %worker)` as LLVM IR text.

    `args` points to the operand addresses (outputs first); lo..hi is the part of the split axis to do.
    Index arithmetic on Python ints folds at once, so constant addresses cost nothing.
    `m` has the functions that an op's `scalar` method calls.
    """

    def __init__(self, name: str, target: Target) -> None:
        self.name, self.target, self.lanes = name, target, target.vector_width
        self.lines: list[str] = []
        self.globals: list[str] = []
        self.declarations: dict[str, str] = {}
        self.count = 0
        self.block = "entry"
        self.low, self.high, self.worker = (Value(self, f"%{n}", "i64") for n in ("lo", "hi", "worker"))
        self.m = Math(self)

    # -- text -------------------------------------------------------------------------------------
    def write(self, line: str) -> None:
        """Append one instruction that has no result."""
        self.lines.append("  " + line)

    def value(self, kind: str, expression: str, unsigned: bool = False) -> Value:
        """Append `%t = expression` and give the new value."""
        self.count += 1
        self.lines.append(f"  %t{self.count} = {expression}")
        return Value(self, f"%t{self.count}", kind, unsigned)

    def label(self, prefix: str) -> str:
        """A new block name."""
        self.count += 1
        return f"{prefix}{self.count}"

    def start(self, label: str) -> None:
        """Begin the block `label`."""
        self.lines.append(f"{label}:")
        self.block = label

    def text(self) -> str:
        """The whole module."""
        head = f"define void @{self.name}(ptr %args, i64 %lo, i64 %hi, i64 %worker) nounwind {{\nentry:"
        triple = [f'target triple = "{self.target.triple}"'] if self.target.triple else []
        parts = [*triple, *self.globals, head, *self.lines, "  ret void", "}", *self.declarations.values()]
        return "\n".join(parts) + "\n"

    def table(self, numbers: Sequence[int]) -> Value:
        """The address of a constant i64 array that lives beside the code."""
        name = f"@{self.name}.table{len(self.globals)}"
        entries = ", ".join(f"i64 {n}" for n in numbers)
        self.globals.append(f"{name} = private constant [{len(numbers)} x i64] [{entries}], align 8")
        return Value(self, name, "ptr")

    # -- constants and arithmetic -------------------------------------------------------------------
    def constant(self, number: Number, kind: str, unsigned: bool = False) -> Value:
        """`number` in every lane of `kind`."""
        element = element_of(kind)
        text = literal(number, element)
        return Value(self, f"splat ({element} {text})" if kind[0] == "<" else text, kind, unsigned)

    def index(self, value: Index) -> Value:
        """An index as an i64 value."""
        return value if isinstance(value, Value) else self.constant(value, "i64")

    def binary(self, operation: str, left: Value, right: Value) -> Value:
        """`left operation right`; identities with integer constants are folded."""
        kind = left.type
        if is_float(kind):
            return self.value(kind, f"{FLOAT_OPS[operation]} {kind} {left.text}, {right.text}")
        if (operation, right.text) in NEUTRAL:
            return left
        if operation in ("add", "mul") and (operation, left.text) in NEUTRAL:
            return right
        name = (
            INT_OPS.get(operation)
            or {
                "div": "udiv" if left.unsigned else "sdiv",
                "shr": "lshr" if left.unsigned else "ashr",
            }[operation]
        )
        return self.value(kind, f"{name} {kind} {left.text}, {right.text}", left.unsigned or right.unsigned)

    def unary(self, operation: str, operand: Value) -> Value:
        """`neg`, `not` or `abs` of every lane."""
        kind = operand.type
        if operation == "not":
            return self.binary("xor", operand, self.constant(True if element_of(kind) == "i1" else -1, kind))
        if is_float(kind):
            if operation == "neg":
                return self.value(kind, f"fneg {kind} {operand.text}")
            return self.intrinsic("fabs", operand)
        negative = self.binary("sub", self.constant(0, kind), operand)
        return negative if operation == "neg" else self.select(operand < 0, negative, operand)

    def compare(self, predicate: str, left: Value, right: Value) -> Value:
        """i1 lanes; comparisons with NaN are false except `ne`."""
        kind = left.type
        if is_float(kind):
            return self.value(like(kind, "i1"), f"fcmp {ORDERED[predicate]} {kind} {left.text}, {right.text}")
        names = UNSIGNED if left.unsigned or right.unsigned or element_of(kind) == "i1" else SIGNED
        return self.value(like(kind, "i1"), f"icmp {names[predicate]} {kind} {left.text}, {right.text}")

    def unordered(self, value: Value) -> Value:
        """i1 lanes: true where `value` is NaN."""
        kind = value.type
        return self.value(like(kind, "i1"), f"fcmp uno {kind} {value.text}, {value.text}")

    def select(self, condition: Value, yes: Value, no: Value) -> Value:
        """Lane by lane `yes` where `condition`, otherwise `no`."""
        kind = yes.type
        text = f"select {condition.type} {condition.text}, {kind} {yes.text}, {kind} {no.text}"
        return self.value(kind, text, yes.unsigned or no.unsigned)

    def divide(self, left: Index, right: int) -> Index:
        """Quotient of non-negative indices."""
        if isinstance(left, int):
            return left // right
        return left if right == 1 else self.value("i64", f"udiv i64 {left.text}, {right}")

    def remainder(self, left: Index, right: int) -> Index:
        """Remainder of non-negative indices."""
        if isinstance(left, int) or right == 1:
            return left % right if isinstance(left, int) else 0
        return self.value("i64", f"urem i64 {left.text}, {right}")

    def smaller(self, left: Index, right: Index) -> Index:
        """The smaller of two indices."""
        if isinstance(left, int) and isinstance(right, int):
            return min(left, right)
        one, other = self.index(left), self.index(right)
        return self.select(one < other, one, other)

    def larger(self, left: Index, right: Index) -> Index:
        """The larger of two indices."""
        if isinstance(left, int) and isinstance(right, int):
            return max(left, right)
        one, other = self.index(left), self.index(right)
        return self.select(one > other, one, other)

    def intrinsic(self, name: str, *operands: Value) -> Value:
        """Call `llvm.name` overloaded on the type of its operands, which is also its result."""
        kind = operands[0].type
        full = f"llvm.{name}.{_mangled(kind)}"
        kinds = ", ".join(o.type for o in operands)
        self.declarations[full] = f"declare {kind} @{full}({kinds})"
        call = f"call {kind} @{full}({', '.join(map(repr, operands))})"
        return self.value(kind, call, operands[0].unsigned)

    def fma(self, left: Value, right: Value, addend: Value) -> Value:
        """left·right + addend, fused where the machine can (never a call)."""
        return self.intrinsic("fmuladd", left, right, addend)

    def add_pairs(self, left: Value, right: Value, addend: Value) -> Value:
        """addend + left[2n]·right[2n] + left[2n+1]·right[2n+1] for bf16 numbers, two in each lane (AVX512-BF16)."""
        name = f"llvm.x86.avx512bf16.dpbf16ps.{32 * lanes_of(addend.type)}"
        pairs = vector_of("bfloat", 2 * lanes_of(addend.type))
        self.declarations[name] = f"declare {addend.type} @{name}({addend.type}, {pairs}, {pairs})"
        both = [self.value(pairs, f"bitcast {v!r} to {pairs}") for v in (left, right)]
        return self.value(addend.type, f"call {addend.type} @{name}({addend!r}, {both[0]!r}, {both[1]!r})")

    def convert(self, operation: str, value: Value, element: str, unsigned: bool = False) -> Value:
        """An LLVM cast (`bitcast`, `sitofp`, `fptosi`, `zext`, `fpext` …) lane by lane."""
        kind = like(value.type, element)
        return self.value(kind, f"{operation} {value.type} {value.text} to {kind}", unsigned)

    # -- vectors and memory -------------------------------------------------------------------------
    def any(self, condition: Value) -> Value:
        """Whether any lane is true."""
        lanes = lanes_of(condition.type)
        if lanes == 1:
            return condition
        name = f"llvm.vector.reduce.or.v{lanes}i1"
        self.declarations[name] = f"declare i1 @{name}({condition.type})"
        return self.value("i1", f"call i1 @{name}({condition!r})")

    def reduce_add(self, vector: Value) -> Value:
        """The sum of all lanes of integers."""
        name = f"llvm.vector.reduce.add.{_mangled(vector.type)}"
        element = element_of(vector.type)
        self.declarations[name] = f"declare {element} @{name}({vector.type})"
        return self.value(element, f"call {element} @{name}({vector!r})")

    def bits_as(self, value: Value, kind: str) -> Value:
        """The same bits as a value of type `kind`."""
        return self.value(kind, f"bitcast {value!r} to {kind}")

    def splat(self, scalar: Value, lanes: int | None = None) -> Value:
        """`scalar` in every lane."""
        lanes = lanes or self.lanes
        if lanes == 1:
            return scalar
        kind = vector_of(scalar.type, lanes)
        one = self.value(kind, f"insertelement {kind} poison, {scalar!r}, i64 0")
        all_first = f"shufflevector {one!r}, {kind} poison, <{lanes} x i32> zeroinitializer"
        return self.value(kind, all_first, scalar.unsigned)

    def shuffle(self, left: Value, right: Value, lanes: Sequence[int]) -> Value:
        """The lanes of `left` then `right` (numbered on) in a new order."""
        kind = vector_of(element_of(left.type), len(lanes))
        order = ", ".join(f"i32 {lane}" for lane in lanes)
        return self.value(kind, f"shufflevector {left!r}, {right!r}, <{len(lanes)} x i32> <{order}>", left.unsigned)

    def lane(self, vector: Value, position: Index) -> Value:
        """One lane of a vector."""
        text = f"extractelement {vector!r}, {self.index(position)!r}"
        return self.value(element_of(vector.type), text, vector.unsigned)

    def counting(self, lanes: int | None = None) -> Value:
        """The i32 vector 0, 1, 2 …"""
        lanes = lanes or self.lanes
        numbers = ", ".join(f"i32 {n}" for n in range(lanes))
        return Value(self, f"<{numbers}>" if lanes > 1 else "0", vector_of("i32", lanes))

    def argument(self, position: int) -> Value:
        """The address of operand number `position`."""
        return self.load(self.offset(Value(self, "%args", "ptr"), position * 8), "ptr")

    def offset(self, pointer: Value, distance: Index) -> Value:
        """The address `distance` bytes behind `pointer`."""
        if isinstance(distance, int):
            if distance == 0:
                return pointer
            distance = self.constant(distance, "i64")
        return self.value("ptr", f"getelementptr i8, ptr {pointer.text}, {distance!r}")

    def load(self, pointer: Value, kind: str | None = None, unsigned: bool = False) -> Value:
        """A value of type `kind` (default: one vector of floats) from memory."""
        kind = kind or vector_of("float", self.lanes)
        return self.value(kind, f"load {kind}, {pointer!r}, align {size_of(element_of(kind))}", unsigned)

    def store(self, value: Value, pointer: Value) -> None:
        """`value` into memory."""
        self.write(f"store {value!r}, {pointer!r}, align {size_of(element_of(value.type))}")

    def load_splat(self, pointer: Value, lanes: int | None = None, element: str = "float") -> Value:
        """One number from memory in every lane."""
        return self.splat(self.load(pointer, element), lanes)

    def zeros(self, kind: str | None = None) -> Value:
        """The zero of `kind` (default: one vector of floats)."""
        return self.constant(0, kind or vector_of("float", self.lanes))

    def first_lanes(self, count: Index, lanes: int | None = None) -> Value:
        """The mask of the first `count` lanes."""
        lanes = lanes or self.lanes
        if isinstance(count, int):
            bits = ", ".join(f"i1 {'true' if n < count else 'false'}" for n in range(lanes))
            return Value(self, f"<{bits}>" if lanes > 1 else bits[3:], vector_of("i1", lanes))
        return self.counting(lanes) < self.splat(self.convert("trunc", count, "i32"), lanes)

    def store_lanes(self, value: Value, pointer: Value, mask: Value) -> None:
        """Store only the lanes of `mask`; the memory of the others is not touched."""
        if mask.text.count("true") == 1:  # LLVM 22 stores a single lane of a truncation as wide as before it
            self.store(self.lane(value, 0), pointer)
            return
        name = f"llvm.masked.store.{_mangled(value.type)}.p0"
        self.declarations[name] = f"declare void @{name}({value.type}, ptr, i32, {mask.type})"
        align = size_of(element_of(value.type))
        self.write(f"call void @{name}({value!r}, {pointer!r}, i32 {align}, {mask!r})")

    def load_lanes(self, pointer: Value, mask: Value, kind: str | None = None) -> Value:
        """Load only the lanes of `mask`; the others become zero without touching their memory."""
        kind = kind or vector_of("float", self.lanes)
        name, align = f"llvm.masked.load.{_mangled(kind)}.p0", size_of(element_of(kind))
        self.declarations[name] = f"declare {kind} @{name}(ptr, i32, {mask.type}, {kind})"
        call = f"call {kind} @{name}({pointer!r}, i32 {align}, {mask!r}, {self.zeros(kind)!r})"
        return self.value(kind, call)

    def prefetch(self, pointer: Value, locality: int = 2) -> None:
        """Ask for the cache line of `pointer`; harmless outside any buffer."""
        self.declarations["llvm.prefetch.p0"] = "declare void @llvm.prefetch.p0(ptr, i32, i32, i32)"
        self.write(f"call void @llvm.prefetch.p0({pointer!r}, i32 0, i32 {locality}, i32 1)")

    # -- control ------------------------------------------------------------------------------------
    @contextmanager
    def loop(self, low: Index, high: Index, step: int = 1, carry: Sequence[Value] = ()) -> Iterator[Loop]:
        """Iterate index = low, low+step … < high; set `loop.next` in the body when values are carried.

        A loop of one constant turn is written without a loop; one whose bounds are only known at run time
        may run zero times (`results` are then the initial values).
        """
        if isinstance(low, int) and isinstance(high, int) and 0 < high - low <= step:
            single = Loop(low, list(carry))
            yield single
            single.results = single.next or single.carry
            return
        certain = isinstance(low, int) and isinstance(high, int) and low < high
        before, body, after = self.block, self.label("loop"), self.label("end")
        first, last = self.index(low), self.index(high)
        enter = f"br label %{body}"
        if not certain:
            some = first < last
            enter = f"br i1 {some.text}, label %{body}, label %{after}"
        self.write(enter)
        self.start(body)
        mark = len(self.lines)
        index = Value(self, f"%i{self.count}", "i64")
        phis = [Value(self, f"%p{self.count}_{n}", v.type, v.unsigned) for n, v in enumerate(carry)]
        running = Loop(index, phis)
        yield running
        running.next = running.next or phis
        following = index + step
        back = self.block
        self.write(f"br i1 {(following < last).text}, label %{body}, label %{after}")
        turns = [(index, first, following), *zip(phis, carry, running.next, strict=True)]
        self.lines[mark:mark] = [
            f"  {p.text} = phi {p.type} [ {a.text}, %{before} ], [ {b.text}, %{back} ]" for p, a, b in turns
        ]
        self.start(after)
        running.results = running.next
        if not certain:
            running.results = [
                self.value(p.type, f"phi {p.type} [ {a.text}, %{before} ], [ {b.text}, %{back} ]", p.unsigned)
                for p, a, b in turns[1:]
            ]

    @contextmanager
    def repeat(self, carry: Sequence[Value]) -> Iterator[Loop]:
        """The body runs once, and again as long as it makes the last carried value (i1) true; set `loop.next`."""
        before, body, after = self.block, self.label("again"), self.label("end")
        self.write(f"br label %{body}")
        self.start(body)
        mark = len(self.lines)
        phis = [Value(self, f"%p{self.count}_{n}", v.type, v.unsigned) for n, v in enumerate(carry)]
        running = Loop(0, phis)
        yield running
        self.write(f"br i1 {running.next[-1].text}, label %{body}, label %{after}")
        self.lines[mark:mark] = [
            f"  {p.text} = phi {p.type} [ {a.text}, %{before} ], [ {b.text}, %{self.block} ]"
            for p, a, b in zip(phis, carry, running.next, strict=True)
        ]
        self.start(after)
        running.results = running.next

    @contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """The body runs only where `condition` (i1) is true."""
        body, after = self.label("then"), self.label("after")
        self.write(f"br i1 {condition.text}, label %{body}, label %{after}")
        self.start(body)
        yield
        self.write(f"br label %{after}")
        self.start(after)

    @contextmanager
    def among(self, index: Index, low: int, high: int, count: int) -> Iterator[None]:
        """The body runs where low <= index < high, for an index known to lie in 0..count."""
        if low == 0 and high == count:
            yield
            return
        value = self.index(index)
        parts = [value >= low] * (low > 0) + [value < high] * (high < count)
        with self.when(parts[0] if len(parts) == 1 else parts[0] & parts[1]):
            yield
