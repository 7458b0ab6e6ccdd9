"""Every example network is valid, stays healthy and runs in onnxruntime; the script writes what it is asked for."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from examples import encoder, gpt2, mobilenet_v3, unet, vit
from examples.build import BUILDERS, main
from glowviz.gallery.build_light import fill, filled
from glowviz.gallery.build_mobilenet import mobilenet_v2, rounded
from glowviz.gallery.build_resnet import resnet
from glowviz.gallery.build_transformer import encoder as any_encoder
from glowviz.gallery.writer import Net
from tests.models import example, light, light_names

# The architectures at sizes that keep the tests quick; the full sizes differ only in numbers.
SMALL = {
    "mobilenet_v2": lambda: mobilenet_v2(0.35, 64),
    "mobilenet_v3_small": lambda: mobilenet_v3.build(size=64),
    "resnet18": lambda: resnet(18, size=64, width=16),
    "resnet50": lambda: resnet(50, size=64, width=16),
    "encoder": lambda: any_encoder(layers=2, width=48, heads=4, sequence=16),
    "encoder_pieces": lambda: any_encoder(layers=2, width=48, heads=4, sequence=16, whole_layer_norm=False),
    "unet": lambda: unet.build(size=32, width=8),
    "vit": lambda: vit.build(size=64, layers=2),
    "gpt2": lambda: gpt2.build(layers=2, width=64, sequence=16, vocabulary=50),
}
# What must be in each file: the operators it exists to show.
SHOWN = {
    "mobilenet_v2": {"Clip", "BatchNormalization"}, "mobilenet_v3_small": {"HardSwish", "HardSigmoid"},
    "resnet18": {"Add", "MaxPool"}, "resnet50": {"Add"}, "encoder": {"LayerNormalization", "Erf"},
    "encoder_pieces": {"Pow", "Sqrt", "ReduceMean"}, "unet": {"ConvTranspose", "Resize", "Concat"},
    "vit": {"Concat", "Gather"}, "gpt2": {"Where", "Tanh", "Split", "Gather"},
}


def feeds(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    stored = {tensor.name for tensor in model.graph.initializer}
    result = {}
    for value in model.graph.input:
        if value.name in stored:
            continue
        shape = [d.dim_value or 1 for d in value.type.tensor_type.shape.dim]
        whole = value.type.tensor_type.elem_type == onnx.TensorProto.INT64
        result[value.name] = rng.integers(0, 50, shape) if whole else rng.standard_normal(shape, dtype=np.float32)
    return result


def every_value(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """All intermediate results by name, from onnxruntime without its optimizations."""
    outputs = {output.name for output in model.graph.output}
    for node in model.graph.node:
        fresh = [name for name in node.output if name and name not in outputs]
        model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in fresh)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    run = onnxruntime.InferenceSession(model.SerializeToString(), options)
    found = [np.asarray(array) for array in run.run(None, feeds(model))]
    return dict(zip([o.name for o in run.get_outputs()], found, strict=True))


@pytest.mark.parametrize("name", SMALL)
def test_activations_stay_healthy(name: str) -> None:
    model = SMALL[name]()
    assert {node.op_type for node in model.graph.node} >= SHOWN[name]
    masked = {n for node in model.graph.node if node.op_type == "Where" for n in node.output}
    for value, array in every_value(model).items():
        assert np.isfinite(array).all(), value
        if array.dtype == np.float32 and array.size > 100 and value not in masked:
            assert 5e-3 < array.std() < 50, (value, array.std())


@pytest.mark.parametrize("name", SMALL)
def test_files_name_versions_that_onnxruntime_reads(name: str) -> None:
    model = SMALL[name]()
    assert model.ir_version == 10
    assert [13 <= entry.version <= 18 for entry in model.opset_import] == [True]


def test_the_same_seed_gives_the_same_bytes_and_another_other_weights() -> None:
    assert mobilenet_v2(0.35, 32).SerializeToString() == mobilenet_v2(0.35, 32).SerializeToString()
    first, second = resnet(18, 32, 8).graph.initializer, resnet(18, 32, 8, seed=1).graph.initializer
    assert first[0].name == second[0].name
    assert first[0].raw_data != second[0].raw_data


def test_layer_norm_in_pieces_computes_what_the_whole_does() -> None:
    whole, pieces = (any_encoder(1, 32, 4, 8, whole_layer_norm=kind) for kind in (True, False))
    answers = [every_value(model)["encoded"] for model in (whole, pieces)]
    np.testing.assert_allclose(answers[0], answers[1], atol=2e-5)


def test_gpt2_does_not_look_ahead() -> None:
    model = gpt2.build(layers=1, width=32, sequence=8, vocabulary=20)
    run = onnxruntime.InferenceSession(model.SerializeToString())
    tokens = np.arange(8)[None]
    changed = tokens.copy()
    changed[0, -1] = 3
    one, two = (np.asarray(run.run(None, {"tokens": t})[0]) for t in (tokens, changed))
    np.testing.assert_array_equal(one[:, :-1], two[:, :-1])
    assert not np.allclose(one[:, -1], two[:, -1])


def test_mobilenet_rounds_channels_as_published() -> None:
    assert [rounded(c * 0.35) for c in (16, 24, 32, 64, 96, 160, 320)] == [8, 8, 16, 24, 32, 56, 112]


@pytest.mark.parametrize("name", light_names())
def test_light_models_are_filled_completely(name: str) -> None:
    if name in ("light_vgg19", "light_bvlc_alexnet", "light_zfnet512"):
        pytest.skip("a quarter to half a gigabyte of weights; filled by the same code")
    model = filled(name)
    shipped = onnx.load(light(name))
    assert "ConstantOfShape" not in {node.op_type for node in model.graph.node}
    assert [output.name for output in model.graph.output] == [output.name for output in shipped.graph.output]
    stored = {tensor.name for tensor in model.graph.initializer}
    assert [value.name for value in model.graph.input if value.name in stored] == []
    assert len(model.graph.input) == 1


def test_a_filled_model_gives_different_answers_for_different_classes() -> None:
    model = filled("light_squeezenet")
    run = onnxruntime.InferenceSession(model.SerializeToString())
    answer = np.asarray(run.run(None, feeds(model))[0])
    assert 1e-4 < answer.std() < 0.03
    assert answer.max() < 0.5
    again = fill(onnx.load(light("light_squeezenet")), "light_squeezenet", seed=1)
    assert again.graph.initializer[-1].raw_data != model.graph.initializer[-1].raw_data


def test_the_encoder_has_the_published_number_of_weights() -> None:
    model = encoder.build(384)
    assert sum(int(np.prod(t.dims)) for t in model.graph.initializer) == pytest.approx(10.65e6, rel=0.01)


def test_a_weight_name_can_be_used_once() -> None:
    net = Net("twice")
    net.scalar("a", 1.0)
    with pytest.raises(ValueError, match="exists already"):
        net.scalar("a", 2.0)


def test_the_script_writes_the_file_it_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "net.onnx"
    assert main(["unet", "-o", str(path)]) == 0
    onnx.checker.check_model(onnx.load(path))
    assert main([]) == 0
    assert set(capsys.readouterr().out.split()) >= set(BUILDERS)
    assert main(["nothing"]) == 2
    assert "mobilenet_v2" in capsys.readouterr().err


def test_examples_are_built_once_for_all_tests() -> None:
    path = example("mobilenet_v3_small")
    written = path.stat().st_mtime_ns
    assert example("mobilenet_v3_small").stat().st_mtime_ns == written
