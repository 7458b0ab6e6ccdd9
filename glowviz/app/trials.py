"""What a person gives a run (files of an upload, a sample, a seed) is checked, named by content, and read in a job."""

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from glowviz.app.problem import Problem, payload_of
from glowviz.app.rasters import raster_payload
from glowviz.app.reader import Payload
from glowviz.app.store import Store
from glowviz.compiler.graph import Graph
from glowviz.compiler.interpreter.sample_inputs import sample_words
from glowviz.compiler.pixels import CHOICES, Recipe
from glowviz.compiler.problem import Problem as CompilerProblem
from glowviz.compiler.recording.reader import Recording
from glowviz.compiler.tensor_facts import RASTER, raster
from glowviz.compiler.trial_run import Given, TrialRun, filled, trial_from, with_batch
from glowviz.gallery.cards import cache_folder

MOST_FILES = 64
MOST_SEED = 1 << 31


def checked_trial(store: Store, given: Any) -> Payload:
    """Return a trial as a job takes it, with the paths of its files; raises Problem for what a page could not send.

    `given` is {seed, sample, recipe, inputs [{input, kept, file}], expected [{kept, file}]}, each of them optional.
    """
    if not isinstance(given, dict):
        raise Problem("The request says nothing about inputs.", "Run with", "an object")
    seed = given.get("seed", 0)
    if not isinstance(seed, int) or not 0 <= seed < MOST_SEED:
        raise Problem(f"A seed of {seed} is none.", "Run with", f"a whole number from 0 to {MOST_SEED - 1:,}")
    Recipe.of(given.get("recipe") or {})
    made = {"seed": seed, "sample": str(given.get("sample") or ""), "recipe": given.get("recipe") or {},
            "inputs": [_found(store, one) for one in _rows(given, "inputs")],
            "expected": [_found(store, one) for one in _rows(given, "expected")]}
    return made


def _rows(given: Payload, key: str) -> list[Payload]:
    rows = given.get(key) or []
    if not isinstance(rows, list) or len(rows) > MOST_FILES or not all(isinstance(row, dict) for row in rows):
        raise Problem(f"The request's {key} are no list of files.", "Run with", f"at most {MOST_FILES} files")
    return rows


def _found(store: Store, row: Payload) -> Payload:
    kept, name = str(row.get("kept", "")), str(row.get("file", ""))
    path = store.kept_files(kept).get(name)
    if path is None:
        raise Problem(f"{name or 'A file'} is not on this server (any more).", "Run with", remedy="Choose it again.")
    return {"input": str(row.get("input", "")), "file": name, "kept": kept, "path": str(path)}


def trial_words(trial: Payload | None) -> str:
    """Return a trial in few words, for the line in the bar: "on cat.png", "on a 7", "on seed 3"."""
    if not trial:
        return ""
    names = list(dict.fromkeys(row["file"] for row in trial["inputs"]))
    told = names[0] if names else trial["sample"] or (f"seed {trial['seed']}" if trial["seed"] else "")
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    against = f", against {trial['expected'][0]['file']}" if trial["expected"] else ""
    return (f"on {told}{more}" if told else "") + against


# -- in a job's process ------------------------------------------------------------------------------------
def trial_run(trial: Payload | None, main: str) -> TrialRun | None:
    """Return the trial of a recording's options; None where nothing is given. Files are read here, never in the web."""
    if not trial:
        return None
    rows = [*trial["inputs"], *trial["expected"]]
    gone = next((row["file"] for row in rows if not Path(row["path"]).is_file()), None)
    if gone is not None:
        raise CompilerProblem(f"{gone} is not on this server any more", "Run with", "", "Choose it again")
    made = trial_from([(row["input"], row["file"], Path(row["path"])) for row in trial["inputs"]],
                      [(row["file"], Path(row["path"])) for row in trial["expected"]],
                      Recipe.of(trial["recipe"]), trial["seed"], fill=True)
    if not trial["sample"]:
        return made
    arrays, told = _sample(main, trial["sample"]), f"the sample {trial['sample']}"
    return replace(made, inputs={**arrays, **made.inputs}, sources={**dict.fromkeys(arrays, told), **made.sources})


def samples_of(main: str) -> list[str]:
    """Return the names of the inputs that come with a model of the gallery; none for any other model."""
    path = Path(main).with_suffix(".npz")
    if path.parent != cache_folder() or not path.is_file():
        return []
    from glowviz.compiler.array_files import headers

    return list(dict.fromkeys(one.name.partition("/")[0] for one in headers(path)))


def _sample(main: str, name: str) -> dict[str, Any]:
    from glowviz.compiler.array_files import arrays_of

    if name not in samples_of(main):
        known = ", ".join(samples_of(main)) or "no sample"
        raise CompilerProblem(f"This model has no sample {name}", "Run with", known)
    arrays = arrays_of(Path(main).with_suffix(".npz"))
    return {key.partition("/")[2]: array for key, array in arrays.items() if key.partition("/")[0] == name}


def answer_to(main: str, name: str) -> str:
    """Return the right answer to a sample in words, or ""."""
    with suppress(OSError, ValueError, KeyError):
        return str(json.loads(Path(main).with_suffix(".json").read_text(encoding="utf-8"))["expected"].get(name, ""))
    return ""


def ask(record: str, main: str) -> Payload:
    """Return docs/payloads.md `inputs`: what can be given to the model, and what random inputs would be."""
    graph = bound_graph(Recording(Path(record)))
    inputs = [{"name": name, "type": str(type_), "random": sample_words(graph, name)}
              for name, type_ in graph.inputs.items()]
    choices = {key: [[choice, words] for choice, words in of.items()] for key, of in CHOICES.items()}
    return {"inputs": inputs, "outputs": [[one.public, str(graph.type(one.value))] for one in graph.outputs],
            "samples": [[name, answer_to(main, name)] for name in samples_of(main)], "recipe": choices}


def bound_graph(recording: Recording) -> Graph:
    """Return the imported graph with its shapes bound; raises Problem while there is none yet."""
    steps = recording.passes()
    at = next((step["snapshot"] for step in steps if step["name"] == "bind_shapes"), 0)
    graph = recording.graph(at) if steps else None
    if graph is None or not all(type_.static for type_ in graph.inputs.values()):
        raise Problem("The model's inputs have no sizes yet.", "Run with", "", "Wait until it is compiled.", 409)
    return graph


def look(record: str, main: str, trial: Payload) -> Payload:
    """Return how each input would be filled, and what is expected of which value, before anything is compiled.

    {inputs: [{name, told, picture, problem}], expected: [{name, told, problem}], problem}, as docs/payloads.md says.
    """
    graph = bound_graph(Recording(Path(record)))
    run, rows, problem = trial_run(trial, main) or TrialRun(), [], None
    try:
        given = run.named(graph)
        rows = [_row(graph, run, name, given.get(name)) for name in graph.inputs]
    except CompilerProblem as error:
        problem = payload_of(error)
    return {"inputs": rows, "expected": _expected_rows(graph, run.for_outputs(graph)), "problem": problem}


def _row(graph: Graph, run: TrialRun, name: str, given: Given | None) -> Payload:
    if given is None:
        return {"name": name, "told": run.random_told(graph, name), "picture": None, "problem": None}
    try:
        array, made = filled(name, graph.inputs[name], given)
        told = run.given_told(graph, name, made)
    except CompilerProblem as error:
        return {"name": name, "told": "", "picture": None, "problem": payload_of(error)}
    seen = raster(0, name, array)
    picture = raster_payload(dict(zip(RASTER, seen, strict=True))) if seen else None
    return {"name": name, "told": told, "picture": picture, "problem": None}


def _expected_rows(graph: Graph, run: TrialRun) -> list[Payload]:
    values = {one.public: one.value for one in graph.outputs} | {name: name for name in (*graph.inputs, *graph.makers)}
    rows = []
    for name, array in run.expected.items():
        told = f"{array.dtype}[{'x'.join(map(str, array.shape))}]"
        rows.append({"name": name, "told": told, "problem": _misfit(graph, name, array, values)})
    return rows


def _misfit(graph: Graph, name: str, array: Any, values: dict[str, str]) -> Payload | None:
    """Return why something that is expected fits no value of the model, or None."""
    if name not in values:
        some = ", ".join(_first(one.public for one in graph.outputs))
        return payload_of(CompilerProblem(f"The model has no value {name}", "Expected values", f"names such as {some}",
                                          "Name the arrays as the model names its outputs or inner values"))
    type_ = graph.type(values[name])
    if not type_.static or with_batch(array, tuple(type_.dims)).shape == tuple(type_.dims):
        return None
    return payload_of(CompilerProblem(f"The shape is [{'x'.join(map(str, array.shape))}]", f"Expected values, {name}",
                                      f"[{'x'.join(map(str, type_.dims))}]", "Compare the two models' outputs by name"))


def _first(names: Iterable[str], most: int = 5) -> list[str]:
    return [name for name, _ in zip(names, range(most), strict=False)]
