"""With a cluster, a job's child here only waits: the job runs in a limited child on the machine of a Dask worker."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import glowviz
from glowviz.compiler.hashes import file_hash
from glowviz.compiler.problem import Problem
from glowviz.jobs import child
from glowviz.jobs.limits import Limits
from glowviz.jobs.pool import Job, JobError, Pool, file_argument
from glowviz.jobs.table import State

if TYPE_CHECKING:
    from distributed import Client, Future

PATIENCE = 10.0
"""Seconds in which a scheduler must answer."""
RECORD = "record"
"""The argument that names a file which the job writes; it is brought back when the job is over."""


def check(address: str) -> None:
    """Problem where there is no cluster to use: the extra is not installed, or no scheduler answers."""
    _client(address).close()


def wait_for(address: str, job: dict[str, Any], progress: Callable[[float, str], None], folder: Path) -> Any:
    """Have a job run by a worker; its answer, its files and its end are as if it had run here.

    Files travel by hash: content is sent only to a worker that says it has no such file.
    """
    job |= {"version": glowviz.__version__, "topic": f"glowviz-{uuid.uuid4().hex}", "files": files_of(job["arguments"])}
    with _client(address) as client:
        progress(0.0, "waiting for a worker")
        client.subscribe_topic(job["topic"], lambda event: progress(*event[1]))
        answer = _result(client.submit(run_here, job, {}, pure=False), address)
        if "missing" in answer:
            contents = {one["sha256"]: Path(path).read_bytes() for path, one in job["files"].items()
                        if one["sha256"] in answer["missing"]}
            there = client.submit(run_here, job, contents, workers=[answer["worker"]], pure=False)
            answer = _result(there, address)
    for name, content in answer["files"].items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    if answer[RECORD] is not None:
        _write_whole(Path(job["arguments"][RECORD]), answer[RECORD])
    if answer["state"] != State.DONE:
        raise JobError(State(answer["state"]), answer["problem"])
    return answer["result"]


def _client(address: str) -> Client:
    try:
        from distributed import Client
    except ImportError:
        raise Problem("Dask distributed is not installed", f"--cluster {address}", "the extra `cluster`",
                      "Run `pip install glowviz[cluster]`, here and for the workers") from None
    try:
        return Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as fault:
        raise Problem(f"No scheduler answers at {address} ({type(fault).__name__})", "--cluster",
                      "the address of a Dask scheduler, such as tcp://10.0.0.7:8786",
                      "Start one with `dask scheduler`, or check the address") from None


def _result(future: Future, address: str) -> dict[str, Any]:
    try:
        return future.result()
    except Exception as fault:
        raise Problem(f"The cluster gave no answer ({type(fault).__name__}: {fault})", address,
                      f"workers that have glowviz {glowviz.__version__}",
                      "Look at the workers' logs, or go on without --cluster") from fault


def files_of(arguments: Any) -> dict[str, dict[str, Any]]:
    """Every file that the arguments name by its whole path, with what it is known by."""
    paths = [Path(text) for text in _texts(arguments) if os.path.isabs(text) and os.path.isfile(text)]
    return {str(path): {"sha256": file_hash(path), "size": path.stat().st_size} for path in paths}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if name != RECORD:
                yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _write_whole(path: Path, content: bytes) -> None:
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_bytes(content)
    os.replace(fresh, path)


# on the worker ---------------------------------------------------------------------------------


def run_here(job: dict[str, Any], contents: dict[str, bytes]) -> dict[str, Any]:
    """A task of a Dask worker: the job in a limited child of this machine, or which files it lacks for that."""
    from distributed import get_worker

    worker = get_worker()
    if job["version"] != glowviz.__version__:
        return _ended(State.FAILED, _other_version(job["version"], worker.address))
    home = Path(worker.local_directory) / "glowviz"
    places = {path: _place(home, path, one, contents) for path, one in job["files"].items()}
    missing = [job["files"][path]["sha256"] for path, place in places.items() if place is None]
    if missing:
        return {"missing": missing, "worker": worker.address}
    arguments = _placed(job["arguments"], places)
    if RECORD in arguments:
        (home / "records").mkdir(exist_ok=True)
        arguments[RECORD] = str(home / "records" / f"{uuid.uuid4().hex}.glowrec")
    running = _pool(home / "jobs").submit(job["function"], arguments, Limits(**job["limits"]))
    _follow(running, job["topic"])
    return _answer(running, Path(arguments[RECORD]) if RECORD in arguments else None)


_POOLS: dict[tuple[Path, int], Pool] = {}
_MAKING = Lock()


def _pool(store: Path) -> Pool:
    """The jobs of one worker; several may be threads of one process. Dask says how many tasks each gets at once."""
    with _MAKING:
        key = (store, os.getpid())
        if key not in _POOLS:
            _POOLS[key] = Pool(store)
        return _POOLS[key]


def pools() -> list[Pool]:
    """The jobs of all workers in this process."""
    return list(_POOLS.values())


def _place(home: Path, path: str, one: dict[str, Any], contents: dict[str, bytes]) -> Path | None:
    """Where a file is on this machine: under its own path on a shared disk, else received; None where it is not."""
    if _shared(Path(path), one):
        return Path(path)
    received = home / "files" / one["sha256"] / Path(path).name
    if not received.exists():
        if one["sha256"] not in contents:
            return None
        received.parent.mkdir(parents=True, exist_ok=True)
        _write_whole(received, contents[one["sha256"]])
    return received


def _shared(path: Path, one: dict[str, Any]) -> bool:
    try:
        return path.stat().st_size == one["size"] and file_hash(path) == one["sha256"]
    except OSError:
        return False


def _placed(value: Any, places: Mapping[str, Path | None]) -> Any:
    """The arguments with the paths of this machine."""
    if isinstance(value, str):
        return str(places.get(value) or value)
    if isinstance(value, list):
        return [_placed(inner, places) for inner in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"file", "sha256", "size", "mtime_ns"}:
        return file_argument(_placed(value["file"], places))
    return {name: _placed(inner, places) for name, inner in value.items()}


def _follow(job: Job, topic: str) -> None:
    """Until the job is over: tell how far it is, and cancel it when nobody waits for this task any more."""
    from distributed import get_worker

    worker = get_worker()
    task = worker.get_current_task()
    told: tuple[float, str] | None = None
    while not job.wait(timeout=0.2).final:
        if told != job.progress:
            told = job.progress
            worker.log_event(topic, told)
        state = worker.state.tasks.get(task)
        if state is None or state.state in ("cancelled", "forgotten", "released"):
            job.cancel()


def _answer(job: Job, record: Path | None) -> dict[str, Any]:
    """How the job ended and what it left behind, which is removed from this machine."""
    row = job.row()
    outputs = job.output_path(child.RESULT).parent
    paths = [path for path in outputs.rglob("*") if path.is_file()] if outputs.exists() else []
    answer = _ended(row.state, row.problem) | {
        "files": {str(path.relative_to(outputs)): path.read_bytes() for path in paths if path.name != child.RESULT}}
    if row.state is State.DONE:
        answer["result"] = json.loads(job.output_path(child.RESULT).read_text(encoding="utf-8"))
    if record is not None and record.exists():
        answer[RECORD] = record.read_bytes()
        record.unlink()
    return answer


def _ended(state: State, problem: dict[str, str] | None) -> dict[str, Any]:
    cancelled = {"what": "The job was cancelled.", "where": "", "expected": "", "do": "Start it again."}
    return {"state": str(state), "problem": problem or cancelled, "files": {}, RECORD: None, "result": None}


def _other_version(version: str, address: str) -> dict[str, str]:
    return {"what": f"The cluster's worker has glowviz {glowviz.__version__}, this is {version}.", "where": address,
            "expected": "the same version everywhere", "do": f"Run `pip install glowviz=={version}` for the workers."}
