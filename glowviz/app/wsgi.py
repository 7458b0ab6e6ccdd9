"""The app for several web workers of one machine: gunicorn -w 2 --threads 8 'glowviz.app.wsgi:application()'.

GLOWVIZ_TOKEN is the secret that opens it (any user that has none is refused); without one, only this machine is
answered. GLOWVIZ_HOSTS are the names it is reached by, with commas between, beside localhost.
"""

import os
import secrets

from flask import Flask, Response, abort, request

from glowviz.app.server import create_app, is_loopback, real_services
from glowviz.app.store import Store
from glowviz.app.workshop import JobWorkshop


def application() -> Flask:
    """Return the WSGI application; every worker makes its own, and all share the store and its queue of jobs."""
    import glowviz.compiler.passes  # noqa: F401  # takes 0.2 s, which no user should wait for

    store = Store()
    token = os.environ.get("GLOWVIZ_TOKEN") or None
    hosts = frozenset(name.strip() for name in os.environ.get("GLOWVIZ_HOSTS", "").split(",") if name.strip())
    server = create_app(real_services(store, JobWorkshop(store), local=False), hosts=hosts, token=token).server
    if token is None:
        server.before_request(_only_here)
    _name_worker(server)
    return server


def _only_here() -> None:
    if not is_loopback(request.remote_addr or ""):
        abort(403, "Without GLOWVIZ_TOKEN in its environment, this server answers its own machine only.")


def _name_worker(server: Flask) -> None:
    """Say with every answer which worker gave it: a random name, not a process number."""
    name = secrets.token_hex(4)

    @server.after_request
    def named(response: Response) -> Response:
        response.headers["X-Worker"] = name
        return response
