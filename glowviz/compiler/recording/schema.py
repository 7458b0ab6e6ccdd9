"""The tables of a recording: one SQLite file, nodes by interval, everything else beside the pass it belongs to."""

from __future__ import annotations

import sqlite3
from pathlib import Path

APPLICATION_ID = 0x676C7677
"""`glvw`: how a recording is told from any other SQLite file."""
VERSION = 1
"""Rises with every change of the tables that an older reader would not understand."""
ALIVE = 1 << 30
"""`died` of what is still there."""

TABLES = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE passes(
  snapshot INTEGER PRIMARY KEY, name TEXT, stage TEXT, level TEXT, status TEXT, options TEXT, summary TEXT,
  promise TEXT, required INTEGER, seconds REAL, verify_seconds REAL, tried INTEGER, fired INTEGER, kept INTEGER,
  nodes INTEGER, flops INTEGER, moved INTEGER, peak INTEGER, peak_at TEXT, weights INTEGER, error REAL, problem TEXT);
CREATE TABLE types(id INTEGER PRIMARY KEY, text TEXT);
CREATE TABLE attributes(id INTEGER PRIMARY KEY, text TEXT);
CREATE TABLE origins(id INTEGER PRIMARY KEY, names TEXT, made TEXT);
CREATE TABLE nodes(
  name TEXT, born INTEGER, died INTEGER, rank REAL, op TEXT, family TEXT, attributes INTEGER, operands TEXT,
  results TEXT, types TEXT, origin INTEGER, label TEXT, flops INTEGER, moved INTEGER);
CREATE TABLE onnx_nodes(name TEXT PRIMARY KEY, facts TEXT) WITHOUT ROWID;
CREATE TABLE constants(
  name TEXT, born INTEGER, died INTEGER, type INTEGER, content TEXT, bytes INTEGER, origin INTEGER);
CREATE TABLE interfaces(born INTEGER, died INTEGER, name TEXT, inputs TEXT, outputs TEXT, states TEXT, updates TEXT);
CREATE TABLE statements(
  key TEXT, born INTEGER, died INTEGER, rank REAL, kind TEXT, instruction TEXT, text TEXT, value TEXT, label TEXT,
  outs TEXT, ins TEXT, scratch TEXT, schedule TEXT, origin INTEGER);
CREATE TABLE buffers(
  name TEXT, born INTEGER, died INTEGER, kind TEXT, type TEXT, text TEXT, space TEXT, bytes INTEGER, base TEXT,
  offset INTEGER, address INTEGER, content TEXT, origin INTEGER);
CREATE TABLE results(born INTEGER, died INTEGER, name TEXT, outputs TEXT, updates TEXT, declared TEXT);
CREATE TABLE changes(
  snapshot INTEGER, rule TEXT, anchor TEXT, reason TEXT, removed TEXT, added TEXT, changed TEXT, continues TEXT);
CREATE TABLE refusals(
  snapshot INTEGER, rule TEXT, kind TEXT, pattern TEXT, count INTEGER, examples TEXT);
CREATE TABLE placements(
  buffer TEXT PRIMARY KEY, arena TEXT, offset INTEGER, size INTEGER, birth INTEGER, death INTEGER, origin INTEGER);
CREATE TABLE kernels(
  position INTEGER PRIMARY KEY, instruction TEXT, name TEXT, native INTEGER, value TEXT, schedule TEXT, why TEXT,
  flops INTEGER, bytes INTEGER, llvm BLOB, assembly BLOB, lines BLOB, origin INTEGER);
CREATE TABLE spans(kernel INTEGER, threads INTEGER, unit TEXT, samples BLOB);
CREATE TABLE runs(threads INTEGER, unit TEXT, samples BLOB, note TEXT);
CREATE TABLE statistics(
  snapshot INTEGER, value TEXT, low REAL, high REAL, mean REAL, deviation REAL, nans INTEGER, infinities INTEGER,
  zeros INTEGER, histogram TEXT, error REAL, absolute REAL, scale REAL, worst TEXT);
CREATE TABLE rasters(
  snapshot INTEGER, value TEXT, shape TEXT, maps INTEGER, all_maps INTEGER, height INTEGER, width INTEGER, block TEXT,
  low REAL, high REAL, first TEXT, pixels BLOB);
CREATE INDEX statements_by_key ON statements(key);
CREATE INDEX rasters_by_value ON rasters(value);
CREATE INDEX changes_by_snapshot ON changes(snapshot);
"""


class RecordingProblem(ValueError):
    """A file that is no recording, or one that this version cannot read; the text is for the user."""


def create(path: Path) -> sqlite3.Connection:
    """A new, empty recording; an existing file is replaced."""
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.executescript(
        f"PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA application_id={APPLICATION_ID};"
        f"PRAGMA user_version={VERSION};{TABLES}"
    )
    return connection


def connect(path: Path) -> sqlite3.Connection:
    """Open a recording read-only and without trusting its schema; RecordingProblem says what is wrong with the file."""
    if not path.is_file():
        raise RecordingProblem(f"{path} is not there: expected a recording (.glowrec)")
    try:
        connection = sqlite3.connect(f"file:{path.absolute()}?mode=ro", uri=True, check_same_thread=False)
        connection.execute("PRAGMA trusted_schema=OFF")
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError as problem:
        raise RecordingProblem(f"{path} is not a recording ({problem}): expected a file made by glowviz") from None
    if application != APPLICATION_ID:
        raise RecordingProblem(f"{path} is not a recording: it is another program's SQLite file")
    if version > VERSION:
        raise RecordingProblem(
            f"{path} was made by a newer glowviz (format {version}, this one reads up to {VERSION}): update glowviz"
        )
    return connection
