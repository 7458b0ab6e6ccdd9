"""Cases run in processes of their own: one that hangs, dies or eats memory costs one row, not the run."""

from __future__ import annotations

import json
import os
import queue
import resource
import selectors
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

from tests.conformance.outcome import Outcome, outcome
from tests.conformance.suites import load

LIMIT = 60.0
"""Seconds of wall clock that one case may take."""
MEMORY = 6 << 30
Job = tuple[str, str, str]
"""Suite, case, target."""


def run(jobs: Sequence[Job], processes: int = 1, told: Callable[[Outcome], None] = lambda _: None) -> list[Outcome]:
    """Outcomes of all jobs, in no particular order."""
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    found: list[Outcome] = []
    lock = threading.Lock()

    def serve() -> None:
        worker = Worker()
        for job in taken(waiting):
            one = worker.ask(job)
            with lock:
                found.append(one)
                told(one)
        worker.end()

    threads = [threading.Thread(target=serve) for _ in range(processes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def taken(waiting: queue.SimpleQueue[Job]) -> Iterator[Job]:
    """What is still in the queue."""
    while True:
        try:
            yield waiting.get_nowait()
        except queue.Empty:
            return


class Worker:
    """One process that answers a line per case; it is replaced when it dies or takes too long."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def ask(self, job: Job) -> Outcome:
        """The outcome of one case."""
        suite, case, target = job
        process = self.process = self.process or _started()
        assert process.stdin is not None
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        line = _line(process)
        if line:
            row = json.loads(line)
            return Outcome(**{k: tuple(v) if isinstance(v, list) else v for k, v in row.items()})
        if line is not None:
            process.wait()
        self.end()
        told = f"more than {LIMIT:.0f} s" if line is None else f"the process died ({process.returncode})"
        return Outcome(case, suite, target, "failed", told)

    def end(self) -> None:
        """Stop the process, if there is one."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


def _started() -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["nice", sys.executable, "-W", "ignore", "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    )


def _line(process: subprocess.Popen[str]) -> str | None:
    """The answer; empty where the process has ended, None where it takes too long."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        return process.stdout.readline() if selector.select(LIMIT) else None


def main() -> None:
    """Answer one line of JSON for each line of JSON."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a case prints is not an answer
    for line in sys.stdin:
        suite, case, target = json.loads(line)
        answers.write(json.dumps(asdict(outcome(load(suite, case), target))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
