"""A row of a recording's table `rasters` becomes the payload that the page draws maps from."""

import base64
import zlib
from collections.abc import Mapping
from typing import Any

import orjson

from glowviz.app.reader import Payload


def raster_payload(row: Mapping[str, Any]) -> Payload:
    """Return docs/payloads.md `picture`: levels 0 … 254 from low to high, 255 = NaN or infinite, as base64."""
    plain = {key: row[key] for key in ("maps", "all_maps", "height", "width", "low", "high")}
    shape, block, first = (orjson.loads(row[key]) for key in ("shape", "block", "first"))
    pixels = base64.b64encode(zlib.decompress(row["pixels"])).decode()
    return plain | {"shape": shape, "block": block, "first": first, "pixels": pixels}
