"""On bundled models every kernel, instruction and buffer leads to ONNX nodes, and whatever is gone says why it went."""

from pathlib import Path

import pytest

import glowviz
from glowviz.app.views.life_card import life
from glowviz.compiler.recording.reader import Recording
from glowviz.gallery import card

LARGE = ("mobilenet_v2_small", "resnet50")
NAMES = ["digit", "everything", "ring", "transformer_block", *(pytest.param(n, marks=pytest.mark.slow) for n in LARGE)]
ALIVE = 1 << 30  # a row that died later than this is there at the end


@pytest.mark.parametrize("name", NAMES)
def test_all_that_was_made_leads_to_the_model(name: str, tmp_path: Path) -> None:
    path = tmp_path / "run.glowrec"
    glowviz.compile(str(card(name).path()), shapes=card(name).shapes(), record=path, measured_runs=1)
    recording = Recording(path)
    last = len(recording) - 1
    kernels = recording.kernels()
    assert sum(bool(one["origins"]) for one in kernels) >= 0.95 * len(kernels) > 0
    running = [one for one in recording.statements(last) if one["kind"] == "instr"]
    assert sum(bool(one["origins"]) for one in running) >= 0.95 * len(running) > 0
    for buffer in recording.buffers(last):
        told = life(recording, last, buffer["name"])
        assert told["origin"] or any("Made by " in line["text"] for line in told["paragraphs"]), buffer["name"]
    gone = [row["name"] for row in recording.query(
        "SELECT name FROM nodes GROUP BY name HAVING MAX(died) < ?", ALIVE)]
    assert gone
    for node in gone:
        ends = [event for event in recording.life(node) if event.kind in ("removed", "merged")]
        assert ends, f"nobody says where {node} went"
        assert all(event.reason for event in ends), node
