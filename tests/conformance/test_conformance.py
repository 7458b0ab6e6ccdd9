"""docs/conformance.md is true: a sample of its ops is run again, all of it by the slow tests."""

from __future__ import annotations

import os
import re
from collections import defaultdict

import pytest

from tests.conformance.outcome import Outcome, difference, outcome
from tests.conformance.run import TARGETS
from tests.conformance.suites import SUITES, load, names
from tests.conformance.table import DOCUMENT, counts, op_row
from tests.conformance.workers import LIMIT, Worker, run

SAMPLE = {
    "Celu": "test_celu", "Compress": "test_compress", "DequantizeLinear": "test_dequantizelinear", "Det": "test_det",
    "GRU": "test_gru", "LSTM": "test_lstm", "MaxUnpool": "test_maxunpool", "NonZero": "test_nonzero",
    "QLinearConv": "test_qlinearconv", "SequenceInsert": "test_sequence_insert", "Squeeze": "test_squeeze",
    "StringSplit": "test_string_split", "ai.onnx.ml.TreeEnsemble": "test_ai_onnx_ml_tree",
}
"""Ops that are run again, and how the names of their cases begin."""
NEEDED = {"node": 1860, "old": 1257, "pytorch-converted": 82, "pytorch-operator": 35, "light": 9}
"""Cases of every suite that must pass on cpu; of the newest onnx there are 1,884, 1,282, 82, 35 and 9."""


def documented(op: str) -> list[str]:
    """The cells of an op's row."""
    found = re.search(rf"^\| {re.escape(op)} \| (.*) \|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert found, f"docs/conformance.md has no row for {op}; make it anew with: make conformance"
    return found[1].split(" | ")


@pytest.fixture(scope="module")
def sampled() -> dict[str, dict[str, list[Outcome]]]:
    groups: dict[str, dict[str, list[Outcome]]] = defaultdict(lambda: defaultdict(list))
    for op, stem in SAMPLE.items():
        for name in names("node"):
            if not name.startswith(stem) or name.endswith("_expanded"):
                continue
            case = load("node", name)
            for target in TARGETS:
                one = outcome(case, target)
                if one.ops == (op,):
                    groups[op][target].append(one)
    return groups


@pytest.mark.parametrize("op", SAMPLE)
def test_a_sample_is_as_documented(op: str, sampled: dict[str, dict[str, list[Outcome]]]) -> None:
    *cells, hosts = op_row(sampled[op]).split(" | ")
    *wanted, told = documented(op)
    assert cells == wanted, "the table is out of date; make it anew with: make conformance"
    assert set(filter(None, hosts.split(", "))) <= set(told.split(", ")), "more host calls than documented"


def test_the_document_names_what_fails() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    total = re.search(r"^\| node \| cpu \| (\d+) \| (\d+) ", text, re.MULTILINE)
    assert total
    cases, passed = int(total[1]), int(total[2])
    assert cases >= 1884
    assert passed >= NEEDED["node"]
    assert len(re.findall(r"^- node/", text, re.MULTILINE)) == cases - passed


@pytest.mark.parametrize(("found", "wanted", "told"), [
    ([1, 2], (1, 2), ""),
    (None, None, ""),
    (None, 1, "None, not 1"),
])
def test_differences_of_contents(found: object, wanted: object, told: str) -> None:
    assert difference(found, wanted, 1e-3, 1e-7) == told


def test_integers_are_compared_exactly_and_floats_within_the_tolerance() -> None:
    import numpy as np

    big = np.array([10**9 + 1], np.int64)
    assert "1 of 1 numbers" in difference(big, big - 1, 1e-3, 1e-7)
    assert difference(np.float32([1.0005]), np.float32([1]), 1e-3, 1e-7) == ""
    assert "1 of 1 numbers" in difference(np.float32([1.002]), np.float32([1]), 1e-3, 1e-7)
    assert difference(np.float32([1]), np.float64([1]), 1e-3, 1e-7) == "float32, not float64"
    assert difference(np.zeros(2), np.zeros(3), 1e-3, 1e-7) == "shape (2,), not (3,)"
    assert difference(np.array(["a"], object), np.array(["b"], object), 0, 0).endswith("dtype=object)")


def test_a_worker_that_dies_costs_one_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.conformance.workers._started", _dying)
    worker = Worker()
    assert worker.ask(("node", "test_abs", "cpu")).told == "the process died (-9)"
    assert worker.process is None


def _dying() -> object:
    import subprocess
    import sys

    code = "import os, sys; sys.stdin.readline(); os.kill(os.getpid(), 9)"
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("suite", NEEDED)
def test_whole_suites(suite: str) -> None:
    assert suite in SUITES
    assert LIMIT
    outcomes = run([(suite, name, "cpu") for name in names(suite)], processes=os.cpu_count() or 1)
    passed = sum(o.state == "pass" for o in outcomes)
    assert passed >= NEEDED[suite], counts(outcomes)
