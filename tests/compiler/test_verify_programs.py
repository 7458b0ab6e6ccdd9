"""Every sentence about well-formed Programs and MemoryPlans is checked: each has broken ones, refused by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from glowviz.compiler.graph import Payload
from glowviz.compiler.memory import plan_memory
from glowviz.compiler.ops import Add, Conv, TopK
from glowviz.compiler.program import Alloc, Buffer, Dealloc, Halo, Instr, MemoryPlan, Placement, Program, View
from glowviz.compiler.text import parse_program
from glowviz.compiler.types import Symbol, Type, channels_last
from glowviz.compiler.verify import VerifyProblem, plans, programs, verify_plan, verify_program
from tests.compiler.broken import Broken, mutants, refusal, sentences, unnoticed

F4 = Type("f32", (4,))
NAME = "Every buffer is kept under its name."
WEIGHT = "A weight has contents of its type; only weights and states have contents."
HELD = "A held buffer has no halo and no memory order."
BYTES = "A view is no held buffer and of none."
VIEW = "It lies inside its base, begins at a whole element, and its base is a buffer."
CHAIN = "Views of views end at memory."
DECLARED = "A statement names declared buffers."
ALLOCATED = "Only activations and scratch are allocated, each once, and each is deallocated once, after its alloc."
VIEWED = "A view is declared once, while its base lives and after its base is."
LIVING = "An instruction touches only living buffers."
RESULT = "A result has the element type and shape that the op infers from its operands."
NESTED = (
    "Nested programs are well formed, take what their instruction has for them and give a value for each result."
)
WEIGHTS = "Weights are never written."
INPUTS = "Inputs are never written but for their halo."
BEFORE = "What is read was written before."
SCRATCH = "Scratch is neither operand nor result."
APART = "No two results share memory."
PLACE = "A result shares memory with an operand only where the op may work in place, and then exactly."
HALO = "A buffer with a halo is filled, with zeros, before a padded read, and its halo covers the padding."
OUTPUT = "Every public output is written and lives to the end, and no public name stands twice."
UPDATE = "An update renews a state from a written buffer of its type that lives to the end."


def text(body: str, inputs: str = "%x: f32[4]", output: str = "%y: f32[4]", returns: str = '"y"=%y'
         ) -> Callable[[], Program]:
    """A program from the lines between its declarations and its return."""
    return lambda: parse_program(
        f"program @p {{\ninput {inputs}\noutput {output}\n{body}\nreturn {returns}\n}}")


def made(change: Callable[[Program], Program], body: str = "relu out %y, in %x", **heads: str) -> Callable[[], Program]:
    """A program that no text can say."""
    return lambda: change(text(body, **heads)())


def plus(buffers: Mapping[str, Buffer] = {}, *statements: Any) -> Callable[[], Program]:
    """The small program with more buffers, and statements in front."""
    return made(lambda p: p.evolve(buffers={**p.buffers, **buffers}, body=(*statements, *p.body)))


def zeros(dtype: Any, *shape: int) -> Payload:
    return Payload(np.zeros(shape, dtype))


RELU = "relu out %y, in %x"
IF = "if out %y, in %c, in %x"
INNER = f'program @in {{ input %x: f32[4] output %y: f32[4] {RELU} return "y"=%y }}'
A = "alloc %a: f32[4]\n"
END = "dealloc %a\n"
BIG = "%x: f32[1x1x4x4] halo [1, 1, 1, 1] fill 0.0"
CONV = "weight %w: f32[1x1x3x3] = splat 1.0\n{}\nconv out %y, in %x, in %w {{pads=[1, 1, 1, 1]}}"
FILL = "fill_halo inout %x"
CONVS = {"output": "%y: f32[1x1x4x4]"}
CASES = [
    Broken(NAME, "the buffer kept as %a is called %b", plus({"a": Buffer("b", F4, "activation")})),
    Broken(WEIGHT, "weight %w has no content", text(f"weight %w: f32[4]\n{RELU}")),
    Broken(WEIGHT, "activation %a has contents", plus({"a": Buffer("a", F4, "activation", payload=zeros("f4", 4))})),
    Broken(WEIGHT, "input %i has contents", plus({"i": Buffer("i", F4, "input", payload=zeros("f4", 4))})),
    Broken(WEIGHT, "the content of %w is float32[3]", plus({"w": Buffer("w", F4, "weight", payload=zeros("f4", 3))})),
    Broken(WEIGHT, "the content of %s is int32[4]", plus({"s": Buffer("s", F4, "state", payload=zeros("i4", 4))})),
    Broken(VIEW, "view %v covers bytes 8 to 24 of %x", text(f"view %v: f32[4] of %x at +0x8\n{RELU}")),
    Broken(VIEW, "view %v covers bytes 0 to 20 of %x", text(f"view %v: f32[5] of %x at +0x0\n{RELU}")),
    Broken(VIEW, "view %v covers bytes -8 to 0 of %x", plus({
        "v": Buffer("v", Type("f32", (2,)), "view", base="x", offset=-8)})),
    Broken(VIEW, "view %v begins at byte 2", text(f"view %v: f32[1] of %x at +0x2\n{RELU}")),
    Broken(VIEW, "view %v is of %q, which is no buffer", text(f"view %v: f32[1] of %q at +0x0\n{RELU}")),
    Broken(VIEW, "%v is a view without a base", plus({"v": Buffer("v", F4, "view")})),
    Broken(VIEW, "%v is a activation with a base", plus({"v": Buffer("v", F4, "activation", base="x")})),
    Broken(HELD, "%a is held outside the arenas and has a halo", plus({
        "a": Buffer("a", Type("f32", (1, 1, 4, Symbol("n"))), "activation", halo=Halo(1, 1, 1, 1))})),
    Broken(HELD, "%a is held outside the arenas and has a memory order", plus({
        "a": Buffer("a", Type("f32", (1, 1, 4, Symbol("n")), order=channels_last(4)), "activation")})),
    Broken(BYTES, "view %v is of %x, and %v is held", text(f"view %v: f32[n] of %x at +0x0\n{RELU}")),
    Broken(BYTES, "view %v is of %s, and %s is held", text(
        f"alloc %s: seq(f32[4])\nview %v: f32[4] of %s at +0x0\n{RELU}\ndealloc %s")),
    Broken(CHAIN, "view %v is of itself", text(f"view %v: f32[4] of %v at +0x0\n{RELU}")),
    Broken(CHAIN, "is of itself", text(f"view %v: f32[4] of %u at +0x0\nview %u: f32[4] of %v at +0x0\n{RELU}")),
    Broken(DECLARED, "%q is not declared. In statement 0 of", plus({}, Alloc("q"))),
    Broken(DECLARED, "%q is not declared. In statement 0 of", text(f"dealloc %q\n{RELU}")),
    Broken(DECLARED, "%q is not declared. In statement 0 of", plus({}, View("q"))),
    Broken(DECLARED, "%q is not declared. In statement 0 (relu", text("relu out %y, in %q")),
    Broken(DECLARED, "%q is not declared. In statement 0 (relu", text("relu out %q, in %x")),
    Broken(DECLARED, "%q is not declared. In statement 0 (relu", text("relu out %y, in %x, scratch %q")),
    Broken(ALLOCATED, "input %x is allocated", plus({}, Alloc("x"))),
    Broken(ALLOCATED, "output %y is allocated", plus({}, Alloc("y"))),
    Broken(ALLOCATED, "view %v is allocated", plus({"v": Buffer("v", F4, "view", base="x")}, Alloc("v"))),
    Broken(ALLOCATED, "%a is allocated twice", text(f"{A}{A}{RELU}\n{END}")),
    Broken(ALLOCATED, "%a is allocated twice", text(f"{A}{END}{A}{RELU}")),
    Broken(ALLOCATED, "%a is deallocated twice", text(f"{A}{RELU}\n{END}{END}")),
    Broken(ALLOCATED, "%a is deallocated without an alloc", text(f"{END}{A}{RELU}")),
    Broken(ALLOCATED, "%x is deallocated without an alloc", text(f"{RELU}\ndealloc %x")),
    Broken(ALLOCATED, "%a is never deallocated", text(f"{A}{RELU}")),
    Broken(ALLOCATED, "%s is never deallocated", text(f"scratch %s: f32[4]\n{RELU}")),
    Broken(VIEWED, "%x is no view", plus({}, View("x"))),
    Broken(VIEWED, "view %v is declared twice", text(
        f"view %v: f32[4] of %x at +0x0\nview %v: f32[4] of %x at +0x0\n{RELU}")),
    Broken(VIEWED, "view %v is of %a, which does not live here", text(
        f"view %v: f32[4] of %a at +0x0\n{A}{RELU}\n{END}")),
    Broken(VIEWED, "view %v is of %a, which does not live here", text(
        f"{A}{END}view %v: f32[4] of %a at +0x0\n{RELU}")),
    Broken(VIEWED, "view %v is of view %u, which is not declared yet", text(
        f"view %v: f32[2] of %u at +0x0\nview %u: f32[4] of %x at +0x0\n{RELU}")),
    Broken(LIVING, "%a is used before its alloc", text(f"relu out %a, in %x\n{A}{RELU}\n{END}")),
    Broken(LIVING, "%a is used after its dealloc", text(f"{A}relu out %a, in %x\n{END}relu out %y, in %a")),
    Broken(LIVING, "%v is used after its dealloc", text(
        f"{A}view %v: f32[4] of %a at +0x0\nrelu out %a, in %x\n{END}relu out %y, in %v")),
    Broken(LIVING, "%s is used before its alloc", text(f"{RELU}, scratch %s\nscratch %s: f32[4]\ndealloc %s")),
    Broken(LIVING, "view %v is used before it is declared", text(
        "relu out %y, in %v\nview %v: f32[4] of %x at +0x0")),
    Broken(RESULT, "%y is f32[5]", text(RELU, output="%y: f32[5]")),
    Broken(RESULT, "%y is i32[4]", text(RELU, output="%y: i32[4]")),
    Broken(RESULT, "its operands do not fit: Add: shapes [4] and [3] do not broadcast", text(
        "weight %w: f32[3] = splat 1.0\nadd out %y, in %x, in %w")),
    Broken(RESULT, "its operands do not fit: Conv", text(
        CONV.format(""), "%x: f32[1x2x4x4]", **CONVS)),
    Broken(RESULT, "%y is f32[4]. In statement 0 (reshape", text(
        "weight %n: i64[2] = [2, 2]\nreshape out %y, in %x, in %n")),
    Broken(RESULT, "%y is f32[4]. In statement 1 (reshape", text(
        "weight %n: i64[1x2] = [2, 2]\nview %v: i64[2] of %n at +0x0\nreshape out %y, in %x, in %v")),
    Broken(RESULT, "it writes 2 results", text(f"{A}relu out %y, out %a, in %x\n{END}")),
    Broken(NESTED, "relu has nested programs", text(f"{RELU} runs {INNER}")),
    Broken(NESTED, "if has 1 nested programs, not 2", text(f"{IF} runs {INNER}", "%x: f32[4]\ninput %c: bool[]")),
    Broken(NESTED, "%y is read but was not written. In the end of program @in", text(
        f"{IF} runs {INNER} runs {INNER.replace(RELU, '')}", "%x: f32[4]\ninput %c: bool[]")),
    Broken(WEIGHTS, "weight %w is written", text(f"weight %w: f32[4] = splat 1.0\nrelu out %w, in %x\n{RELU}")),
    Broken(WEIGHTS, "weight %w is written", text(
        f"weight %w: f32[4] = splat 1.0\nview %v: f32[4] of %w at +0x0\nrelu out %v, in %x\n{RELU}")),
    Broken(WEIGHTS, "weight %w is written", text(f"weight %w: f32[4] = splat 1.0\nfill_halo inout %w\n{RELU}")),
    Broken(INPUTS, "input %x is written", text(f"relu inout %x\n{RELU}")),
    Broken(INPUTS, "input %x is written", text(f"view %v: f32[4] of %x at +0x0\nrelu inout %v\n{RELU}")),
    Broken(BEFORE, "%a is read but was not written", text(f"{A}relu out %y, in %a\n{END}")),
    Broken(BEFORE, "%y is read but was not written", text("relu inout %y")),
    Broken(BEFORE, "%h is read but was not written", text("alloc %h: f32[n]\nrelu out %y, in %h\ndealloc %h")),
    Broken(BEFORE, "%a is read but was not written. In statement 3", text(
        f"{A}view %v: f32[2] of %a at +0x0\nview %h: f32[2] of %x at +0x0\nrelu out %y, in %a\n{END}")),
    Broken(BEFORE, "%a is read but was not written. In statement 4", text(
        f"{A}view %v: f32[2] of %a at +0x8\nview %h: f32[2] of %x at +0x0\nrelu out %v, in %h\nrelu out %y, in %a\n"
        f"{END}")),
    Broken(BEFORE, "%s is read but was not written", text("scratch %s: f32[4]\nrelu out %y, in %s\ndealloc %s")),
    Broken(SCRATCH, "%a is no scratch here", text(f"{A}{RELU}, scratch %a\n{END}")),
    Broken(SCRATCH, "%s is no scratch here", text(
        f"scratch %s: f32[4]\nrelu out %s, in %x\n{RELU}\nadd out %y, in %x, in %s, scratch %s\ndealloc %s")),
    Broken(SCRATCH, "%s is no scratch here", text("scratch %s: f32[4]\nrelu out %s, in %x, scratch %s\ndealloc %s")),
    Broken(SCRATCH, "%s is no scratch here", text(
        "scratch %s: f32[4]\nview %v: f32[4] of %s at +0x0\nrelu out %v, in %x, scratch %s\ndealloc %s")),
    Broken(APART, "%a is written twice by one instruction", made(
        lambda p: p.evolve(body=(p.body[0], Instr(TopK("x", "k"), ("a", "a")), *p.body[1:])),
        f"weight %k: i64[1] = [4]\n{A}{RELU}\n{END}")),
    Broken(APART, "%v is written twice by one instruction", text(
        "weight %k: i64[1] = [1]\nalloc %a: f32[4]\nview %v: i64[1] of %a at +0x0\nview %u: f32[1] of %a at +0x0\n"
        f"top_k out %u, out %v, in %x, in %k\n{RELU}\n{END}")),
    Broken(PLACE, "%a shares memory with operand %a", text(
        f"weight %n: i64[2] = [4, 4]\nalloc %a: f32[4x4]\nexpand out %a, in %x, in %n\nmatmul inout %a, in %a\n{RELU}"
        f"\n{END}")),
    Broken(PLACE, "%u shares memory with operand %a", text(
        "alloc %a: f32[8]\nconcat out %a, in %x, in %x {axis=0}\nview %u: f32[1] of %a at +0x0\n"
        f"reduce_sum out %u, in %a\n{RELU}\n{END}")),
    Broken(PLACE, "%v shares memory with operand %u", text(
        f"alloc %a: f32[8]\nconcat out %a, in %x, in %x {{axis=0}}\nview %v: f32[4] of %a at +0x10\n"
        f"view %u: f32[4] of %a at +0x8\nadd out %v, in %u, in %x\n{RELU}\n{END}")),
    Broken(HALO, "the halo of %x is read but was not filled", text(CONV.format(""), BIG, **CONVS)),
    Broken(HALO, "%x is read (1, 1, 1, 1) beyond its border, its halo is halo [1, 0, 1, 1]", text(
        CONV.format(FILL), BIG.replace("[1, 1, 1, 1]", "[1, 0, 1, 1]"), **CONVS)),
    Broken(HALO, "%x is read beyond its border, where 1.0 stands", text(
        CONV.format(FILL), BIG.replace("fill 0.0", "fill 1.0"), **CONVS)),
    Broken(OUTPUT, "two outputs are called 'y'", text(RELU, returns='"y"=%y, "y"=%x')),
    Broken(OUTPUT, "output 'y' is %q, which is no buffer", text(RELU, returns='"y"=%q')),
    Broken(OUTPUT, "%y is read but was not written. In the end of", text("")),
    Broken(OUTPUT, "%a is deallocated at statement 2", text(
        f"{A}relu out %a, in %x\n{END}{RELU}", returns='"y"=%y, "a"=%a')),
    Broken(UPDATE, "next %x renews what is no state", text(f"{RELU}\nnext %x = %y")),
    Broken(UPDATE, "next %q renews what is no state", text(f"{RELU}\nnext %q = %y")),
    Broken(UPDATE, "%s is renewed by %x", text(f"state %s: f32[2] = splat 0.0\n{RELU}\nnext %s = %x")),
    Broken(UPDATE, "%s is renewed by %q", text(f"state %s: f32[4] = splat 0.0\n{RELU}\nnext %s = %q")),
    Broken(UPDATE, "%a is read but was not written. In the end of", text(
        f"state %s: f32[4] = splat 0.0\n{A}{RELU}\n{END}next %s = %a")),
    Broken(UPDATE, "%a is deallocated at statement 2", text(
        f"state %s: f32[4] = splat 0.0\n{A}relu out %a, in %x\n{END}{RELU}\nnext %s = %a")),
]

SIZE = "Every owning buffer has a place of at least its size, a held one has none."
LIFETIME = "It holds its place for its whole lifetime:"
LIFETIMES = "activations and scratch from alloc to dealloc, everything else for the whole run."
OVERLAP = "No two places that live at once overlap, every place is aligned and inside its arena."
ADDRESS = "An address in the program is the address in the plan."
TWO = ("alloc %a: f32[32]\nalloc %b: f32[32]\nrelu out %a, in %x\nrelu out %b, in %a\nadd out %y, in %a, in %b\n"
       "dealloc %a\ndealloc %b")


def planned(change: Callable[[dict[str, Placement]], Any], arena: int | None = None) -> Callable[[], Any]:
    """A program and a plan in which some placements are wrong."""

    def make() -> tuple[Program, MemoryPlan]:
        program, plan = plan_memory(text(TWO, "%x: f32[32]", "%y: f32[32]")(), seconds=0.0)
        placements = dict(plan.buffers)
        change(placements)
        arenas = dict(plan.arenas) if arena is None else {**plan.arenas, "activations": arena}
        bare = program.evolve(buffers={n: b.evolve(address=None) for n, b in program.buffers.items()})
        return bare, MemoryPlan(placements, arenas, plan.lower_bound)

    return make


def moved(name: str, **fields: Any) -> Callable[[dict[str, Placement]], Any]:
    def change(placements: dict[str, Placement]) -> None:
        old = {f: getattr(placements[name], f) for f in ("buffer", "arena", "offset", "size", "birth", "death")}
        placements[name] = Placement(**{**old, **fields})

    return change


def elsewhere() -> tuple[Program, MemoryPlan]:
    program, plan = plan_memory(text(TWO, "%x: f32[32]", "%y: f32[32]")(), seconds=0.0)
    wrong = program.buffers["b"].evolve(address=(program.buffers["b"].address or 0) + 64)
    return program.evolve(buffers={**program.buffers, "b": wrong}), plan


def held(placed: bool) -> Callable[[], Any]:
    """A held buffer with a place, or with an address, in a small program."""

    def make() -> tuple[Program, MemoryPlan]:
        program, plan = plan_memory(plus({"h": Buffer("h", Type("f32", (Symbol("n"),)), "activation")})(), seconds=0.0)
        if placed:
            return program, replace(plan, buffers={**plan.buffers, "h": Placement("h", "activations", 0, 0, 0, 0)})
        return program.evolve(buffers={**program.buffers, "h": program.buffers["h"].evolve(address=0)}), plan

    return make


PLANS = [
    Broken(SIZE, "%a has no place in memory", planned(lambda p: p.pop("a"))),
    Broken(SIZE, "%x has no place in memory", planned(lambda p: p.pop("x"))),
    Broken(SIZE, "%h is held outside the arenas and has an address", held(placed=True)),
    Broken(SIZE, "%h is held outside the arenas and has an address", held(placed=False)),
    Broken(SIZE, "%a has 64 bytes", planned(moved("a", size=64))),
    Broken(LIFETIME, "%a holds its place for [2, 5)", planned(moved("a", birth=2))),
    Broken(LIFETIME, "%a holds its place for [0, 4)", planned(moved("a", death=4))),
    Broken(LIFETIMES, "%x holds its place for [0, 6)", planned(moved("x", death=6))),
    Broken(LIFETIMES, "%y holds its place for [5, 7)", planned(moved("y", birth=5))),
    Broken(OVERLAP, "live together", planned(lambda p: moved("a", offset=p["b"].offset)(p))),
    Broken(OVERLAP, "live together", planned(lambda p: moved("a", offset=p["b"].offset + 64)(p), 512)),
    Broken(OVERLAP, "is not 64-byte aligned", planned(moved("b", offset=260), 512)),
    Broken(OVERLAP, "leaves activations", planned(moved("b", offset=4096))),
    Broken(OVERLAP, "leaves activations", planned(moved("b", offset=-64))),
    Broken(ADDRESS, "%b stands at", elsewhere),
]


@pytest.mark.parametrize("broken", CASES, ids=str)
def test_broken_programs_are_refused(broken: Broken) -> None:
    said = refusal(verify_program, broken)
    assert broken.message in said
    assert " In " in said, "the refusal says where"
    assert " Expected " in said, "the refusal says what was expected"


@pytest.mark.parametrize("broken", PLANS, ids=str)
def test_broken_plans_are_refused(broken: Broken) -> None:
    assert broken.message in refusal(verify_plan, broken)


@pytest.mark.parametrize(("verify", "cases", "least"), [(verify_program, CASES, 18), (verify_plan, PLANS, 5)])
def test_every_sentence_has_a_broken_program(verify: Any, cases: list[Broken], least: int) -> None:
    stated = sentences(verify.__doc__)
    assert len(stated) >= least
    for sentence in stated:
        assert any(sentence.startswith(b.sentence) for b in cases), sentence
    for broken in cases:
        assert any(sentence.startswith(broken.sentence) for sentence in stated), broken.sentence


def test_every_check_is_tested() -> None:
    modules = {programs: {"verify_program": CASES}, plans: {"verify_plan": PLANS}}
    messages = {b: b.message for b in (*CASES, *PLANS)}
    found = [(m, cases) for module, cases in modules.items() for m in mutants(module)]
    missing = [f"line {m.line}: {m.what}" for m, cases in found if unnoticed(m, cases, messages)]
    assert not missing, "checks of verify/programs.py and plans.py that nothing broken needs: " + "; ".join(missing)


def test_sixty_broken_irs() -> None:
    from tests.compiler.test_verify_graphs import CASES as GRAPHS

    assert len({(b.sentence, b.message) for b in (*GRAPHS, *CASES, *PLANS)}) >= 60


@pytest.mark.parametrize("make", [
    text("relu out %y, in %x"),
    text(f"{A}relu out %a, in %x\nrelu inout %a\nadd out %y, in %a, in %a\n{END}"),
    text(f"scratch %s: f32[4]\n{RELU}, scratch %s\ndealloc %s"),
    text(f"state %s: f32[4] = splat 0.0\n{A}{RELU}\nrelu out %a, in %y\n{END}next %s = %a"),
    text("alloc %h: f32[n]\nrelu out %h, in %h2\nrelu out %y, in %x\ndealloc %h", "%h2: f32[n]\ninput %x: f32[4]"),
    text(CONV.format(FILL), BIG, **CONVS),
    text(f"alloc %a: f32[8]\nview %v: f32[4] of %a at +0x0\nview %u: f32[4] of %a at +0x10\nrelu out %v, in %x\n"
         f"relu out %u, in %v\nadd out %y, in %u, in %v\n{END}"),
], ids=["one", "in place", "scratch", "state", "held", "halo", "views"])
def test_good_programs_are_accepted(make: Callable[[], Program]) -> None:
    verify_program(make())


def test_what_a_change_breaks_is_found_with_since() -> None:
    good = text(f"{A}relu out %a, in %x\nrelu out %y, in %a\n{END}")()
    verify_program(good)
    wider = good.buffers["a"].evolve(type=Type("f32", (5,)))
    bad = good.evolve(buffers={**good.buffers, "a": wider})
    other = good.evolve(body=(*good.body[:2], Instr(Add("a", "x"), ("y",)), Dealloc("a")))
    verify_program(other, since=good)
    with pytest.raises(VerifyProblem, match=r"%a is f32\[5\]"):
        verify_program(bad, since=good)
    conv = good.evolve(body=(*good.body[:2], Instr(Conv("a", "x"), ("y",)), Dealloc("a")))
    with pytest.raises(VerifyProblem, match="its operands do not fit"):
        verify_program(conv, since=good)
