"""Big tensor contents are found by their place in the protobuf bytes, so that nobody has to copy them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

from glowviz.compiler.importer.problem import ImportProblem

BIG = 1 << 16
"""Bytes from which on the contents of a tensor stay where they are."""
MOST_FIELDS = 20_000_000
DEEPEST = 64
"""Messages within messages; each If in a branch of an If takes three."""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
RAW, FLOATS, DOUBLES = 9, 4, 10
"""Fields of TensorProto whose bytes are the row-major array."""
_CONTENTS = frozenset({RAW, FLOATS, DOUBLES, 5, 6, 7, 11})

_CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}


@dataclass(frozen=True, slots=True)
class Span:
    """Where the contents of one tensor lie, and in which field of TensorProto they stood."""

    start: int
    size: int
    kind: int


@dataclass
class Slim:
    """The bytes of a model without its big contents; each of them is replaced by `token` and its number."""

    token: bytes
    content: bytes = b""
    spans: list[Span] = field(default_factory=list)

    def span(self, raw: bytes) -> Span | None:
        """The span that stood where `raw` stands now; None for ordinary contents."""
        if not raw.startswith(self.token):
            return None
        return self.spans[int.from_bytes(raw[len(self.token) :], "little")]


def slim(data: Any) -> Slim:
    """Walk the bytes of a ModelProto (anything with the buffer interface) once.

    ImportProblem where they end early or are no protobuf. Contents of BIG bytes and more are left out.
    """
    made = Slim(secrets.token_bytes(16))
    view = memoryview(data).cast("B")
    if len(view) < BIG:
        made.content = bytes(view)
        return made
    pieces, _ = _Walk(view, made).message("model", 0, len(view), 0)
    made.content = b"".join(pieces)
    return made


def _broken(position: int, what: str) -> ImportProblem:
    return ImportProblem(
        f"The file is no complete ONNX model: {what}", f"byte {position:,}", "a protobuf message of type ModelProto",
        "Copy or download the file again; it may be cut short or not be ONNX at all",
    )


class _Walk:
    """Position by position through nested messages, keeping what is small."""

    def __init__(self, view: memoryview, made: Slim) -> None:
        self.view, self.made, self.fields = view, made, 0

    def message(self, kind: str, start: int, end: int, depth: int) -> tuple[list[Any], int]:
        """The pieces of one message without big contents, and how many bytes they have."""
        if depth > DEEPEST:
            raise _broken(start, f"messages lie more than {DEEPEST} deep in each other")
        whole = kind == "tensor" and self._contents(start, end) == 1
        children = _CHILDREN[kind]
        pieces: list[Any] = []
        size, kept, position = 0, start, start
        while position < end:
            head = position
            number, body, position = self.field(position, end)
            if position - body < BIG or number < 0:
                continue
            if whole and number in (RAW, FLOATS, DOUBLES):
                new, length = self._cut(number, body, position)
            elif number in children:
                new, length = self._renewed(number, self.message(children[number], body, position, depth + 1))
            else:
                continue
            pieces += [self.view[kept:head], *new]
            size += head - kept + length
            kept = position
        return [*pieces, self.view[kept:end]], size + end - kept

    def field(self, position: int, end: int) -> tuple[int, int, int]:
        """(number, start, end) of the field's contents; the number is negative where they are no bytes."""
        self.fields += 1
        if self.fields > MOST_FIELDS:
            raise _broken(position, f"more than {MOST_FIELDS:,} fields")
        tag, body = self.varint(position, end)
        kind = tag & 7
        if kind == BYTES:
            length, body = self.varint(body, end)
            after = body + length
        elif kind == VARINT:
            _, after = self.varint(body, end)
        elif kind in (FIXED64, FIXED32):
            after = body + (8 if kind == FIXED64 else 4)
        else:
            raise _broken(position, f"a field of unknown kind {kind}")
        if after > end:
            raise _broken(position, f"a field of {after - body:,} bytes, where {end - body:,} are left")
        return (tag >> 3 if kind == BYTES else -1), body, after

    def varint(self, position: int, end: int) -> tuple[int, int]:
        """A number of seven bits per byte, and the position behind it."""
        view, value, shift = self.view, 0, 0
        while position < end and shift < 70:
            byte = view[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, position
            shift += 7
        raise _broken(position, "a number without end")

    def _contents(self, start: int, end: int) -> int:
        """How many fields of a tensor hold contents; only a single one is the whole array."""
        count, position = 0, start
        while position < end and count < 2:
            number, _, position = self.field(position, end)
            count += number in _CONTENTS
        return count

    def _cut(self, kind: int, start: int, end: int) -> tuple[list[Any], int]:
        mark = self.made.token + len(self.made.spans).to_bytes(8, "little")
        self.made.spans.append(Span(start, end - start, kind))
        return self._renewed(RAW, ([mark], len(mark)))

    @staticmethod
    def _renewed(number: int, body: tuple[list[Any], int]) -> tuple[list[Any], int]:
        pieces, size = body
        head = _varint(number << 3 | BYTES) + _varint(size)
        return [head, *pieces], len(head) + size


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
