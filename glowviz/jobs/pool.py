"""A Pool submits `module:function` with plain arguments and gives a Job: its state, progress, result, and cancel()."""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import psutil

import glowviz
from glowviz.compiler.hashes import file_hash
from glowviz.compiler.problem import Problem
from glowviz.jobs import child
from glowviz.jobs.limits import Limits
from glowviz.jobs.supervisor import folders, lock
from glowviz.jobs.table import Row, State, Table


class JobError(Problem):
    """A job that gave no answer: a Problem with the final `state` and the `report` to copy."""

    def __init__(self, state: State, problem: dict[str, str]) -> None:
        super().__init__(problem["what"], problem["where"], problem["expected"], problem["do"])
        self.state, self.report = state, problem.get("report", "")


def file_argument(path: str | Path) -> dict[str, Any]:
    """A file as a job's argument: the function gets its path, but the job is keyed by its content."""
    path = Path(path).resolve()
    found = path.stat()
    return {"file": str(path), "sha256": file_hash(path), "size": found.st_size, "mtime_ns": found.st_mtime_ns}


class Job:
    """One job of a pool. Any process that opens the same store can hold it by its number."""

    def __init__(self, pool: Pool, number: int) -> None:
        self.pool = pool
        self.id = number

    def row(self) -> Row:
        """Everything the table says about the job now."""
        return self.pool.table.row(self.id)

    @property
    def state(self) -> State:
        return self.row().state

    @property
    def progress(self) -> tuple[float, str]:
        """How far it is, 0…1, and what it does."""
        row = self.row()
        return row.fraction, row.message

    @property
    def problem(self) -> dict[str, str] | None:
        """What, where, expected, do and report of a job that failed; else None."""
        return self.row().problem

    def output_path(self, name: str) -> Path:
        """A file that the job writes into its `folder`; it can be read while the job runs, and stays."""
        return folders(self.pool.store, self.id)[1] / name

    def cancel(self) -> None:
        """Stop the job, unless others who asked for the same still want it. Acts within 0.3 s."""
        self.pool.table.unwant(self.id)

    def wait(self, timeout: float | None = None) -> State:
        """The state once it is final, or the state at the time-out (seconds)."""
        end = None if timeout is None else time.monotonic() + timeout
        checked = time.monotonic()
        while not (state := self.state).final:
            now = time.monotonic()
            if end is not None and now >= end:
                break
            if now - checked > 0.5:  # the supervisor may have been killed
                self.pool.ensure_supervisor()
                checked = now
            time.sleep(0.01)
        return state

    def result(self, timeout: float | None = None) -> Any:
        """The function's answer. JobError if it came to another end, TimeoutError if it is not there in time."""
        state = self.wait(timeout)
        if state is State.DONE:
            return json.loads(self.output_path(child.RESULT).read_text(encoding="utf-8"))
        if not state.final:
            raise TimeoutError(f"Job {self.id} is still {state} after {timeout:g} s.")
        cancelled = {"what": "The job was cancelled.", "where": "", "expected": "", "do": "Start it again."}
        raise JobError(state, self.problem or cancelled)


class Pool:
    """The jobs of one store folder, on this machine.

    Any number of processes may open the same folder: they share one supervisor, one queue and all answers.
    `workers` children run at a time (default: one for each core), and `preload` modules are imported before
    any job asks. With the address of a Dask scheduler as `cluster`, jobs that are not urgent run on its workers.
    All three count for the process that comes first.
    """

    def __init__(
        self, store: str | Path, workers: int | None = None, preload: tuple[str, ...] = (), cluster: str = ""
    ) -> None:
        self.store = Path(store).resolve()
        self.store.mkdir(parents=True, exist_ok=True)
        self.workers = workers or os.cpu_count() or 1
        self.preload = preload
        self.cluster = cluster
        self.table = Table(self.store)
        self._owner = 0
        self._supervisor: subprocess.Popen[bytes] | None = None
        self.ensure_supervisor()
        atexit.register(self.close)

    def submit(
        self, function: str, arguments: dict[str, Any] | None = None, limits: Limits | None = None, urgent: bool = False
    ) -> Job:
        """Ask for function(**arguments), "module:function" with JSON arguments, in a limited child process.

        An `urgent` job, one that somebody waits for while typing, does not queue behind compilations.

        The same function with the same arguments and the same program is answered from the store, or
        joined where it is under way. A failed job is tried anew. Raises Problem for arguments that are not JSON.
        """
        if ":" not in function:
            raise Problem(f"{function!r} names no function.", "submit", "module:function", "Name both.")
        try:
            text = json.dumps(arguments or {}, sort_keys=True)
        except (TypeError, ValueError) as error:
            raise Problem(f"The job's arguments are not plain data: {error}.", function,
                          "numbers, text, lists, dictionaries, and files as file_argument(path)",
                          "Write arrays and models to a file.") from error
        self.ensure_supervisor()
        key = _key(function, arguments or {})
        return Job(self, self.table.submit(key, function, text, limits or Limits(), urgent))

    def job(self, number: int) -> Job:
        """The job of this number; KeyError when there is none."""
        self.table.row(number)
        return Job(self, number)

    def rows(self) -> list[Row]:
        """The jobs the table knows, oldest first."""
        return self.table.rows()

    def prune(self, days: float = 30, urgent_days: float = 1) -> int:
        """Forget jobs that ended longer ago, urgent ones sooner, with their results; says how many."""
        now = time.time()
        kept = {False: days * 86400, True: urgent_days * 86400}
        old = [row for row in self.rows() if row.state.final and (row.finished or 0) < now - kept[row.urgent]]
        for row in old:
            self.table.remove(row.id)
            shutil.rmtree(folders(self.store, row.id)[1], ignore_errors=True)
        return len(old)

    def ensure_supervisor(self) -> None:
        """Start the supervisor unless one holds the store, and count this process among the clients."""
        if self._owner != os.getpid():  # also true after a fork
            self._owner = os.getpid()
            self._supervisor = None
            self.table.join()
        held = lock(self.store)
        if held is None:
            return
        held.close()
        if self._supervisor is not None and self._supervisor.poll() is None:
            return  # started a moment ago, not yet holding the lock
        self._supervisor = _start_supervisor(self.store, self.workers, self.cluster, self.preload)

    def close(self) -> None:
        """Leave the store. The last client's leaving ends the supervisor and every job still running."""
        atexit.unregister(self.close)
        if self._owner != os.getpid() or not self.store.exists():
            return
        self._owner = 0
        self.table.leave()
        others = self.table.clients()
        self.table.close()
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is None or others > 0:
            return
        supervisor.terminate()
        try:
            supervisor.wait(timeout=5)
        except subprocess.TimeoutExpired:
            _kill_all(supervisor)

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _start_supervisor(
    store: Path, workers: int, cluster: str, preload: tuple[str, ...]
) -> subprocess.Popen[bytes]:
    # The child must find the same modules, also those of an embedding program or a test.
    paths = os.pathsep.join(path for path in sys.path if path)
    with (store / "supervisor.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "glowviz.jobs.supervisor", str(store), str(workers), cluster, *preload],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            env=os.environ | {"PYTHONPATH": paths})


def _kill_all(process: subprocess.Popen[bytes]) -> None:
    offspring = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    for other in offspring:
        other.kill()


def _key(function: str, arguments: dict[str, Any]) -> str:
    """What the job means: program, function and arguments, files by content."""
    named = {name: value["sha256"] if isinstance(value, dict) and "sha256" in value and "file" in value else value
             for name, value in arguments.items()}
    text = json.dumps([_program(), function, named], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def _program() -> str:
    """Changes with the version and with every edit of our sources, so that no answer outlives its program."""
    sources = Path(glowviz.__file__).parent.rglob("*.py")
    stamps = sorted((str(path), path.stat().st_mtime_ns) for path in sources)
    return hashlib.sha256(repr((glowviz.__version__, stamps)).encode()).hexdigest()
