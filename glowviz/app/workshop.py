"""Compilations run as jobs in child processes; the same model with the same options is compiled once."""

import json
import sqlite3
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import glowviz
from glowviz.app import saving, trials
from glowviz.app.lessons import Lesson, lesson
from glowviz.app.order import moved, order_of, order_option, order_text, pass_options, read_order, settable
from glowviz.app.pictures import pictures
from glowviz.app.problem import Problem
from glowviz.app.reader import Payload
from glowviz.app.recordings import JobProgress
from glowviz.app.store import Store, StoredModel, file_hash
from glowviz.compiler.recording.reader import Recording
from glowviz.compiler.recording.schema import RecordingProblem
from glowviz.gallery import Card, cards
from glowviz.jobs import Job, JobError, Limits, Pool, State, file_argument

INSPECTING = Limits(wall=60, cpu=60)
COMPILING = Limits(wall=1800, cpu=7200, memory=16 << 30)
LOOKING = Limits(wall=60, cpu=60, memory=8 << 30)  # at a picture or an array of 2 GiB
TYPING = Limits(wall=10, cpu=10, memory=2 << 30)  # what the editor may take for one text
EDITOR = "glowviz.app.glow_editor"
CHECKS = ("glowviz.app.again:", "glowviz.app.saving:", "glowviz.bench.beside:")  # jobs that people ask after
PATIENCE = 20.0  # seconds to wait for the first snapshot before the page is told to wait
WORDS = {State.QUEUED: "queued", State.RUNNING: "running", State.DONE: "done", State.CANCELLED: "cancelled"}
DEFAULTS = {"target": "cpu", "threads": 1, "precision": "f32", "disable": [], "shapes": {}}


class JobWorkshop:
    """Compiles through glowviz.jobs; a recording's id is also its job's."""

    def __init__(
        self, store: Store, load: Sequence[str] = (), limits: Limits = COMPILING, cluster: str = ""
    ) -> None:
        self.store = store
        self.load = list(load)  # files with ops and passes of the user's own, loaded by every job
        self.limits = limits  # of one compilation
        self.cluster = cluster  # the address of a Dask scheduler, or nothing
        self._pool: Pool | None = None

    @property
    def pool(self) -> Pool:
        if self._pool is None:
            self._pool = Pool(self.store.folder / "jobs", preload=(EDITOR,), cluster=self.cluster)
            self._pool.prune()
        return self._pool

    def close(self) -> None:
        """End the pool of this process."""
        if self._pool is not None:
            self._pool.close()

    # -- opening -----------------------------------------------------------------------------------
    def compile(self, request: Payload) -> Payload:
        """Start (or find) the compilation of an upload, a gallery card, or a recording's model with new options."""
        if "gallery" in request:
            return self._open_card(str(request["gallery"]), request)
        if "lesson" in request:
            return self._open_lesson(lesson(str(request["lesson"])))
        if "upload" in request:
            return self._open_upload(str(request["upload"]), request)
        if "recording" in request:
            source = json.loads(self.store.notes(str(request["recording"])).get("source", "null"))
            if source is None:
                raise Problem("This recording does not say where its model lies.", "The recording",
                              remedy="Open the model itself.")
            source["options"] = {**source["options"], **_options(request)}
            if "trial" in request:
                source["options"]["trial"] = trials.checked_trial(self.store, request["trial"])
            if "before" in request:
                place = request["before"]
                order = moved(order_of(source["options"]), str(place["pass"]), int(place["snapshot"]) - 1)
                source["options"]["order"] = order_option(order)
            return self._start(**source)
        raise Problem("The request names no model.", expected="upload, gallery or recording")

    def open_path(
        self, path: Path, shapes: dict[str, int] | None = None, full_shapes: dict[str, tuple[int, ...]] | None = None
    ) -> Payload:
        """Open a model or a recording of this machine; `shapes` by dimension, or `full_shapes` by input."""
        if not path.is_file():
            raise Problem(f"There is no file {path}.", expected="an .onnx, .glow or .glowrec file",
                          remedy="Check the path.", status=404)
        if path.suffix == ".glowrec":
            identifier = self.store.adopt(path)
            self.store.note(identifier, {"title": path.stem})
            return {"recording": identifier, "job": None}
        main = str(path.resolve())
        if full_shapes:
            return self._start(main, {}, path.name, "unknown", {"shapes": {k: list(v) for k, v in full_shapes.items()}})
        return self._bound(main, {}, path.name, "unknown", {"shapes": shapes} if shapes else {})

    def _open_card(self, name: str, request: Payload) -> Payload:
        card = next((card for card in cards() if card.name == name), None)
        if card is None:
            raise Problem(f"The gallery has no {name!r}.", expected=", ".join(c.name for c in cards()), status=404)
        main = self._result("glowviz.app.work:build", {"card": name}, COMPILING)
        shapes = {"shapes": {key: list(dims) for key, dims in card.shapes().items()}}
        return self._start(main, {}, card.title, card.weights, shapes | _options(request))

    def _open_lesson(self, chosen: Lesson) -> Payload:
        if chosen.gallery:
            return self._open_card(chosen.gallery, {})
        path = self.store.folder / "models" / f"lesson-{chosen.name}.glow"
        if not path.exists() or path.read_text(encoding="utf-8") != chosen.graph:
            path.write_text(chosen.graph, encoding="utf-8")
        options = {"load": [chosen.load]} if chosen.load else {}
        return self._start(str(path), {}, chosen.title, "seeded", options | {"passes": chosen.options})

    def _open_upload(self, upload: str, request: Payload) -> Payload:
        model = self.store.finish_upload(upload)
        if model.main.suffix == ".glowrec":
            identifier = self.store.adopt(model.main)
            self.store.note(identifier, {"title": model.title})
            return {"recording": identifier, "job": None}
        return self._bound(str(model.main), _files(model), model.title, "unknown", request)

    def _bound(self, main: str, files: dict[str, str], title: str, weights: str, request: Payload) -> Payload:
        """Start compiling, or answer with the dimensions that somebody must give first."""
        seen = self._result("glowviz.app.work:inspect", {"main": main, "files": files}, INSPECTING)
        given: dict[str, int] = request.get("shapes") or {}
        missing = [one for one in seen["asks"] if one["name"] not in given]
        if missing:
            return {"dims": missing}
        options = _options(request) | {"shapes": _shapes(seen["inputs"], given)}
        return self._start(main, files, title, weights, options)

    def _start(self, main: str, files: dict[str, str], title: str, weights: str, options: Payload) -> Payload:
        options = {**DEFAULTS, **options}
        paths = [Path(main), *(Path(path) for _, path in sorted(files.items()))]
        identifier = Store.recording_id(file_hash(paths), options | {"compiler": _compiler()})
        record = self.store.recording_path(identifier)
        source = {"main": main, "files": files, "title": title, "weights": weights, "options": options}
        notes = self.store.notes(identifier)
        if record.exists() and self._state(notes) in (None, State.DONE, State.RUNNING):
            self.store.touch(identifier)
            return {"recording": identifier, "job": identifier if self._state(notes) is State.RUNNING else None}
        record.unlink(missing_ok=True)
        job = self.pool.submit("glowviz.app.work:compile_recording", {
            "main": main, "files": files, "record": str(record), "options": options, "load": self.load}, self.limits)
        bound = ", ".join("×".join(map(str, dims)) for dims in options["shapes"].values())
        off = f"without {', '.join(options['disable'])}" if options["disable"] else ""
        off += " in another order" if options.get("order") else ""
        off += "".join(f" {name} {key}={value}" for name, own in (options.get("passes") or {}).items()
                       for key, value in own.items())
        notes = {"title": title, "weights": weights, "job": str(job.id), "source": json.dumps(source),
                 "bound": " · ".join(filter(None, (bound, off))), "on": trials.trial_words(options.get("trial"))}
        self.store.note(identifier, notes)
        self._await_first_snapshot(job, record)
        self.store.evict(keep=frozenset({identifier}))
        return {"recording": identifier, "job": identifier}

    # -- questions about a recording that need its model again ---------------------------------------------
    def _source(self, identifier: str) -> Payload:
        """Return main, files and options of the model that recording `identifier` was made from."""
        source = json.loads(self.store.notes(identifier).get("source", "null"))
        if source is None or not Path(source["main"]).is_file():
            raise Problem("This recording does not say where its model lies, and it holds no weights.",
                          "The recording", "the model's file", "Open the model itself.")
        return {key: source[key] for key in ("main", "files", "options")} | {"load": self.load}

    def order(self, identifier: str) -> Payload:
        """Return the order of graph passes of recording `identifier` as YAML, and the options that passes have."""
        options = self._source(identifier)["options"]
        return {"yaml": order_text(order_of(options)), "options": settable(options)}

    def cutout(self, identifier: str, snapshot: int, name: str) -> Path:
        """Return an ONNX file of the graph around `name` at `snapshot`, with its weights."""
        asked = self._source(identifier) | {"snapshot": snapshot, "name": name}
        job = self.pool.submit("glowviz.app.again:cut", asked, INSPECTING)
        return job.output_path(job.result(timeout=INSPECTING.wall + 5)[0])

    def bisect(self, identifier: str, tolerance: float) -> int:
        """Start the search for the first pass whose outputs differ by more than `tolerance`; returns its number."""
        asked = self._source(identifier) | {"tolerance": tolerance}
        return self.pool.submit("glowviz.app.again:bisect", asked, self.limits).id

    def beside(self, identifier: str, profile: str = "") -> int:
        """Start timing onnxruntime beside recording `identifier`, or reading its `profile`; returns the number."""
        record = str(self.store.recording_path(identifier))
        if self.progress(identifier).state == "running":
            raise Problem("This run is still being written.", "Kernels", "a finished run", "Wait for its times.", 409)
        if profile:
            asked = {"profile": profile, "record": record, "at": time.time()}
            return self.pool.submit("glowviz.bench.beside:read", asked, LOOKING).id
        source = self._source(identifier)
        options = source["options"]
        asked = {"main": source["main"], "files": source["files"], "shapes": options["shapes"],
                 "threads": options["threads"], "record": record, "at": time.time()}
        return self.pool.submit("glowviz.bench.beside:measure", asked, self.limits).id

    def bisect_by(self, identifier: str, question: Payload) -> int:
        """Start the search for the pass that does what `question` asks for; returns its number."""
        asked = self._source(identifier) | {"question": question}
        asked |= {"at": time.time()} if question["kind"] == "time" else {}  # another timing is another answer
        return self.pool.submit("glowviz.app.again:bisect_by", asked, self.limits).id

    def save(self, identifier: str, kind: str, view: str) -> int:
        """Start writing recording `identifier` as a `kind` of FUNCTIONS, a page opens in `view`; returns its number."""
        if self.progress(identifier).state == "running":
            raise Problem("This run is still being written.", "Save", "a finished run", "Wait until it is timed.", 409)
        asked = {"recording": file_argument(self.store.recording_path(identifier)),
                 "title": self.store.notes(identifier).get("title", "")}
        asked |= {"view": view} if kind == "page" else {}
        return self.pool.submit(saving.FUNCTIONS[kind], asked, saving.LIMITS).id

    def inputs(self, identifier: str) -> Payload:
        """Return docs/payloads.md `inputs` of recording `identifier`."""
        source = self._source(identifier)
        asked = {"record": file_argument(self.store.recording_path(identifier)), "main": source["main"]}
        job = self.pool.submit("glowviz.app.trials:ask", asked, LOOKING, urgent=True)
        return job.result(timeout=LOOKING.wall + 5) | {"trial": source["options"].get("trial")}

    def look(self, identifier: str, trial: Payload) -> Payload:
        """Return docs/payloads.md `look`: how a trial would fill the inputs, read in a child process."""
        asked = {"record": file_argument(self.store.recording_path(identifier)),
                 "main": self._source(identifier)["main"], "trial": trials.checked_trial(self.store, trial)}
        return self.pool.submit("glowviz.app.trials:look", asked, LOOKING, urgent=True).result(timeout=LOOKING.wall + 5)

    def check(self, number: int) -> Payload:
        """Return how far search or saving `number` is, and its answer once there is one."""
        row = self._check(number).row()
        answer = self._check(number).result(0) if row.state is State.DONE else None
        return {"state": WORDS.get(row.state, "failed"), "stage": row.message, "done": round(row.fraction * 100),
                "answer": answer, "problem": _told(row.problem)}

    def check_file(self, number: int, name: str) -> Path:
        """Return a file that search or saving `number` left behind."""
        answer = self.check(number)["answer"] or {}
        if name not in answer.get("files", ()):
            raise Problem(f"This search left no file {name}.", "Bisect", ", ".join(answer.get("files", ())), status=404)
        return self._check(number).output_path(name)

    def cancel_check(self, number: int) -> None:
        """Stop search or saving `number`."""
        self._check(number).cancel()

    def _check(self, number: int) -> Job:
        try:
            job = self.pool.job(number)
            if job.row().function.startswith(CHECKS):
                return job
        except KeyError:
            pass
        raise Problem(f"There is no search {number}.", "Bisect", remedy="Start it again.", status=404)

    def _await_first_snapshot(self, job: Job, record: Path) -> None:
        """Wait until the recording can be opened; a job that ends before that is told as its Problem."""
        end = time.monotonic() + PATIENCE
        while not _has_snapshot(record) and time.monotonic() < end:
            if job.state.final:
                break
            time.sleep(0.02)
        if job.state.final and job.problem is not None and not _has_snapshot(record):
            raise JobError(job.state, job.problem)

    def _result(self, function: str, arguments: dict[str, Any], limits: Limits) -> Any:
        if "main" in arguments:
            arguments = {**arguments, "main": file_argument(arguments["main"])}
        return self.pool.submit(function, arguments, limits).result(timeout=limits.wall)

    # -- jobs ----------------------------------------------------------------------------------------
    def _job(self, notes: dict[str, str]) -> Job | None:
        if "job" not in notes:
            return None
        try:
            return self.pool.job(int(notes["job"]))
        except KeyError:
            return None

    def _state(self, notes: dict[str, str]) -> State | None:
        job = self._job(notes)
        return job.state if job is not None else None

    def job(self, identifier: str) -> Payload:
        """Return how far the compilation of recording `identifier` is."""
        job = self._job(self.store.notes(identifier))
        if job is None:
            raise Problem("No job belongs to this recording.", status=404)
        row = job.row()
        return {"state": WORDS.get(row.state, "failed"), "stage": row.message or WORDS.get(row.state, str(row.state)),
                "done": round(row.fraction * 100), "total": 100, "recording": identifier,
                "problem": _told(row.problem)}

    def progress(self, identifier: str) -> JobProgress:
        """Return where the job of recording `identifier` stands; one that has no job is done."""
        job = self._job(self.store.notes(identifier))
        if job is None:
            return JobProgress("done")
        row = job.row()
        if not row.state.final:
            return JobProgress("running")
        if row.state is State.DONE:
            return JobProgress("done")
        cancelled = {"what": "The compilation was cancelled.", "where": "", "expected": "", "do": "Open it again."}
        return JobProgress("failed", row.problem or cancelled)

    def cancel(self, identifier: str) -> None:
        """Stop the job of recording `identifier`."""
        job = self._job(self.store.notes(identifier))
        if job is not None:
            job.cancel()

    # -- the rest --------------------------------------------------------------------------------------
    def glow(self, text: str, passes: list[str]) -> Payload:
        """Run passes on a graph's text in a child process that must answer while somebody types."""
        asked = {"text": text, "passes": passes, "load": self.load}
        return self.pool.submit(f"{EDITOR}:run_passes", asked, TYPING, urgent=True).result(timeout=TYPING.wall + 5)

    def gallery(self) -> list[Payload]:
        """Return the cards with their pictures."""
        drawn = pictures()
        compiled = {self.store.notes(identifier).get("title") for identifier, _ in self.store.recordings()}
        return [self._card(card, drawn.get(card.name, []), card.title in compiled) for card in cards()]

    @staticmethod
    def _card(card: Card, picture: list[list[int]], compiled: bool) -> Payload:
        return {"id": card.name, "title": card.title, "nodes": card.nodes, "sentence": card.sentence,
                "answers": card.answers, "weights": card.weights, "compiled": compiled, "picture": picture}

    def warm(self) -> None:
        """Compile the first card, so that one is ready when somebody clicks it."""
        self._open_card(cards()[0].name, {})


def _told(problem: dict[str, str] | None) -> dict[str, str] | None:
    """Return a job's problem in the four parts that the page shows."""
    if problem is None:
        return None
    parts = {"what": "what", "where": "where", "expected": "expected", "remedy": "do"}
    return {key: problem.get(part, "") for key, part in parts.items()}


@cache
def _compiler() -> str:
    """Return what changes with the version and with every edit of the compiler: an older answer is no answer."""
    stamps = [path.stat().st_mtime_ns for path in (Path(glowviz.__file__).parent / "compiler").rglob("*.py")]
    return f"{glowviz.__version__} {len(stamps)} {max(stamps)}"


def _has_snapshot(record: Path) -> bool:
    """Return whether the compiler has written the imported graph."""
    if not record.exists():
        return False
    try:
        recording = Recording(record)
    except RecordingProblem:  # the file is there, its tables are not yet
        return False
    try:
        return len(recording) > 0
    except sqlite3.OperationalError:
        return False
    finally:
        recording.close()


def _options(request: Payload) -> Payload:
    """Return the options of a request that are known, each checked."""
    options: Payload = {}
    if "disable" in request:
        options["disable"] = sorted({str(name) for name in request["disable"]})
    if request.get("order"):
        options["order"] = order_option(read_order(str(request["order"])))
    if "options" in request:
        options["passes"] = pass_options(request["options"])
    if "threads" in request:
        options["threads"] = max(1, min(256, int(request["threads"])))
    for key in ("precision", "target"):
        if key in request:
            options[key] = str(request[key])
    return options


def _shapes(inputs: list[Payload], given: dict[str, int]) -> dict[str, list[int]]:
    """Return a full shape for every input with free dimensions, from the numbers given by name."""
    return {
        one["name"]: [dim if isinstance(dim, int) else int(given.get(dim) or default)
                      for dim, default in zip(one["dims"], one["proposed"], strict=True)]
        for one in inputs if one["open"] and given
    }


def _files(model: StoredModel) -> dict[str, str]:
    return {name: str(path) for name, path in model.files.items()}
