"""The /api routes of pictures: small ones are drawn at once, large ones by a job that the canvas waits for."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, request

from glowviz.app.answers import answer, answer_text
from glowviz.app.asked import asked_json, check_snapshot
from glowviz.app.kept_answers import KeptAnswers
from glowviz.app.problem import Problem
from glowviz.app.reader import Reader, SceneRequest
from glowviz.app.services import Drawer, Services
from glowviz.app.store import checked


def register(api: Blueprint, services: Services, reader: Callable[[str], Reader], kept: KeptAnswers) -> None:
    """Add the routes of scenes and of drawings under way."""
    drawer = services.drawer

    @api.get("/r/<identifier>/scene/<int:snapshot>")
    def scene(identifier: str, snapshot: int) -> Response:
        found = reader(identifier)
        check_snapshot(found, snapshot)
        asked = scene_request(found, snapshot)
        if "with" in request.args:
            return answer(found.scene_against(reader(checked(request.args["with"])), asked))
        if drawer is None or not found.finished() or not found.is_large(asked):
            if not found.finished():
                return answer(found.scene(asked))
            return answer_text(kept.json(found, request.full_path, lambda: found.scene(asked)), final=True)
        drawn = drawer.scene(services.store.recording_path(identifier), asked)
        return answer_text(drawn, final=True) if isinstance(drawn, bytes) else answer(drawn, status=202)

    @api.get("/drawings/<int:number>")
    def drawing(number: int) -> Response:
        return answer(_drawer(services).progress(number))

    @api.delete("/drawings/<int:number>")
    def stop(number: int) -> Response:
        _drawer(services).cancel(number)
        return answer({})


def _drawer(services: Services) -> Drawer:
    if services.drawer is None:
        raise Problem("This server draws every picture at once.", status=404)
    return services.drawer


def scene_request(found: Reader, snapshot: int) -> SceneRequest:
    """Read which picture the request wants; raises Problem where it is malformed."""
    base = request.args.get("base", type=int)
    if base is not None:
        check_snapshot(found, base)
    opened = asked_json(request.args.get("open", "[]"))
    if not isinstance(opened, list) or not all(isinstance(name, str) for name in opened):
        raise Problem("The list of unfolded blocks is malformed.", expected="?open=[…] with block names.")
    fold = request.args.get("fold", "blocks")
    if fold not in ("blocks", "scopes", "none"):
        raise Problem(f"No folding is called “{fold}”.", expected="blocks, scopes or none.")
    return SceneRequest(snapshot, base, fold, tuple(opened), request.args.get("constants") == "1")
