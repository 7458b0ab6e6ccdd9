"""`glowviz opt` is a Unix filter: the text of a graph or program in, the text after some passes out."""

from __future__ import annotations

import argparse
import re
import sys
from typing import Any

from glowviz.cli.sources import load, parsed, text_in
from glowviz.compiler.problem import Problem

STAGES = ("irgen", "plan_memory")
"""What stands between passes in the pipeline: Graph -> Program, and its addresses."""


def opt(options: argparse.Namespace) -> int:
    """Run passes over a text and print the result: a Unix filter.

    What the result names by hash is kept in the content store, so that the next `opt` in a pipe can read it.
    """
    import glowviz.compiler.pipeline  # noqa: F401  # registers ops and passes
    from glowviz.compiler.backends import backend_named
    from glowviz.compiler.text import keep, text_of
    from glowviz.compiler.verify import verify_graph, verify_program

    load(options)
    chosen = pass_list(options.passes)
    backend = backend_named(options.target)
    backend.passes("program")  # a backend registers its own passes when they are asked for
    text = text_in(options.file)
    kind = "program" if _first_word(text) == "program" else "graph"
    ir = parsed(text, options.file, kind)
    (verify_program if kind == "program" else verify_graph)(ir)
    for name, settings in chosen:
        ir = _step(name, settings, ir, backend.target)
    keep(ir)
    sys.stdout.write(text_of(ir))
    sys.stdout.flush()
    return 0


def _step(name: str, settings: dict[str, Any], ir: Any, target: Any) -> Any:
    """One pass or stage, verified."""
    from glowviz.compiler.graph import Graph
    from glowviz.compiler.irgen import irgen
    from glowviz.compiler.ledger import Ledger
    from glowviz.compiler.memory import plan_memory
    from glowviz.compiler.rewrite import PASSES

    is_graph = isinstance(ir, Graph)
    if name in STAGES:
        _right_level(name, "graph" if name == "irgen" else "program", is_graph)
        return irgen(ir, target=target) if name == "irgen" else plan_memory(ir)[0]
    ledger = Ledger(target, options={name: settings})
    ledger.check((name,))
    _right_level(name, PASSES[name].level, is_graph)
    return ledger.run(name, "opt", ir)


def _right_level(name: str, level: str, is_graph: bool) -> None:
    if is_graph and level == "program":
        raise Problem(f"{name} works on a program, and here the text is still a graph", "--passes",
                      "irgen before it", f"Give --passes irgen,{name}")
    if not is_graph and level != "program":
        raise Problem(f"{name} works on a graph, and here the text is a program already", "--passes",
                      "passes on programs only, from irgen on", f"Move {name} before irgen")


def _first_word(text: str) -> str:
    lines = (line.strip() for line in text.splitlines())
    return next((line.split(" ", 1)[0] for line in lines if line and not line.startswith("//")), "")


def pass_list(text: str) -> list[tuple[str, dict[str, Any]]]:
    """`dce,fuse{max_inputs=2}` as pass names with their options."""
    found: list[tuple[str, dict[str, Any]]] = []
    rest = text.strip()
    while rest:
        match = re.match(r"(\w+)(?:\{([^}]*)\})?\s*(?:,\s*(?=\w)|$)", rest)
        if match is None:
            raise Problem(f"{text!r} does not parse at {rest[:20]!r}", "--passes", "names like dce,fuse{max_inputs=2}",
                          "`glowviz passes` lists the names and their options")
        found.append((match[1], _settings(match[1], match[2] or "")))
        rest = rest[match.end():]
    return found


def _settings(name: str, text: str) -> dict[str, Any]:
    pairs = [part.strip() for part in text.split(",") if part.strip()]
    bad = next((pair for pair in pairs if not re.fullmatch(r"\w+\s*=.*", pair)), None)
    if bad is not None:
        raise Problem(f"{bad!r} is no option of {name}", "--passes", f"{name}{{option=value}}",
                      "`glowviz passes` lists the options")
    return {key.strip(): plain(value.strip()) for key, _, value in (pair.partition("=") for pair in pairs)}


def plain(text: str) -> Any:
    """A number or truth value where the text is one, else the text."""
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
