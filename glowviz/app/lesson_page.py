"""A lesson as one HTML file: its recording made here, its facts checked, its steps inside; it needs no server."""

from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

from glowviz.app.export import one_page
from glowviz.app.lesson_facts import unshowable, untrue
from glowviz.app.lessons import Lesson
from glowviz.app.problem import Problem
from glowviz.compiler import loading
from glowviz.compiler.recording.reader import Recording
from glowviz.compiler.rewrite import PASSES

TIMED_RUNS = 20


def lesson_page(lesson: Lesson) -> str:
    """Return the page; raises Problem where a step says what the recording does not.

    Steps that need a compiler (`live`) are left out. It opens at the first step.
    """
    with TemporaryDirectory() as folder:
        recording = recorded(lesson, Path(folder) / "lesson.glowrec")
        lost = unshowable(lesson, recording)
        if lost:
            raise Problem(f"{lesson.name} shows what is not there. {' '.join(lost)}", lesson.name,
                          "passes that change something, states and values of the model", "Correct the views.")
        wrong = untrue(lesson, recording)
        if wrong:
            raise Problem(f"{lesson.name} says what is not so (any more). {' '.join(wrong)}", lesson.name,
                          "captions and answers that the recording bears out", "Correct the lesson, or the compiler.")
        page = one_page(recording, lesson.title, f"?lesson={lesson.name}")
    payload = lesson.payload()
    payload["steps"] = [step for step in payload["steps"] if not step["live"]]
    text = orjson.dumps(payload).decode().replace("</", "<\\/")
    return page.replace("</head>", f'<script type="application/json" id="glowviz-lesson">{text}</script></head>', 1)


def recorded(lesson: Lesson, path: Path, runs: int = TIMED_RUNS) -> Recording:
    """Compile the lesson's model into `path` and run it, so that times, errors and values are known.

    Passes that the lesson brings are those of the compiler only until it is done.
    """
    import glowviz

    kept = dict(PASSES)
    try:
        glowviz.compile(_model(lesson), record=path, measured_runs=runs, options=dict(lesson.options))
    finally:
        PASSES.clear()
        PASSES.update(kept)
    return Recording(path)


def _model(lesson: Lesson) -> object:
    import glowviz.compiler.pipeline  # noqa: F401  # registers ops and passes
    from glowviz.compiler.text import parse_graph
    from glowviz.gallery import card

    loading.load([lesson.load] if lesson.load else [])
    return parse_graph(lesson.graph) if lesson.graph else str(card(lesson.gallery).path())
