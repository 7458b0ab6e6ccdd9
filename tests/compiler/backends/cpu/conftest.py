"""Kernels of these tests are cached for one session only."""

from __future__ import annotations

import pytest
from glowviz.compiler.backends.cpu.objects import CACHE_VARIABLE


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """$GLOWVIZ_CACHE points into this session's temporary folder."""
    patch = pytest.MonkeyPatch()
    patch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))
