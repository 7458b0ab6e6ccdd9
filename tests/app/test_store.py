"""The store takes uploads as streams, names everything itself, and stays within its limit."""

import io
import json
import os
from pathlib import Path

import pytest

from glowviz.app.problem import Problem
from glowviz.app.store import Limits, Store, flat_name


def uploaded(store: Store, **files: bytes) -> str:
    upload = store.begin_upload()
    for name, content in files.items():
        store.receive(upload, name.replace("_", "."), io.BytesIO(content), len(content))
    return upload


def test_an_upload_becomes_a_model_with_its_side_files(tmp_path: Path) -> None:
    store = Store(tmp_path)
    model = store.finish_upload(uploaded(store, net_onnx=b"model", net_data=b"weights"))
    assert model.title == "net.onnx"
    assert model.main.read_bytes() == b"model"
    assert model.files["net.data"].read_bytes() == b"weights"
    assert model.main.parent == model.files["net.data"].parent == tmp_path / "models" / model.identifier


def test_the_same_content_is_the_same_model_and_asking_twice_answers_twice(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first, second = (uploaded(store, net_onnx=b"model") for _ in range(2))
    assert store.finish_upload(first) == store.finish_upload(second) == store.finish_upload(first)


@pytest.mark.parametrize("name", ["../../etc/passwd.onnx", "/etc/passwd.onnx", "a/../b.onnx", "..\\x.onnx", ".onnx"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path)
    upload = store.begin_upload()
    store.receive(upload, name, io.BytesIO(b"x"), 1)
    model = store.finish_upload(upload)
    assert model.main.resolve().is_relative_to(tmp_path)
    assert "/" not in flat_name(name)


def test_too_big_a_file_is_refused_before_and_while_it_arrives(tmp_path: Path) -> None:
    store = Store(tmp_path, Limits(upload=10))
    upload = store.begin_upload()
    for length in (11, None):
        with pytest.raises(Problem, match="too big") as refused:
            store.receive(upload, "a.onnx", io.BytesIO(b"x" * 11), length)
        assert refused.value.status == 413
    assert not list((tmp_path / "uploads" / upload).glob("*.onnx"))


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    store = Store(tmp_path, Limits(files=1))
    upload = uploaded(store, a_onnx=b"x")
    with pytest.raises(Problem, match="more than 1 files"):
        store.receive(upload, "b.data", io.BytesIO(b"x"), 1)


def test_an_upload_without_a_model_says_what_is_missing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(Problem, match="No model among"):
        store.finish_upload(uploaded(store, a_data=b"x"))


@pytest.mark.parametrize("identifier", ["", "x" * 32, "../" + "a" * 29, "A" * 32, "a" * 31])
def test_ids_are_only_those_the_server_makes(tmp_path: Path, identifier: str) -> None:
    with pytest.raises(Problem):
        Store(tmp_path).recording_path(identifier)


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    store = Store(tmp_path, Limits(total=250))
    names = ["0" * 31 + str(i) for i in range(3)]
    for age, name in enumerate(names):
        path = store.recording_path(name)
        path.write_bytes(b"x" * 100)
        os.utime(path, (1000 + age, 1000 + age))
    store.touch(names[0])
    assert store.recording_path(names[0]).stat().st_mtime == 1000  # jobs know the file by the time of its writing
    assert store.evict(keep=frozenset({names[0]})) == [names[1]]
    assert {name for name, _ in store.recordings()} == {names[0], names[2]}


def test_one_model_with_one_set_of_options_has_one_id() -> None:
    ids = {Store.recording_id("m", {"a": 1, "b": 2}), Store.recording_id("m", {"b": 2, "a": 1})}
    assert len(ids) == 1
    assert Store.recording_id("m", {"a": 2, "b": 2}) not in ids


def test_notes_are_kept_beside_the_recording(tmp_path: Path) -> None:
    store = Store(tmp_path)
    identifier = "a" * 32
    assert store.notes(identifier) == {}
    store.note(identifier, {"title": "<b>"})
    assert json.loads(store.recording_path(identifier).with_suffix(".json").read_text()) == {"title": "<b>"}
