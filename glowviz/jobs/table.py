"""The table of jobs is one SQLite file that clients and the supervisor share; each method is one transaction."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import psutil

from glowviz.jobs.limits import Limits

SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL, function TEXT NOT NULL, arguments TEXT NOT NULL,
    limits TEXT NOT NULL, state TEXT NOT NULL, fraction REAL NOT NULL DEFAULT 0, message TEXT NOT NULL DEFAULT '',
    wanted INTEGER NOT NULL DEFAULT 1, attempts INTEGER NOT NULL DEFAULT 0, pid INTEGER,
    created REAL NOT NULL, started REAL, finished REAL, problem TEXT, urgent INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS jobs_by_key ON jobs (key, state);
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, id);
CREATE TABLE IF NOT EXISTS clients (pid INTEGER PRIMARY KEY, started REAL NOT NULL);
"""


class State(StrEnum):
    """Where a job stands; all but the first two are final."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CRASHED = "crashed"
    TIMED_OUT = "timed out"
    OUT_OF_MEMORY = "out of memory"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        return self not in (State.QUEUED, State.RUNNING)


@dataclass(frozen=True)
class Row:
    """One job as the table has it. Times are seconds since 1970."""

    id: int
    key: str
    function: str
    arguments: dict[str, Any]
    limits: Limits
    state: State
    fraction: float
    message: str
    wanted: int
    attempts: int
    pid: int | None
    created: float
    started: float | None
    finished: float | None
    problem: dict[str, str] | None
    urgent: bool


def _row(values: sqlite3.Row) -> Row:
    fields = dict(values)
    fields["arguments"] = json.loads(fields["arguments"])
    fields["limits"] = Limits(**json.loads(fields["limits"]))
    fields["state"] = State(fields["state"])
    fields["urgent"] = bool(fields["urgent"])
    fields["problem"] = json.loads(fields["problem"]) if fields["problem"] else None
    return Row(**fields)


class Table:
    """The jobs of one store folder. Every thread of every process has a connection of its own."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "jobs.sqlite"
        self._local = threading.local()
        self._connection().executescript("PRAGMA journal_mode = WAL;" + SCHEMA)
        self._renew()

    def _renew(self) -> None:
        """Give a table of an earlier version the columns it lacks."""
        with self._transaction() as connection:
            if "urgent" not in {column["name"] for column in connection.execute("PRAGMA table_info(jobs)")}:
                connection.execute("ALTER TABLE jobs ADD COLUMN urgent INTEGER NOT NULL DEFAULT 0")

    def _connection(self) -> sqlite3.Connection:
        """This thread's connection; a connection must not be used after a fork, so the process counts too."""
        if getattr(self._local, "pid", None) != os.getpid():
            connection = sqlite3.connect(self.path, timeout=10, isolation_level=None)
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA synchronous = NORMAL")
            self._local.pid, self._local.connection = os.getpid(), connection
        return self._local.connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close this thread's connection; the next use opens it again."""
        if getattr(self._local, "pid", None) == os.getpid():
            self._local.connection.close()
            self._local.pid = None

    def version(self) -> int:
        """A number that changes when another process or thread has changed the table: a cheap question."""
        return self._connection().execute("PRAGMA data_version").fetchone()[0]

    def submit(self, key: str, function: str, arguments: str, limits: Limits, urgent: bool = False) -> int:
        """The id of the job with this key: one that is done, one under way, else a new one."""
        with self._transaction() as connection:
            known = connection.execute(
                "SELECT id, state FROM jobs WHERE key = ? AND (state = 'done' OR"
                " (state IN ('queued', 'running') AND wanted > 0)) ORDER BY id DESC LIMIT 1", (key,)).fetchone()
            if known is not None:
                connection.execute("UPDATE jobs SET wanted = wanted + 1 WHERE id = ?", (known["id"],))
                return known["id"]
            fresh = connection.execute(
                "INSERT INTO jobs (key, function, arguments, limits, state, created, urgent)"
                " VALUES (?, ?, ?, ?, 'queued', ?, ?)",
                (key, function, arguments, json.dumps(asdict(limits)), time.time(), int(urgent)))
            assert fresh.lastrowid is not None
            return fresh.lastrowid

    def row(self, job: int) -> Row:
        """One job; KeyError when there is none of this number."""
        found = self._connection().execute("SELECT * FROM jobs WHERE id = ?", (job,)).fetchone()
        if found is None:
            raise KeyError(f"There is no job {job}.")
        return _row(found)

    def rows(
        self, states: tuple[State, ...] = tuple(State), limit: int = 1000, urgent: bool | None = None
    ) -> list[Row]:
        """Jobs in these states, oldest first; `urgent` asks for one lane only."""
        marks = ", ".join("?" for _ in states)
        lane = "" if urgent is None else f" AND urgent = {int(urgent)}"
        found = self._connection().execute(
            f"SELECT * FROM jobs WHERE state IN ({marks}){lane} ORDER BY id LIMIT ?", (*states, limit)).fetchall()
        return [_row(values) for values in found]

    def unwant(self, job: int) -> None:
        """One client wants the job no longer. Nobody left: a queued job is cancelled, a running one will be."""
        with self._transaction() as connection:
            connection.execute("UPDATE jobs SET wanted = max(0, wanted - 1) WHERE id = ?", (job,))
            connection.execute("UPDATE jobs SET state = 'cancelled', finished = ? WHERE id = ? AND wanted = 0"
                               " AND state = 'queued'", (time.time(), job))

    def claim(self, job: int) -> bool:
        """Make a queued job a running one; False when it was cancelled a moment ago."""
        with self._transaction() as connection:
            return connection.execute(
                "UPDATE jobs SET state = 'running', started = ?, attempts = attempts + 1, fraction = 0, message = ''"
                " WHERE id = ? AND state = 'queued'", (time.time(), job)).rowcount == 1

    def set_process(self, job: int, pid: int | None) -> None:
        """The running job has this process."""
        with self._transaction() as connection:
            connection.execute("UPDATE jobs SET pid = ? WHERE id = ?", (pid, job))

    def progress(self, job: int, fraction: float, message: str) -> None:
        """How far a running job is, 0…1, and what it does."""
        with self._transaction() as connection:
            connection.execute("UPDATE jobs SET fraction = ?, message = ? WHERE id = ?", (fraction, message, job))

    def finish(self, job: int, state: State, problem: dict[str, str] | None = None) -> None:
        """The job came to this end."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE jobs SET state = ?, problem = ?, finished = ?,"
                " fraction = CASE WHEN ? = 'done' THEN 1 ELSE fraction END WHERE id = ?",
                (state, json.dumps(problem) if problem else None, time.time(), state, job))

    def queue_again(self, job: int) -> None:
        """Back into the queue: the supervisor died under it."""
        with self._transaction() as connection:
            connection.execute("UPDATE jobs SET state = 'queued', pid = NULL WHERE id = ?", (job,))

    def remove(self, job: int) -> None:
        """Forget a job."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM jobs WHERE id = ?", (job,))

    def join(self) -> None:
        """This process uses the store; the supervisor stays while any such process lives."""
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO clients VALUES (?, ?)",
                               (os.getpid(), psutil.Process().create_time()))

    def leave(self) -> None:
        """This process uses the store no longer."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM clients WHERE pid = ?", (os.getpid(),))

    def clients(self) -> int:
        """How many living processes use the store; dead ones are struck out."""
        connection = self._connection()
        known = connection.execute("SELECT pid, started FROM clients").fetchall()
        dead = [entry["pid"] for entry in known if not _alive(entry["pid"], entry["started"])]
        for pid in dead:
            connection.execute("DELETE FROM clients WHERE pid = ?", (pid,))
        return len(known) - len(dead)


def _alive(pid: int, started: float) -> bool:
    """Whether that very process still runs; a later one may have got its number."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < 0.05 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
