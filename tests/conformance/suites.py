"""The suites nobody here wrote: ONNX's node cases, the onnx package's own models, and the old forms of onnx 1.16.2."""

from __future__ import annotations

import pickle
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from onnx import ModelProto, OptionalProto, SequenceProto, TensorProto, TypeProto, numpy_helper

from glowviz.compiler.folders import cache_folder

OLD = "1.16.2"
"""The release whose stored node cases have the old forms of ops."""
SUITES = ("node", "pytorch-converted", "pytorch-operator", "simple", "light", "old")


@dataclass(frozen=True)
class Case:
    """One model with what it is fed and what must come out; values are arrays, lists of them, or None."""

    suite: str
    name: str
    model: bytes
    data: tuple[tuple[tuple[Any, ...], tuple[Any, ...]], ...]
    rtol: float = 1e-3
    atol: float = 1e-7


def folder(suite: str) -> Path:
    """Where the cases of a suite lie, one file each; written when first asked for."""
    version = OLD if suite == "old" else onnx.__version__
    place = cache_folder() / "suites" / f"{suite}-{version}"
    done = place / "complete"
    if not done.exists():
        place.mkdir(parents=True, exist_ok=True)
        for case in _collected(suite):
            (place / f"{case.name}.case").write_bytes(pickle.dumps(case))
        done.touch()
    return place


def names(suite: str) -> list[str]:
    """All cases of a suite, in alphabetical order."""
    return sorted(path.stem for path in folder(suite).glob("*.case"))


def load(suite: str, name: str) -> Case:
    """One case."""
    return pickle.loads((folder(suite) / f"{name}.case").read_bytes())


def _collected(suite: str) -> Iterator[Case]:
    if suite == "node":
        yield from _node_cases()
    elif suite == "old":
        with tempfile.TemporaryDirectory() as place:
            yield from _stored(_fetched(Path(place)), "old")
    else:
        yield from _stored(Path(onnx.__file__).parent / "backend" / "test" / "data" / suite, suite)


def _node_cases() -> Iterator[Case]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        found = collect_testcases(None)
    for case in found:
        if case.model is not None and case.data_sets:
            data = tuple((tuple(map(_array, given)), tuple(map(_array, wanted))) for given, wanted in case.data_sets)
            yield Case("node", case.name, case.model.SerializeToString(), data, case.rtol, case.atol)


def _array(value: Any) -> Any:
    """Some cases hold what is no array as a message."""
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else value


def _fetched(place: Path) -> Path:
    """The node folder of an old release's wheel, unpacked; the package itself is never installed."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", f"onnx=={OLD}", "-d", str(place)]
    subprocess.run(pip, check=True)
    (wheel,) = place.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = [n for n in archive.namelist() if n.startswith("onnx/backend/test/data/node/")]
        archive.extractall(place, inside)
    return place / "onnx" / "backend" / "test" / "data" / "node"


def _stored(root: Path, suite: str) -> Iterator[Case]:
    for path in sorted(root.iterdir()):
        model = path if path.suffix == ".onnx" else path / "model.onnx"
        if model.exists():
            content = model.read_bytes()
            yield Case(suite, path.stem, content, _data(path, onnx.load_model_from_string(content)))


def _data(path: Path, model: ModelProto) -> tuple[Any, ...]:
    if path.is_file():  # the light models: one stored output each, for the input arange(n) / n
        return (_light_data(path, model),)
    graph = model.graph
    weights = {t.name for t in graph.initializer}
    inputs = [v.type for v in graph.input if v.name not in weights] or [v.type for v in graph.input]
    outputs = [v.type for v in graph.output]
    sets = sorted(path.glob("test_data_set_*"))
    return tuple((_values(s, "input", inputs), _values(s, "output", outputs)) for s in sets)


def _light_data(path: Path, model: ModelProto) -> tuple[Any, Any]:
    weights = {t.name for t in model.graph.initializer}
    (given,) = [v for v in model.graph.input if v.name not in weights]
    dims = [d.dim_value for d in given.type.tensor_type.shape.dim]
    count = int(np.prod(dims))
    x = (np.arange(count) / count).reshape(dims).astype(np.float32)
    stored = path.with_name(f"{path.stem}_output_0.pb")
    return (x,), (numpy_helper.to_array(TensorProto.FromString(stored.read_bytes())),)


def _values(place: Path, kind: str, types: list[TypeProto]) -> tuple[Any, ...]:
    count = len(list(place.glob(f"{kind}_*.pb")))
    return tuple(_value((place / f"{kind}_{i}.pb").read_bytes(), types[i]) for i in range(count))


def _value(content: bytes, type_: TypeProto) -> Any:
    kind = type_.WhichOneof("value")
    if kind == "sequence_type":
        return numpy_helper.to_list(SequenceProto.FromString(content))
    if kind == "optional_type":
        return numpy_helper.to_optional(OptionalProto.FromString(content))
    array = numpy_helper.to_array(TensorProto.FromString(content))
    # old files keep bf16 as the bits that it has
    bits = array.dtype == np.uint16 and type_.tensor_type.elem_type == TensorProto.BFLOAT16
    return array.view(ml_dtypes.bfloat16) if bits else array
