"""The gallery's thumbnails: the boxes of each imported model, drawn once and kept as plain numbers.

`python -m glowviz.app.pictures` draws them anew and writes `gallery_pictures.json` beside this file.
"""

import json
import tempfile
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("gallery_pictures.json")


@cache
def pictures() -> dict[str, list[list[int]]]:
    """Return card name → [x, y, width, height, family] of every box, in px."""
    return json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}


def draw() -> dict[str, list[list[int]]]:
    """Import every gallery model and return the boxes of its first picture."""
    from glowviz.app.scene import Scenes
    from glowviz.compiler.importer import read_model
    from glowviz.compiler.recording.reader import Recording
    from glowviz.compiler.recording.writer import Recorder, Step
    from glowviz.gallery import cards

    drawn = {}
    for card in cards():
        with tempfile.TemporaryDirectory() as folder:
            recorder = Recorder(Path(folder) / "one.glowrec", {"disabled": []})
            recorder.step(Step("import", "Import", "graph"), graph=read_model(card.path()))
            recorder.finish()
            recording = Recording(Path(folder) / "one.glowrec")
            boxes = Scenes(recording).scene(0, None, "blocks", (), False)["boxes"]
            recording.close()
        drawn[card.name] = [list(box) for box in zip(*(boxes[key] for key in "xywh"), boxes["family"], strict=True)]
    return drawn


if __name__ == "__main__":
    FILE.write_text(json.dumps(draw(), separators=(",", ":")) + "\n", encoding="utf-8")
