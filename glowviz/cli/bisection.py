"""`glowviz bisect` names the first pass that breaks a result and the one rewrite in it, and cuts out what shows it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from glowviz.cli.checks import bound, promised
from glowviz.cli.sources import clear, compile_options, source, trial_of, writable
from glowviz.compiler.graph import Graph
from glowviz.compiler.problem import Problem
from glowviz.compiler.trial_run import TrialRun
from glowviz.compiler.validate import DEFAULT_TOLERANCE, BadPass, BadRewrite

FEW, MANY, SMALL = 3, 20, 100_000
"""Inputs that are tried of a network, and of one that computes at most so many elements."""
SHOWN = 4
"""Changes that are listed where it takes several to go wrong."""


def bisect(options: argparse.Namespace) -> int:
    """Find the first pass whose result is wrong, and the single rewrite in it; exit status 1 when there is one."""
    from glowviz.compiler.pipeline import snapshots

    saved = writable(options.save, "--save") if options.save else None
    chosen = compile_options(options)
    if options.peak is not None or options.slower is not None or options.pattern:
        return bisect_by(options, chosen, saved)
    trial = trial_of(options)
    if trial is not None and trial.expected and options.tolerance is None:
        options.tolerance = DEFAULT_TOLERANCE
    steps = snapshots(source(options.model), **chosen)
    clear(options)
    found = first_bad(steps, options, trial)
    if found is None:
        limit = "" if options.tolerance is None else f"{options.tolerance:g} of its largest value"
        print(f"no pass changes a result by more than {limit}" if limit else "no pass breaks its promise")
        return 0
    bad, feeds = found
    if bad.position == 0:
        print(f"the model as imported differs from what was expected, before any pass: {bad.difference}")
        return 1
    print(f"{bad.name} is the first pass whose result is wrong: {bad.difference}")
    names = _show_rewrite(bad, feeds, options, chosen["options"].get(bad.name, {}))
    if saved is not None:
        _save(_part(bad, names, steps, options, chosen), bad, saved, options, chosen)
    return 1


def bisect_by(options: argparse.Namespace, chosen: dict[str, Any], saved: Path | None) -> int:
    """The same for memory, time, or a pattern; exit status 1 when a pass is found."""
    from glowviz.compiler.bisect import Compilation, bisect_states, bisect_time
    from glowviz.compiler.predicates import Pattern, Peak, Predicate
    from glowviz.compiler.reproducer import predicate_test, time_test, write_part

    keys = ("shapes", "target", "threads", "disable", "options", "order", "precision")
    made, told = Compilation(source(options.model), **{key: chosen[key] for key in keys}), chosen["progress"]
    predicate: Predicate = Peak(options.peak or None)
    if options.pattern:
        predicate = Pattern(options.pattern, not options.absent)
    if options.slower is not None:
        found = bisect_time(made, options.slower, lambda _, text: told(text))
    else:
        found = bisect_states(made.steps(), predicate, made.target, made.threads, made.options)
    clear(options)
    if found is None:
        print("no pass does that")
        return 0
    print(f"{found.name} (pass {found.position}): {found.told}")
    if found.change is not None:
        print(f"rewrite {found.rewrite}: {found.change.rule} at %{found.change.anchor}: {found.change.reason}")
    if found.note:
        print(found.note)
    if saved is not None and found.part is not None:
        text = saved.with_suffix(".glow").name
        test = time_test(found.name, found.told, options.slower, text, made.target) if options.slower is not None else \
            predicate_test(found.name, found.told, predicate, text, found.on_programs, made.target)
        print(f"{', '.join(map(str, write_part(found.part, saved, test)))}: {len(found.part)} nodes")
    return 1


def first_bad(
    steps: list[tuple[str, Any]], options: argparse.Namespace, trial: TrialRun | None = None
) -> tuple[BadPass, Mapping[str, np.ndarray]] | None:
    """The first bad pass and the inputs that show it; several are tried, because a maximum may hide what is wrong.

    With a `trial`, its inputs alone; where it expects outputs, they are what the passes together are held against. Bad
    is what goes beyond --tolerance for all passes together, or (without it) beyond what each pass promises.
    """
    from glowviz.compiler.validate import bisect_passes, first_broken, inputs_of

    if trial is not None:
        return _bad_on(steps, options, trial)
    first = next((k for k, (name, _) in enumerate(steps) if name == "bind_shapes"), 0)
    for seed in range(options.seed, options.seed + (options.trials or _trials(bound(steps)))):
        feeds = inputs_of(bound(steps), seed)
        if options.tolerance is not None:
            bad = bisect_passes(steps[first:], feeds, options.tolerance)
        else:
            bad = first_broken(steps[first:], promised, feeds)
        if bad is not None:
            return bad, feeds
    return None


def _bad_on(
    steps: list[tuple[str, Any]], options: argparse.Namespace, trial: TrialRun
) -> tuple[BadPass, Mapping[str, np.ndarray]] | None:
    from glowviz.compiler.validate import bisect_passes, first_broken, outputs_of

    model, states = bound(steps), steps[next((k for k, (name, _) in enumerate(steps) if name == "bind_shapes"), 0) :]
    feeds, held = trial.feeds(model), trial.for_outputs(model)
    if options.tolerance is None:
        bad = first_broken(states, promised, feeds)
        return None if bad is None else (bad, feeds)
    made = outputs_of(model, feeds)
    held.refuse_unknown({*made, *model.makers})
    wanted = held.reference(made) if held.expected else None
    bad = bisect_passes(states, feeds, options.tolerance, wanted=wanted)
    return None if bad is None else (bad, feeds)


def _trials(graph: Graph) -> int:
    """Small networks see few numbers at a time, so a fault hides more easily in them, and trying again costs little."""
    elements = sum(prod(t.dims) for node in graph for t in node.types if t.static)
    return FEW if elements > SMALL else MANY


def _show_rewrite(
    bad: BadPass, feeds: Mapping[str, Any], options: argparse.Namespace, settings: Mapping[str, Any]
) -> tuple[str, ...]:
    """Print the one rewrite that does the harm and the first number it makes wrong; returns the values it is at."""
    from glowviz.compiler.backends import backend_named
    from glowviz.compiler.rewrite import PASSES
    from glowviz.compiler.validate import bisect_rewrites

    if bad.name not in PASSES:
        print(f"{bad.name} is no pass of rewrites, so there is no single one to name")
        return _show_value(bad.before, bad.after, feeds, promised(bad.name))
    target = backend_named(options.target, options.threads).target
    guilty = bisect_rewrites(bad.before, PASSES[bad.name], feeds, options.tolerance, target, settings)
    if guilty is None:
        print(f"{bad.name} alone keeps every result: it takes the passes before it to go wrong")
        return ()
    change = guilty.change
    print(f"rewrite {guilty.number}: {change.rule} at %{change.anchor}: {change.reason}")
    _show_parts(guilty)
    seen = _show_value(guilty.before, guilty.after, feeds, promised(bad.name))
    return (change.anchor, *change.changed, *change.removed, *seen)


def _show_parts(guilty: BadRewrite) -> None:
    """The changed nodes or statements, where the line above has not said them."""
    told = [part for part in guilty.parts if part not in guilty.change.reason]
    for part in told[:SHOWN]:
        print(f"  {part}")
    if len(told) > SHOWN:
        print(f"  and {len(told) - SHOWN} more, all of which it takes")


def _show_value(before: Any, after: Any, feeds: Mapping[str, Any], tolerance: float) -> tuple[str, ...]:
    """Print the first value that is another one, with the number expected and found; returns its name."""
    from glowviz.compiler.validate import first_value

    found = first_value(before, after, feeds, tolerance)
    if found is None:
        return ()
    difference, expected, other = found
    name = difference.public if difference.public.startswith("return ") else f"%{difference.public}"
    if isinstance(expected, list):
        print(f"{name}: expected the shape {expected}, found {other}")
    else:
        index = f"[{', '.join(map(str, difference.worst))}]"
        print(f"{name}{index}: expected {_number(expected)}, found {_number(other)}")
    return (difference.public,)


def _number(content: Any) -> str:
    return f"{float(content):.7g}" if isinstance(content, np.floating) else str(content)


def _part(
    bad: BadPass, names: Iterable[str], steps: list[tuple[str, Any]], options: argparse.Namespace,
    chosen: dict[str, Any],
) -> Graph:
    """The smallest graph whose compilation goes wrong in the same pass: of what the pass was given, or of the model."""
    from glowviz.compiler.cutout import smallest_cut

    model: Graph = bound(steps)
    shows = _showing(bad.name, options, chosen)
    origins = _origins(bad.before, names)
    near = [node.name for node in model if node.name in set(names) or origins.intersection(node.origin.names)]
    sources = [(bad.before, names)] if isinstance(bad.before, Graph) else []
    for graph, centres in (*sources, (model, near)):
        part = smallest_cut(graph, centres, shows)
        if part is not None:
            return part
    return model


def _origins(ir: Any, names: Iterable[str]) -> set[str]:
    """The ONNX nodes that some values of a snapshot stand for."""
    wanted = set(names)
    if isinstance(ir, Graph):
        return {name for node in ir if wanted.intersection(node.results) for name in node.origin.names}
    touched = (instr for instr in ir.instructions if wanted.intersection((instr.value, *instr.outs)))
    return {name for instr in touched for name in instr.origin.names}


def _showing(name: str, options: argparse.Namespace, chosen: dict[str, Any]) -> Callable[[Any], bool]:
    """Whether a graph (or an ONNX file) goes wrong in the same pass."""
    from glowviz.compiler.pipeline import snapshots

    settings = chosen | {"shapes": {}, "progress": lambda _: None}

    def shows(part: Any) -> bool:
        try:
            found = first_bad(snapshots(part, **settings), options)
        except Problem:  # what does not compile does not show this fault
            return False
        return found is not None and found[0].name == name

    return shows


def _save(part: Graph, bad: BadPass, path: Path, options: argparse.Namespace, chosen: dict[str, Any]) -> None:
    """Write the part as ONNX and as text, and say which of them shows the fault."""
    from glowviz.compiler.exporter import ExportProblem, save
    from glowviz.compiler.reproducer import difference_test, test_path
    from glowviz.compiler.text import write_glow

    text = path.with_suffix(".glow")
    beside = write_glow(text, part)
    test, limit = test_path(path), promised(bad.name) if options.tolerance is None else options.tolerance
    written = [str(text), str(test), *([str(beside)] if beside else [])]
    test.write_text(difference_test(bad.name, limit, text.name, options.target), encoding="utf-8")
    shows = _showing(bad.name, options, chosen)
    try:
        save(part, path)
        written.insert(0, str(path))
        if not shows(str(path)):
            print(f"{path} alone does not show it: what matters is lost on the way to ONNX; {text} is complete")
    except ExportProblem as problem:
        print(f"not saved as ONNX: {problem}")
    print(f"{', '.join(written)}: {len(part)} {'node' if len(part) == 1 else 'nodes'} that {bad.name} still gets wrong")
