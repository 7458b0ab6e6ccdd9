"""Broken IRs beside the sentence that forbids them, and copies of the verifier that lack one check."""

from __future__ import annotations

import ast
import re
import signal
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glowviz.compiler.verify import VerifyProblem


@dataclass(frozen=True)
class Broken:
    """An IR that the sentence beginning with `sentence` forbids; `message` is part of the refusal."""

    sentence: str
    message: str
    make: Callable[[], Any]
    """The IR, or the arguments of the verifier as a tuple."""

    @property
    def arguments(self) -> tuple[Any, ...]:
        made = self.make()
        return made if isinstance(made, tuple) else (made,)

    def __str__(self) -> str:
        return re.sub(r"\W+", "_", self.message).strip("_")[:60]


def refusal(verify: Callable[..., None], broken: Broken) -> str:
    """What the verifier says of a broken IR; empty where it says nothing."""
    arguments = broken.arguments
    try:
        with _limited(0.5):
            verify(*arguments)
    except VerifyProblem as problem:
        return str(problem)
    except Exception as fault:  # a copy without a check may stumble later, or never end
        return f"{type(fault).__name__}: {fault}"
    return ""


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """TimeoutError where the block runs for more CPU time."""

    def stop(*_: Any) -> None:
        raise TimeoutError(f"more than {seconds} s")

    old = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, old)


def sentences(text: str | None) -> tuple[str, ...]:
    """The sentences of a docstring that state a rule, without its first line and what follows `With`."""
    body = " ".join((text or "").split()).split("With `since`")[0]
    found = re.split(r"(?<=[.:]) (?=\w)", body)
    return tuple(s.strip() for s in found[1:])


@dataclass(frozen=True)
class Mutant:
    """A verifier module in which one check is gone: a whole `raise`, or one of several conditions for it."""

    line: int
    what: str
    module: types.ModuleType


def mutants(source: types.ModuleType) -> Iterator[Mutant]:
    """Every copy of a module with one `raise VerifyProblem` passed over, or one operand of its `or` left out."""
    text = Path(source.__file__ or "").read_text()
    for node in ast.walk(ast.parse(text)):
        if _is_refusal(node):
            yield _mutant(source, text, node.lineno, "raise", lambda tree, at: _Passed(at).visit(tree))
        if isinstance(node, ast.If) and any(map(_is_refusal, node.body)) and _ors(node.test):
            for k in range(len(_ors(node.test))):
                yield _mutant(source, text, node.lineno, f"condition {k + 1}",
                              lambda tree, at, k=k: _Fewer(at, k).visit(tree))


def _is_refusal(node: ast.AST) -> bool:
    call = node.exc if isinstance(node, ast.Raise) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "VerifyProblem"


def _ors(test: ast.expr) -> list[ast.expr]:
    return test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or) else []


class _Passed(ast.NodeTransformer):
    def __init__(self, line: int) -> None:
        self.line = line

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return ast.copy_location(ast.Pass(), node) if node.lineno == self.line and _is_refusal(node) else node


class _Fewer(ast.NodeTransformer):
    def __init__(self, line: int, gone: int) -> None:
        self.line, self.gone = line, gone

    def visit_If(self, node: ast.If) -> ast.AST:
        self.generic_visit(node)
        if node.lineno == self.line and _ors(node.test):
            left = [test for k, test in enumerate(_ors(node.test)) if k != self.gone]
            node.test = left[0] if len(left) == 1 else ast.BoolOp(ast.Or(), left)
        return node


def _mutant(
    source: types.ModuleType, text: str, line: int, what: str, change: Callable[[ast.AST, int], ast.AST]
) -> Mutant:
    tree = ast.fix_missing_locations(change(ast.parse(text), line))
    module = types.ModuleType(source.__name__)
    module.__dict__["VerifyProblem"] = VerifyProblem
    code = compile(tree, f"{source.__name__} without line {line}", "exec")  # type: ignore[call-overload]  # a Module
    exec(code, module.__dict__)
    return Mutant(line, what, module)


def unnoticed(
    mutant: Mutant, names: dict[str, list[Broken]], messages: dict[Broken, str]
) -> bool:
    """Every broken IR is refused by the copy as it is by the whole verifier: the missing check has no test."""
    return all(
        broken.message in refusal(getattr(mutant.module, verify), broken)
        for verify, cases in names.items()
        for broken in cases
        if messages[broken]
    )
