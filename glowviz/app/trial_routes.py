"""Routes of what a run is given: which inputs a model takes, files for them, and a look before anything is compiled."""

from flask import Blueprint, Response

from glowviz.app.answers import answer
from glowviz.app.asked import asked_body
from glowviz.app.services import Services
from glowviz.app.store import checked


def register(api: Blueprint, services: Services) -> None:
    """Add the routes to `api`."""

    @api.get("/r/<identifier>/inputs")
    def inputs(identifier: str) -> Response:
        return answer(services.workshop.inputs(checked(identifier)))

    @api.post("/r/<identifier>/look")
    def look(identifier: str) -> Response:
        return answer(services.workshop.look(checked(identifier), asked_body()))

    @api.post("/uploads/<upload>/keep")
    def keep(upload: str) -> Response:
        return answer(services.store.keep_upload(upload))
