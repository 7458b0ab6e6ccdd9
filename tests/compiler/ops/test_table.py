"""The op table says only what samples have shown."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from glowviz.compiler.ops import INSTRUCTIONS, OPS, Case, Elementwise, Op, Value, case
from glowviz.compiler.ops.table import row, rows
from glowviz.compiler.types import Type

TABLE = {row["op"]: row for row in rows()}


def test_every_op_has_a_row_and_shows_its_types() -> None:
    assert set(TABLE) == set(OPS)
    assert [name for name, row in TABLE.items() if not row["infer"]] == []
    silent = [name for name, row in TABLE.items() if not (row["scalar"] or row["reference"])]
    assert silent == ["Opaque", "Unfit"]


def test_what_declares_a_lowering_shows_it() -> None:
    declared = {name for name, kind in OPS.items() if kind.lower is not Op.lower}
    assert {name for name, row in TABLE.items() if row["lower"]} == declared


def test_what_declares_in_place_shows_it() -> None:
    declared = {name for name, kind in OPS.items() if kind.inplace}
    assert declared <= {name for name, row in TABLE.items() if row["in place"]}


def test_instructions_and_onnx_names_are_unique() -> None:
    assert {kind.instruction: kind for kind in OPS.values()}.items() <= INSTRUCTIONS.items()
    assert len({kind.instruction for kind in OPS.values()}) == len(OPS)
    named = [kind.onnx for kind in OPS.values() if kind.onnx]
    assert len(named) == len(set(named))


def test_docstrings_are_sentences() -> None:
    for name, kind in OPS.items():
        first = (kind.__doc__ or "").strip().split("\n\n")[0]
        assert first.endswith((".", '"', ":")), f"{name}: {first!r}"


@pytest.fixture
def wrong() -> Iterator[type[Op]]:
    """An op whose types are not those of its results; it must not stay registered."""

    class Wrong(Elementwise):
        """Nothing right."""

        x: Value

        def infer(self, x: Type) -> Type:
            return Type("f64", x.shape)

        def scalar(self, m: object, x: np.ndarray) -> np.ndarray:
            return x

        def samples(self, rng: np.random.Generator) -> Iterator[Case]:
            yield case(np.zeros(2, np.float32))

    yield Wrong
    del OPS["Wrong"], INSTRUCTIONS["wrong"]


def test_a_wrong_op_shows_nothing(wrong: type[Op]) -> None:
    found = row(wrong)
    assert not any(found[c] for c in ("infer", "scalar", "reference", "lower", "work", "in place"))
