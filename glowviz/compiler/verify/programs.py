"""When a Program is well formed; a broken one is refused with the statement and the buffer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from glowviz.compiler.ops.inference import Known, infer
from glowviz.compiler.program import (
    Alloc,
    Buffer,
    Dealloc,
    Halo,
    Instr,
    Program,
    View,
)
from glowviz.compiler.types import Type, TypeProblem
from glowviz.compiler.verify.graphs import VerifyProblem
from glowviz.compiler.verify.nested import misfit


def verify_program(program: Program, since: Program | None = None) -> None:
    """A Program is well formed when all of these hold; VerifyProblem names the first that does not.

    Every buffer is kept under its name. A weight has contents of its type; only weights and states have
    contents. A held buffer has no halo and no memory order. A view is no held buffer and of none. It lies inside its
    base, begins at a whole element, and its base is a buffer. Views of views end at memory. A statement names
    declared buffers. Only activations and scratch are allocated, each once, and each is deallocated once, after its
    alloc. A view is declared once, while its base lives and after its base is. An instruction touches only living
    buffers. A result has the element type and shape that the op infers from its operands. Nested programs are well
    formed, take what their instruction has for them and give a value for each result. Weights are never written.
    Inputs are never written but for their halo. What is read was written before. Scratch is neither operand nor
    result. No two results share memory. A result shares memory with an operand only where the op may work in place,
    and then exactly. A buffer with a halo is filled, with zeros, before a padded read, and its halo covers the
    padding. Every public output is written and lives to the end, and no public name stands twice. An update renews a
    state from a written buffer of its type that lives to the end.

    With `since`, results of what is identical in that (well-formed) program are not inferred again.
    """
    _buffers(program)
    walk = _Walk(program, since)
    for position, statement in enumerate(program.body):
        walk.step(position, statement)
    walk.end()


def whole(program: Program) -> str:
    return f"program @{program.name}"


def _buffers(program: Program) -> None:
    for name, b in program.buffers.items():
        if name != b.name:
            raise VerifyProblem(f"the buffer kept as %{name} is called %{b.name}", whole(program), "one name")
        if b.kind == "weight" and b.payload is None:
            raise VerifyProblem(f"weight %{name} has no content", whole(program), "contents of its type")
        if b.payload is not None and b.kind not in ("weight", "state"):
            raise VerifyProblem(f"{b.kind} %{name} has contents", whole(program), "only weights and states to")
        if b.payload is not None and b.payload.like != (b.type.shape, b.type.dtype):
            shape, dtype = b.payload.like
            found = f"{dtype}{list(shape)}"
            raise VerifyProblem(f"the content of %{name} is {found}", whole(program), f"{b.type}")
        if (b.kind == "view") != (b.base is not None):
            raise VerifyProblem(f"%{name} is a {b.kind} {'with' if b.base else 'without'} a base", whole(program),
                                "views to have a base, and only views")
        if b.held and (b.halo is not None or b.type.order is not None):
            raise VerifyProblem(f"%{name} is held outside the arenas and has a {'halo' if b.halo else 'memory order'}",
                                whole(program), "neither halo nor order where there are no bytes")
        if b.base is not None:
            _view(program, b)
    for name, b in program.buffers.items():
        seen = {name}
        while b.base is not None:
            if b.base in seen:
                raise VerifyProblem(f"view %{name} is of itself", whole(program), "views to end at memory")
            seen.add(b.base)
            b = program.buffers[b.base]


def _view(program: Program, view: Buffer) -> None:
    base = program.buffers.get(view.base or "")
    if base is None:
        raise VerifyProblem(f"view %{view.name} is of %{view.base}, which is no buffer", whole(program), "a buffer")
    if view.held or base.held:
        held = view if view.held else base
        raise VerifyProblem(f"view %{view.name} is of %{base.name}, and %{held.name} is held outside the arenas",
                            whole(program), "views of bytes")
    if view.offset < 0 or view.offset + view.bytes > base.bytes:
        raise VerifyProblem(
            f"view %{view.name} covers bytes {view.offset} to {view.offset + view.bytes} of %{base.name}",
            whole(program), f"bytes within its {base.bytes}")
    if view.offset % view.type.dtype.itemsize:
        raise VerifyProblem(f"view %{view.name} begins at byte {view.offset}", whole(program),
                            f"a multiple of {view.type.dtype.itemsize}, the size of its elements")


def _extent(buffer: Buffer) -> int:
    """Bytes; a held buffer counts as one, that is written and read as a whole."""
    return 1 if buffer.held else buffer.bytes


class _Walk:
    """What lives, what was written and which halos are filled, statement by statement."""

    def __init__(self, program: Program, since: Program | None) -> None:
        self.program = program
        self.old = since.buffers if since is not None else {}
        self.settled = {id(i) for i in since.instructions} if since is not None else set()
        self.living = {b.name for b in program.of_kind("input", "output", "weight", "state")}
        self.over: set[str] = set()
        self.views: set[str] = set()
        self.filled: set[str] = set()
        self.written: dict[str, list[tuple[int, int]]] = {
            b.name: [(0, _extent(b))] for b in program.of_kind("input", "weight", "state")}
        self.where = ""
        self._ranges: dict[str, tuple[str, int, int]] = {}
        self.last_instruction = -1
        self.deaths: dict[str, int] = {}
        self.known = Known(self._content, lambda _: None, self._type)

    def step(self, position: int, statement: object) -> None:
        name = getattr(statement, "buffer", "")
        self.where = f"statement {position} of {whole(self.program)}"
        if not isinstance(statement, Instr) and name not in self.program.buffers:
            raise VerifyProblem(f"%{name} is not declared", self.where, "a declared buffer")
        if isinstance(statement, Alloc):
            self._alloc(name)
        elif isinstance(statement, Dealloc):
            self._dealloc(name)
            self.deaths[name] = position
        elif isinstance(statement, View):
            self._view(name)
        elif isinstance(statement, Instr):
            self.last_instruction = position
            self.where = f"statement {position} ({statement.name} of %{statement.value or statement.outs[0]})"
            self._instr(statement)

    def _alloc(self, name: str) -> None:
        if self.program.buffers[name].kind not in ("activation", "scratch"):
            kind = self.program.buffers[name].kind
            raise VerifyProblem(f"{kind} %{name} is allocated", self.where, "an activation or scratch buffer")
        if name in self.living or name in self.over:
            raise VerifyProblem(f"%{name} is allocated twice", self.where, "one alloc per buffer")
        self.living.add(name)
        self.written[name] = []

    def _dealloc(self, name: str) -> None:
        if name not in self.living or self.program.buffers[name].kind not in ("activation", "scratch"):
            state = "deallocated twice" if name in self.over else "deallocated without an alloc"
            raise VerifyProblem(f"%{name} is {state}", self.where, "one dealloc after the alloc")
        self.living.discard(name)
        self.over.add(name)

    def _view(self, name: str) -> None:
        root, base = self.program.root(name).name, self.program.buffers[name].base
        if base is None:
            raise VerifyProblem(f"%{name} is no view", self.where, "a buffer with a base")
        if name in self.views:
            raise VerifyProblem(f"view %{name} is declared twice", self.where, "one view statement for each view")
        if base != root and base not in self.views:
            raise VerifyProblem(f"view %{name} is of view %{base}, which is not declared yet", self.where,
                                "the base before its view")
        if root not in self.living:
            raise VerifyProblem(f"view %{name} is of %{root}, which does not live here", self.where, "a living base")
        self.views.add(name)

    def _instr(self, instr: Instr) -> None:
        for name in instr.touched:
            self._lives(name)
        for name in instr.scratch:
            others = (*instr.ins, *instr.outs)
            if self.program.buffers[name].kind != "scratch" or any(self._overlap(name, o) for o in others):
                raise VerifyProblem(f"%{name} is no scratch here", self.where,
                                    "scratch to be scratch, and neither operand nor result")
        for k, name in enumerate(instr.outs):
            if any(self._overlap(name, other) for other in instr.outs[:k]):
                raise VerifyProblem(f"%{name} is written twice by one instruction", self.where, "distinct results")
        self._results(instr)
        self._aliases(instr)
        for name in instr.ins:
            if not (instr.name == "fill_halo" and name in instr.outs):
                self._initialised(name)
        self._padding(instr)
        for name in instr.outs:
            self._write(name, instr)

    def _results(self, instr: Instr) -> None:
        """Results are as the op infers them; asked once for an instruction on the same buffers."""
        buffers = self.program.buffers
        if id(instr) in self.settled and all(self.old.get(n) is buffers[n] for n in instr.touched):
            return
        if instr.regions:
            for nested in instr.regions:
                verify_program(nested)
            told = misfit(instr, self.program)
            if told:
                raise VerifyProblem(told, self.where, "nested programs that fit operands and results")
            return
        types = [buffers[n].type for n in instr.touched]
        if instr.name == "opaque" or not all(t.static for t in types):
            return
        try:
            inferred = infer(instr.op, self._type, self.known)
        except TypeProblem as problem:
            raise VerifyProblem(f"its operands do not fit: {problem}", self.where,
                                "operands that the instruction accepts") from None
        if len(instr.outs) > len(inferred):
            raise VerifyProblem(f"it writes {len(instr.outs)} results", self.where, f"at most {len(inferred)}")
        for name, found in zip(instr.outs, inferred, strict=False):
            stated = buffers[name].type
            if (stated.elem, stated.shape) != (found.elem, found.shape):
                raise VerifyProblem(f"%{name} is {stated}", self.where, f"{found}, as its operands make it")

    def _type(self, name: str) -> Type:
        return self.program.buffers[name].type

    def _content(self, name: str) -> np.ndarray | None:
        """What a weight holds; a view of a whole weight holds the same numbers."""
        buffer = self.program.buffers[name]
        root = self.program.root(name)
        if root.kind != "weight" or root.payload is None:
            return None
        if root is buffer:
            return root.payload.array
        whole = root.bytes == buffer.bytes and root.type.elem == buffer.type.elem
        plain = not (root.type.order or buffer.type.order or root.halo or buffer.halo)
        return root.payload.array.reshape(buffer.type.dims) if whole and plain else None

    def _lives(self, name: str) -> None:
        buffer = self.program.buffers.get(name)
        if buffer is None:
            raise VerifyProblem(f"%{name} is not declared", self.where, "declared buffers")
        if buffer.base is not None and name not in self.views:
            raise VerifyProblem(f"view %{name} is used before it is declared", self.where, "a view statement before it")
        root = self.program.root(name).name
        if root not in self.living:
            state = "after its dealloc" if root in self.over else "before its alloc"
            raise VerifyProblem(f"%{name} is used {state}", self.where, "a living buffer")

    def _range(self, name: str) -> tuple[str, int, int]:
        found = self._ranges.get(name)
        if found is None:
            start = self.program.offset(name)
            found = self.program.root(name).name, start, start + _extent(self.program.buffers[name])
            self._ranges[name] = found
        return found

    def _aliases(self, instr: Instr) -> None:
        operands = tuple(self.program.buffers[b].type for b in instr.ins)
        results = tuple(self.program.buffers[b].type for b in instr.outs)
        for out in instr.outs:
            for name in dict.fromkeys(instr.ins):
                if not self._overlap(out, name):
                    continue
                exact = out == name or self._range(out) == self._range(name)
                allowed = instr.name == "fill_halo" or name in instr.op.may_overwrite(operands, results)
                if not (exact and allowed):
                    raise VerifyProblem(f"%{out} shares memory with operand %{name}", self.where,
                                        "results apart from operands, unless the op may work in place")

    def _overlap(self, a: str, b: str) -> bool:
        root_a, low_a, high_a = self._range(a)
        root_b, low_b, high_b = self._range(b)
        return root_a == root_b and low_a < high_b and low_b < high_a

    def _initialised(self, name: str) -> None:
        root, low, high = self._range(name)
        for start, end in self.written.get(root, []):
            if start <= low:
                low = max(low, end)
        if low < high:
            raise VerifyProblem(f"%{name} is read but was not written", self.where, "every operand to be initialised")

    def _padding(self, instr: Instr) -> None:
        for name, sides in paddings(instr, self.program):
            halo = self.program.buffers[name].halo
            if halo is None or not any(sides):
                continue
            if halo.fill != 0:
                raise VerifyProblem(f"%{name} is read beyond its border, where {halo.fill!r} stands", self.where,
                                    "zeros around what is padded")
            if not halo.covers(Halo(*sides, fill=halo.fill)):
                raise VerifyProblem(f"%{name} is read {sides} beyond its border, its halo is {halo}", self.where,
                                    "a halo that covers the padding")
            if name not in self.filled:
                raise VerifyProblem(f"the halo of %{name} is read but was not filled", self.where, "a fill_halo before")

    def _write(self, name: str, instr: Instr) -> None:
        root, low, high = self._range(name)
        kind = self.program.buffers[root].kind
        if instr.name == "fill_halo" and kind != "weight":
            self.filled.add(name)
            return
        if kind in ("weight", "input"):
            raise VerifyProblem(f"{kind} %{root} is written", self.where, "weights and inputs to be read only")
        self.written[root] = _merged([*self.written.get(root, []), (low, high)])

    def end(self) -> None:
        program = self.program
        self.where = f"the end of {whole(program)}"
        left = [b.name for b in program.of_kind("activation", "scratch") if b.name in self.living]
        if left:
            raise VerifyProblem(f"%{left[0]} is never deallocated", self.where, "a dealloc for each alloc")
        seen: set[str] = set()
        for output in program.outputs:
            if output.public in seen:
                raise VerifyProblem(f"two outputs are called {output.public!r}", self.where, "public names to differ")
            seen.add(output.public)
            if output.buffer not in program.buffers:
                what = f"output {output.public!r} is %{output.buffer}, which is no buffer"
                raise VerifyProblem(what, self.where, "a declared buffer")
            self._lasts(output.buffer)
        for state, name in program.updates.items():
            self._update(state, name)

    def _update(self, state: str, name: str) -> None:
        buffers = self.program.buffers
        if state not in buffers or buffers[state].kind != "state":
            raise VerifyProblem(f"next %{state} renews what is no state", self.where, "a state buffer")
        if name not in buffers or buffers[name].type != buffers[state].type:
            raise VerifyProblem(f"%{state} is renewed by %{name}", self.where, f"a buffer of {buffers[state].type}")
        self._lasts(name)

    def _lasts(self, name: str) -> None:
        """What leaves the program is written, and its memory lives until the last instruction is done."""
        self._initialised(name)
        death = self.deaths.get(self.program.root(name).name, len(self.program.body))
        if death < self.last_instruction:
            raise VerifyProblem(f"%{name} is deallocated at statement {death}", self.where,
                                "what leaves the program to live to the end")


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return merged


def paddings(instr: Instr, program: Program) -> Iterator[tuple[str, tuple[int, int, int, int]]]:
    """Buffers an instruction reads beyond their border, and how far (top, left, bottom, right)."""
    if instr.name == "fused":
        inner = dict(zip(instr.op.body.inputs, instr.op.xs, strict=True))
        for node in instr.op.body:
            operands: tuple[Type, ...] = tuple(instr.op.body.type(o) for o in node.op.operands)
            yield from ((inner[v], s) for v, s in node.op.padding(operands, node.types).items() if v in inner)
        return
    types = tuple(program.buffers[b].type for b in instr.ins)
    results = tuple(program.buffers[b].type for b in instr.outs)
    yield from instr.op.padding(types, results).items()
