"""A run on the user's files: they are looked at before anything is compiled, and what does not fit is said in place."""

import io
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image

from glowviz.app.server import create_app, real_services
from glowviz.app.store import Store
from glowviz.app.workshop import JobWorkshop

TEXT = """graph @g(%x: f32[1x3x4x4], %row: i64[2]) {
  const %table: f32[5x4] = normal(seed=1)
  %a: f32[1x3x4x4] = Sqrt(%x)
  %picked: f32[2x4] = Gather(%table, %row) {axis=0}
  return "y"=%a, "z"=%picked
}"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    workshop = JobWorkshop(Store(tmp_path_factory.mktemp("store")))
    yield create_app(real_services(workshop.store, workshop)).server.test_client()
    workshop.close()


@pytest.fixture(scope="module")
def recording(client: FlaskClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "sqrt.glow"
    path.write_text(TEXT)
    return finished(client, client.post("/api/open", json={"path": str(path)}).json)


def finished(client: FlaskClient, made: dict) -> str:
    end = time.monotonic() + 60
    while made["job"] and (job := client.get(f"/api/jobs/{made['job']}").json)["state"] in ("queued", "running"):
        assert time.monotonic() < end, job
        time.sleep(0.05)
    assert client.get(f"/api/r/{made['recording']}/overview").json["status"] == "done"
    return made["recording"]


def kept(client: FlaskClient, name: str, body: bytes) -> str:
    upload = client.post("/api/uploads", json={}).json["upload"]
    assert client.put(f"/api/uploads/{upload}", query_string={"name": name}, data=body).status_code == 200
    return client.post(f"/api/uploads/{upload}/keep").json["kept"]


def arrays(**named: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, **named)
    return file.getvalue()


def picture() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), 255, np.uint8)).save(file, "PNG")
    return file.getvalue()


def test_a_model_says_what_it_takes(client: FlaskClient, recording: str) -> None:
    asked = client.get(f"/api/r/{recording}/inputs").json
    assert [(one["name"], one["type"]) for one in asked["inputs"]] == [("x", "f32[1x3x4x4]"), ("row", "i64[2]")]
    assert asked["inputs"][1]["random"] == "whole numbers 0 … 4, for it indexes 5"
    assert asked["outputs"] == [["y", "f32[1x3x4x4]"], ["z", "f32[2x4]"]]
    assert asked["samples"] == []
    assert [choice for choice, _ in asked["recipe"]["fit"]] == ["crop", "stretch", "border"]


def test_a_picture_is_shown_as_the_model_will_see_it(client: FlaskClient, recording: str) -> None:
    file = {"kept": kept(client, "white.png", picture()), "file": "white.png"}
    seen = client.post(f"/api/r/{recording}/look", json={"inputs": [file], "recipe": {"scale": "-1..1"}}).json
    assert seen["problem"] is None
    assert seen["inputs"][0]["told"] == "white.png: 8×8 → 4×4 (cut to the middle), red, green, blue, x / 127.5 − 1"
    assert (seen["inputs"][0]["picture"]["maps"], seen["inputs"][0]["picture"]["high"]) == (3, 1.0)
    assert seen["inputs"][1]["told"] == "random (whole numbers 0 … 4, for it indexes 5; seed 0)"


@pytest.mark.parametrize(("name", "body", "words"), [
    ("x.npz", arrays(x=np.zeros((1, 3, 4, 5), np.float32)), ("inputs", "the shape is [1x3x4x5]")),
    ("x.npz", arrays(x=np.zeros((1, 3, 4, 4), np.complex64)), ("inputs", "the elements are")),
    ("x.npz", arrays(other=np.zeros(2, np.float32)), ("", "no input is called other")),
    ("x.npy", b"\x93NUMPY garbage", ("answer", "x.npy is not an .npz or .npy file, or a damaged one")),
    ("x.png", b"garbage", ("inputs", "x.png is no picture that can be read"))])
def test_what_does_not_fit_is_said_where_it_is_given(
    client: FlaskClient, recording: str, name: str, body: bytes, words: tuple[str, str]
) -> None:
    file = {"kept": kept(client, name, body), "file": name}
    seen = client.post(f"/api/r/{recording}/look", json={"inputs": [file]}).json
    place, text = words
    problem = seen["inputs"][0]["problem"] if place == "inputs" else seen["problem"]
    assert problem["what"].startswith(text) or text in problem["what"]
    assert problem["expected"]
    assert "Traceback" not in str(seen)


@pytest.mark.parametrize("trial", [{"seed": -1}, {"inputs": [{"kept": "0" * 32, "file": "a"}]}, {"inputs": 3},
                                   {"recipe": {"fit": "squash"}}, {"sample": "a 9"}])
def test_a_trial_that_no_page_sends_is_refused(client: FlaskClient, recording: str, trial: dict) -> None:
    answer = client.post(f"/api/r/{recording}/look", json=trial)
    assert answer.status_code == 400
    assert answer.json["problem"]["what"]


def test_a_run_on_given_arrays_against_expected_ones(client: FlaskClient, recording: str) -> None:
    x = np.linspace(0, 1, 48, dtype=np.float32).reshape(3, 4, 4)  # without its batch
    given = {"kept": kept(client, "in.npz", arrays(x=x.astype(np.float64), row=np.int32([4, 0]))), "file": "in.npz"}
    hoped = np.sqrt(x)[None]
    hoped[0, 2, 3, 3] = 1.5
    wanted = {"kept": kept(client, "out.npz", arrays(y=hoped)), "file": "out.npz"}
    seen = client.post(f"/api/r/{recording}/look", json={"inputs": [given], "expected": [wanted]}).json
    told = [row["told"] for row in seen["inputs"]]
    assert told == ["in.npz, float64 converted to f32", "in.npz, int32 converted to i64"]
    assert seen["expected"] == [{"name": "y", "told": "float32[1x3x4x4]", "problem": None}]
    trial = {"inputs": [given], "expected": [wanted]}
    other = finished(client, client.post("/api/compile", json={"recording": recording, "trial": trial}).json)
    assert other != recording
    hunt = client.get(f"/api/r/{other}/hunt").json
    assert hunt["against"] == "the given input; against what was expected"
    errors = dict(zip(hunt["rows"]["name"], hunt["rows"]["error"], strict=True))
    assert errors["a"] == pytest.approx(0.5 / 1.5, rel=1e-5)
    values = client.get(f"/api/r/{other}/values/0?name=a").json
    assert values["error"]["worst"] == [0, 2, 3, 3]
    assert (values["error"]["absolute"], values["error"]["scale"]) == (pytest.approx(0.5), 1.5)
    assert (values["picture"]["maps"], values["picture"]["shape"]) == (3, [1, 3, 4, 4])
    assert client.get(f"/api/r/{other}/inputs").json["trial"]["expected"][0]["file"] == "out.npz"
    check = client.post(f"/api/r/{other}/bisect", json={"tolerance": 1e-4}).json["check"]
    answer = answered(client, check)
    assert (answer["found"], answer["pass"]) == (True, "import")
    check = client.post(f"/api/r/{other}/bisect", json={"tolerance": 0.5}).json["check"]
    assert not answered(client, check)["found"]


def answered(client: FlaskClient, check: int) -> dict:
    end = time.monotonic() + 60
    while (now := client.get(f"/api/checks/{check}").json)["state"] in ("queued", "running"):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert now["answer"], now
    return now["answer"]


def test_weights_have_statistics_and_pictures(client: FlaskClient, recording: str) -> None:
    values = client.get(f"/api/r/{recording}/values/0?name=table").json
    assert (values["kind"], values["told"]) == ("constant", "A constant of the model")
    assert (values["picture"]["height"], values["picture"]["width"]) == (5, 4)
    assert dict(values["stats"])["size"] == "80 B"


def test_an_upload_is_kept_once_under_its_content(tmp_path: Path) -> None:
    store = Store(tmp_path)
    found = []
    for _ in range(2):
        upload = store.begin_upload()
        store.receive(upload, "a.npy", io.BytesIO(b"123"), None)
        found.append(store.keep_upload(upload)["kept"])
    assert found[0] == found[1]
    assert [path.read_bytes() for path in store.kept_files(str(found[0])).values()] == [b"123"]
    assert store.kept_files("0" * 32) == {}
