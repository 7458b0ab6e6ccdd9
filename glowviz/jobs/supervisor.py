"""One supervisor a store: it starts queued jobs as child processes, keeps their limits and writes down how they ended.

It is a process of its own (python -m glowviz.jobs.supervisor FOLDER WORKERS CLUSTER MODULES…), started by the first
client and gone when the last one is. Only one can hold the store's lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import multiprocessing
import os
import shutil
import signal
import sqlite3
import sys
import time
from dataclasses import asdict, dataclass, replace
from multiprocessing import connection, forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO

import psutil

from glowviz.jobs import child
from glowviz.jobs.limits import GIB, Limits
from glowviz.jobs.outcome import OTHERS, cancelled_problem, outcome, time_problem
from glowviz.jobs.table import Row, State, Table

TICK = 0.02  # seconds between looks at the table: a cancel is seen within one
IDLE_TICK, IDLE_AFTER = 0.05, 3.0  # the same when nothing has happened for some seconds
CLIENT_CHECK = 0.5
WAITING_AT_ONCE = 16  # jobs that a cluster may have from one store
WAITING = Limits(wall=math.inf, cpu=3600, memory=4 * GIB)  # of a child that waits; the job's own limits hold over there
URGENT = 2  # children for what somebody waits for while typing, beside the workers


@dataclass
class Running:
    """A job under way."""

    row: Row
    process: BaseProcess
    work: Path
    outputs: Path
    deadline: float
    progress_seen: int = 0


def folders(store: Path, job: int) -> tuple[Path, Path]:
    """A job's temporary folder, gone when it ends, and the folder of its results, which stays."""
    return store / "work" / str(job), store / "results" / str(job)


def lock(store: Path, seconds: float = 0.0) -> IO[str] | None:
    """The store's supervisor lock, held while the file is open; None when another process has it."""
    file = (store / "supervisor.lock").open("a")
    end = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            if time.monotonic() >= end:
                file.close()
                return None
            time.sleep(0.01)


class Supervisor:
    """Runs the queue of one store with at most `workers` children at a time, and a few more for urgent jobs.

    `preload` names modules that the fork server imports once for all its children. With a `cluster`, the children
    of all but urgent jobs only wait for a worker of it, and so there may be more of them.
    """

    def __init__(self, store: Path, workers: int, preload: tuple[str, ...] = (), cluster: str = "") -> None:
        self.store = store
        self.workers = max(workers, WAITING_AT_ONCE) if cluster else workers
        self.cluster = cluster
        self.table = Table(store)
        self.running: dict[int, Running] = {}
        self.stopping = False
        self._version = -1  # of the table when we last read it
        self._wanted: dict[int, int] = {}
        self.context = multiprocessing.get_context("forkserver")
        waits = ["distributed", "glowviz.jobs.cluster"] if cluster else []
        self.context.set_forkserver_preload(["glowviz.jobs.warm", *waits, *preload])
        forkserver.ensure_running()
        self._take_over()

    def _take_over(self) -> None:
        """Jobs that an earlier supervisor left running: tried once more, then given up."""
        for row in self.table.rows((State.RUNNING,)):
            if row.attempts < 2 and row.wanted > 0:
                self.table.queue_again(row.id)
            else:
                self.table.finish(row.id, State.CRASHED, {
                    "what": "The supervisor of the jobs ended while this one ran.", "where": row.message,
                    "expected": "an answer", "do": "Start the job again.", "report": ""})
        shutil.rmtree(self.store / "work", ignore_errors=True)

    def run(self) -> None:
        """Serve until no client is left or `stopping` is set."""
        checked = busy = time.monotonic()
        while not self.stopping:
            if self.step() or self.running:
                busy = time.monotonic()
            tick = TICK if time.monotonic() - busy < IDLE_AFTER else IDLE_TICK
            connection.wait([job.process.sentinel for job in self.running.values()], timeout=tick)
            if time.monotonic() - checked > CLIENT_CHECK:
                checked = time.monotonic()
                if self.table.clients() == 0:
                    return

    def step(self) -> bool:
        """Look once at every running job and, where something changed, at the table; says whether it did."""
        version = self.table.version()
        changed = version != self._version
        if changed:
            self._version = version
            self._wanted = {row.id: row.wanted for row in self.table.rows((State.RUNNING,))}
        for job in list(self.running.values()):
            changed |= self._look_at(job, self._wanted.get(job.row.id, 0))
        if changed:
            for urgent, places in ((True, URGENT), (False, self.workers)):
                free = places - sum(job.row.urgent == urgent for job in self.running.values())
                for row in self.table.rows((State.QUEUED,), free, urgent) if free > 0 else ():
                    self._start(row)
        return changed

    def _start(self, row: Row) -> None:
        if not self.table.claim(row.id):
            return
        work, outputs = folders(self.store, row.id)
        shutil.rmtree(outputs, ignore_errors=True)
        work.mkdir(parents=True, exist_ok=True)
        outputs.mkdir(parents=True)
        if self.cluster and not row.urgent:
            row = _waiting(row, self.cluster)
        process = self.context.Process(
            target=child.main, args=(row.function, row.arguments, row.limits, str(work), str(outputs), os.getpid()))
        process.start()
        self.table.set_process(row.id, process.pid)
        self._wanted[row.id] = row.wanted
        self.running[row.id] = Running(row, process, work, outputs, time.monotonic() + row.limits.wall)

    def _look_at(self, job: Running, wanted: int) -> bool:
        """Whether the job is over now."""
        self._read_progress(job)
        if not job.process.is_alive():
            exit_code = job.process.exitcode
            self._end(job, *outcome(-signal.SIGKILL if exit_code is None else exit_code, job.work, job.outputs,
                                    job.row.limits))
        elif wanted == 0:
            self._kill(job)
            self._end(job, State.CANCELLED, cancelled_problem(job.work))
        elif time.monotonic() > job.deadline:
            self._kill(job)
            self._end(job, State.TIMED_OUT, time_problem(job.work, f"{job.row.limits.wall:g} s"))
        else:
            return False
        return True

    def _read_progress(self, job: Running) -> None:
        path = job.work / child.PROGRESS
        try:
            written = path.stat().st_mtime_ns
            if written != job.progress_seen:
                job.progress_seen = written
                said = json.loads(path.read_text(encoding="utf-8"))
                self.table.progress(job.row.id, said["fraction"], said["message"])
        except (OSError, ValueError):
            pass  # nothing said yet

    def _end(self, job: Running, state: State, problem: dict[str, str] | None) -> None:
        self._kill(job)  # what the job itself may have started
        shutil.rmtree(job.work, ignore_errors=True)
        self.table.finish(job.row.id, state, problem)
        del self.running[job.row.id]

    def _kill(self, job: Running) -> None:
        """End the child and everything it started, whatever process group that is in."""
        pid = job.process.pid
        assert pid is not None
        try:
            offspring = psutil.Process(pid).children(recursive=True)
        except psutil.NoSuchProcess:
            offspring = []
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)  # its own group; not there when it died before making one
        for process in offspring:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        job.process.kill()
        job.process.join(timeout=5)

    def close(self) -> None:
        """End what still runs; those jobs count as cancelled."""
        for job in list(self.running.values()):
            self._kill(job)
            self._end(job, State.CANCELLED, {"what": "The program was closed while this job ran.", "where": "",
                                             "expected": "", "do": f"{OTHERS} Start it again.", "report": ""})


def _waiting(row: Row, cluster: str) -> Row:
    """The job that waits here for a job that runs there."""
    job = {"function": row.function, "arguments": row.arguments, "limits": asdict(row.limits)}
    arguments = {"address": cluster, "job": job}
    return replace(row, function="glowviz.jobs.cluster:wait_for", arguments=arguments, limits=WAITING)


def main(arguments: list[str]) -> int:
    """Serve one store; ends at once when another supervisor does so already."""
    store, workers = Path(arguments[0]), int(arguments[1])
    held = lock(store, seconds=1.0)
    if held is None:
        return 0
    supervisor = Supervisor(store, workers, tuple(arguments[3:]), cluster=arguments[2])

    def stop(*_: object) -> None:
        """Not an exception: one in the middle of a start would leave a child that nobody knows."""
        supervisor.stopping = True

    signal.signal(signal.SIGTERM, stop)
    try:
        supervisor.run()
    except (sqlite3.OperationalError, FileNotFoundError):
        return 0 if not store.exists() else 1  # the folder was removed: nobody is left to tell
    finally:
        supervisor.close()
        held.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
