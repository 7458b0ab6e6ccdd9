"""With a cluster, jobs run in limited children of its workers, and answer, fail, crash and stop as they do at home."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from glowviz.app.server import serve
from glowviz.compiler.problem import Problem
from glowviz.gallery import card
from glowviz.jobs import JobError, Limits, Pool, State, cluster, file_argument

WORK = "tests.jobs.work"

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")  # its own


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A scheduler and a worker with two places, in this process, reached over TCP."""
    made = distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, protocol="tcp", dashboard_address=None,
        local_directory=str(tmp_path_factory.mktemp("worker")), host="127.0.0.1", silence_logs=50,
    )  # fmt: skip
    with made:
        yield made.scheduler_address
        for pool in cluster.pools():
            pool.close()


@pytest.fixture(scope="module")
def pool(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    with Pool(tmp_path_factory.mktemp("store"), cluster=address) as opened:
        yield opened


def test_a_job_runs_below_the_worker(pool: Pool) -> None:
    answer = pool.submit(f"{WORK}:add", {"a": 2, "b": 3}).result(60)
    assert answer["sum"] == 5
    assert answer["pid"] != os.getpid()


def test_its_files_come_back(pool: Pool) -> None:
    job = pool.submit(f"{WORK}:write", {"text": "hello"})
    assert "/worker" in job.result(60)
    assert job.output_path("note.txt").read_text() == "hello"


def test_its_progress_is_told(pool: Pool) -> None:
    job = pool.submit(f"{WORK}:count_to", {"n": 30})
    seen = set()
    while not job.wait(timeout=0.05).final:
        seen.add(job.progress[1])
    assert job.result(1) == 30
    assert any(text.startswith("step") for text in seen)


@pytest.mark.parametrize(("function", "limits", "state", "what"), [
    ("refuse", Limits(), State.FAILED, "The scale has 128 values"),
    ("segfault", Limits(), State.CRASHED, "SIGSEGV"),
    ("spin", Limits(wall=1.5), State.TIMED_OUT, "stopped after 1.5 s"),
    ("eat", Limits(memory=1 << 29), State.OUT_OF_MEMORY, ""),
])
def test_it_ends_as_at_home(pool: Pool, function: str, limits: Limits, state: State, what: str) -> None:
    with pytest.raises(JobError) as caught:
        pool.submit(f"{WORK}:{function}", limits=limits).result(60)
    assert caught.value.state is state
    assert what in caught.value.what
    assert pool.submit(f"{WORK}:add", {"a": time.monotonic_ns(), "b": 0}).result(60)


def test_a_cancelled_job_ends_over_there_too(pool: Pool, tmp_path: Path) -> None:
    job = pool.submit(f"{WORK}:sleep", {"seconds": 100})
    end = time.monotonic() + 20
    while not (sleeping := sleepers()) and time.monotonic() < end:
        time.sleep(0.05)
    assert sleeping
    job.cancel()
    assert job.wait(10) is State.CANCELLED
    while any(map(psutil.pid_exists, sleeping)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(psutil.pid_exists, sleeping))


def sleepers() -> list[int]:
    """Processes of jobs that run below the worker."""
    return [p.pid for pool in cluster.pools() for row in pool.rows() if row.state is State.RUNNING and row.pid
            for p in [psutil.Process(row.pid)]]


def test_files_are_sent_once_to_a_worker_that_has_them_not(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_shared", lambda path, one: False)
    sent: list[int] = []
    real = cluster._place

    def place(home: Path, path: str, one: dict[str, object], contents: dict[str, bytes]) -> Path | None:
        sent.append(len(contents))
        return real(home, path, one, contents)

    monkeypatch.setattr(cluster, "_place", place)
    for folder, text, sends in (("a", "one", [0, 1]), ("b", "two", [0, 1]), ("c", "one", [0])):
        path = tmp_path / folder / "model.txt"
        path.parent.mkdir()
        path.write_text(text)
        sent.clear()
        asked = {"model": str(path)} if folder == "c" else {"model": file_argument(path)}
        assert pool.submit(f"{WORK}:read", asked).result(60) == text
        assert sent == sends


def test_a_recording_is_brought_back(pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from glowviz.app.workshop import DEFAULTS
    from glowviz.compiler.recording.reader import Recording

    monkeypatch.setattr(cluster, "_shared", lambda path, one: False)
    record = tmp_path / "run.glowrec"
    main = str(card("digit").path().resolve())
    pool.submit("glowviz.app.work:compile_recording", {
        "main": main, "files": {}, "record": str(record), "options": DEFAULTS, "load": []}).result(120)
    recording = Recording(record)
    assert recording.meta["state"] == "done"
    recording.close()


def test_another_version_is_refused(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glowviz.__version__", "0.0")  # of the worker, which is in this process
    with pytest.raises(JobError, match=r"The cluster's worker has glowviz 0\.0"):
        pool.submit(f"{WORK}:add", {"a": 5, "b": 5}).result(60)


def test_without_a_scheduler_the_option_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 0.3)
    with pytest.raises(Problem, match=r"No scheduler answers at tcp://127.0.0.1:9 .*dask scheduler"):
        serve(cluster="tcp://127.0.0.1:9")


def test_without_the_extra_the_option_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(Problem, match=r"not installed.*pip install glowviz\[cluster\]"):
        serve(cluster="tcp://127.0.0.1:8786")
