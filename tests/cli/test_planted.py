"""Twenty miscompiles planted from outside are found: the pass, the single rewrite, and a part that shows it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from tests.cli.conftest import Command

Weights = dict[str, np.ndarray]
MODULE = "planted_by_somebody"


def normal(*shape: int, seed: int = 0, scale: float = 0.4) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, scale, shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


MODELS: dict[str, tuple[str, Weights]] = {
    "vision": ("""(float[1,3,10,10] x) => (float[1,5] y) {
        c1 = Conv <pads = [1, 1, 1, 1]> (x, w1)
        n1 = BatchNormalization (c1, s, t, m, v)
        r1 = Relu (n1)
        p1 = AveragePool <kernel_shape = [3, 3], strides = [1, 1], pads = [1, 1, 1, 1]> (r1)
        c2 = Conv <pads = [1, 1, 1, 1]> (p1, w2)
        r2 = Sigmoid (c2)
        g = GlobalMaxPool (r2)
        f = Flatten (g)
        y = Gemm (f, wf, bf) }""",
        {"w1": normal(4, 3, 3, 3), "w2": normal(6, 4, 3, 3, seed=1), "wf": normal(6, 5, seed=2),
         "bf": normal(5, seed=3) + 1, "s": np.ones(4, np.float32), "t": np.zeros(4, np.float32),
         "m": np.zeros(4, np.float32), "v": np.ones(4, np.float32)}),
    "padded": ("""(float[1,2,8,8] x) => (float[1,3,1,1] y) {
        p = Pad (x, pads, one)
        c = Conv (p, w)
        r = Tanh (c)
        y = GlobalMaxPool (r) }""",
        {"pads": ints(0, 0, 1, 1, 0, 0, 1, 1), "one": np.float32(0), "w": normal(3, 2, 3, 3)}),
    "mixer": ("""(float[4,6] x, float[4,6] z) => (float[4,6] y) {
        d = Sub (x, z)
        e = Exp (z)
        q = Div (d, e)
        l1 = LeakyRelu <alpha = 0.1> (q)
        l2 = LeakyRelu <alpha = 0.3> (q)
        h = Mul (l1, z)
        k = MatMul (h, w)
        s = Add (k, l2)
        y = Relu (s) }""", {"w": normal(6, 6)}),
    "attention": ("""(float[8,8] x) => (float[8,8] y) {
        q = MatMul (x, wq)
        k = MatMul (x, wk)
        v = MatMul (x, wv)
        kt = Transpose <perm = [1, 0]> (k)
        s = MatMul (q, kt)
        s2 = Mul (s, scale)
        p = Softmax <axis = -1> (s2)
        o = MatMul (p, v)
        y = Add (o, x) }""",
        {"wq": normal(8, 8), "wk": normal(8, 8, seed=1), "wv": normal(8, 8, seed=2),
         "scale": np.float32(1 / np.sqrt(8))}),
    "signal": ("""(float[1,2,16] x) => (float[1,4,10] y, float[1,2,4] u) {
        a = Slice (x, one, nine, axis)
        b = Slice (x, two, ten, axis)
        odd = Slice (x, one, nine, axis, by)
        u = Tanh (odd)
        pd = Pad <mode = "constant"> (a, pads, half)
        pb = Pad <mode = "constant"> (b, pads, half)
        cc = Concat <axis = 1> (pd, pb)
        y = Sin (cc) }""",
        {"one": ints(1), "two": ints(2), "nine": ints(9), "ten": ints(10), "axis": ints(2), "by": ints(2),
         "pads": ints(0, 0, 1, 0, 0, 1), "half": np.float32(0.5)}),
    "halves": ("""(float[4,32] x) => (float[4,32] y) {
        e = Exp (x)
        t = Slice (e, one, three, axis)
        u = Tanh (t)
        c = Concat <axis = 0> (u, t)
        y = Sin (c) }""", {"one": ints(1), "three": ints(3), "axis": ints(0)}),
}


def build(name: str, path: Path) -> None:
    """Write a model as ONNX."""
    text, weights = MODELS[name]
    graph = parser.parse_graph(f"{name} {text}")
    graph.initializer.extend(numpy_helper.from_array(np.asarray(w), n) for n, w in weights.items())
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 21)], ir_version=10), path)


@dataclass(frozen=True)
class Plant:
    """A fault, the network it is planted in, and what must be named."""

    function: str
    model: str
    rewrite: str
    after: str = ""
    options: tuple[str, ...] = ()


PLANTS = {
    "wrong constant": (
        Plant("bias_one_percent", "vision", "bias_one_percent at %y"),
        Plant("swap_relu_maxpool", "vision", "variance_without_root at %n1"),
        Plant("scale_of_attention", "attention", "scale_of_attention at %s2", after="bind_shapes"),
        Plant("weight_in_the_program", "mixer", "weight_in_the_program at %k"),
    ),
    "swapped operands": (
        Plant("swap_sub", "mixer", "swap_sub at %d"),
        Plant("tidy_quotients", "mixer", "quotient_upside_down at %q"),
        Plant("swap_matmul", "attention", "swap_matmul at %q", after="lower"),
        Plant("swap_in_the_program", "mixer", "swap_in_the_program at %d", "peephole", ("--disable", "fuse")),
    ),
    "dropped pad": (
        Plant("clean_clips", "vision", "conv_without_border at %c2"),
        Plant("merge_pad", "padded", "pad_is_forgotten at %c"),
        Plant("pad_on_one_side", "vision", "pad_on_one_side at %p1"),
        Plant("pad_is_zero", "signal", "pad_is_zero at %pd"),
    ),
    "slice off by one": (
        Plant("slice_from_zero", "signal", "slice_from_zero at %a", after="bind_shapes"),
        Plant("count_from_one", "signal", "slice_later at %b", after="fold_constants"),
        Plant("slice_of_columns", "signal", "slice_of_columns at %odd", after="bind_shapes"),
        Plant("view_later", "halves", "view_later at %", after="borrow_views"),
    ),
    "lost user": (
        Plant("second_user", "mixer", "second_user at %l2"),
        Plant("cse", "mixer", "same_but_for_alpha at %l2"),
        Plant("user_in_the_program", "attention", "user_in_the_program at %y", after="copy_elimination"),
        Plant("another_result", "mixer", "another_result at %y"),
    ),
}
CASES = [(kind, plant) for kind, plants in PLANTS.items() for plant in plants]


@pytest.fixture
def planted(folder: Path, own_passes: None, glowviz: Command, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run bisect with a plant of the module that lies in the current folder; returns what it says."""
    shutil.copy(Path(__file__).with_name("planted.py"), folder / f"{MODULE}.py")
    monkeypatch.delitem(__import__("sys").modules, MODULE, raising=False)

    def run(plant: Plant, model: str, *more: str) -> str:
        after = ("--after", plant.after) if plant.after else ()
        ran = glowviz("bisect", model, "--load", f"{MODULE}:{plant.function}", *after,
                      "--target", "interpreter", *plant.options, *more)
        assert ran.status == 1, ran.out + ran.err
        return ran.out

    return run


def test_there_are_twenty_of_five_kinds() -> None:
    assert [len(plants) for plants in PLANTS.values()] == [4] * 5
    assert len({plant.function for _, plant in CASES}) == 20


@pytest.mark.parametrize(("kind", "plant"), CASES, ids=[f"{k}: {p.function}" for k, p in CASES])
def test_a_planted_miscompile_is_found(kind: str, plant: Plant, folder: Path, planted: Callable[..., str]) -> None:
    build(plant.model, folder / "model.onnx")
    lines = planted(plant, "model.onnx", "--save", "cut.onnx").splitlines()
    assert lines[0].startswith(f"{plant.function} is the first pass whose result is wrong: output "), lines
    assert re.match(rf"rewrite \d+: {re.escape(plant.rewrite)}", lines[1]), lines
    assert any(re.match(r"(?:%|return )[\w.]+(\[[\d, ]*\])?: expected .+, found .+", line) for line in lines), lines
    written = r"cut\.onnx, cut\.glow, test_cut\.py(?:, cut\.npz)?: (\d+) nodes?"
    nodes = re.fullmatch(rf"{written} that {plant.function} still gets wrong", lines[-1])
    assert nodes, lines
    assert int(nodes[1]) <= 5
    assert not any("does not show it" in line for line in lines), lines
    for cut in ("cut.onnx", "cut.glow"):
        assert planted(plant, cut).startswith(f"{plant.function} is the first pass whose result is wrong")


@pytest.mark.parametrize("card", ["ring", "transformer_block"])
def test_one_percent_of_one_weight_of_a_gallery_model_is_found(card: str, planted: Callable[..., str]) -> None:
    lines = planted(Plant("any_weight", card, ""), f"gallery:{card}", "--save", "cut.onnx").splitlines()
    assert lines[0].startswith("any_weight is the first pass whose result is wrong: output ")
    assert lines[1].startswith("rewrite 1: any_weight at %")
    assert re.search(r": 1 node that any_weight still gets wrong$", lines[-1]), lines
    assert planted(Plant("any_weight", card, ""), "cut.onnx").startswith("any_weight is the first pass")
