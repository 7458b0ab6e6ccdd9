"""A command runs on the user's arrays and pictures, and is held against what is expected."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glowviz.compiler.recording.reader import Recording
from tests.cli.conftest import Command

TEXT = """graph @g(%x: f32[1x3x4x4]) {
  %a: f32[1x3x4x4] = Sqrt(%x)
  %b: f32[1x3x4x4] = Tanh(%a)
  return "y"=%b
}"""


@pytest.fixture(autouse=True)
def files(folder: Path) -> None:
    (folder / "root.glow").write_text(TEXT)
    Image.fromarray(np.full((8, 8, 3), 51, np.uint8)).save(folder / "grey.png")
    x = np.linspace(0, 1, 48, dtype=np.float32).reshape(1, 3, 4, 4)
    np.savez(folder / "in.npz", x=x)
    np.save(folder / "whatever.npy", x[0])
    np.savez(folder / "right.npz", y=np.tanh(np.sqrt(x)))
    np.savez(folder / "wrong.npz", y=np.tanh(np.sqrt(x)) * 1.1)


def test_run_takes_a_picture(glowviz: Command, folder: Path) -> None:
    ran = glowviz("run", "root.glow", "--inputs", "grey.png", "--pixels", "scale=0..1", "--outputs", "out.npz")
    assert ran.status == 0
    assert "x: grey.png: 8×8 → 4×4 (cut to the middle), red, green, blue, x / 255" in ran.err
    np.testing.assert_allclose(np.load(folder / "out.npz")["y"], np.tanh(np.sqrt(0.2)), rtol=1e-5)


@pytest.mark.parametrize("given", ["x=whatever.npy", "whatever.npy"])
def test_run_takes_an_array_without_a_name(glowviz: Command, folder: Path, given: str) -> None:
    assert glowviz("run", "root.glow", "--inputs", given, "--outputs", "out.npz").status == 0
    np.testing.assert_allclose(np.load(folder / "out.npz")["y"], np.load(folder / "right.npz")["y"], rtol=1e-5)


def test_a_recording_is_held_against_what_is_expected(glowviz: Command, folder: Path) -> None:
    made = glowviz("compile", "root.glow", "-o", "run.glowrec", "--inputs", "whatever.npy", "--expected", "wrong.npz",
                   "--target", "interpreter")
    assert made.status == 0
    recording = Recording(folder / "run.glowrec")
    assert recording.meta["given"] == {"x": "whatever.npy"}
    assert recording.passes()[-1]["error"] == pytest.approx(0.1 / 1.1, rel=1e-4)


def test_bisect_is_held_against_what_is_expected(glowviz: Command) -> None:
    wrong = glowviz("bisect", "root.glow", "--inputs", "in.npz", "--expected", "wrong.npz")
    assert wrong.status == 1
    assert wrong.out.startswith("the model as imported differs from what was expected, before any pass: output 'y'")
    right = glowviz("bisect", "root.glow", "--inputs", "in.npz", "--expected", "right.npz")
    assert (right.status, right.out) == (0, "no pass changes a result by more than 2e-05 of its largest value\n")
    assert glowviz("validate", "root.glow", "--inputs", "in.npz").status == 0


@pytest.mark.parametrize(("arguments", "words"), [
    (("--inputs", "root.glow"), ["root.glow is no picture", "--inputs", ".npz"]),
    (("--inputs", "x=none.npy"), ["none.npy is not there", "--inputs"]),
    (("--inputs", "grey.png", "--pixels", "fit=squash"), ["fit=squash", "--pixels", "crop, stretch, border"])])
def test_what_cannot_be_given_is_refused(glowviz: Command, arguments: tuple[str, ...], words: list[str]) -> None:
    refusal = glowviz("run", "root.glow", *arguments).refusal
    assert [word for word in words if word not in refusal] == []
