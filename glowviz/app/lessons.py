"""Lessons are YAML files of glowviz/lessons/: each step is a view of one compiled model, a caption and a question."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from glowviz.app.problem import Problem
from glowviz.app.reader import Payload

FOLDER = Path(__file__).parents[1] / "lessons"
LETTERS = "ABCD"
DOCKS = ("text", "program", "llvm", "asm", "memory", "kernels", "problems")
CHOICES = {"tab": ("overview", "life", "values", "why", "changes"), "dock": DOCKS, "dock2": DOCKS,
           "colour": ("Family", "Change", "Time", "Memory", "Error", "Type"), "fold": ("blocks", "scopes", "none")}
READING, LOOKING, VOTING = 130, 1.0, 2.0
"""What we reckon with: words a minute, minutes for a view, and minutes for a show of hands and its reason."""
VIEW = {"state", "pass", "selected", "tab", "dock", "dock2", "colour", "fold", "opened", "base", "kernel", "camera"}


@dataclass(frozen=True)
class Lesson:
    """One lesson: its model is a graph's text or a gallery card; `load` is a Python file with passes, or ""."""

    name: str
    title: str
    summary: str
    minutes: int
    graph: str
    gallery: str
    steps: tuple[Payload, ...]
    load: str = ""
    options: Mapping[str, Payload] = field(default_factory=dict)
    """Options of passes, by the name of the pass."""

    def card(self) -> Payload:
        """Return what the list of lessons shows."""
        return {"name": self.name, "title": self.title, "summary": self.summary, "minutes": self.minutes,
                "steps": len(self.steps), "questions": sum(step["question"] is not None for step in self.steps)}

    def payload(self) -> Payload:
        """Return the whole lesson for the page."""
        return self.card() | {"steps": list(self.steps)}


def taught(found: Lesson) -> float:
    """Return the minutes that a lesson takes in class: reading aloud, looking at each view, voting and telling why."""
    questions = [step["question"] for step in found.steps if step["question"]]
    read = [step["caption"] for step in found.steps]
    read += [" ".join((one["text"], *one["options"], one["because"])) for one in questions]
    words = sum(len(text.split()) for text in read)
    return words / READING + LOOKING * len(found.steps) + VOTING * len(questions)


def lessons() -> list[Lesson]:
    """Return all lessons in the order of their file names, ours first; raises Problem where one is malformed."""
    own = os.environ.get("GLOWVIZ_LESSONS")
    folders = [FOLDER, *([Path(own)] if own else [])]
    return [read_lesson(path) for folder in folders for path in sorted(folder.glob("*.yaml"))]


def lesson(name: str) -> Lesson:
    """Return the lesson of this name; raises Problem (404) when there is none."""
    found = next((one for one in lessons() if one.name == name), None)
    if found is None:
        known = ", ".join(one.name for one in lessons())
        raise Problem(f"There is no lesson “{name}”.", "Lessons", known, "Choose one of the list.", status=404)
    return found


def read_lesson(path: Path) -> Lesson:
    """Read one file; raises Problem that names the step and what is wrong with it."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise _wrong(path, f"is no YAML: {error}", "a mapping with title, summary, minutes, graph or gallery, steps")\
            from error
    if not isinstance(data, dict) or not {"title", "summary", "minutes", "steps"} <= data.keys():
        raise _wrong(path, "lacks a field", "title, summary, minutes, graph or gallery, steps")
    if ("graph" in data) == ("gallery" in data):
        raise _wrong(path, "names no model, or two", "either graph (its text) or gallery (a card's name)")
    steps = tuple(_step(path, at, step) for at, step in enumerate(data["steps"], 1))
    load = path.parent / str(data["load"]) if data.get("load") else None
    if load is not None and not load.is_file():
        raise _wrong(path, f"loads {load.name}, which is not there", "a Python file beside the lesson")
    return Lesson(path.stem, data["title"], data["summary"], int(data["minutes"]), data.get("graph", ""),
                  data.get("gallery", ""), steps, str(load) if load is not None else "", data.get("options") or {})


def _step(path: Path, at: int, step: Any) -> Payload:
    if not isinstance(step, dict) or not isinstance(step.get("caption"), str):
        raise _wrong(path, f"step {at} has no caption", "caption, view and perhaps a question")
    view = step.get("view") or {}
    unknown = set(view) - VIEW
    if unknown or ("state" in view) == ("pass" in view):
        others = ", ".join(sorted(VIEW - {"state", "pass"}))
        raise _wrong(path, f"the view of step {at} cannot be shown: {', '.join(sorted(unknown)) or 'no single state'}",
                     f"either state (a number) or pass (a name), and any of {others}")
    for what, known in CHOICES.items():
        if view.get(what, known[0]) not in known:
            raise _wrong(path, f"step {at} shows {what} {view[what]}, which there is not", " | ".join(known))
    facts = step.get("facts") or {}
    if not isinstance(facts, dict):
        raise _wrong(path, f"the facts of step {at} cannot be checked", "facts: {fuse.nodes: 7, …}")
    return {"caption": step["caption"], "view": view, "question": _question(path, at, step.get("question")),
            "live": bool(step.get("live")), "facts": {str(key): str(value) for key, value in facts.items()}}


def _question(path: Path, at: int, question: Any) -> Payload | None:
    if question is None:
        return None
    options = question.get("options", []) if isinstance(question, dict) else []
    right = question.get("answer") if isinstance(question, dict) else None
    if len(options) != len(LETTERS) or right not in list(LETTERS) or not question.get("text"):
        raise _wrong(path, f"the question of step {at} cannot be asked", "text, four options, and an answer A to D")
    return {"text": question["text"], "options": [str(one) for one in options], "answer": LETTERS.index(right),
            "because": question.get("because", "")}


def _wrong(path: Path, what: str, expected: str) -> Problem:
    return Problem(f"{path.name} {what}.", str(path), expected, "Correct the file and open the list again.")
