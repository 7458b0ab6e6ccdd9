"""`read_model` turns an ONNX file into a Graph; `inspect_model` says what must be asked before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from google.protobuf.message import DecodeError
from onnx import ModelProto

from glowviz.compiler.graph import Graph
from glowviz.compiler.importer.facts import InputFacts, ModelFacts, facts_of
from glowviz.compiler.importer.findings import Finding
from glowviz.compiler.importer.limits import check
from glowviz.compiler.importer.metadata import finished
from glowviz.compiler.importer.nodes import Notes
from glowviz.compiler.importer.problem import ImportProblem
from glowviz.compiler.importer.reader import Reader, declared_inputs
from glowviz.compiler.importer.source import Source, open_source
from glowviz.compiler.plugins import load_plugins
from glowviz.compiler.problem import Problem
from glowviz.compiler.shapes import FreeDim, ShapeProblem, bind
from glowviz.compiler.types import TypeProblem

__all__ = [
    "Finding", "FreeDim", "ImportProblem", "InputFacts", "ModelFacts", "ShapeProblem", "inspect_model", "read_model",
]

UNFORESEEN = "Reading stopped at something unforeseen"
"""How a refusal opens that no check has made; tests look for it."""
Given = str | Path | bytes | ModelProto


def read_model(
    source: Given,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    files: Mapping[str, Path] | None = None,
) -> Graph:
    """The Graph of an ONNX model: value names kept, constants mapped in place, free dimensions as Symbols.

    `shapes` binds inputs (the pass bind_shapes does the rest). `files` are uploaded side files by name; with
    them no folder is read. ImportProblem or ShapeProblem says what is not taken, and nothing else is raised.
    """
    load_plugins()
    opened = open_source(source, files)
    return _guarded(opened, lambda: _read(opened, shapes or {}))


def inspect_model(source: Given, files: Mapping[str, Path] | None = None) -> ModelFacts:
    """What a form or the command line must know before compiling: inputs, free dimensions, versions, sizes."""
    opened = open_source(source, files)
    return _guarded(opened, lambda: _inspect(opened))


def _read(opened: Source, shapes: Mapping[str, tuple[int, ...]]) -> Graph:
    check(opened.model)
    inputs, _ = bind(declared_inputs(opened.model, opened.name), shapes, partly=True)
    notes = Notes()
    graph, sketch = Reader(opened, notes).graph(inputs, bound=bool(shapes))
    return finished(graph, opened, notes, tuple(sketch.guessed))


def _inspect(opened: Source) -> ModelFacts:
    check(opened.model)
    return facts_of(opened, declared_inputs(opened.model, opened.name))


Answer = TypeVar("Answer")


def _guarded(opened: Source, work: Callable[[], Answer]) -> Answer:
    """Whatever protobuf, numpy or the machine throws at a damaged file becomes one kind of error."""
    try:
        return work()
    except UnicodeDecodeError:
        problem = ("A name in the file is not UTF-8 text", "names in UTF-8")
    except DecodeError:
        problem = ("A message in the file cannot be parsed", "valid protobuf")
    except (MemoryError, OverflowError):
        problem = ("The file asks for more memory than there is", "a model that fits into memory")
    except TypeProblem as error:
        problem = (str(error), "a type that glowviz knows")
    except Problem:
        raise
    except (ArithmeticError, LookupError, AttributeError, TypeError, ValueError) as error:
        raise ImportProblem(
            f"{UNFORESEEN}: {type(error).__name__}: {error}", opened.name, "a file that can be read or refused by name",
            "This is a fault of glowviz: report it with the file",
        ) from error
    what, expected = problem
    raise ImportProblem(what, opened.name, expected, "Copy or export the file again; it may be damaged")
