"""cards() lists the gallery in the order the app shows it; card.path() is the model's file, built when missing."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import yaml

from glowviz.compiler import folders

if TYPE_CHECKING:  # the writer imports onnx, which listing the cards need not wait for
    from glowviz.gallery.writer import Built

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Card:
    """One model of the gallery. The texts are for people; `weights` is "trained" or "seeded"."""

    name: str
    title: str
    sentence: str
    nodes: int
    weights: str
    answers: str
    build: str

    @property
    def trained(self) -> bool:
        return self.weights == "trained"

    def path(self) -> Path:
        """The ONNX file in the user's cache folder. Built by its script when missing, else as it was.

        Two processes may ask at once: each builds under a name of its own and moves it into place.
        Raises OSError where the cache folder cannot be written.
        """
        path = cache_folder() / f"{self.name}-{_sources_hash()}.onnx"
        if not path.exists():
            self._build(path)
        return path

    def facts(self) -> dict[str, float | int | str]:
        """What was measured while building, such as {"accuracy": 0.98, "unseen": 1000}; builds when missing."""
        return self._beside(self.path())["facts"]

    def samples(self) -> dict[str, dict[str, np.ndarray]]:
        """Inputs to try: sample name -> input name -> array; builds when missing."""
        with np.load(self.path().with_suffix(".npz")) as arrays:
            flat = {key: arrays[key] for key in arrays.files}
        result: dict[str, dict[str, np.ndarray]] = {}
        for key, array in flat.items():
            sample, _, name = key.partition("/")
            result.setdefault(sample, {})[name] = array
        return result

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each input in the samples: it binds what the file leaves free; builds when missing."""
        first = next(iter(self.samples().values()))
        return {name: array.shape for name, array in first.items()}

    def expected(self) -> dict[str, str]:
        """The right answer to each sample, in words; empty for seeded weights."""
        return self._beside(self.path())["expected"]

    def _beside(self, path: Path) -> dict:
        return json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))

    def _build(self, path: Path) -> None:
        module, function = self.build.split(":")
        builder: Callable[[], Built] = getattr(import_module(module), function)
        built = builder()
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {f"{sample}/{name}": array for sample, inputs in built.samples.items()
                  for name, array in inputs.items()}
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".building-") as folder:
            fresh = Path(folder) / path.name
            np.savez_compressed(fresh.with_suffix(".npz"), allow_pickle=False, **arrays)
            beside = {"facts": built.facts, "expected": built.expected}
            fresh.with_suffix(".json").write_text(json.dumps(beside), encoding="utf-8")
            fresh.write_bytes(built.model.SerializeToString())
            # The model last: where it exists, the files beside it exist too.
            for suffix in (".npz", ".json", ".onnx"):
                os.replace(fresh.with_suffix(suffix), path.with_suffix(suffix))
        self._remove_stale(path)

    def _remove_stale(self, path: Path) -> None:
        """Files of the same card that an older builder made: a resnet50 is 100 MB."""
        for other in path.parent.glob(f"{self.name}-*.*"):
            if other.stem != path.stem and not other.is_dir():
                other.unlink(missing_ok=True)


def cache_folder() -> Path:
    """Where built models are kept, in $GLOWVIZ_CACHE or the user's cache folder."""
    return folders.cache_folder() / "gallery"


@cache
def _sources_hash() -> str:
    """Changes when a builder or a library it draws from changes, so a stale file is never used."""
    digest = hashlib.sha256(f"{version('onnx')} {version('numpy')}".encode())
    for source in sorted(HERE.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


@cache
def cards() -> list[Card]:
    """All cards, the simplest first."""
    entries = yaml.safe_load((HERE / "cards.yaml").read_text(encoding="utf-8"))
    return [Card(**entry) for entry in entries]


def card(name: str) -> Card:
    """The card of this name; KeyError names those there are."""
    for entry in cards():
        if entry.name == name:
            return entry
    raise KeyError(f"The gallery has no {name!r}; it has: {', '.join(c.name for c in cards())}")
