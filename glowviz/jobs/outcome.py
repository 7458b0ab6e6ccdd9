"""outcome() turns what a child process left behind into a final State and, unless it is done, a problem in words."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

from glowviz.jobs import child
from glowviz.jobs.limits import Limits
from glowviz.jobs.table import State

SIGNALS = {
    "SIGSEGV": "it touched memory that is not its own", "SIGBUS": "it touched memory that is not there",
    "SIGFPE": "a whole number was divided by zero", "SIGILL": "the processor does not know an instruction",
    "SIGABRT": "a library gave up",
}
OUT_OF_MEMORY = re.compile(r"bad_alloc|out of memory|cannot allocate memory|allocation failed|MemoryError", re.I)
OTHERS = "Nothing else was affected; other jobs go on."


def outcome(exit_code: int, work: Path, outputs: Path, limits: Limits) -> tuple[State, dict[str, str] | None]:
    """The end of a job that the supervisor did not stop: exit_code as multiprocessing gives it (-signal)."""
    if exit_code == 0 and (outputs / child.RESULT).exists():
        return State.DONE, None
    if exit_code == 0 and (work / child.PROBLEM).exists():
        problem = json.loads((work / child.PROBLEM).read_text(encoding="utf-8"))
        kind = problem.pop("kind")
        if kind == "memory":
            return State.OUT_OF_MEMORY, memory_problem(work, limits, problem["report"])
        return State(kind), problem
    return _ended(exit_code, work, limits)


def _ended(exit_code: int, work: Path, limits: Limits) -> tuple[State, dict[str, str]]:
    report = output_of(work)
    name = signal.Signals(-exit_code).name if exit_code < 0 else ""
    if name == "SIGXCPU":
        return State.TIMED_OUT, time_problem(work, f"{limits.cpu:g} s of processor time")
    if name == "SIGKILL" or (name and OUT_OF_MEMORY.search(report)):
        return State.OUT_OF_MEMORY, memory_problem(work, limits, report)
    why = SIGNALS.get(name, "the reason is not known")
    ended = f"by {name}: {why}" if name else f"with exit code {exit_code}"
    return State.CRASHED, {
        "what": f"The worker process ended {ended}.", "where": where_of(work), "expected": "an answer",
        "do": f"{OTHERS} Copy the report; to go on, switch off the pass it was in or choose the interpreter.",
        "signal": name, "report": report}


def time_problem(work: Path, limit: str) -> dict[str, str]:
    """The job took longer than `limit`, such as "60 s"."""
    return {"what": f"The job was stopped after {limit}.", "where": where_of(work),
            "expected": f"an answer within {limit}",
            "do": f"{OTHERS} Try a smaller model or shape, or raise the limit.", "report": output_of(work)}


def cancelled_problem(work: Path) -> dict[str, str]:
    """Nobody wanted the job any more."""
    return {"what": "The job was cancelled.", "where": where_of(work), "expected": "an answer that somebody waits for",
            "do": f"{OTHERS} Start it again; if it was stuck, switch off the pass it was in.",
            "report": output_of(work)}


def memory_problem(work: Path, limits: Limits, report: str) -> dict[str, str]:
    """The job asked for more memory than it may have, or than there is."""
    size = f"{limits.memory / 2**30:.3g} GiB"
    return {"what": f"The job ran out of memory; it may have {size}.", "where": where_of(work),
            "expected": f"at most {size}", "do": f"{OTHERS} Try a smaller shape or batch, or raise the limit.",
            "report": report}


def output_of(work: Path, limit: int = 20_000) -> str:
    """The end of what the job printed, where a crash also left its Python stack."""
    try:
        data = (work / child.OUTPUT).read_bytes()
    except OSError:
        return ""
    return data[-limit:].decode("utf-8", "replace")


def where_of(work: Path) -> str:
    """The last thing the job said it was doing, and what it had in hand."""
    try:
        doing = json.loads((work / child.PROGRESS).read_text(encoding="utf-8"))["message"]
    except (OSError, ValueError, KeyError):
        doing = ""
    try:
        place = (work / child.PLACE).read_bytes().rstrip(b"\0").decode("utf-8", "replace")
    except OSError:
        place = ""
    return ", ".join(filter(None, (doing, place)))
