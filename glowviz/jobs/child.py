"""Inside the child process: bind the limits, call the function, leave the answer, or why there is none, as a file."""

from __future__ import annotations

import ctypes
import faulthandler
import inspect
import json
import mmap
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from glowviz.compiler.problem import Problem
from glowviz.jobs.limits import Limits, lift
from glowviz.jobs.table import State

PROGRESS, RESULT, PROBLEM, OUTPUT = "progress.json", "result.json", "problem.json", "output.txt"
PLACE, PLACE_SIZE = "place.txt", 256
PR_SET_PDEATHSIG = 1
SECONDS_BETWEEN_REPORTS = 0.05

_work: Path | None = None
_last_report = 0.0
_last_text = ""
_place: mmap.mmap | None = None


def report_progress(fraction: float, text: str = "") -> None:
    """Say how far the running job is, 0…1, and what it does now; outside a job this does nothing.

    Reports of the same text closer together than 50 ms are dropped, so a loop may call it freely; a new text
    is always written, because it is what a crash is blamed on.
    """
    global _last_report, _last_text
    now = time.monotonic()
    if _work is None or (text == _last_text and now - _last_report < SECONDS_BETWEEN_REPORTS and fraction < 1):
        return
    _last_report, _last_text = now, text
    write_whole(_work / PROGRESS, {"fraction": min(1.0, max(0.0, float(fraction))), "message": text[:500]})


def report_place(text: str = "") -> None:
    """Note what the running job has in hand; the note outlives a crash and costs about as much as an assignment.

    At most 256 bytes of UTF-8 are kept. Outside a job this does nothing.
    """
    global _place
    if _work is None:
        return
    if _place is None:
        with (_work / PLACE).open("w+b") as file:
            file.truncate(PLACE_SIZE)
            _place = mmap.mmap(file.fileno(), PLACE_SIZE)
    _place[:] = text.encode()[:PLACE_SIZE].ljust(PLACE_SIZE, b"\0")


def write_whole(path: Path, content: Any) -> None:
    """Write JSON so that a reader sees all of it or none."""
    fresh = path.with_suffix(".fresh")
    fresh.write_text(json.dumps(content), encoding="utf-8")
    os.replace(fresh, path)


def main(function: str, arguments: dict[str, Any], limits: Limits, work: str, outputs: str,
         supervisor: int) -> None:
    """Run one job in `work`, its temporary folder; files meant to stay go to `outputs`. Never returns."""
    global _work
    _work = Path(work)
    _detach(_work, supervisor)
    try:
        limits.apply()
        answer = _call(function, arguments, Path(outputs))
        text = _plain(answer, function)
        (Path(outputs) / RESULT).write_text(text, encoding="utf-8")
    except BaseException as error:
        lift()
        write_whole(_work / PROBLEM, _told(error))
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: threads, exit handlers and a library's destructors are none of the job's business any more.
    os._exit(0)


def _detach(work: Path, supervisor: int) -> None:
    """Own process group, own folder, no input, output to a file; dies with the supervisor."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if not Path(f"/proc/{supervisor}").exists():  # it died before we could ask to be told
            os._exit(1)
    null = os.open(os.devnull, os.O_RDONLY)
    output = os.open(work / OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    # Among the inherited files is one that keeps the fork server alive; holding it, we would outlive the supervisor.
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    faulthandler.enable(file=2)  # says at which Python line a crash came
    os.chdir(work)
    os.environ["TMPDIR"] = str(work)
    tempfile.tempdir = str(work)


def _call(function: str, arguments: dict[str, Any], outputs: Path) -> Any:
    """Call module:function. A parameter named `progress` gets report_progress, one named `folder` the outputs."""
    module, _, name = function.partition(":")
    called: Callable[..., Any] = getattr(import_module(module), name)
    parameters = inspect.signature(called).parameters
    offered = {"progress": report_progress, "folder": outputs}
    given = {key: value for key, value in offered.items() if key in parameters and key not in arguments}
    return called(**{key: _opened(value) for key, value in arguments.items()}, **given)


def _opened(value: Any) -> Any:
    """A file argument becomes its path, if the file is still the one that was submitted."""
    if not (isinstance(value, dict) and value.keys() == {"file", "sha256", "size", "mtime_ns"}):
        return value
    path = Path(value["file"])
    found = path.stat()
    if (found.st_size, found.st_mtime_ns) != (value["size"], value["mtime_ns"]):
        raise Problem("The file was changed after the job was asked for.", str(path),
                      "the file as it was submitted", "Open it again.")
    return str(path)


def _plain(answer: Any, function: str) -> str:
    try:
        return json.dumps(answer)
    except (TypeError, ValueError) as error:
        raise Problem(f"The job's answer is not plain data: {error}.", function,
                      "numbers, text, lists and dictionaries", "Write arrays to a file in `folder` and return its name."
                      ) from error


def _told(error: BaseException) -> dict[str, str]:
    """An exception as plain data: the four parts of a Problem, its kind ("memory", or a State), and the full report."""
    report = "".join(traceback.format_exception(error))
    kind = "memory" if isinstance(error, MemoryError) or isinstance(error.__cause__, MemoryError) else State.FAILED
    if isinstance(error, Problem):  # one that comes from another job says how that ended
        return {"kind": getattr(error, "state", kind), "what": error.what, "where": error.where,
                "expected": error.expected, "do": error.do, "report": getattr(error, "report", "") or report}
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if f"{os.sep}glowviz{os.sep}" in frame.filename and frame.filename != __file__]
    last = (ours or frames)[-1]
    return {"kind": kind, "what": f"{type(error).__name__}: {error}", "report": report,
            "where": f"{Path(last.filename).name}, line {last.lineno}, in {last.name}",
            "expected": "no error of this kind: this is a fault in the program, not in your model",
            "do": "Copy the report and tell the makers."}
