"""python -m examples.exports.build FOLDER [NAME…] writes NAME.onnx and NAME.npz (inputs, and torch's outputs) there."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch

from examples.exports import language, vision
from examples.exports.case import Export

NETWORKS = {**vision.NETWORKS, **language.NETWORKS}
LEAST_SPREAD = 1e-3
"""Standard deviation of an output below which comparing it would prove nothing."""


def export(name: str, made: Export, folder: Path) -> Path:
    """Write the model with its weights inside, then inputs (by name) and torch's outputs (`out:` and the name)."""
    path = folder / f"{name}.onnx"
    with torch.no_grad():
        results = made.module(**made.inputs)
        results = results if isinstance(results, tuple) else (results,)
        flat = [result for result in results if result.is_floating_point()]
        if min(result.std().item() for result in flat) < LEAST_SPREAD:
            raise ValueError(f"{name}: an output hardly varies, so that comparing it would prove nothing")
        dynamic = {one: dict(made.dynamic[one]) if one in made.dynamic else None for one in made.inputs}
        program = torch.onnx.export(
            made.module, (), kwargs=dict(made.inputs), dynamo=True, opset_version=made.opset, verbose=False,
            dynamic_shapes=dynamic if made.dynamic else None, input_names=list(made.inputs),
            output_names=list(made.outputs),
        )  # fmt: skip
    assert program is not None
    program.save(path, external_data=False)
    model = onnx.load(path)
    model.ir_version = min(model.ir_version, 10)
    onnx.save(model, path)
    arrays = {one: tensor.numpy() for one, tensor in made.inputs.items()}
    outputs = {f"out:{one}": result.numpy() for one, result in zip(made.outputs, results, strict=True)}
    np.savez(path.with_suffix(".npz"), **arrays, **outputs)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", help="some of: " + ", ".join(NETWORKS))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for name in options.names or NETWORKS:
        path = export(name, NETWORKS[name](), options.folder)
        print(f"{name}: {len(onnx.load(path).graph.node)} nodes, {path.stat().st_size:,} bytes", flush=True)


if __name__ == "__main__":
    main()
