"""Kernels of these tests are cached in one folder, for one session only."""

from __future__ import annotations

from pathlib import Path

import pytest

from glowviz.compiler.backends.cpu.objects import ObjectCache, kernel_folder
from glowviz.compiler.folders import CACHE_VARIABLE


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """$GLOWVIZ_CACHE points into this session's temporary folder."""
    patch = pytest.MonkeyPatch()
    patch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))
    return kernel_folder()


@pytest.fixture(scope="session")
def objects(own_cache: Path) -> ObjectCache:
    """The session's object cache."""
    return ObjectCache(own_cache)
