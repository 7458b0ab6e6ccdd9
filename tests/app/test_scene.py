"""Pictures of states: what survives stays, unfolded blocks get frames, programs show their instructions in order."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import onnx
import pytest

import glowviz
from glowviz.app.folds import Fold, differences, fold_blocks, fold_scopes
from glowviz.app.scene import Scenes
from glowviz.app.theme import CHANGES
from glowviz.compiler import ops  # noqa: F401  # the parser needs every op class
from glowviz.compiler.importer import read_model
from glowviz.compiler.recording.reader import Recording
from glowviz.compiler.recording.writer import Recorder, Step
from glowviz.compiler.text import parse_graph
from glowviz.gallery import card, cards

ROW = 44  # px: a box and the gap below it
SLOW = {"mobilenet_v2_small", "resnet50"}
GALLERY = [pytest.param(one.name, marks=pytest.mark.slow if one.name in SLOW else ()) for one in cards()]
Boxes = dict[str, dict[str, Any]]


def boxes_of(scene: dict[str, Any]) -> Boxes:
    """Box name to its columns."""
    columns = scene["boxes"]
    return {name: {key: columns[key][at] for key in columns} for at, name in enumerate(columns["name"])}


def state(box: dict[str, Any]) -> str:
    return CHANGES[box["state"]].key


def imported(text: str, path: Path) -> Scenes:
    """A recording of the graph alone."""
    recorder = Recorder(path, {"disabled": [], "model": "made up"})
    recorder.step(Step("import", "Import", "graph"), graph=parse_graph(text))
    recorder.finish()
    return Scenes(Recording(path))


def chain(length: int) -> str:
    kinds = ("Relu", "Sigmoid", "Tanh", "Abs")
    lines = [f"  %v{i}: f32[1x16] = {kinds[i % 4]}(%{f'v{i - 1}' if i else 'x'})" for i in range(length)]
    return "\n".join(["graph @chain(%x: f32[1x16]) {", *lines, f'  return "y"=%v{length - 1}', "}"])


def scoped(depth: int) -> str:
    """A chain whose ONNX names lie one scope deeper at every node."""
    lines = [f'  %v{i}: f32[4] = Relu(%{f"v{i - 1}" if i else "x"})  from "{"/s" * (i + 1)}/a"' for i in range(depth)]
    return "\n".join(["graph @deep(%x: f32[4]) {", *lines, f'  return "y"=%v{depth - 1}', "}"])


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Recording]:
    """Compiled gallery models by name, filled by `compiled`."""
    return {}


def compiled(name: str, folder: Path, known: dict[str, Recording]) -> Recording:
    if name not in known:
        path = folder / f"{name}.glowrec"
        glowviz.compile(str(card(name).path()), shapes=card(name).shapes(), record=path, measured_runs=1)
        known[name] = Recording(path)
    return known[name]


@pytest.mark.parametrize("fold", ["blocks", "none"])
@pytest.mark.parametrize("name", GALLERY)
def test_what_survives_a_pass_stays(
    name: str, fold: str, tmp_path: Path, recordings: dict[str, Recording]
) -> None:
    """Median 0 and p95 at most a row, of all boxes in two pictures that follow each other, ghosts included."""
    scenes = Scenes(compiled(name, tmp_path, recordings))
    pictures = [scenes.scene(at, at - 1 if at else None, fold, (), False) for at in range(len(scenes.recording))]
    for before, after in pairwise(pictures):
        old, new = boxes_of(before), boxes_of(after)
        if before["level"] != after["level"]:
            _instructions_stand_where_nodes_did(old, new)
            continue
        moved = sorted(
            max(abs(old[k]["x"] + old[k]["w"] / 2 - new[k]["x"] - new[k]["w"] / 2), abs(old[k]["y"] - new[k]["y"]))
            for k in new if k in old)
        if moved:
            assert median(moved) <= 1, after["snapshot"]  # a width of an odd number of px
            assert moved[min(len(moved) - 1, int(0.95 * len(moved)))] <= ROW, after["snapshot"]


def _instructions_stand_where_nodes_did(nodes: dict[str, dict], steps: dict[str, dict]) -> None:
    """Those that the schedule takes one after the other out of a row move down, the others stay."""
    moved = sorted(abs(nodes[name]["y"] - step["y"]) for key, step in steps.items()
                   if (name := key.removeprefix("step:")) in nodes)
    assert len(moved) >= 2
    assert median(moved) <= ROW
    assert moved[min(len(moved) - 1, int(0.95 * len(moved)))] <= 4 * ROW  # as many as stood side by side


def test_a_block_unfolds_into_a_frame_and_nothing_above_it_moves(
    tmp_path: Path, recordings: dict[str, Recording]
) -> None:
    scenes = Scenes(compiled("everything", tmp_path, recordings))
    closed = boxes_of(scenes.scene(0, None, "blocks", (), False))
    name = next(name for name, box in closed.items() if box["kind"] == 1)
    scene = scenes.scene(0, None, "blocks", (name,), False)
    opened = boxes_of(scene)
    frame = opened[name]
    assert (frame["kind"], frame["title"]) == (2, closed[name]["title"])
    inside = [box for box in opened.values() if box["parent"] == scene["boxes"]["name"].index(name)]
    assert len(inside) == closed[name]["count"]
    for box in inside:
        assert frame["x"] < box["x"]
        assert box["x"] + box["w"] < frame["x"] + frame["w"]
        assert frame["y"] < box["y"]
        assert box["y"] + box["h"] < frame["y"] + frame["h"]
    for other, box in closed.items():
        if other != name and box["y"] < closed[name]["y"]:
            assert (opened[other]["x"], opened[other]["y"]) == (box["x"], box["y"])
    others = [box for box in opened.values() if box["parent"] < 0 and box is not frame]
    assert not any(_overlap(frame, box) for box in others)


def _overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    apart = one["x"] >= other["x"] + other["w"] or other["x"] >= one["x"] + one["w"]
    return not apart and one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]


def test_edges_run_from_box_to_box_through_frames(tmp_path: Path, recordings: dict[str, Recording]) -> None:
    scenes = Scenes(compiled("everything", tmp_path, recordings))
    names = [name for name, box in boxes_of(scenes.scene(0, None, "blocks", (), False)).items() if box["kind"] == 1]
    scene = scenes.scene(0, None, "blocks", names, False)
    boxes, edges = scene["boxes"], scene["edges"]
    assert sum(kind == 2 for kind in boxes["kind"]) == len(names)
    for at, (source, target) in enumerate(zip(edges["from"], edges["to"], strict=True)):
        points = edges["points"][2 * edges["start"][at] : 2 * edges["start"][at + 1]]
        for box, (x, y), side in ((source, points[:2], boxes["h"][source]), (target, points[-2:], 0)):
            assert boxes["kind"][box] != 2
            assert boxes["x"][box] <= x <= boxes["x"][box] + boxes["w"][box]
            assert abs(y - boxes["y"][box] - side) <= 1


def test_a_program_is_drawn_in_the_order_in_which_it_runs(tmp_path: Path, recordings: dict[str, Recording]) -> None:
    recording = compiled("digit", tmp_path, recordings)
    last = len(recording) - 1
    scene = Scenes(recording).scene(last, None, "none", (), False)
    drawn = [box for box in boxes_of(scene).values() if box["kind"] == 0]
    runs = [f"step:{row['key']}" for row in recording.statements(last) if row["kind"] == "instr"]
    assert scene["level"] == "program"
    assert [box["name"] for box in sorted(drawn, key=lambda box: box["y"])] == runs
    assert scene["members"][str(scene["boxes"]["name"].index(runs[0]))] == [runs[0].removeprefix("step:")]
    shown = Scenes(recording).scene(last, None, "none", (), True)["boxes"]["name"]
    assert len(shown) - len(scene["boxes"]["name"]) == scene["hidden"][0]["count"]


def test_program_passes_mark_what_they_changed(tmp_path: Path, recordings: dict[str, Recording]) -> None:
    recording = compiled("digit", tmp_path, recordings)
    at = {row["name"]: row["snapshot"] for row in recording.passes()}
    scenes = Scenes(recording)

    def marked(name: str) -> dict[str, tuple[str, str]]:
        boxes = boxes_of(scenes.scene(at[name], at[name] - 1, "none", (), False))
        return {key: (state(box), box["badge"]) for key, box in boxes.items() if state(box) != "same"}

    copies = marked("copy_elimination")
    assert sorted(copies.values()) == [("merged", ""), ("merged", ""), ("merged", "2→1"), ("merged", "2→1")]
    assert set(marked("choose_schedules").values()) == {("changed", "")}
    planned = marked("plan_memory")
    assert planned
    assert all(mark == "changed" and badge.startswith("0x") for mark, badge in planned.values())
    assert not marked("irgen")


def test_what_is_gone_keeps_its_edges(tmp_path: Path, recordings: dict[str, Recording]) -> None:
    recording = compiled("digit", tmp_path, recordings)
    at = next(row["snapshot"] for row in recording.passes() if row["name"] == "fold_batchnorm")
    scene = Scenes(recording).scene(at, at - 1, "none", (), False)
    ends = {*scene["edges"]["from"], *scene["edges"]["to"]}
    assert ends == set(range(len(scene["boxes"]["name"])))
    assert any(CHANGES[one].key == "removed" for one in scene["edges"]["state"])


def test_blocks_that_feed_each_other_are_drawn(tmp_path: Path) -> None:
    """A scope whose result comes back to it by way of another: a circle of two boxes."""
    text = """graph @circle(%x: f32[4]) {
  %a: f32[4] = Relu(%x)  from "/one/a"
  %b: f32[4] = Tanh(%a)  from "/two/b"
  %c: f32[4] = Sigmoid(%b)  from "/one/c"
  %d: f32[4] = Abs(%c)  from "/two/d"
  return "y"=%d
}"""
    scene = imported(text, tmp_path / "circle.glowrec").scene(0, None, "scopes", (), False)
    assert [box["title"] for box in boxes_of(scene).values() if box["kind"] == 1] == ["one", "two"]
    assert len(scene["edges"]["from"]) == 2


def test_a_flat_chain_opens_as_a_few_labelled_boxes(tmp_path: Path) -> None:
    begun = process_time()
    scene = imported(chain(10_000), tmp_path / "chain.glowrec").scene(0, None, "blocks", (), False)
    assert 15 <= len(scene["boxes"]["name"]) <= 60
    assert sum(scene["boxes"]["count"]) == 10_000
    assert process_time() - begun < 6  # measured 1.2; ten thousand boxes would take as long again


@pytest.mark.slow
def test_a_flat_chain_of_100000_opens(tmp_path: Path) -> None:
    begun = process_time()
    scene = imported(chain(100_000), tmp_path / "chain.glowrec").scene(0, None, "blocks", (), False)
    assert sum(scene["boxes"]["count"]) == 100_000
    assert process_time() - begun < 24


def test_2000_scopes_deep_open_one_by_one(tmp_path: Path) -> None:
    scenes = imported(scoped(2000), tmp_path / "deep.glowrec")
    opened: list[str] = []
    frames = []
    for _ in range(4):
        boxes = boxes_of(scenes.scene(0, None, "scopes", opened, False))
        frames.append(sum(box["kind"] == 2 for box in boxes.values()))
        opened += [name for name, box in boxes.items() if box["kind"] == 1]
    assert frames == [0, 1, 2, 3]


def test_a_name_of_300_letters_is_one_box_of_the_usual_width(tmp_path: Path) -> None:
    name = "n" * 300
    text = f'graph @long(%x: f32[4]) {{\n  %{name}: f32[4] = Relu(%x)\n  return "y"=%{name}\n}}'
    boxes = boxes_of(imported(text, tmp_path / "long.glowrec").scene(0, None, "blocks", (), False))
    assert boxes[name]["w"] == 220


def test_foldings_file_every_node_and_name_every_block(tmp_path: Path, recordings: dict[str, Recording]) -> None:
    recording = compiled("everything", tmp_path, recordings)
    for folding in (fold_blocks, fold_scopes):
        found = folding(recording.nodes(0), list(recording.inputs(0)))
        inside = {name for fold in found.by_name.values() for name in fold.nodes()}
        assert inside <= {node.name for node in recording.nodes(0)} - set(found.hidden)
        for node in recording.nodes(0):
            if node.name in inside:
                assert node.name in found.path(node)[-1].parts


def test_a_repeated_block_says_in_what_its_copies_differ(tmp_path: Path) -> None:
    kinds = ["Relu", "Sigmoid", "Tanh", "Abs"] * 12
    lines = [f"  %v{i}: f32[1x16] = {kind}(%{f'v{i - 1}' if i else 'x'})" for i, kind in enumerate(kinds)]
    text = "\n".join(["graph @same(%x: f32[1x16]) {", *lines, '  return "y"=%v47', "}"])
    scenes = imported(text, tmp_path / "same.glowrec")
    folding = fold_blocks(scenes.recording.nodes(0), ["x"])
    nodes = {node.name: node for node in scenes.recording.nodes(0)}
    one = Fold("fold:v0", "Steps", ["v0", "v1"])
    other = Fold("fold:v4", "Steps", ["v4", "v5"])
    assert folding.top
    assert differences(Fold("both", "Steps", [one, other], repeat=2), nodes) == ["They differ in their weights only."]
    nodes["v5"] = replace(nodes["v5"], types=("f32[1x32]",))
    assert differences(Fold("both", "Steps", [one, other], repeat=2), nodes) == [
        "Sigmoid v1: f32[1x16], elsewhere f32[1x32]."]
    assert differences(one, nodes) == []


LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


@pytest.mark.parametrize(("name", "constants", "width"), [
    ("densenet121", False, 220), ("densenet121", True, 1522), ("inception_v2", False, 952),
    ("inception_v2", True, 4850), ("inception_v1", False, 1196), ("inception_v1", True, 3255),
])
def test_drawings_are_about_as_narrow_as_the_best_engines(
    name: str, constants: bool, width: int, tmp_path: Path
) -> None:
    """`width` is graphlay 0.3.1's for the same boxes, top to bottom, with gaps of 24 and 16 px."""
    path = tmp_path / "light.glowrec"
    recorder = Recorder(path, {"disabled": []})
    recorder.step(Step("import", "Import", "graph"), graph=read_model(str(LIGHT / f"light_{name}.onnx"), None))
    recorder.finish()
    assert Scenes(Recording(path)).scene(0, None, "none", (), constants)["size"][0] <= 1.5 * width
