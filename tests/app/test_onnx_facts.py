"""What the file says of itself and its nodes is shown as it stands there, with ONNX's defaults for what is left out."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import glowviz
from glowviz.app.views.life_card import life
from glowviz.app.views.overview import overview
from glowviz.compiler.recording.reader import Recording


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    folder = tmp_path_factory.mktemp("facts")
    conv = helper.make_node("Conv", ["x", "w"], ["c"], name="first", doc_string="finds edges", pads=[1, 1, 1, 1])
    conv.metadata_props.add(key="layer", value="stem/0")
    relu = helper.make_node("LeakyRelu", ["c"], ["y"], alpha=0.25)
    x, y = (helper.make_tensor_value_info(name, 1, [1, 1, 4, 4], doc_string=f"the {name}") for name in "xy")
    weight = numpy_helper.from_array(np.ones((1, 1, 3, 3), np.float32), "w")
    graph = helper.make_graph([conv, relu], "edges", [x], [y], [weight], doc_string="of a picture")
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9, producer_name="hands",
                              producer_version="2", domain="org.example", model_version=3, doc_string="Edges.")
    model.metadata_props.add(key="licence", value="CC0")
    onnx.save(model, folder / "edges.onnx")
    glowviz.compile(folder / "edges.onnx", target="interpreter", record=folder / "run.glowrec")
    return Recording(folder / "run.glowrec")


def test_a_node_has_what_the_file_says_and_the_defaults_of_what_it_leaves_out(recording: Recording) -> None:
    (node,) = life(recording, 0, "c")["onnx"]
    assert (node["name"], node["op"], node["doc"]) == ("first", "Conv", "finds edges")
    assert node["version"] == "ai.onnx, opset 17, since version 11"
    assert node["props"] == [["layer", "stem/0"]]
    assert node["attributes"][0] == ["pads", "int[]", "1, 1, 1, 1", 1]
    assert ["group", "int", "1", 0] in node["attributes"]
    assert ["auto_pad", "string", "NOTSET", 0] in node["attributes"]
    assert ["strides", "int[]", "not given", 0] in node["attributes"]
    assert node["inputs"] == [["X", "x"], ["W", "w"]]
    assert node["outputs"] == [["Y", "c"]]
    (relu,) = life(recording, 0, "y")["onnx"]
    assert relu["attributes"] == [["alpha", "float", "0.25", 1]]


def test_the_overview_has_the_texts_of_the_model(recording: Recording) -> None:
    card = overview(recording)
    facts = dict(card["facts"])
    assert (facts["Graph"], facts["Domain"], facts["Model version"]) == ("edges", "org.example", "3")
    assert (facts["Made by"], facts["Parameters"], facts["Opset"]) == ("hands 2", "9", "ai.onnx 17")
    assert card["file"] == {"doc": ["Edges.", "of a picture"], "props": [["licence", "CC0"]],
                            "ports": {"x": "the x", "y": "the y"}}


def test_long_attributes_are_cut_and_say_so() -> None:
    from glowviz.compiler.importer.properties import value_text

    assert value_text(helper.make_attribute("axes", list(range(100)))).endswith("63, … (100 in all)")
    assert value_text(helper.make_attribute("text", "a" * 2000)).endswith("… (2,000 characters)")
    tensor = numpy_helper.from_array(np.zeros((2, 3), np.float32), "t")
    assert value_text(helper.make_attribute("value", tensor)) == "float[2x3] t"
    empty = helper.make_graph([], "body", [], [])
    assert value_text(helper.make_attribute("body", empty)) == "body of 0 nodes"
