"""Big weights stay in their file; external data comes from the model's folder or the upload, never through links."""

from __future__ import annotations

import mmap
import os
import resource
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper

from glowviz.compiler.importer import ImportProblem, read_model
from glowviz.compiler.importer.wire import BIG
from tests.compiler.importer.small import by_us, model, node, value

WEIGHTS = np.random.default_rng(0).normal(size=(256, 128)).astype(np.float32)


def product(weights: np.ndarray = WEIGHTS) -> ModelProto:
    inputs = [value("x", (2, weights.shape[0]), helper.np_dtype_to_tensor_dtype(weights.dtype))]
    return model([node("MatMul", ["x", "w"], ["y"])], inputs, ["y"], {"w": weights})


def saved(folder: Path, proto: ModelProto) -> Path:
    path = folder / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def mapped(array: np.ndarray) -> bool:
    """The bytes are those of a mapped file."""
    base: object = array
    while isinstance(base, np.ndarray) and base.base is not None:
        base = base.base
    return isinstance(base, mmap.mmap)


# in place ------------------------------------------------------------------------------------------


def test_big_weights_are_views_of_the_file(tmp_path: Path) -> None:
    graph = read_model(saved(tmp_path, product()))
    array = graph.constants["w"].array
    assert isinstance(array, np.memmap)
    assert mapped(array)
    assert not array.flags.writeable
    np.testing.assert_array_equal(array, WEIGHTS)


def test_the_view_follows_the_file(tmp_path: Path) -> None:
    """Proof that nothing was copied: what is written to the file afterwards is what the array shows."""
    path = saved(tmp_path, product())
    array = read_model(path).constants["w"].array
    place = path.read_bytes().index(WEIGHTS.tobytes())
    with path.open("r+b") as file:
        file.seek(place)
        file.write(np.float32(123.5).tobytes())
    assert array[0, 0] == 123.5


def test_small_weights_are_in_memory(tmp_path: Path) -> None:
    small = np.ones((4, 4), np.float32)
    assert small.nbytes < BIG
    assert not mapped(read_model(saved(tmp_path, product(small))).constants["w"].array)


def test_bytes_are_viewed_too() -> None:
    content = product().SerializeToString()
    array = read_model(content).constants["w"].array
    assert np.shares_memory(array, np.frombuffer(content, np.uint8))
    np.testing.assert_array_equal(array, WEIGHTS)


@pytest.mark.parametrize("field", ["float_data", "double_data"])
def test_typed_fields_are_viewed_too(field: str, tmp_path: Path) -> None:
    dtype = np.float32 if field == "float_data" else np.float64
    proto = product(WEIGHTS.astype(dtype))
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    getattr(tensor, field).extend(WEIGHTS.astype(dtype).reshape(-1).tolist())
    array = read_model(saved(tmp_path, proto)).constants["w"].array
    assert mapped(array)
    np.testing.assert_array_equal(array, WEIGHTS.astype(dtype))


def test_weights_in_constant_nodes_and_branches_are_viewed_too(tmp_path: Path) -> None:
    tensor = onnx.numpy_helper.from_array(WEIGHTS, "t")
    body = [node("Constant", [], ["k"], value=tensor), node("MatMul", ["x", "k"], ["o"])]
    branch = helper.make_graph(body, "b", [], [onnx.ValueInfoProto(name="o")])
    nodes = [
        node("Constant", [], ["w"], value=tensor), node("MatMul", ["x", "w"], ["y"]),
        node("If", ["c"], ["z"], then_branch=branch, else_branch=branch),
    ]
    proto = model(nodes, [value("x", (2, 256)), value("c", (), TensorProto.BOOL)], ["y", "z"])
    graph = read_model(saved(tmp_path, proto))
    assert mapped(graph.constants["w"].array)
    inner = graph.nodes["z"].op.then_branch.constants["k"].array
    assert mapped(inner)
    np.testing.assert_array_equal(inner, WEIGHTS)


def test_other_types_are_viewed(tmp_path: Path) -> None:
    for dtype in (np.float16, np.int8, np.float64):
        weights = (np.arange(1 << 17) % 100).reshape(-1, 16).astype(dtype)
        array = read_model(saved(tmp_path, product(weights))).constants["w"].array
        assert mapped(array)
        np.testing.assert_array_equal(array, weights)


def test_contents_that_look_like_a_mark_are_contents(tmp_path: Path) -> None:
    """Small contents stand in the slim copy as they are, whatever bytes they hold."""
    rng = np.random.default_rng(3)
    small = rng.integers(0, 256, (8, 3)).astype(np.uint8).view(np.int8)
    proto = product()
    proto.graph.initializer.append(onnx.numpy_helper.from_array(small, "extra"))
    graph = read_model(saved(tmp_path, proto))
    np.testing.assert_array_equal(graph.constants["extra"].array, small)
    np.testing.assert_array_equal(graph.constants["w"].array, WEIGHTS)


def test_half_a_gigabyte_is_not_copied(tmp_path: Path) -> None:
    """A sparse file of 512 MiB of weights: the process grows by far less."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1 << 13, 1 << 14])
    head = product(np.zeros((1, 1), np.float32))
    del head.graph.initializer[:]
    size = (1 << 27) * 4
    body = tensor.SerializeToString()
    body += bytes([9 << 3 | 2]) + _varint(size)
    graph = head.graph.SerializeToString() + bytes([5 << 3 | 2]) + _varint(len(body) + size) + body
    head.ClearField("graph")
    start = head.SerializeToString() + bytes([7 << 3 | 2]) + _varint(len(graph) + size) + graph
    path = tmp_path / "huge.onnx"
    with path.open("wb") as file:
        file.write(start)
        file.truncate(len(start) + size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    array = read_model(path, shapes={"x": (2, 1 << 13)}).constants["w"].array
    assert array.nbytes == size
    assert array[-1, -1] == 0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


def _varint(value_: int) -> bytes:
    out = bytearray()
    while value_ > 0x7F:
        out.append(value_ & 0x7F | 0x80)
        value_ >>= 7
    return bytes([*out, value_])


# beside the model ----------------------------------------------------------------------------------


def external(location: str, **entries: object) -> ModelProto:
    proto = product()
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, text in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(text))
    return proto


def test_external_data_is_viewed_in_place(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "w.bin").write_bytes(b"x" * 100 + WEIGHTS.tobytes() + b"y")
    graph = read_model(saved(tmp_path, external("./deep/er/w.bin", offset=100, length=WEIGHTS.nbytes)))
    array = graph.constants["w"].array
    assert mapped(array)
    np.testing.assert_array_equal(array, WEIGHTS)
    x = np.ones((2, 256), np.float32)
    np.testing.assert_allclose(by_us(graph, {"x": x})[0], x @ WEIGHTS, rtol=1e-4, atol=1e-4)


def test_what_onnx_saves_is_read(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save_model(product(), path, save_as_external_data=True, location="net.onnx.data", size_threshold=0)
    np.testing.assert_array_equal(read_model(path).constants["w"].array, WEIGHTS)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file beside the model's folder that no model may read."""
    path = tmp_path / "secret.bin"
    path.write_bytes(WEIGHTS.tobytes())
    (tmp_path / "models").mkdir()
    return path


@pytest.mark.parametrize("location", [
    "../secret.bin", "sub/../../secret.bin", "./../secret.bin", "..\\secret.bin", "/etc/hostname", "//etc/hostname",
    "C:\\secret.bin", "sub//w.bin", "", ".", "..", "w\0.bin", "file:secret.bin",
])
def test_paths_that_leave_the_folder_are_refused(location: str, secret: Path) -> None:
    with pytest.raises(ImportProblem):
        read_model(saved(secret.parent / "models", external(location)))


def test_an_absolute_path_is_refused(secret: Path) -> None:
    with pytest.raises(ImportProblem, match="below the model's own folder"):
        read_model(saved(secret.parent / "models", external(str(secret))))


def test_links_are_refused(secret: Path) -> None:
    folder = secret.parent / "models"
    (folder / "soft.bin").symlink_to(secret)
    with pytest.raises(ImportProblem, match="not a link"):
        read_model(saved(folder, external("soft.bin")))
    (folder / "up").symlink_to(secret.parent)
    with pytest.raises(ImportProblem, match="not a link"):
        read_model(saved(folder, external("up/secret.bin")))
    os.link(secret, folder / "hard.bin")
    with pytest.raises(ImportProblem, match="hard link"):
        read_model(saved(folder, external("hard.bin")))


def test_only_ordinary_files_are_opened(tmp_path: Path) -> None:
    """A pipe would make the reader wait for ever, a folder has no bytes."""
    os.mkfifo(tmp_path / "pipe.bin")
    with pytest.raises(ImportProblem, match="no ordinary file"):
        read_model(saved(tmp_path, external("pipe.bin")))
    (tmp_path / "folder").mkdir()
    with pytest.raises(ImportProblem):
        read_model(saved(tmp_path, external("folder")))
    with pytest.raises(ImportProblem, match="cannot be read"):
        read_model(saved(tmp_path, external("none.bin")))


@pytest.mark.parametrize(("entries", "says"), [
    ({"offset": 8}, "ends at byte"), ({"offset": 1 << 50}, "ends at byte"), ({"offset": -4}, "digits"),
    ({"offset": "1e3"}, "digits"), ({"offset": 1 << 62}, "digits"), ({"offset": "9" * 40}, "digits"),
    ({"offset": "٣"}, "digits"), ({"length": 1 << 50}, "bytes"), ({"length": 4}, "4 bytes"),
    ({"length": "many"}, "digits"), ({"basepath": "/"}, "does not know"), ({"__class__": "x"}, "does not know"),
])
def test_entries_are_checked(entries: dict[str, object], says: str, tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(WEIGHTS.tobytes())
    with pytest.raises(ImportProblem, match=says):
        read_model(saved(tmp_path, external("w.bin", **entries)))


def test_a_key_given_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(WEIGHTS.tobytes())
    proto = external("w.bin")
    proto.graph.initializer[0].external_data.add(key="location", value="../w.bin")
    with pytest.raises(ImportProblem, match="twice"):
        read_model(saved(tmp_path, proto))


# uploads -------------------------------------------------------------------------------------------


def test_uploaded_files_are_found_by_name_only(tmp_path: Path) -> None:
    stored = tmp_path / "store" / "6f1d"
    stored.parent.mkdir()
    stored.write_bytes(WEIGHTS.tobytes())
    content = external("weights/w.bin").SerializeToString()
    for name in ("weights/w.bin", "w.bin"):
        np.testing.assert_array_equal(read_model(content, files={name: stored}).constants["w"].array, WEIGHTS)


def test_uploads_read_no_folder(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(WEIGHTS.tobytes())
    with pytest.raises(ImportProblem, match="was not given"):
        read_model(saved(tmp_path, external("w.bin")), files={})
    with pytest.raises(ImportProblem, match="was not given"):
        read_model(saved(tmp_path, external(str(tmp_path / "w.bin"))), files={"other.bin": tmp_path / "w.bin"})
