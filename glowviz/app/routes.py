"""Plain /api routes: bulk for the drawing modules, uploads as streams, jobs; nothing here draws or compiles."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import orjson
from flask import Blueprint, Response, request

import glowviz
from glowviz.app import beside_routes, check_routes, scene_routes, trial_routes
from glowviz.app.answers import answer, answer_text, refusal
from glowviz.app.asked import asked_body, asked_name, check_snapshot
from glowviz.app.glow_editor import worked_examples
from glowviz.app.kept_answers import KeptAnswers
from glowviz.app.lessons import lesson, lessons
from glowviz.app.problem import Problem
from glowviz.app.reader import Payload, Reader
from glowviz.app.services import Services, Workshop
from glowviz.app.store import checked, last_used
from glowviz.compiler.problem import Problem as CompilerProblem


def blueprint(services: Services) -> Blueprint:
    """Return all /api routes bound to these services."""
    api = Blueprint("api", __name__, url_prefix="/api")
    api.register_error_handler(CompilerProblem, refusal)
    api.register_error_handler(sqlite3.OperationalError, _busy)
    _recording_routes(api, services)
    _upload_routes(api, services)
    _work_routes(api, services)
    _lesson_routes(api)
    _job_routes(api, services.workshop)
    check_routes.register(api, services)
    beside_routes.register(api, services)
    trial_routes.register(api, services)

    @api.route("/<path:rest>", methods=["GET", "POST", "PUT", "DELETE"])
    def nowhere(rest: str) -> Response:
        # Dash answers every other address with the page, which is no answer to a module.
        raise Problem("Nothing answers at this address.", request.path, "an address of docs/payloads.md", status=404)

    return api


def _busy(error: sqlite3.OperationalError) -> Response:
    """Answer while the compiler writes what was asked for."""
    what = "The recording is being written at this moment."
    return refusal(Problem(what, str(error), remedy="Try again.", status=503))


def _recording_routes(api: Blueprint, services: Services) -> None:
    kept = KeptAnswers()

    def reader(identifier: str) -> Reader:
        services.store.touch(checked(identifier))
        return services.open_reader(identifier)

    def plain(path: str, ask: Callable[[Reader], Payload]) -> None:
        def view(identifier: str) -> Response:
            found = reader(identifier)
            if not found.finished():
                return answer(ask(found))
            return answer_text(kept.json(found, request.full_path, lambda: ask(found)))

        api.add_url_rule(f"/r/<identifier>/{path}", path, view)

    def at_snapshot(path: str, ask: Callable[[Reader, int], Payload]) -> None:
        def view(identifier: str, snapshot: int) -> Response:
            found = reader(identifier)
            check_snapshot(found, snapshot)
            if not found.finished():
                return answer(ask(found, snapshot))
            return answer_text(kept.json(found, request.full_path, lambda: ask(found, snapshot)), final=True)

        api.add_url_rule(f"/r/<identifier>/{path}/<int:snapshot>", path, view)

    for name in ("overview", "passes", "kernels", "problems", "hunt", "rewrites"):
        plain(name, lambda found, name=name: getattr(found, name)())
    plain("kernel", lambda found: found.kernel(asked_name()))
    plain("search", lambda found: found.search(request.args.get("q", "")[:200]))
    for name in ("numbers", "changes", "text", "program", "memory"):
        at_snapshot(name, lambda found, i, name=name: getattr(found, name)(i))
    for name in ("life", "why", "values"):
        at_snapshot(name, lambda found, i, name=name: getattr(found, name)(i, asked_name()))

    _save_routes(api, reader)
    scene_routes.register(api, services, reader, kept)


def _save_routes(api: Blueprint, reader: Callable[[str], Reader]) -> None:
    def saved(body: str | bytes, kind: str, name: str) -> Response:
        return Response(body, mimetype=kind, headers={"Content-Disposition": f"attachment; filename={name}"})

    @api.get("/r/<identifier>/trace.json")
    def trace(identifier: str) -> Response:
        return saved(orjson.dumps(reader(identifier).trace()), "application/json", "trace.json")

    @api.get("/r/<identifier>/compare")
    def compare(identifier: str) -> Response:
        other = reader(checked(request.args.get("with", "")))
        return answer(reader(identifier).compare(other))

    @api.get("/r/<identifier>/recording.glowrec")
    def recording(identifier: str) -> Response:
        return saved(reader(identifier).content(), "application/octet-stream", "run.glowrec")

    @api.get("/r/<identifier>/picture/<int:snapshot>")
    def picture(identifier: str, snapshot: int) -> Response:
        found = reader(identifier)
        check_snapshot(found, snapshot)
        return saved(found.picture(snapshot), "image/svg+xml", "graph.svg")


def _upload_routes(api: Blueprint, services: Services) -> None:
    @api.post("/uploads")
    def begin() -> Response:
        return answer({"upload": services.store.begin_upload(), "limit": services.store.limits.upload}, status=201)

    @api.put("/uploads/<upload>")
    def receive(upload: str) -> Response:
        size = services.store.receive(upload, asked_name(), request.stream, request.content_length)
        return answer({"size": size})

    @api.delete("/uploads/<upload>")
    def cancel(upload: str) -> Response:
        services.store.cancel_upload(upload)
        return answer({})


def _work_routes(api: Blueprint, services: Services) -> None:
    workshop = services.workshop

    @api.get("/health")
    def health() -> Response:
        return answer({"ok": True, "version": glowviz.__version__, "local": services.local})

    @api.get("/gallery")
    def gallery() -> Response:
        return answer({"cards": workshop.gallery()})

    @api.get("/recordings")
    def recordings() -> Response:
        rows = []
        for name, path in services.store.recordings()[:20]:
            notes = services.store.notes(name)
            shown = {"title": notes.get("title", ""), "bound": notes.get("bound", "")}
            rows.append({"id": name, "used": last_used(path), **shown})
        return answer({"recordings": rows})

    @api.post("/compile")
    def compile_model() -> Response:
        made = workshop.compile(asked_body())
        return answer(made, status=422 if "dims" in made else 202)

    @api.post("/open")
    def open_path() -> Response:
        if not services.local:
            raise Problem("This server does not open its own files.", expected="glowviz on 127.0.0.1 with one user.",
                          remedy="Upload the model instead.", status=403)
        body = asked_body()
        path = body.get("path")
        if not isinstance(path, str) or not path.strip():
            raise Problem("No path was given.", expected="The path of an .onnx, .glow or .glowrec file.")
        made = workshop.open_path(Path(path.strip()).expanduser(), body.get("shapes"))
        return answer(made, status=422 if "dims" in made else 202)


def _lesson_routes(api: Blueprint) -> None:
    @api.get("/lessons")
    def lesson_list() -> Response:
        return answer({"lessons": [one.card() for one in lessons()]})

    @api.get("/lessons/<name>")
    def one_lesson(name: str) -> Response:
        return answer(lesson(name).payload())


def _job_routes(api: Blueprint, workshop: Workshop) -> None:
    @api.get("/jobs/<identifier>")
    def job(identifier: str) -> Response:
        return answer(workshop.job(checked(identifier)))

    @api.delete("/jobs/<identifier>")
    def cancel_job(identifier: str) -> Response:
        workshop.cancel(checked(identifier))
        return answer({})

    @api.get("/glow/examples")
    def examples() -> Response:
        return answer({"examples": worked_examples()})

    @api.post("/glow")
    def glow() -> Response:
        body = asked_body()
        text, passes = body.get("text"), body.get("passes", [])
        if not isinstance(text, str) or not isinstance(passes, list):
            raise Problem("The editor sent no text.", expected="{text, passes}.")
        return answer(workshop.glow(text, [str(name) for name in passes]))
