"""What `--load` names is run: a file that declares ops and passes, or one function, which becomes a pass."""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import inspect
import os
import re
import sys
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from glowviz.compiler.graph import Graph
from glowviz.compiler.problem import Problem
from glowviz.compiler.program import Program
from glowviz.compiler.rewrite import PASSES, Pass, graph_pass, program_pass

OPTION = "--load"
LOADED = "glowviz_loaded_"
"""What the names of modules that were run from files begin with."""


@dataclass(frozen=True)
class Loading:
    """One thing to load: a file or module, the function in it that is meant ("" = run it all), and its place."""

    source: str
    function: str = ""
    after: str = ""

    @property
    def is_file(self) -> bool:
        """It is run from its path; without a function there is no module to import."""
        return not self.function or self.source.endswith(".py") or os.sep in self.source

    def __str__(self) -> str:
        return self.source + (f":{self.function}" if self.function else "") + (f"@{self.after}" if self.after else "")


def read_loading(text: str) -> Loading:
    """`file.py`, `file.py:function`, `module:function`, each with `@PASS` behind the function where it has a place."""
    found = re.fullmatch(r"(.+):([A-Za-z_]\w*)(?:@(\w+))?", text)
    if found is None or Path(text).exists():
        return Loading(text)
    return Loading(found[1], found[2], found[3] or "")


def settled(text: str, after: str = "") -> str:
    """The same, so that a process in another folder loads it; a Problem tells of what is not there.

    `after` is the place of a function that names none.
    """
    one = read_loading(text)
    if one.function:
        one = replace(one, after=one.after or after)
    if one.is_file:
        return str(replace(one, source=str(_readable(one.source).absolute())))
    with _current_folder():
        origin = getattr(_spec(one), "origin", None) or ""
    here = Path(origin).parent == Path.cwd()
    return str(replace(one, source=origin) if here else one)


def load(texts: Iterable[str], after: str = "") -> None:
    """Run files, and make passes of functions; a Problem says what cannot be loaded, and why.

    `after` is the place of a function that names none.
    """
    import glowviz.compiler.passes
    import glowviz.compiler.program_passes  # noqa: F401  # what is loaded may take the place of one of these

    for text in texts:
        one = read_loading(text)
        passes = dict(PASSES)
        module = _file(one) if one.is_file else _module(one)
        if one.function:
            _forget_others(module, passes)
            _declare(replace(one, after=one.after or after), getattr(module, one.function, None), module)


def _forget_others(module: ModuleType, passes: Mapping[str, Pass]) -> None:
    """Where one function is asked for, the other passes that its module declares stay out."""
    for name in [n for n, made in PASSES.items() if made.function.__module__ == module.__name__]:
        if name in passes:
            PASSES[name] = passes[name]
        else:
            del PASSES[name]


def _file(one: Loading) -> ModuleType:
    """The module of a file, run anew; it lives as long as the process, under a name that comes from its path."""
    path = _readable(one.source)
    name = LOADED + hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:12]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise Problem(f"{one.source} is no Python file", OPTION, "a file whose name ends in .py, or module:function")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with _told(one):
        spec.loader.exec_module(module)
    return module


def _module(one: Loading) -> ModuleType:
    """A module from the current folder or from where Python finds modules."""
    with _current_folder():
        _spec(one)
        with _told(one):
            return importlib.import_module(one.source)


def _spec(one: Loading) -> ModuleSpec:
    """Where Python finds a module."""
    importlib.invalidate_caches()
    with _told(one):
        try:
            spec = importlib.util.find_spec(one.source)
        except ModuleNotFoundError:  # the package around it
            spec = None
    if spec is None:
        stem = one.source.split(".")[0]
        raise Problem(f"There is no module {one.source!r} in this folder, and Python finds none", OPTION,
                      "module:function, of a module in this folder or of an installed package",
                      f"Go where {stem}.py lies, or give its path: path/to/{stem}.py:{one.function}")
    return spec


@contextmanager
def _current_folder() -> Iterator[None]:
    """Modules of the current folder are found first while the block runs."""
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


@contextmanager
def _told(one: Loading) -> Iterator[None]:
    """What goes wrong in somebody else's code is said in one line."""
    try:
        yield
    except Exception as fault:
        alone = f"python {one.source}" if one.is_file else f"python -c 'import {one.source}'"
        raise Problem(f"{one.source} cannot be loaded: {type(fault).__name__}: {fault}", OPTION,
                      "Python that runs", f"See it alone: {alone}") from fault


def _declare(one: Loading, thing: Any, module: ModuleType) -> None:
    """Make a pass of what the name stands for."""
    if isinstance(thing, Pass):
        PASSES[thing.name] = replace(thing, after=one.after)  # asked for by name, so it runs
        return
    if not inspect.isfunction(thing):
        known = ", ".join(sorted(n for n, v in vars(module).items() if isinstance(v, Pass) or _own(v, module)))
        what = f"{one.source} has no {one.function!r}" if thing is None else f"{one.function} is no function"
        raise Problem(what, OPTION, f"a pass or a function Graph -> Graph, such as: {known or 'none is there'}",
                      "Check the name behind the colon")
    _wrapped(one, thing)


def _own(thing: Any, module: ModuleType) -> bool:
    return inspect.isfunction(thing) and thing.__module__ == module.__name__


def _wrapped(one: Loading, function: Callable[..., Any]) -> None:
    """A plain function as a pass of its own name that promises equality bit for bit."""
    try:
        hints = typing.get_type_hints(function)
    except NameError as fault:
        raise Problem(f"{one}: {fault}", OPTION, "annotations of things that the module imports",
                      "Import what they name, or leave them out") from fault
    parameters = list(inspect.signature(function).parameters)
    if not parameters:
        raise Problem(f"{one.function} takes no parameter", OPTION, "a function Graph -> Graph",
                      "Let it take the graph and return the next one")
    on_programs = hints.get(parameters[0]) is Program
    checked = _returning(Program if on_programs else Graph, function, one)
    made = program_pass()(checked) if on_programs else graph_pass(enters_bodies=False)(checked)
    PASSES[made.name] = replace(made, after=one.after)


def _returning(kind: type, function: Callable[..., Any], one: Loading) -> Callable[..., Any]:
    @functools.wraps(function)
    def checked(ir: Any, **options: Any) -> Any:
        after = function(ir, **options)
        if not isinstance(after, kind):
            raise Problem(f"{one.function} returned {type(after).__name__}", str(one), f"the next {kind.__name__}",
                          "Let it return what it makes; IR values are never changed in place")
        return after

    return checked


def _readable(path: str) -> Path:
    file = Path(path)
    if not file.is_file():
        what = "is a folder" if file.is_dir() else "is not there"
        raise Problem(f"{path} {what}", OPTION, "a file that can be read, or module:function", "Check the path")
    if not os.access(file, os.R_OK):
        raise Problem(f"{path} may not be read by you", OPTION, "a file that can be read", "Check its permissions")
    return file
