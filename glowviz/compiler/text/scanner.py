"""A cursor over a text that knows its line: the parser asks it for what may stand next."""

from __future__ import annotations

import json
import re

import numpy as np

from glowviz.compiler.types import (
    ELEMENTS,
    ORDERS_BY_NAME,
    Dim,
    OptionalType,
    Order,
    Quant,
    SequenceType,
    Symbol,
    Type,
    TypeProblem,
)

SPACE = re.compile(r"(?:[ \t\r\n]+|//[^\n]*)*")
WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
NAME = re.compile(r"[A-Za-z0-9_.]+")
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
NUMBER = re.compile(r"[-+]?(?:inf|nan|0x[0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)")
DIM = re.compile(r'(\d+|[A-WYZa-wyz_?][A-WYZa-wyz0-9_?.]*|"(?:[^"\\]|\\.)*")(<=\d+)?(?=x|\])')


class TextProblem(ValueError):
    """The text does not parse; says the line, what was expected and what stands there."""


class Scanner:
    """Recursive descent's left hand: peek, take, expect."""

    def __init__(self, text: str) -> None:
        self.text, self.position = text, 0
        self.end = 0
        """Where the last token ended."""
        self.skip()

    def skip(self) -> None:
        self.end = self.position
        found = SPACE.match(self.text, self.position)
        assert found is not None
        self.position = found.end()

    def fail(self, expected: str) -> TextProblem:
        line = self.text.count("\n", 0, self.position) + 1
        rest = self.text[self.position :].split("\n", 1)[0][:40]
        return TextProblem(f"line {line}: expected {expected}, found {rest!r}" if rest else
                           f"line {line}: expected {expected}, found the end of the text")

    def behind(self, expected: str) -> TextProblem:
        """Like fail, for what has been stepped over: the line and the words are those before the cursor."""
        line = self.text.count("\n", 0, max(self.end - 1, 0)) + 1
        passed = self.text[: self.end].rsplit("\n", 1)[-1].strip()[-40:]
        return TextProblem(f"line {line}: expected {expected}, found {passed!r}")

    def peek(self, token: str) -> bool:
        return self.text.startswith(token, self.position)

    def take(self, token: str) -> bool:
        """Step over the token if it stands here; a word only as a whole word."""
        if not self.peek(token):
            return False
        end = self.position + len(token)
        if token[-1].isalnum() and NAME.match(self.text, end):
            return False
        self.position = end
        self.skip()
        return True

    def expect(self, token: str) -> None:
        if not self.take(token):
            raise self.fail(repr(token))

    def match(self, pattern: re.Pattern[str], expected: str) -> str:
        found = pattern.match(self.text, self.position)
        if found is None or not found.group():
            raise self.fail(expected)
        self.position = found.end()
        self.skip()
        return found.group()

    def word(self, expected: str) -> str:
        return self.match(WORD, expected)

    def string(self) -> str:
        return json.loads(self.match(STRING, "a quoted string"))

    def name(self) -> str:
        """A plain or JSON-quoted name."""
        return self.string() if self.peek('"') else self.match(NAME, "a name")

    def value(self) -> str:
        """`%name`."""
        if not self.peek("%"):
            raise self.fail("a value name like %x")
        self.position += 1
        return self.name()

    def number(self) -> int | float:
        text = self.match(NUMBER, "a number")
        if "0x" in text:
            return int(text, 16)
        return int(text) if re.fullmatch(r"[-+]?\d+", text) else float(text)

    def integer(self) -> int:
        number = self.number()
        if not isinstance(number, int):
            raise self.behind("a whole number")
        return number

    # types -------------------------------------------------------------------------------------

    def type(self) -> Type:
        """A tensor type: `f32[1x8x24x24]@NCHW16c`."""
        elem = self.word("a type like f32[1x3]")
        if elem not in ELEMENTS:
            raise self.behind(f"an element type ({', '.join(ELEMENTS)})")
        try:
            quant = self._quant() if self.peek("(") else None
            shape = self._shape()
            order = self.order() if self.peek("@") else None
            return Type(elem, shape, quant, order)
        except TypeProblem as problem:
            raise self.behind(f"a type that can be ({problem})") from None

    def any_type(self) -> Type:
        """A tensor type, `seq(…)` or `optional(…)`."""
        for word, make in (("seq", SequenceType), ("optional", OptionalType)):
            if self.take(word):
                self.expect("(")
                item = self.any_type()
                self.expect(")")
                return make(item)
        return self.type()

    def _shape(self) -> tuple[Dim, ...] | None:
        if not self.peek("["):
            raise self.fail("a shape like [1x3]")
        self.position += 1
        if self.take("*"):
            self.expect("]")
            return None
        dims: list[Dim] = []
        while not self.peek("]"):
            found = DIM.match(self.text, self.position)
            if found is None:
                raise self.fail('a dimension like 3, N or "max_x"<=8')
            self.position = found.end()
            name, bound = found.group(1), found.group(2)
            name = json.loads(name) if name.startswith('"') else name
            dims.append(int(name) if found.group(1).isdigit() else Symbol(name, int(bound[2:]) if bound else None))
            if self.peek("x"):
                self.position += 1
        self.expect("]")
        return tuple(dims)

    def _quant(self) -> Quant:
        self.expect("(")
        if not self.peek("axis"):
            scale = float(self.number())
            self.expect(",")
            zero = self.integer()
            self.expect(")")
            return Quant((scale,), (zero,))
        block = None
        self.expect("axis")
        self.expect("=")
        axis = self.integer()
        self.expect(",")
        if self.take("block"):
            self.expect("=")
            block = self.integer()
            self.expect(",")
        self.expect("scale")
        self.expect("=")
        scales = tuple(float(s) for s in self.numbers())
        self.expect(",")
        self.expect("zero")
        self.expect("=")
        zeros = tuple(int(z) for z in self.numbers()) if self.peek("[") else (self.integer(),)
        self.expect(")")
        return Quant(scales, zeros, axis, block)

    def numbers(self) -> list[int | float]:
        """`[1, 2.5]`."""
        self.expect("[")
        found: list[int | float] = []
        while not self.take("]"):
            found.append(self.number())
            if not self.peek("]"):
                self.expect(",")
        return found

    def order(self) -> Order:
        """`@NCHW16c` or `@[0,1,2,3,1/16]`."""
        self.expect("@")
        if not self.peek("["):
            name = self.word("an order's name")
            if name not in ORDERS_BY_NAME:
                raise self.behind(f"an order ({', '.join(ORDERS_BY_NAME)} or [axis/tile,…])")
            return ORDERS_BY_NAME[name]
        self.expect("[")
        dims: list[tuple[int, int]] = []
        while not self.take("]"):
            axis = self.integer()
            dims.append((axis, self.integer() if self.take("/") else 0))
            if not self.peek("]"):
                self.expect(",")
        return Order(tuple(dims))


def as_array(elements: list, type_: Type) -> np.ndarray:
    """Literal elements as an array of a type; the count must fit."""
    if len(elements) != type_.count:
        raise TypeProblem(f"{type_} has {type_.count} elements, the literal has {len(elements)}")
    flat = np.empty(len(elements), dtype=type_.dtype)
    flat[:] = elements
    return flat.reshape(type_.dims)
