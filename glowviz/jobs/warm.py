"""Importing this module imports what most jobs need; the fork server does so once, for all its children."""

import contextlib
from importlib import import_module

WANTED = ("numpy", "onnx", "llvmlite.binding", "glowviz.jobs.child", "glowviz.compiler.pipeline")

for name in WANTED:
    # A module that cannot be imported must fail in the job that needs it, with its reason, not here.
    with contextlib.suppress(Exception):
        import_module(name)
