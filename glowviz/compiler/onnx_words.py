"""Words that importer and exporter share: what our attributes are called in ONNX, and what only glowviz writes."""

from __future__ import annotations

FIELD_OF = {"kernel_shape": "kernel", "transA": "trans_a", "transB": "trans_b"}
"""ONNX attribute to our field, where snake case does not give it."""

ABSENT = "glowviz.absent"
"""Attribute of an Opaque: places of operands that were left out."""
CAPTURED = "glowviz.captured"
"""Attribute of an Opaque: how many of its last operands its bodies take from outside."""

ORIGIN = "glowviz.origin"
"""Metadata of an exported node: the ONNX nodes it stands for, as a JSON list."""
LABEL = "glowviz.label"
"""Metadata of an exported node: its display name."""
