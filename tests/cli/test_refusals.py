"""What a person gets wrong ends with status 2 and one line: what, where, what was expected, what to do."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest

from glowviz import open_recording
from tests.cli.conftest import Command

GOOD = ("compile", "small.glow", "-o", "out.glowrec")
CASES = {
    "no such file": (("compile", "no.onnx", "-o", "x"), ["no.onnx", "No such file", "ONNX", "Check the path"]),
    "no such text": (("opt", "no.glow", "--passes", "dce"), ["no.glow is not there", "Check the path"]),
    "no model to open": (("no.onnx",), ["no.onnx is not there", ".glowrec", "gallery"]),
    "a folder": (("opt", ".", "--passes", "dce"), [". is a folder", "Check the path"]),
    "not ONNX": (("compile", "junk.onnx", "-o", "x"), ["no ONNX model", "junk.onnx", "ModelProto"]),
    "empty": (("compile", "empty.onnx", "-o", "x"), ["empty.onnx"]),
    "not a text": (("run", "bytes.glow"), ["bytes.glow is no text", "UTF-8", "opened by its own name"]),
    "does not parse": (("opt", "junk.glow", "--passes", "dce"), ["line 2", "junk.glow", "'graph'", "Correct"]),
    "no such value": (("opt", "stranger.glow", "--passes", "dce"), ["%z"]),
    "no such contents": (("run", "hash.glow"), ["sha256:00", "in neither", "hash.glow"]),
    "no such gallery model": (("run", "gallery:cat"), ["'cat'", "digit", "resnet50", "gallery:NAME"]),
    "free dimensions": (("run", "free.onnx"), ["size", "free", "--shape x="]),
    "wrong rank": (("run", "free.onnx", "--shape", "x=1"), ["1 dimension", "2"]),
    "no such input": (("run", "free.onnx", "--shape", "q=1x2"), ["q", "no input", "one of: x"]),
    "no shape": (("run", "free.onnx", "--shape", "x"), ["'x' is no shape", "NAME=1x3x224x224", "--help"]),
    "no such target": ((*GOOD, "--target", "cpy"), ["'cpy'", "cpu-avx2", "did you mean 'cpu'?"]),
    "no such pass": ((*GOOD, "--disable", "csee"), ["no pass 'csee'", "did you mean 'cse'?", "fold_batchnorm"]),
    "a required pass": ((*GOOD, "--disable", "bind_shapes"), ["bind_shapes cannot be switched off", "rely on"]),
    "no such option": ((*GOOD, "--option", "fuse.depth=2"), ["fuse has no option 'depth'", "max_inputs"]),
    "an option of a kind": ((*GOOD, "--option", "fuse.max_inputs=many"), ["max_inputs", "'many'", "int, such as 8"]),
    "no option": ((*GOOD, "--option", "fuse"), ["'fuse' is no option", "PASS.OPTION=VALUE", "--help"]),
    "no precision": ((*GOOD, "--precision", "i8"), ["'i8'", "not offered yet", "'f32'"]),
    "no threads": ((*GOOD, "--threads", "0"), ["threads=0", "1, 2, 3"]),
    "no number": ((*GOOD, "--threads", "two"), ["--threads", "'two'", "--help"]),
    "no count": ((*GOOD, "--time", "-3"), ["--time"]),
    "no output": (("compile", "small.glow"), ["-o/--output", "glowviz compile MODEL -o RUN.glowrec", "--help"]),
    "no command": (("complie", "small.glow"), ["no command 'complie'", "Did you mean `glowviz compile`?"]),
    "no argument": (("ops", "--jsn"), ["--jsn", "--help"]),
    "no pass in a list": (("opt", "small.glow", "--passes", "dce,,"), ["'dce,,'", "fuse{max_inputs=2}"]),
    "no value": (("opt", "small.glow", "--passes", "fuse{max_inputs}"), ["'max_inputs'", "fuse{option=value}"]),
    "not a program yet": (("opt", "small.glow", "--passes", "dse"), ["dse works on a program", "irgen,dse"]),
    "not a graph any more": (("opt", "small.glow", "--passes", "irgen,cse"), ["cse works on a graph", "before irgen"]),
    "irgen twice": (("opt", "small.glow", "--passes", "irgen,irgen"), ["irgen works on a graph"]),
    "not an npz": (("run", "small.glow", "--inputs", "junk.npz"), ["junk.npz", "--inputs", "numpy.savez"]),
    "no npz": (("run", "small.glow", "--inputs", "no.npz"), ["no.npz is not there", "--inputs"]),
    "an array of another shape": (("run", "small.glow", "--inputs", "other.npz"), ["x", "1x3x8x8"]),
    "an array of another name": (("run", "small.glow", "--inputs", "named.npz"), ["x"]),
    "objects": (("run", "small.glow", "--inputs", "objects.npz"), ["objects.npz", "--inputs"]),
    "no folder": (("compile", "small.glow", "-o", "no/x.glowrec"), ["no folder no", "mkdir -p no"]),
    "no folder for results": (("run", "small.glow", "--outputs", "no/x.npz"), ["no folder no", "--outputs"]),
    "no folder for a cut-out": (("bisect", "small.glow", "--save", "no/x.onnx"), ["no folder no", "--save"]),
    "a folder for output": (("compile", "small.glow", "-o", "."), [". is a folder", "-o"]),
    "not a recording": (("diff", "junk.npz", "junk.npz"), ["junk.npz is not a recording", "made by glowviz"]),
    "no recording": (("export", "no.glowrec", "-o", "x.json"), ["no.glowrec is not there", "recording"]),
    "no such export": (("export", "no.glowrec", "-o", "x.bmp"), ["'.bmp'", ".svg", "endings"]),
    "no engine": (("bench", "small.glow", "--against", "tea"), ["'tea'", "onnxruntime", "--against"]),
    "nothing to bench": (("bench", "no.onnx"), ["no.onnx", "no such file"]),
    "no file to load": (("validate", "small.glow", "--load", "no.py"), ["no.py is not there", "--load"]),
    "a file that does not load": ((*GOOD, "--load", "broken.py"), ["broken.py cannot be loaded", "ZeroDivisionError"]),
}


@pytest.fixture
def files(folder: Path, free: Path) -> None:
    """The inputs that the cases name."""
    (folder / "junk.onnx").write_text("hello, I am no model")
    (folder / "empty.onnx").write_bytes(b"")
    (folder / "junk.glow").write_text("// a caption\nhello\n")
    (folder / "bytes.glow").write_bytes(b"\xff\xfe\x00")
    (folder / "stranger.glow").write_text('graph @g(%x: f32[2]) {\n  %y: f32[2] = Relu(%z)\n  return "y"=%y\n}\n')
    (folder / "hash.glow").write_text(
        f'graph @g(%x: f32[2]) {{\n  const %c: f32[40] = sha256:{"0" * 64}\n  return "c"=%c\n}}\n')
    (folder / "junk.npz").write_text("hello")
    (folder / "broken.py").write_text("1 / 0\n")
    np.savez(folder / "other.npz", x=np.zeros((1, 3, 8, 9), np.float32))
    np.savez(folder / "named.npz", y=np.zeros((1, 3, 8, 8), np.float32))
    np.savez(folder / "objects.npz", x=np.array([{}], dtype=object))


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("case", CASES)
def test_refused(glowviz: Command, case: str) -> None:
    arguments, words = CASES[case]
    refusal = glowviz(*arguments).refusal
    missing = [word for word in words if word not in refusal]
    assert not missing, f"{refusal!r} does not say {missing}"
    assert not Path("out.glowrec").exists()


@pytest.mark.usefixtures("files")
def test_the_shape_that_is_asked_for_is_the_shape_to_give(glowviz: Command) -> None:
    refusal = glowviz("run", "free.onnx").refusal
    given = refusal.split("--shape ")[1].split(",")[0].split(" ")[0].rstrip(".")
    assert glowviz("run", "free.onnx", "--shape", given).status == 0


@pytest.mark.usefixtures("files")
def test_the_app_asks_for_the_same_shape(glowviz: Command) -> None:
    refusal = glowviz("free.onnx", "--no-browser", "--port", "0").refusal
    assert "size of x" in refusal
    given = refusal.split("--shape ")[1].split(",")[0]
    assert glowviz("run", "free.onnx", "--shape", given).status == 0


def test_a_port_that_is_taken(glowviz: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refusal = glowviz("--no-browser", "--port", port).refusal
    assert f"127.0.0.1:{port} cannot be opened" in refusal
    assert f"--port {port + 1}" in refusal


def test_a_disk_that_cannot_be_written(glowviz: Command) -> None:
    assert "cannot be written" in glowviz("compile", "small.glow", "-o", "/proc/x.glowrec").refusal


def test_a_fault_of_ours_is_told_as_such(glowviz: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glowviz.cli.text_filter.pass_list", lambda text: 1 / 0)
    ran = glowviz("opt", "small.glow", "--passes", "dce")
    assert ran.status == 3
    assert ran.err.count("\n") == 1
    assert "ZeroDivisionError" in ran.err
    assert "a fault of glowviz" in ran.err
    assert "GLOWVIZ_DEBUG=1" in ran.err
    monkeypatch.setenv("GLOWVIZ_DEBUG", "1")
    assert "Traceback" in glowviz("opt", "small.glow", "--passes", "dce").err


def test_an_interrupt_is_no_fault(glowviz: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(text: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("glowviz.cli.text_filter.pass_list", stop)
    assert glowviz("opt", "small.glow", "--passes", "dce").status == 130


def test_a_compilation_that_fails_on_the_way_leaves_its_steps(glowviz: Command, wrong_rule: Path) -> None:
    text = wrong_rule.read_text()
    wrong_rule.write_text(text.replace("return apply(graph, (times_one, relu_is_abs))", "raise KeyError('conv')"))
    refusal = glowviz(*GOOD, "--load", wrong_rule).refusal
    assert "Pass arithmetic failed" in refusal
    assert "--disable arithmetic" in refusal
    assert "glowviz out.glowrec" in refusal
    assert open_recording("out.glowrec").passes()[-1]["status"] == "failed"


def test_a_refused_compilation_leaves_what_was_there(glowviz: Command) -> None:
    Path("out.glowrec").write_text("precious")
    assert glowviz(*GOOD, "--option", "fuse.depth=2").status == 2
    assert Path("out.glowrec").read_text() == "precious"
    assert not list(Path().glob(".out.glowrec*"))
