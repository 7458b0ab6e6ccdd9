"""A real compilation, read by the page: every payload has its form, and the sentences say what happened."""

from pathlib import Path

import pytest

import glowviz
from glowviz.app.problem import Problem
from glowviz.app.reader import SceneRequest
from glowviz.app.recordings import JobProgress, RecordingReader
from glowviz.compiler import ops  # noqa: F401  # the parser needs every op class
from glowviz.compiler.recording.writer import Recorder, Step
from glowviz.compiler.text import parse_graph

TEXT = """
graph @small(%x: f32[1x3x8x8]) {
  const %w: f32[4x3x3x3] = normal(seed=7)
  const %g: f32[4] = [1.0, 2.0, 0.5, 1.5]
  const %b: f32[4] = [0.0, 0.1, 0.2, 0.3]
  const %m: f32[4] = [0.0, 0.0, 0.1, 0.1]
  const %v: f32[4] = [1.0, 1.0, 2.0, 2.0]
  const %p: f32[1] = [0.25]
  %c: f32[1x4x8x8] = Conv(%x, %w) {strides=[1, 1], pads=[1, 1, 1, 1]}  as conv  from conv
  %n: f32[1x4x8x8] = BatchNormalization(%c, %g, %b, %m, %v)  as norm  from norm
  %i: f32[1x4x8x8] = Identity(%n)  as same  from same
  %r: f32[1x4x8x8] = Relu(%i)  as relu  from relu
  %d: f32[1x4x8x8] = Neg(%c)  as unread  from unread
  return "y"=%r
}
"""


def opened(path: Path, job: str = "done", problem: dict[str, str] | None = None) -> RecordingReader:
    return RecordingReader(path, {"title": "Small", "weights": "seeded"}, lambda: JobProgress(job, problem))


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> RecordingReader:
    path = tmp_path_factory.mktemp("run") / "small.glowrec"
    glowviz.compile(parse_graph(TEXT), target="interpreter", record=path, disable=("cse",), measured_runs=3)
    return opened(path)


def snapshot_of(reader: RecordingReader, name: str) -> int:
    rows = reader.passes()["rows"]
    return rows["snapshot"][rows["name"].index(name)]


def test_the_ledger_tells_what_every_pass_did(reader: RecordingReader) -> None:
    ledger = reader.passes()
    rows = ledger["rows"]
    assert {len(column) for column in rows.values()} == {reader.snapshots()}
    assert [end for _, _, end in ledger["groups"]][-1] == reader.snapshots()
    row = rows["name"].index("fold_batchnorm")
    assert rows["fired"][row] == "1 of 1"
    assert rows["sentence"][row].startswith("Conv + BatchNormalization → Conv.")
    assert rows["state"][rows["name"].index("cse")] == "off"
    assert rows["name"][0] == "Imported"


def test_the_overview_says_what_the_model_is(reader: RecordingReader) -> None:
    card = reader.overview()
    assert (card["name"], card["status"], card["problems"]) == ("Small", "done", 0)
    assert card["what"].startswith("5 operators")
    assert card["weights"]["text"].endswith("answers mean nothing.")
    assert card["inputs"] == [["x", "f32[1x3x8x8]"]]
    assert card["disabled"] == ["cse"]
    assert card["bound"].startswith("1×3×8×8 · f32 · interpreter")
    assert card["time"]


def test_every_state_has_five_numbers_and_only_the_last_a_time(reader: RecordingReader) -> None:
    last = reader.snapshots() - 1
    for snapshot in range(last + 1):
        numbers = {one["key"]: one for one in reader.numbers(snapshot)["numbers"]}
        assert list(numbers) == ["time", "memory", "work", "nodes", "error"]
        assert all(one["value"] != "–" or one["why"] for one in numbers.values())
        assert (numbers["time"]["value"] != "–") == (snapshot == last)
    assert numbers["nodes"]["value"].startswith("5 → ")
    assert not numbers["memory"]["estimate"]


def test_scenes_are_unions_with_states(reader: RecordingReader) -> None:
    at = snapshot_of(reader, "fold_batchnorm")
    scene = reader.scene(SceneRequest(at, at - 1))
    boxes = scene["boxes"]
    assert len({len(column) for column in boxes.values()}) == 1
    state = dict(zip(boxes["name"], boxes["state"], strict=True))
    assert (state["c"], state["n"]) in ((4, 4), (2, 4), (2, 3))
    assert scene["edges"]["start"][-1] * 2 == len(scene["edges"]["points"])
    assert len(scene["edges"]["from"]) + 1 == len(scene["edges"]["start"])


def test_heat_names_the_time_of_the_kernels(reader: RecordingReader) -> None:
    last = reader.snapshots() - 1
    heat = reader.scene(SceneRequest(last))["heat"]
    total = sum(value or 0 for value in heat["time"]["values"])
    assert heat["time"]["unit"] == "ms"
    assert 0 < total <= reader.kernels()["sum_ms"] * 1.001
    early = reader.scene(SceneRequest(0))["heat"]["time"]["values"]
    assert sum(value or 0 for value in early) > 0


def test_life_tells_birth_change_and_end(reader: RecordingReader) -> None:
    last = reader.snapshots() - 1
    norm = reader.life(last, "n")
    assert norm["paragraphs"][0] == {"text": "Born at import from ONNX norm.", "snapshot": 0}
    assert any("fold_batchnorm" in line["text"] for line in norm["paragraphs"])
    assert snapshot_of(reader, "fold_batchnorm") in norm["touched"]
    gone = reader.life(last, "d")
    assert gone["gone"]
    assert any("dce" in line["text"] for line in gone["paragraphs"])
    assert not reader.life(0, "d")["gone"]
    assert all(not line["text"].endswith("..") for line in norm["paragraphs"] + gone["paragraphs"])


@pytest.mark.parametrize("name", ["w", "x", "input:x", "output:y"])
def test_constants_and_inputs_have_cards_too(reader: RecordingReader, name: str) -> None:
    assert reader.life(0, name)["paragraphs"]


def test_an_instruction_that_computes_no_value_has_a_card(tmp_path: Path) -> None:
    path = tmp_path / "cpu.glowrec"
    glowviz.compile(parse_graph(TEXT), target="cpu", record=path)
    reader = opened(path)
    rows = [row for row in reader.recording.statements() if row["kind"] == "instr"]
    position, halo = next((k, row) for k, row in enumerate(rows) if row["instruction"] == "fill_halo")
    found = reader.life(reader.snapshots() - 1, halo["value"])
    assert (found["op"], found["links"]["instruction"]) == ("fill_halo", position)
    assert found["origin"] == ["x"]


def test_unknown_names_are_refused_in_words(reader: RecordingReader) -> None:
    with pytest.raises(Problem, match="No value is called “nobody”"):
        reader.life(0, "nobody")
    with pytest.raises(Problem, match="No kernel"):
        reader.kernel("nobody")


def test_changes_are_grouped_by_rule_and_pattern(reader: RecordingReader) -> None:
    payload = reader.changes(snapshot_of(reader, "fold_batchnorm"))
    (group,) = payload["groups"]
    assert (group["before"], group["after"], group["count"]) == (["Conv", "BatchNormalization"], ["Conv"], 1)
    assert group["items"][0]["name"] == "n"
    assert "1 change by 1 rule" in payload["header"]
    assert "switched off" in reader.changes(snapshot_of(reader, "cse"))["header"]


def test_why_answers_before_a_rule_came(reader: RecordingReader) -> None:
    remarks = reader.why(0, "n")["remarks"]
    later = next(remark for remark in remarks if remark["pass"].startswith("fold_batchnorm"))
    assert later["lines"]
    assert later["kind"] in ("later", "kept", "no match")


def test_texts_name_their_lines(reader: RecordingReader) -> None:
    text = reader.text(0)
    assert text["names"][text["lines"].index(next(line for line in text["lines"] if "Relu" in line))] == "r"
    marked = reader.text(snapshot_of(reader, "fold_batchnorm"))
    assert marked["state"][marked["names"].index("n")] == 4
    program = reader.program(reader.snapshots() - 1)
    assert len(program["lines"]) == len(program["names"]) == len(program["step"])
    assert max(program["step"]) + 1 == len(reader.kernels()["rows"]["name"])


def test_memory_attributes_its_peak(reader: RecordingReader) -> None:
    payload = reader.memory(0)
    assert payload["planned"] == 1
    assert payload["peak"]["bytes"] == max(payload["live"])
    assert payload["lines"][0].startswith("Activations peak at")
    columns = payload["buffers"]
    size = {space["name"]: space["size"] for space in payload["spaces"]}
    for space, offset, length in zip(columns["space"], columns["offset"], columns["size"], strict=True):
        assert 0 <= offset <= offset + length <= size[space]


def test_search_finds_what_is_gone_and_takes_filters(reader: RecordingReader) -> None:
    found = reader.search("unread")
    assert found["name"] == ["d"]
    assert found["where"][0].startswith("gone in dce (pass ")
    assert "n" in reader.search("op:BatchNorm")["name"]
    assert reader.search("op:Relu unread")["total"] == 0
    assert reader.search("nobody")["name"] == []
    assert "n" in reader.search("dtype:f32")["name"]
    assert reader.search("dtype:i8")["total"] == reader.search("scope:nowhere")["total"] == 0
    assert reader.search("cost>1e9")["total"] == 0
    assert reader.search("pass:fold_batchnorm op:BatchNorm")["name"] == reader.search("op:BatchNorm")["name"]


def test_values_of_literals_results_and_weights(reader: RecordingReader) -> None:
    assert "0.25" in reader.values(0, "p")["sample"]
    relu = reader.values(reader.snapshots() - 1, "r")
    assert sum(relu["counts"]) == 4 * 8 * 8
    assert ["smallest", "0"] in relu["stats"]
    assert relu["type"].startswith("f32[1x4x8x8]")
    assert "missing" in reader.values(0, "nobody")


def test_the_error_is_known_after_every_pass(reader: RecordingReader) -> None:
    at = snapshot_of(reader, "fold_batchnorm")
    error = next(one for one in reader.numbers(at)["numbers"] if one["key"] == "error")
    assert error["value"] == "0" or float(error["value"]) < 1e-5


def test_a_cut_out_is_a_graph_again(reader: RecordingReader) -> None:
    assert "n" in parse_graph(reader.cutout(0, "n")).nodes
    with pytest.raises(Problem):
        reader.cutout(0, "nobody")


def failed(folder: Path) -> Path:
    """A recording whose second step failed at %n."""
    path = folder / "failed.glowrec"
    recorder = Recorder(path, {"state": "running", "disabled": [], "model": "m", "target": "cpu"})
    recorder.step(Step("import", "Import", "graph"), graph=parse_graph(TEXT))
    problem = {"what": "Cannot fold %n: its scale has 5 values.", "where": "m.onnx", "expected": "f32[4]",
               "do": "Export again."}
    recorder.step(Step("fold_batchnorm", "Simplify", "graph", status="failed", problem=problem))
    recorder.finish("failed")
    return path


def test_a_failed_pass_names_node_remedy_and_versions(tmp_path: Path) -> None:
    reader = opened(failed(tmp_path), "failed")
    (card,) = reader.problems()["problems"]
    assert (card["name"], card["stage"], card["snapshot"]) == ("n", "fold_batchnorm", 0)
    assert card["expected"] == "Expected f32[4]."
    assert "what: Cannot fold" in card["report"]
    assert reader.scene(SceneRequest(0))["problem"] == "n"
    rows = reader.passes()["rows"]
    assert rows["state"][:3] == ["ok", "failed", "unreached"]
    assert rows["problem"][1]["what"] == card["what"]
    assert set(rows["snapshot"][2:]) == {-1}
    assert rows["name"][-1] == "plan_memory"
    assert reader.overview()["status"] == "failed"


def test_a_crashed_compiler_counts_as_failed(tmp_path: Path) -> None:
    path = tmp_path / "crashed.glowrec"
    recorder = Recorder(path, {"state": "running", "disabled": [], "model": "m", "target": "cpu"})
    recorder.step(Step("import", "Import", "graph"), graph=parse_graph(TEXT))
    where = "Simplify: fold_batchnorm, rule conv_bn at %n"
    died = {"what": "The process died of signal 11.", "where": where, "expected": "", "do": "Tell us."}
    reader = opened(path, "failed", died)
    assert not opened(path, "running").finished()
    assert reader.finished()
    assert reader.overview()["problems"] == 1
    (card,) = reader.problems()["problems"]
    assert card["what"] == "The process died of signal 11."
    assert (card["stage"], card["group"], card["name"], card["skip"]) == ("fold_batchnorm", "Simplify", "n", True)
    rows = reader.passes()["rows"]
    assert (rows["name"][1], rows["state"][1], rows["snapshot"][1]) == ("fold_batchnorm", "failed", -1)
    assert rows["state"][2] == "unreached"
    assert reader.scene(SceneRequest(0))["problem"] == "n"


def test_a_file_that_is_no_recording_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.glowrec"
    path.write_bytes(b"not a database at all")
    with pytest.raises(Problem, match="not a recording"):
        opened(path)
