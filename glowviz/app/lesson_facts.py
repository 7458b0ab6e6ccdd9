"""What a lesson says is what its recording says: each fact of a step is read from the recording again."""

from collections.abc import Callable, Iterable
from difflib import get_close_matches

from glowviz.app.lessons import Lesson
from glowviz.app.reader import Payload
from glowviz.app.views.life_card import life
from glowviz.app.views.memory import memory
from glowviz.app.wording import byte_text
from glowviz.compiler.recording.reader import Recording

WORDS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
BYTES = ("peak", "moved")  # fields of a pass that are told in KiB
TOLERANCE = 1e-4  # of the largest value: an error beyond it is a fault, not rounding


def untrue(lesson: Lesson, recording: Recording) -> list[str]:
    """Return one sentence per fact that the recording contradicts, or that the step's own text does not say."""
    found = []
    for at, step in enumerate(lesson.steps, 1):
        for key, claimed in step["facts"].items():
            told = fact(recording, key)
            if told is None:
                found.append(f"Step {at}: the recording knows no {key}.")
            elif not _agrees(key, told, claimed):
                found.append(f"Step {at} says {key} is {claimed}; the recording says {told}.")
            elif not _quoted(key) and not _said(told, words_of(step)):
                found.append(f"Step {at} does not say that {key} is {told}.")
    return found


def unshowable(lesson: Lesson, recording: Recording) -> list[str]:
    """Return one sentence per view that names a pass, a state or a value that the recording has not."""
    passes = {step["name"]: False for step in recording.passes()}
    passes |= {step["name"]: True for step in recording.passes() if step["snapshot"] and step["fired"]}
    rows = recording.query("SELECT name FROM nodes UNION SELECT name FROM buffers")
    ends = {f"input:{name}" for name in recording.inputs(0)} | {f"output:{name}" for name in recording.outputs(0)}
    values = {row["name"] for row in rows} | set(recording.inputs(0)) | ends
    found = []
    for at, view in ((at, step["view"]) for at, step in enumerate(lesson.steps, 1)):
        name, selected = view.get("pass"), view.get("selected")
        if name is not None and name not in passes:
            found.append(f"Step {at}: there is no pass {name}{_meant(name, passes)}")
        elif name is not None and not passes[name]:
            found.append(f"Step {at}: {name} changes nothing here, so there is no state to show.")
        if name is None and not 0 <= view["state"] < len(recording):
            found.append(f"Step {at}: there is no state {view['state']}; the last one is {len(recording) - 1}.")
        if selected is not None and selected not in values and not selected.startswith("fold:"):
            found.append(f"Step {at}: there is no value {selected}{_meant(selected, values)}")
    return found


def _meant(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f"; is {near[0]} meant?" if near else "."


def words_of(step: Payload) -> str:
    """Return what a student reads of a step once the answer is shown: caption, right option, reason."""
    question = step["question"]
    if question is None:
        return step["caption"]
    return " ".join((step["caption"], question["text"], question["options"][question["answer"]], question["because"]))


def fact(recording: Recording, key: str) -> str | None:
    """Return what a recording says about `key`, or None where it says nothing.

    "fuse.nodes" is a field of the ledger for the first run of fuse that did something ("imported" is state 0),
    "scheme.first fit" and "buffer.widen" are bytes, "life.n8" and "why.n8" are sentences, "wrong.pass" is the first
    pass after which the error exceeds 1e-4.
    """
    subject, _, rest = key.partition(".")
    if subject in READERS:
        return READERS[subject](recording, rest)
    name = "import" if subject == "imported" else subject
    steps = [step for step in recording.passes() if step["name"] == name and (step["fired"] or name == "import")]
    if not steps or rest not in steps[0] or steps[0][rest] is None:
        return None
    value = steps[0][rest]
    return byte_text(value) if rest in BYTES else str(value)


def _scheme(recording: Recording, name: str) -> str | None:
    return next((row["text"] for row in memory(recording, 0)["schemes"] if row["name"] == name), None)


def _buffer(recording: Recording, name: str) -> str | None:
    buffers = memory(recording, 0)["buffers"]
    return byte_text(buffers["size"][buffers["name"].index(name)]) if name in buffers["name"] else None


def _life(recording: Recording, name: str) -> str | None:
    return " ".join(line["text"] for line in life(recording, len(recording) - 1, name)["paragraphs"]) or None


def _why(recording: Recording, name: str) -> str | None:
    return " ".join(f"{row['pass_name']}: {row['reason']}" for row in recording.refusals_at(name)) or None


def _wrong(recording: Recording, _: str) -> str | None:
    beyond = [step["name"] for step in recording.passes() if step["error"] is not None and step["error"] > TOLERANCE]
    return beyond[0] if beyond else None


READERS: dict[str, Callable[[Recording, str], str | None]] = {
    "scheme": _scheme, "buffer": _buffer, "life": _life, "why": _why, "wrong": _wrong,
}  # fmt: skip


def _quoted(key: str) -> bool:
    """Return whether a fact is a sentence, of which the lesson claims a part."""
    return key.startswith(("life.", "why."))


def _agrees(key: str, told: str, claimed: str) -> bool:
    return claimed in told if _quoted(key) else claimed == told


def _said(told: str, text: str) -> bool:
    """Return whether the text has the figure, as a number or as a word of up to twelve."""
    padded = f" {''.join(c if c.isalnum() or c in '._-' else ' ' for c in text.lower())} "
    wanted = [told.lower()] + ([WORDS[int(told)]] if told.isdecimal() and int(told) < len(WORDS) else [])
    return any(f" {one} " in padded or f" {one}. " in padded for one in wanted)
