"""What the app's jobs do in their child processes: look at a model, compile it into a recording, time it."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from glowviz.app.trials import trial_run
from glowviz.compiler import loading
from glowviz.compiler.graph import Graph
from glowviz.compiler.problem import Problem
from glowviz.compiler.rewrite import attempts_to
from glowviz.jobs import report_place

Progress = Callable[[float, str], None]
TIMED_RUNS = 20
EXPECTED_STEPS = 55  # passes of a usual run; only the progress bar depends on it


def inspect(main: str, files: dict[str, str]) -> dict[str, Any]:
    """Return the free dimensions of a model that somebody must give, and full shapes that the model takes."""
    if main.endswith(".glow"):
        return {"asks": [], "inputs": []}
    from glowviz.compiler.importer import inspect_model

    facts = inspect_model(Path(main), _paths(files))
    shapes = facts.shapes
    if facts.asks:
        with suppress(Problem):  # what cannot be read without numbers may be readable with them
            shapes = fitting(main, files)
    asks = [{"name": one.name, "input": one.input, "position": one.axis, "default": shapes[one.input][one.axis]}
            for one in facts.asks]
    inputs = [{"name": one.name, "dims": list(one.dims or ()), "proposed": list(shapes.get(one.name, one.dims or ())),
               "open": bool(one.free)} for one in facts.inputs]
    return {"asks": asks, "inputs": inputs}


def fitting(main: str, files: dict[str, str]) -> dict[str, tuple[int, ...]]:
    """Return a full shape for every input that the model leaves open, tried on the whole graph."""
    from glowviz.compiler.importer import read_model
    from glowviz.compiler.passes.bind_shapes import proposals

    return proposals(read_model(Path(main), None, _paths(files)), {})


def build(card: str) -> str:
    """Return the path of a gallery model, which is built where it is missing."""
    from glowviz.gallery import card as find

    return str(find(card).path())


def compile_recording(main: str, files: dict[str, str], record: str, options: dict[str, Any],
                      load: list[str], progress: Progress) -> dict[str, Any]:
    """Compile a model into the recording `record`, then time it; returns what to say beside the numbers."""
    import glowviz

    steps = 0

    def step(text: str) -> None:
        nonlocal steps
        steps += 1
        progress(min(0.9, steps / EXPECTED_STEPS), text)
        report_place()

    model = source(main, files, options, load)
    with attempts_to(lambda rule, node: report_place(f"rule {rule} at %{node}")):
        executable = glowviz.compile(model, **choices(options), record=record, progress=step, measured_runs=TIMED_RUNS,
                                     trial=trial_run(options.get("trial"), main))
    return {"instructions": len(executable.listing())}


def choices(options: dict[str, Any]) -> dict[str, Any]:
    """Return what glowviz.compile and pipeline.snapshots take, from the options of a recording."""
    return {"shapes": _shapes(options) or None, "target": options["target"], "threads": options["threads"],
            "precision": options["precision"], "disable": tuple(options["disable"]),
            "order": dict(options.get("order") or ()) or None, "options": options.get("passes") or None}


def _shapes(options: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(dims) for name, dims in (options.get("shapes") or {}).items()}


def source(main: str, files: dict[str, str], options: dict[str, Any], load: Sequence[str]) -> Graph | str:
    """Return what the compiler reads, after loading the user's own files with ops and passes."""
    loading.load([*load, *options.get("load", ())])  # a lesson brings passes of its own
    return _source(main, files, _shapes(options))


def _source(main: str, files: dict[str, str], shapes: dict[str, tuple[int, ...]]) -> Graph | str:
    """Return what the compiler reads: text is parsed here, uploads are read with their side files."""
    if main.endswith(".glow"):
        from glowviz.compiler import ops  # noqa: F401  # the parser needs every op class
        from glowviz.compiler.text import Contents, parse_graph

        return parse_graph(Path(main).read_text(encoding="utf-8"), Contents(main))
    if not files:
        return main
    from glowviz.compiler.importer import read_model

    return read_model(Path(main), shapes or None, _paths(files))


def _paths(files: dict[str, str]) -> dict[str, Path] | None:
    """Return the side files by the name that the model calls them; None = look in the model's own folder."""
    return {name: Path(path) for name, path in files.items()} if files else None
