"""A model is found inside an installed package, which is not imported: several would pull in what they run on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import glowviz

Arrays = dict[str, np.ndarray]
Run = Callable[[Arrays], Arrays]
"""Inputs by name -> outputs by name; whatever runs models can stand here."""


def model_file(package: str, inside: str) -> Path:
    """The path of a file of an installed package; FileNotFoundError says how to get it."""
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (Path(folder) / inside).is_file():
            return Path(folder) / inside
    raise FileNotFoundError(f"no {inside} of package {package} here; fetch it with: make models")


def compiled(path: Path, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Run:
    """The model as machine code of this process, for inputs of these shapes."""
    return glowviz.compile(path, shapes=shapes).run


@cache
def picture(path: str | Path) -> Any:
    """RGB uint8[height × width × 3] of a picture file."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
