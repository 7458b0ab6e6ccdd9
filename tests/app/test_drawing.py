"""Large pictures are drawn in child processes, once; small ones by the process that is asked."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from glowviz.app.drawing import Draughtsman, draw
from glowviz.app.problem import Problem
from glowviz.app.reader import SceneRequest
from glowviz.app.recordings import JobProgress, RecordingReader
from glowviz.app.scene import LARGE
from glowviz.jobs import Pool
from tests.app.test_scene import chain, imported

WHOLE = SceneRequest(0, None, "none")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "chain.glowrec"
    imported(chain(LARGE + 1), path)
    return path


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    with Pool(tmp_path_factory.mktemp("jobs"), workers=1) as pool:
        yield pool


def test_large_is_told_before_anything_is_drawn(recording: Path) -> None:
    reader = RecordingReader(recording, {}, lambda: JobProgress("done"))
    assert reader.is_large(WHOLE)
    assert not reader.is_large(SceneRequest(0))
    tops = reader.scene(SceneRequest(0))["boxes"]["name"]
    assert not reader.is_large(SceneRequest(0, None, "blocks", tuple(tops)))


def test_a_drawing_is_the_scene_that_the_reader_gives(recording: Path, tmp_path: Path) -> None:
    asked = {"snapshot": 0, "base": None, "fold": "none", "opened": [], "constants": False}
    name = draw(str(recording), asked, tmp_path)
    drawn = orjson.loads((tmp_path / name).read_bytes())
    assert drawn == RecordingReader(recording, {}, lambda: JobProgress("done")).scene(WHOLE)
    assert len(drawn["boxes"]["name"]) == LARGE + 3


def test_a_picture_is_drawn_once_and_waited_for(recording: Path, pool: Pool) -> None:
    drawer, before = Draughtsman(pool), len(pool.rows())
    first = drawer.scene(recording, WHOLE)
    assert isinstance(first, dict)
    again = drawer.scene(recording, WHOLE)
    assert isinstance(again, bytes) or again["waiting"] == first["waiting"]
    pool.job(first["waiting"]).wait(60)
    assert drawer.progress(first["waiting"]) == {"state": "done"}
    drawn = drawer.scene(recording, WHOLE)
    assert isinstance(drawn, bytes)
    assert len(pool.rows()) == before + 1


def test_a_drawing_that_fails_says_so(tmp_path: Path, pool: Pool) -> None:
    path = tmp_path / "no.glowrec"
    path.write_bytes(b"this is no recording")
    begun = Draughtsman(pool).scene(path, WHOLE)
    assert isinstance(begun, dict)
    pool.job(begun["waiting"]).wait(60)
    with pytest.raises(Problem, match="not a recording"):
        Draughtsman(pool).progress(begun["waiting"])
    with pytest.raises(Problem, match="no drawing 99"):
        Draughtsman(pool).progress(99)
