"""Routes of long work on a recording: cut-outs with their weights, the search for a wrong rewrite, saved pages."""

import mimetypes

from flask import Blueprint, Response, request

from glowviz.app.again import predicate_of
from glowviz.app.answers import answer
from glowviz.app.asked import MAX_NAME, asked_body, check_snapshot
from glowviz.app.problem import Problem
from glowviz.app.reader import Payload
from glowviz.app.saving import FUNCTIONS
from glowviz.app.services import Services, Workshop
from glowviz.app.store import checked

LONGEST_VIEW = 4000
TOLERANCE = 2e-5  # of max |value|: what f32 arithmetic in another order may change over a whole network


def register(api: Blueprint, services: Services) -> None:
    """Add the routes to `api`."""
    workshop = services.workshop
    _register_checks(api, workshop)

    @api.get("/r/<identifier>/cutout/<int:snapshot>")
    def cutout(identifier: str, snapshot: int) -> Response:
        services.store.touch(checked(identifier))
        found = services.open_reader(identifier)
        check_snapshot(found, snapshot)
        name, kind = request.args.get("name", ""), request.args.get("kind", "glow")
        if kind == "onnx":
            return saved(workshop.cutout(identifier, snapshot, name).read_bytes(), "cutout.onnx")
        return saved(found.cutout(snapshot, name).encode(), "cutout.glow")

    @api.get("/r/<identifier>/order")
    def order(identifier: str) -> Response:
        return answer(workshop.order(checked(identifier)))

    @api.post("/r/<identifier>/bisect")
    def bisect(identifier: str) -> Response:
        body = asked_body()
        if "question" in body:
            number = workshop.bisect_by(checked(identifier), asked_question(body["question"]))
            return answer({"check": number}, status=202)
        tolerance = body.get("tolerance", TOLERANCE)
        if not isinstance(tolerance, (int, float)) or not 0 <= tolerance <= 1:
            raise Problem(f"A tolerance of {tolerance} says nothing.", "Bisect", "a number from 0 to 1, of max |value|")
        return answer({"check": workshop.bisect(checked(identifier), float(tolerance))}, status=202)

    @api.post("/r/<identifier>/save")
    def save(identifier: str) -> Response:
        body = asked_body()
        kind, view = body.get("kind"), str(body.get("view", ""))
        if kind not in FUNCTIONS:
            raise Problem(f"A run is not saved as {kind!r}.", "Save", " or ".join(FUNCTIONS))
        services.open_reader(checked(identifier))  # says so where there is none
        return answer({"check": workshop.save(identifier, kind, view[:LONGEST_VIEW])}, status=202)


def _register_checks(api: Blueprint, workshop: Workshop) -> None:
    """Add the routes of long work that is under way or done."""

    @api.get("/checks/<int:number>")
    def check(number: int) -> Response:
        return answer(workshop.check(number))

    @api.delete("/checks/<int:number>")
    def cancel_check(number: int) -> Response:
        workshop.cancel_check(number)
        return answer({})

    @api.get("/checks/<int:number>/<name>")
    def check_file(number: int, name: str) -> Response:
        return saved(workshop.check_file(number, name).read_bytes(), name)


def asked_question(given: object) -> Payload:
    """Return the question of a search with only what is known of it; raises Problem where it cannot be asked."""
    question = given if isinstance(given, dict) else {}
    kind = question.get("kind")
    if kind == "time" and isinstance(percent := question.get("percent"), (int, float)) and 0 <= percent <= 1000:
        return {"kind": "time", "percent": float(percent)}
    if kind == "peak" and (question.get("limit") is None or isinstance(question["limit"], (int, float))):
        limit = question.get("limit")
        return {"kind": "peak", "limit": None if limit is None else int(limit)}
    if kind == "pattern" and isinstance(query := question.get("query"), str) and len(query) < MAX_NAME:
        asked = {"kind": "pattern", "query": query, "present": question.get("present") is not False}
        predicate_of(asked)  # says at once what is wrong with it
        return asked
    expected = "{kind: peak, limit} or {kind: pattern, query, present} or {kind: time, percent}"
    raise Problem("The search has no question.", "Bisect", expected)


def saved(body: bytes, name: str) -> Response:
    """Return `body` as a file to keep."""
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    kind = "text/plain" if name.endswith((".glow", ".py")) else kind
    return Response(body, mimetype=kind, headers={"Content-Disposition": f"attachment; filename={name}"})
