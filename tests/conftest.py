"""Options of the test run; every compilation in it is verified whole after every pass."""

import os

import pytest

os.environ.setdefault("GLOWVIZ_VERIFY", "all")  # in tests the whole IR is verified after every pass


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden from what the passes do now")
