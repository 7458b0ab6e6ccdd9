"""Where a command's input comes from and where its output goes: models, texts, arrays, checked before any work."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glowviz.compiler.problem import Problem

if TYPE_CHECKING:
    from glowviz.compiler.trial_run import TrialRun
    from glowviz.gallery import Card

GALLERY = "gallery:"
"""`gallery:digit` names a model of the gallery wherever a model file may stand."""


def compile_options(options: argparse.Namespace) -> dict[str, Any]:
    """The keyword arguments of `glowviz.compile` that the shared options say; what --load names is loaded."""
    load(options)
    per_pass: dict[str, dict[str, Any]] = {}
    for name, key, value in options.option:
        per_pass.setdefault(name, {})[key] = value
    return {
        "shapes": shapes_of(options), "target": options.target, "threads": options.threads,
        "precision": options.precision, "disable": tuple(options.disable), "options": per_pass,
        "order": order(options), "progress": progress(options),
    }


def order(options: argparse.Namespace) -> dict[str, list[str]] | None:
    """The stages and passes that --order names; None for the pipeline's own."""
    from glowviz.app.order import read_order

    return read_order(readable(options.order, "--order").read_text(encoding="utf-8")) if options.order else None


def progress(options: argparse.Namespace) -> Callable[[str], None]:
    """One line on stderr that is written over; nothing with --quiet or when stderr is no terminal."""
    if options.quiet or not sys.stderr.isatty():
        return lambda _: None
    return lambda text: print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def clear(options: argparse.Namespace) -> None:
    """Take the progress line away."""
    progress(options)("")


def load(options: argparse.Namespace) -> None:
    """Run what --load names: files that add ops, passes or rules, and functions, which become passes."""
    import glowviz.compiler.pipeline  # noqa: F401  # what is loaded stands beside what there is
    from glowviz.compiler.loading import load as load_all

    load_all(options.load, options.after)


def card_of(path: str) -> Card | None:
    """The gallery's card where `path` names one."""
    if not path.startswith(GALLERY):
        return None
    from glowviz.gallery import card

    try:
        return card(path.removeprefix(GALLERY))
    except KeyError as problem:
        raise Problem(str(problem.args[0]), path, "gallery:NAME with one of these names", "Take one of them") from None


def model_path(path: str) -> str:
    """The file of a model; a gallery model is built where it is missing."""
    card = card_of(path)
    return path if card is None else str(card.path())


def shapes_of(options: argparse.Namespace) -> dict[str, tuple[int, ...]]:
    """The shapes that the user gave; a gallery model without any has those of its samples."""
    card = card_of(options.model)
    return dict(options.shape) or (card.shapes() if card is not None else {})


def source(path: str) -> Any:
    """A model for the compiler: .glow files are parsed here, everything else is left to the importer."""
    path = model_path(path)
    return parsed(text_in(path), path) if path.endswith(".glow") else path


def text_in(path: str) -> str:
    """The text of a file, or of standard input for `-`."""
    if path == "-":
        return sys.stdin.read()
    try:
        return readable(path, "the command").read_text(encoding="utf-8")
    except UnicodeDecodeError as problem:
        raise Problem(f"{path} is no text: {problem.reason} at byte {problem.start}", path,
                      "a graph or program in the printed form, in UTF-8",
                      "An .onnx model is opened by its own name, not as .glow") from None


def parsed(text: str, path: str, kind: str = "graph") -> Any:
    """The Graph or Program of a text; contents named by hash are found beside the file or in the store."""
    import glowviz.compiler.ops  # noqa: F401  # the parser needs every op class
    from glowviz.compiler.text import Contents, TextProblem, parse_graph, parse_program
    from glowviz.compiler.types import TypeProblem

    contents = Contents(None if path == "-" else path)
    try:
        return parse_program(text, contents) if kind == "program" else parse_graph(text, contents)
    except (TextProblem, TypeProblem) as problem:
        raise Problem(str(problem), "standard input" if path == "-" else path, f"a {kind} in the printed form",
                      "Correct the line; `glowviz opt --help` and docs/tour.md show the form") from None


def trial_of(options: argparse.Namespace) -> TrialRun | None:
    """What a run is given and held against, from --inputs, --pixels and --expected; None without any of them."""
    from glowviz.compiler.pixels import Recipe
    from glowviz.compiler.trial_run import trial_from

    expected = getattr(options, "expected", [])
    if not options.inputs and not expected:
        return None
    with about("--pixels"):
        recipe = Recipe.of(dict(options.pixels))
    with about("--inputs"):
        given = trial_from([_file(one) for one in options.inputs], recipe=recipe, seed=getattr(options, "seed", 0))
    with about("--expected"):
        hoped = trial_from((), [(Path(one).name, readable(one, "--expected")) for one in expected])
    return replace(given, expected=hoped.expected, loose=given.loose | hoped.loose)


def _file(text: str) -> tuple[str, str, Path]:
    """`x=photo.png` or a file alone: the input it is for ("" = told by the names in it), its name, its path."""
    wanted, equals, path = text.partition("=")
    if not equals or Path(text).exists():
        wanted, path = "", text
    return wanted, Path(path).name, readable(path, "--inputs")


@contextmanager
def about(option: str) -> Iterator[None]:
    """A Problem of a file names the option it was given with."""
    try:
        yield
    except Problem as problem:
        raise Problem(problem.what, option, problem.expected, problem.do) from None


def readable(path: str, option: str) -> Path:
    """The path of a file that is there and may be read."""
    file = Path(path)
    if not file.is_file():
        what = "is a folder" if file.is_dir() else "is not there"
        raise Problem(f"{path} {what}", option, "a file that can be read", "Check the path")
    if not os.access(file, os.R_OK):
        raise Problem(f"{path} may not be read by you", option, "a file that can be read", "Check its permissions")
    return file


def writable(path: str, option: str = "-o") -> Path:
    """The path of a file that can be written; said before the work, not after it."""
    file = Path(path)
    folder = file.parent
    if file.is_dir():
        raise Problem(f"{path} is a folder", option, "the name of a file", f"Give one, such as {file / 'out'}")
    if not folder.is_dir():
        raise Problem(f"There is no folder {folder}", option, "a folder that exists", f"Make it: mkdir -p {folder}")
    if not os.access(folder, os.W_OK) or (file.exists() and not os.access(file, os.W_OK)):
        raise Problem(f"{path} may not be written by you", option, "a file that can be written",
                      "Take another folder")
    return file
