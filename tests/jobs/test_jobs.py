"""Jobs answer, report, fail, crash, loop, eat memory and are cancelled, and after each the next job is served."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from glowviz.compiler.problem import Problem
from glowviz.gallery import card
from glowviz.jobs import Job, JobError, Limits, Pool, State, file_argument, report_progress
from glowviz.jobs.table import Table

WORK = "tests.jobs.work"


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    with Pool(tmp_path_factory.mktemp("store"), workers=2) as opened:
        opened.submit(f"{WORK}:add", {"a": 0, "b": 0}).result(30)  # the first start imports numpy, onnx, llvmlite
        yield opened


def ended(job: Job, state: State) -> JobError:
    with pytest.raises(JobError) as caught:
        job.result(30)
    assert caught.value.state is state
    assert caught.value.what
    return caught.value


def served(pool: Pool) -> bool:
    """Whether a new job is answered at once."""
    a = time.monotonic_ns()
    return pool.submit(f"{WORK}:add", {"a": a, "b": 1}).result(10)["sum"] == a + 1


def until(condition: object, seconds: float = 15.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.005)
    return False


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_job_runs_in_another_process_and_answers(pool: Pool) -> None:
    answer = pool.submit(f"{WORK}:add", {"a": 2, "b": 3}).result(10)
    assert answer["sum"] == 5
    assert answer["pid"] != os.getpid()


def test_the_same_question_is_answered_from_the_store(pool: Pool) -> None:
    first = pool.submit(f"{WORK}:add", {"a": 7, "b": 8})
    answer = first.result(10)
    again = pool.submit(f"{WORK}:add", {"b": 8, "a": 7})
    assert again.id == first.id
    assert again.result(0)["pid"] == answer["pid"]
    assert pool.submit(f"{WORK}:add", {"a": 7, "b": 9}).id != first.id


def test_an_urgent_job_does_not_wait_behind_others(pool: Pool) -> None:
    busy = [pool.submit(f"{WORK}:sleep", {"seconds": seconds}) for seconds in (60, 61)]
    assert until(lambda: all(job.state is State.RUNNING for job in busy), 20)
    waiting = pool.submit(f"{WORK}:add", {"a": 100, "b": 1})
    assert pool.submit(f"{WORK}:add", {"a": 100, "b": 2}, urgent=True).result(20)["sum"] == 102
    assert waiting.state is State.QUEUED
    for job in (*busy, waiting):
        job.cancel()
    assert all(job.wait(10) is State.CANCELLED for job in busy)
    assert busy[0].problem is not None
    assert "cancelled" in busy[0].problem["what"]


def test_a_crash_says_what_was_in_hand(pool: Pool) -> None:
    error = ended(pool.submit(f"{WORK}:crash_at_a_place"), State.CRASHED)
    assert error.where == "Simplify: dce, rule a at %b"


def test_a_table_of_an_earlier_version_is_renewed(tmp_path: Path) -> None:
    first = Table(tmp_path)
    with sqlite3.connect(tmp_path / "jobs.sqlite") as connection:
        connection.execute("ALTER TABLE jobs DROP COLUMN urgent")
    connection.close()
    first.close()
    table = Table(tmp_path)
    assert not table.row(table.submit("key", "module:function", "{}", Limits())).urgent
    table.close()


def test_progress_is_seen_while_the_job_runs(pool: Pool) -> None:
    job = pool.submit(f"{WORK}:count_to", {"n": 12})
    seen = set()
    while not job.state.final:
        seen.add(job.progress)
        time.sleep(0.01)
    assert job.result(0) == 12
    fractions = sorted(fraction for fraction, _ in seen)
    assert len([f for f in fractions if 0 < f < 1]) >= 3
    assert (3 / 12, "step 3") in seen or (4 / 12, "step 4") in seen
    assert job.progress[0] == 1


def test_reporting_outside_a_job_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    report_progress(0.5, "nobody listens")
    assert list(tmp_path.iterdir()) == []


def test_files_in_the_folder_stay_and_the_work_folder_goes(pool: Pool) -> None:
    job = pool.submit(f"{WORK}:write", {"text": "kept"})
    work = Path(job.result(10))
    assert job.output_path("note.txt").read_text() == "kept"
    assert work.is_relative_to(pool.store)
    assert until(lambda: not work.exists())


def test_a_file_argument_counts_by_its_content(pool: Pool, tmp_path: Path) -> None:
    one, two = tmp_path / "one.onnx", tmp_path / "two.onnx"
    one.write_text("weights")
    two.write_text("weights")
    job = pool.submit(f"{WORK}:read", {"model": file_argument(one)})
    assert job.result(10) == "weights"
    assert pool.submit(f"{WORK}:read", {"model": file_argument(two)}).id == job.id
    two.write_text("others!")
    assert pool.submit(f"{WORK}:read", {"model": file_argument(two)}).result(10) == "others!"


def test_a_file_changed_after_submitting_is_refused(pool: Pool, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("before")
    argument = file_argument(path)
    path.write_text("after, longer")
    error = ended(pool.submit(f"{WORK}:read", {"model": argument}), State.FAILED)
    assert "changed" in error.what
    assert str(path) in error.where


def test_a_problem_arrives_in_its_four_parts(pool: Pool) -> None:
    error = ended(pool.submit(f"{WORK}:refuse"), State.FAILED)
    assert (error.what, error.where) == ("The scale has 128 values.", "initializer s of model.onnx")
    assert (error.expected, error.do) == ("f32[64]", "Re-export the file.")
    assert "Traceback" in error.report
    assert served(pool)


def test_a_fault_of_ours_names_its_place(pool: Pool) -> None:
    error = ended(pool.submit(f"{WORK}:stumble"), State.FAILED)
    assert "KeyError" in error.what
    assert "in stumble" in error.where
    assert error.do


def test_a_failed_job_is_tried_anew(pool: Pool) -> None:
    first = pool.submit(f"{WORK}:refuse")
    first.wait(10)
    assert pool.submit(f"{WORK}:refuse").id != first.id


def test_a_segfault_ends_one_job(pool: Pool) -> None:
    other = pool.submit(f"{WORK}:sleep", {"seconds": 1.0})
    error = ended(pool.submit(f"{WORK}:segfault"), State.CRASHED)
    assert "SIGSEGV" in error.what
    assert error.where == "pass fuse"
    assert "in segfault" in error.report  # the Python line it came from
    assert served(pool)
    assert other.result(10) == "slept"


def test_an_endless_loop_is_stopped(pool: Pool) -> None:
    started = time.monotonic()
    error = ended(pool.submit(f"{WORK}:spin", limits=Limits(wall=0.5)), State.TIMED_OUT)
    assert time.monotonic() - started < 3
    assert "0.5 s" in error.what
    assert served(pool)


def test_processor_time_is_limited_too(pool: Pool) -> None:
    error = ended(pool.submit(f"{WORK}:spin", limits=Limits(wall=30, cpu=1)), State.TIMED_OUT)
    assert "processor time" in error.what


def test_eating_memory_ends_in_words(pool: Pool) -> None:
    error = ended(pool.submit(f"{WORK}:eat", limits=Limits(memory=1 << 28)), State.OUT_OF_MEMORY)
    assert "0.25 GiB" in error.what
    assert served(pool)


def test_being_killed_by_the_system_counts_as_out_of_memory(pool: Pool) -> None:
    ended(pool.submit(f"{WORK}:killed_from_outside"), State.OUT_OF_MEMORY)
    assert served(pool)


def test_a_file_can_grow_to_the_limit_only(pool: Pool) -> None:
    job = pool.submit(f"{WORK}:fill_disk", limits=Limits(file_size=1 << 22))
    error = ended(job, State.FAILED)
    assert "File too large" in error.what
    assert job.output_path("big").stat().st_size <= 1 << 22


def test_leaving_without_an_answer_is_a_crash(pool: Pool) -> None:
    assert "exit code 7" in ended(pool.submit(f"{WORK}:leave"), State.CRASHED).what


def test_an_answer_must_be_plain_data(pool: Pool) -> None:
    assert "plain data" in ended(pool.submit(f"{WORK}:object_answer"), State.FAILED).what


def test_a_missing_function_is_told(pool: Pool) -> None:
    assert "no_such" in ended(pool.submit(f"{WORK}:no_such"), State.FAILED).what
    assert "nowhere" in ended(pool.submit("nowhere.at.all:f"), State.FAILED).what


@pytest.mark.parametrize("function", ["spin", "sleep"])
def test_cancel_acts_at_once(pool: Pool, function: str) -> None:
    arguments = {"seconds": 60.5} if function == "sleep" else {}
    job = pool.submit(f"{WORK}:{function}", arguments)
    assert until(lambda: job.state is State.RUNNING and job.row().pid)
    pid = job.row().pid
    assert pid is not None
    asked = time.monotonic()
    job.cancel()
    assert job.wait(5) is State.CANCELLED
    assert gone(pid)
    assert time.monotonic() - asked <= 0.3
    ended(job, State.CANCELLED)
    assert served(pool)


def test_a_queued_job_can_be_cancelled(pool: Pool) -> None:
    busy = [pool.submit(f"{WORK}:sleep", {"seconds": 20 + i}) for i in range(2)]
    waiting = pool.submit(f"{WORK}:sleep", {"seconds": 30})
    waiting.cancel()
    assert waiting.state is State.CANCELLED
    for job in busy:
        job.cancel()
        assert job.wait(5) is State.CANCELLED


def test_a_job_that_two_want_goes_on_until_both_cancel(pool: Pool) -> None:
    first = pool.submit(f"{WORK}:sleep", {"seconds": 40})
    second = pool.submit(f"{WORK}:sleep", {"seconds": 40})
    assert first.id == second.id
    assert until(lambda: first.state is State.RUNNING)
    first.cancel()
    time.sleep(0.2)
    assert second.state is State.RUNNING
    second.cancel()
    assert second.wait(5) is State.CANCELLED


def test_what_a_job_started_ends_with_it(pool: Pool) -> None:
    job = pool.submit(f"{WORK}:start_another")
    note = job.output_path("pid")
    assert until(lambda: note.exists() and note.read_text())
    pid = int(note.read_text())
    job.cancel()
    job.wait(5)
    assert until(lambda: gone(pid))


def test_the_limits_are_the_systems(pool: Pool) -> None:
    seen = pool.submit(f"{WORK}:limits_seen", limits=Limits(cpu=33, memory=1 << 30, file_size=12345678)).result(10)
    assert (seen["RLIMIT_CPU"], seen["RLIMIT_FSIZE"], seen["RLIMIT_CORE"]) == (33, 12345678, 0)
    assert 1 << 30 < seen["RLIMIT_AS"] < 1 << 36


def test_new_children_have_the_common_modules_already(pool: Pool) -> None:
    assert {"numpy", "onnx", "llvmlite.binding"} <= set(pool.submit(f"{WORK}:modules").result(10))


def test_the_compiler_runs_as_a_job(pool: Pool) -> None:
    path = card("digit").path()
    arguments = {"model": file_argument(path), "inputs": file_argument(path.with_suffix(".npz"))}
    job = pool.submit(f"{WORK}:compile_and_run", arguments)
    assert job.result(60) == 7
    assert job.output_path("run.glowrec").stat().st_size > 1000
    assert job.progress[1]


def test_arguments_must_be_plain_data(pool: Pool) -> None:
    with pytest.raises(Problem, match="plain data"):
        pool.submit(f"{WORK}:add", {"a": object(), "b": 1})
    with pytest.raises(Problem, match="module:function"):
        pool.submit("add")


def test_another_process_sees_the_same_jobs(pool: Pool) -> None:
    job = pool.submit(f"{WORK}:add", {"a": 20, "b": 22})
    job.result(10)
    code = ("import sys, json; from glowviz.jobs import Pool\n"
            "with Pool(sys.argv[1]) as pool: print(json.dumps(pool.job(int(sys.argv[2])).result(5)))")
    other = subprocess.run([sys.executable, "-c", code, str(pool.store), str(job.id)], capture_output=True, text=True,
                           check=True)
    assert json.loads(other.stdout)["sum"] == 42
    assert served(pool)  # the other client's leaving did not end our supervisor


def test_pruning_forgets_old_jobs(pool: Pool) -> None:
    job = pool.submit(f"{WORK}:write", {"text": "old"})
    job.result(10)
    assert pool.prune(days=1) == 0
    assert pool.prune(days=-1) > 0
    assert not job.output_path("note.txt").exists()
    with pytest.raises(KeyError):
        pool.job(job.id)


def test_asking_later_than_the_time_out_allows(pool: Pool) -> None:
    job = pool.submit(f"{WORK}:sleep", {"seconds": 50})
    with pytest.raises(TimeoutError):
        job.result(0.05)
    job.cancel()
    job.wait(5)


# ---- the life of the supervisor itself, each with a store of its own


def processes_of(store: Path) -> list[int]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if str(store) in line and process.status() != psutil.STATUS_ZOMBIE:
            found.append(process.pid)
            found.extend(child.pid for child in process.children(recursive=True))
    return found


def test_closing_leaves_no_process_behind(tmp_path: Path) -> None:
    pool = Pool(tmp_path)
    job = pool.submit(f"{WORK}:spin")
    assert until(lambda: job.row().pid, 20)
    pids = processes_of(tmp_path)
    assert len(pids) >= 3  # supervisor, fork server, child
    pool.close()
    assert until(lambda: all(gone(pid) for pid in pids))
    assert job.state is State.CANCELLED


def test_a_program_killed_hard_leaves_no_process_behind(tmp_path: Path) -> None:
    code = ("import sys, time; from glowviz.jobs import Pool, State\n"
            f"job = Pool(sys.argv[1]).submit('{WORK}:spin')\n"
            "while job.state is not State.RUNNING: time.sleep(0.01)\n"
            "print('running', flush=True); time.sleep(60)")
    program = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert program.stdout is not None
    assert program.stdout.readline() == b"running\n"
    pids = [pid for pid in processes_of(tmp_path) if pid != program.pid]
    assert len(pids) >= 2
    program.kill()
    program.communicate()
    assert until(lambda: all(gone(pid) for pid in pids))


def test_a_killed_supervisor_is_replaced_and_its_job_tried_again(tmp_path: Path) -> None:
    with Pool(tmp_path) as pool:
        job = pool.submit(f"{WORK}:spin")
        assert until(lambda: job.row().pid, 20)
        child = job.row().pid
        assert child is not None
        assert pool._supervisor is not None
        pids = processes_of(tmp_path)
        os.kill(pool._supervisor.pid, signal.SIGKILL)
        assert until(lambda: all(gone(pid) for pid in pids))
        assert job.wait(1.5) is State.RUNNING  # in the hands of the next supervisor
        assert until(lambda: job.row().pid not in (None, child))
        assert job.row().attempts == 2
        job.cancel()
        assert job.wait(5) is State.CANCELLED
