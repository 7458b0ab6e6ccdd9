"""What a recording keeps of a tensor: its oddities counted, its maps as small pictures within a budget."""

import json
import zlib

import ml_dtypes
import numpy as np
import pytest

from glowviz.compiler.tensor_facts import MARK, PIXELS, raster, statistics

KEYS = ("snapshot", "value", "shape", "maps", "all_maps", "height", "width", "block", "low", "high", "first", "pixels")


def pictures(array: np.ndarray) -> dict:
    row = dict(zip(KEYS, raster(0, "x", array) or (), strict=True))
    row["pixels"] = np.frombuffer(zlib.decompress(row["pixels"]), np.uint8)
    return row | {"pixels": row["pixels"].reshape(row["maps"], row["height"], row["width"])}


def test_maps_are_small_pictures_of_the_last_two_dimensions() -> None:
    row = pictures(np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4))
    assert (row["maps"], row["all_maps"], row["height"], row["width"], row["block"]) == (2, 2, 3, 4, "[1,1]")
    assert (row["low"], row["high"]) == (0.0, 23.0)
    assert row["pixels"][0, 0, 0] == 0
    assert row["pixels"][1, 2, 3] == MARK - 1


@pytest.mark.parametrize("shape", [(1, 3, 224, 224), (1, 2048, 7, 7), (4, 512), (100_000,), (1, 12, 128, 128),
                                   (1000, 2048), (64, 3, 7, 7), (1, 24, 1, 1), (2, 3, 1, 70_000), (7, 1, 1)])
def test_a_picture_keeps_to_its_budget(shape: tuple[int, ...]) -> None:
    row = pictures(np.random.default_rng(0).normal(size=shape).astype(np.float32))
    assert row["pixels"].size <= PIXELS
    assert row["pixels"].size >= min(np.prod(shape), PIXELS / 8)
    assert row["maps"] >= min(row["all_maps"], 16)


def test_nan_and_infinities_are_marked_and_counted() -> None:
    array = np.array([[1, np.nan], [np.inf, 3]], np.float32)
    assert (pictures(array)["pixels"] == MARK).tolist() == [[[False, True], [True, False]]]
    row = statistics(0, "x", array, None)
    assert row is not None
    assert row[2:4] == (1.0, 3.0)
    assert row[6:9] == (1, 1, 0)
    assert pictures(np.full((2, 2), np.nan))["low"] == 0.0


def test_small_floats_count_and_a_large_tensor_has_a_sampled_histogram() -> None:
    assert statistics(0, "x", np.array([0, 2], ml_dtypes.bfloat16), None) is not None
    assert raster(0, "x", np.array(["a", "b"], object)) is None
    assert raster(0, "x", np.float32([1])) is None
    row = statistics(0, "x", np.arange((1 << 20) + 1, dtype=np.float32), None)
    assert row is not None
    histogram = json.loads(row[9])
    assert histogram["every"] == 2
    assert sum(histogram["counts"]) == (1 << 19) + 1


def test_what_is_kept_of_a_large_tensor_is_small() -> None:
    """583 tensors of ResNet-50 are to fit into one of its three megabytes."""
    noise = np.random.default_rng(0).standard_normal((1, 256, 56, 56)).astype(np.float32)
    seen, told = raster(0, "x", noise), statistics(0, "x", noise, None)
    assert seen is not None
    assert told is not None
    assert len(seen[-1]) <= 4096
    assert len(told[9]) <= 512
