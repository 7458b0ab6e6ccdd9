"""Jobs that run a recording's compilation once more: to cut a part out of it, or to find the rewrite that broke it."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from glowviz.app.work import choices, source
from glowviz.compiler.graph import Graph

Progress = Callable[[float, str], None]
Steps = list[tuple[str, Any]]
MODEL, TEXT = "cutout.onnx", "cutout.glow"  # what a search leaves in the job's folder, with a test
NO_PASS = ("The model as imported differs from what was expected, before any pass has run: what was expected comes "
           "from another model or other inputs, or the file was read wrongly.")


class _Enough(Exception):
    """The wanted state is there; later passes need not run."""


def steps_until(
    main: str, files: dict[str, str], options: dict[str, Any], load: list[str], last: int | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Steps:
    """Return (pass, IR) of every snapshot up to `last` (None = all), with contents, as the recording counts them."""
    from glowviz.compiler.backends import backend_named
    from glowviz.compiler.ledger import Ledger
    from glowviz.compiler.pipeline import arranged, import_graph, lower_to_program, optimize, with_shapes

    kept: Steps = []

    def step(text: str) -> None:
        progress(text)
        if last is not None and len(kept) > last:
            raise _Enough

    model, chosen = source(main, files, options, load), choices(options)
    backend = backend_named(chosen["target"], chosen["threads"])
    given = with_shapes(chosen["options"], chosen["shapes"])
    ledger = Ledger(backend.target, None, frozenset(chosen["disable"]), given, step, snapshots=kept)
    with suppress(_Enough):
        graph = import_graph(model, chosen["shapes"], ledger)
        lower_to_program(optimize(graph, ledger, backend, arranged(chosen["order"])), ledger, backend)
    return kept


def cut(
    main: str, files: dict[str, str], options: dict[str, Any], load: list[str], snapshot: int, name: str, folder: Path
) -> list[str]:
    """Write the graph around `name` at `snapshot` ("" = all of it) as ONNX with its weights; returns the name."""
    from glowviz.compiler.cutout import cut_out
    from glowviz.compiler.exporter import save

    steps = steps_until(main, files, options, load, snapshot)[: snapshot + 1]
    graphs = [ir for _, ir in steps if isinstance(ir, Graph)]
    part = cut_out(graphs[-1], name) if name else graphs[-1]
    save(part, folder / MODEL)
    return [MODEL]


def bisect(
    main: str, files: dict[str, str], options: dict[str, Any], load: list[str], tolerance: float, folder: Path,
    progress: Progress,
) -> dict[str, Any]:
    """Find the first pass whose outputs differ by more than `tolerance` of max |value|, and the one rewrite in it.

    Returns {found, snapshot, pass, difference, rewrite, rule, name, reason, files, note}; a rewrite of 0 means that
    `note` says why no single one can be named. Inputs and expected outputs are those of the recording (else seeded
    random ones, and what the imported graph makes of them); the interpreter computes the rest.
    """
    from glowviz.app.trials import trial_run
    from glowviz.compiler.trial_run import TrialRun
    from glowviz.compiler.validate import bisect_passes, outputs_of

    progress(0.1, "Bisect: compiling again")
    steps = steps_until(main, files, options, load)
    first = next((k for k, (name, _) in enumerate(steps) if name == "bind_shapes"), 0)
    model, trial = steps[first][1], trial_run(options.get("trial"), main) or TrialRun()
    feeds, expected = trial.feeds(model), trial.for_outputs(model)
    progress(0.4, "Bisect: running states in the interpreter")
    wanted = expected.reference(outputs_of(model, feeds)) if expected.expected else None
    bad = bisect_passes(steps[first:], feeds, tolerance, wanted=wanted)
    if bad is None:
        return {"found": False, "steps": len(steps), "tolerance": tolerance}
    found = {"found": True, "snapshot": first + bad.position, "pass": bad.name, "difference": str(bad.difference),
             "tolerance": tolerance, "rewrite": 0, "rule": "", "name": "", "reason": "", "files": [], "note": ""}
    if bad.position == 0:
        return found | {"pass": "import", "note": NO_PASS}
    progress(0.7, f"Bisect: rewrites of {bad.name}")
    return found | _rewrite(bad.name, steps[first + bad.position - 1][1], feeds, options, tolerance, folder)


def _rewrite(
    name: str, before: Any, feeds: Mapping[str, Any], options: dict[str, Any], tolerance: float, folder: Path
) -> dict[str, Any]:
    """Return the one firing that does the harm with the files around it, or a note on why there is none to name."""
    from glowviz.compiler.backends import backend_named
    from glowviz.compiler.rewrite import PASSES
    from glowviz.compiler.validate import bisect_rewrites

    if name not in PASSES:
        return {"note": f"{name} is no pass of rewrites, so there is no single one to name."}
    target = backend_named(options["target"], options["threads"]).target
    settings = (options.get("passes") or {}).get(name, {})
    guilty = bisect_rewrites(before, PASSES[name], feeds, tolerance, target, settings)
    if guilty is None:
        return {"note": f"{name} alone keeps every result: it takes the passes before it to go wrong."}
    change = guilty.change
    if not isinstance(before, Graph):
        return {"rewrite": guilty.number, "rule": change.rule, "name": change.anchor, "reason": change.reason,
                "note": "A part of a program cannot be cut out here: glowviz bisect --save cuts it out of the model."}
    files = _reproducer(before, change.anchor, name, tolerance, folder)
    return {"rewrite": guilty.number, "rule": change.rule, "name": change.anchor, "reason": change.reason,
            "files": files, "difference": str(guilty.difference)}


def _reproducer(graph: Graph, anchor: str, pass_name: str, tolerance: float, folder: Path) -> list[str]:
    """Write the smallest cut-out around `anchor` on which the pass still goes wrong: as ONNX, text and a test."""
    from glowviz.compiler.reproducer import difference_test, write_part

    part = _smallest(graph, anchor, pass_name, tolerance)
    return [one.name for one in write_part(part, folder / MODEL, difference_test(pass_name, tolerance, TEXT))]


def _smallest(graph: Graph, anchor: str, pass_name: str, tolerance: float) -> Graph:
    from glowviz.compiler.cutout import smallest_cut
    from glowviz.compiler.rewrite import PASSES
    from glowviz.compiler.validate import compare

    def shows(part: Graph) -> bool:
        with suppress(Exception):  # a pass that falls over on a part does not show this fault
            return not compare(part, PASSES[pass_name].run(part)[0]).within(tolerance)
        return False

    return smallest_cut(graph, [anchor], shows) or graph


def bisect_by(
    main: str, files: dict[str, str], options: dict[str, Any], load: list[str], question: dict[str, Any], folder: Path,
    progress: Progress, at: float = 0.0,
) -> dict[str, Any]:
    """Find the pass, and the rewrite in it, by another `question` than its numbers; returns what `bisect` returns.

    {"kind": "peak", "limit": bytes or None}, {"kind": "pattern", "query", "present"} or {"kind": "time", "percent"}.
    """
    from glowviz.compiler.bisect import Compilation, bisect_states, bisect_time
    from glowviz.compiler.reproducer import predicate_test, time_test, write_part

    model, chosen = source(main, files, options, load), choices(options)
    keys = ("shapes", "target", "threads", "disable", "order", "precision")
    made = Compilation(model, **{key: chosen[key] for key in keys}, options=chosen.get("options"))
    progress(0.05, "Bisect: compiling again")
    if question["kind"] == "time":
        found = bisect_time(made, question["percent"], progress)
    else:
        predicate = predicate_of(question)
        steps = made.steps()
        found = bisect_states(steps, predicate, made.target, made.threads, made.options, progress)
    if found is None:
        return {"found": False, "question": question}
    if question["kind"] == "time":
        test = time_test(found.name, found.told, question["percent"], TEXT, made.target)
    else:
        test = predicate_test(found.name, found.told, predicate_of(question), TEXT, found.on_programs, made.target)
    written = write_part(found.part, folder / MODEL, test) if found.part is not None else []
    change = found.change
    return {"found": True, "question": question, "snapshot": found.position, "pass": found.name,
            "difference": found.told, "rewrite": found.rewrite, "rule": change.rule if change else "",
            "name": change.anchor if change else "", "reason": change.reason if change else "",
            "files": [one.name for one in written], "note": found.note, "nodes": len(found.part or ())}


def predicate_of(question: dict[str, Any]) -> Any:
    """Return what a question asks of every state; raises Problem where it cannot be asked."""
    from glowviz.compiler.predicates import Pattern, Peak

    if question["kind"] == "peak":
        return Peak(question.get("limit"))
    return Pattern(question["query"], question.get("present", True))
