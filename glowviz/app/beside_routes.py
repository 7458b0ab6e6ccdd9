"""Another engine beside a run: timed here by a job, or read from a profile that somebody gives."""

from flask import Blueprint, Response

from glowviz.app.answers import answer
from glowviz.app.asked import asked_body
from glowviz.app.services import Services
from glowviz.app.store import checked


def register(api: Blueprint, services: Services) -> None:
    """Add the route to `api`; the answer is a check, as of `bisect`."""

    @api.post("/r/<identifier>/peer")
    def peer(identifier: str) -> Response:
        body = asked_body()
        services.open_reader(checked(identifier))  # says so where there is none
        files = []
        if "upload" in body:
            kept = services.store.keep_upload(str(body["upload"]))
            files = sorted(services.store.kept_files(str(kept["kept"])).values())
        profile = str(files[0]) if files else ""
        return answer({"check": services.workshop.beside(identifier, profile)}, status=202)
