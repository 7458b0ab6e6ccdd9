"""cache_folder() is where everything lies that can be made again: kernels, gallery models, recordings, contents."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

CACHE_VARIABLE = "GLOWVIZ_CACHE"


def cache_folder() -> Path:
    """$GLOWVIZ_CACHE, else the user's cache folder of this system. It need not exist yet."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else platformdirs.user_cache_path("glowviz")
