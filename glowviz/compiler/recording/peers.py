"""Beside our times, a recording may hold those of another engine for its own nodes, added after the compilation."""

from __future__ import annotations

import os
import shutil
import sqlite3
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import orjson

TABLE = "CREATE TABLE IF NOT EXISTS peers(engine TEXT PRIMARY KEY, facts TEXT NOT NULL, nodes BLOB NOT NULL)"


class Asked(Protocol):
    """A recording that answers queries."""

    def query(self, sql: str, *arguments: Any) -> list[sqlite3.Row]: ...


@dataclass(frozen=True)
class PeerNode:
    """One node as the other engine ran it: its name there, its op, values it makes as far as known, times in µs."""

    name: str
    op: str
    makes: tuple[str, ...]
    samples: tuple[float, ...]


@dataclass(frozen=True)
class Peer:
    """What another engine took. `whole` are times of whole runs in µs; `told` says how all of it was measured."""

    engine: str
    version: str
    threads: int
    whole: tuple[float, ...]
    told: str
    source: str
    """"measured" here, or "given" by the user as a file."""
    nodes: tuple[PeerNode, ...]


def attach(path: Path, peer: Peer) -> None:
    """Add a peer to a finished recording, in place of an older one of the same engine.

    The file is replaced by a new one, so whoever reads the old one goes on reading it.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        shutil.copyfile(path, fresh)
        connection = sqlite3.connect(fresh, isolation_level=None)
        facts = {key: value for key, value in asdict(peer).items() if key != "nodes"}
        rows = [[n.name, n.op, list(n.makes), list(n.samples)] for n in peer.nodes]
        connection.execute(TABLE)
        connection.execute("INSERT OR REPLACE INTO peers VALUES (?, ?, ?)",
                           (peer.engine, orjson.dumps(facts).decode(), zlib.compress(orjson.dumps(rows))))
        connection.close()
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def peers_of(recording: Asked) -> list[Peer]:
    """The peers that were added; [] for most recordings."""
    if not recording.query("SELECT 1 FROM sqlite_master WHERE name = 'peers'"):
        return []
    return [_peer(row) for row in recording.query("SELECT * FROM peers ORDER BY rowid")]


def _peer(row: sqlite3.Row) -> Peer:
    facts = orjson.loads(row["facts"])
    nodes = tuple(PeerNode(name, op, tuple(makes), tuple(samples))
                  for name, op, makes, samples in orjson.loads(zlib.decompress(row["nodes"])))
    return Peer(**{**facts, "whole": tuple(facts["whole"])}, nodes=nodes)
