"""The Dash app on Flask, closed by default: strict CSP, known Host headers only, loopback unless a token is set."""

import ipaddress
import secrets
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import resources
from pathlib import Path

import dash
import orjson
from flask import Flask, Response, abort, redirect, request
from flask_compress import Compress
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from glowviz.app import theme
from glowviz.app.answers import refusal
from glowviz.app.callbacks import charts
from glowviz.app.drawing import Draughtsman
from glowviz.app.problem import Problem
from glowviz.app.recordings import Shelf
from glowviz.app.routes import blueprint
from glowviz.app.services import Services
from glowviz.app.store import Store
from glowviz.app.views.page import page
from glowviz.app.workshop import JobWorkshop
from glowviz.compiler.problem import Problem as CompilerProblem
from glowviz.jobs import cluster as jobs_of_cluster

COOKIE = "glowviz_token"
GALLERY = "gallery:"  # how the command line names a card
INDEX = """<!DOCTYPE html>
<html lang="en" data-theme="light">
<head>{%metas%}<title>{%title%}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" type="image/svg+xml" href="/assets/icons/glowviz.svg">
<link rel="preload" as="font" type="font/woff2" href="/assets/fonts/inter-400.woff2" crossorigin>
<link rel="preload" as="font" type="font/woff2" href="/assets/fonts/inter-600.woff2" crossorigin>
<style>THEME</style>{%css%}
<script type="application/json" id="glowviz-marks">MARKS</script></head>
<body>{%app_entry%}<footer>{%config%}
<script src="/assets/components.js"></script>
{%scripts%}{%renderer%}</footer></body>
</html>"""


def assets_folder() -> Path:
    """Return the folder of style sheets and modules, in an installed package or beside it in a working copy."""
    installed = Path(str(resources.files("glowviz"))) / "assets"
    return installed if installed.is_dir() else installed.parent.parent / "assets"


def create_app(services: Services, *, hosts: frozenset[str] = frozenset(), token: str | None = None) -> dash.Dash:
    """Return the Dash app; `hosts` are Host names answered beside loopback's, `token` is asked for when set."""
    server = Flask("glowviz", static_folder=None)
    app = dash.Dash(
        "glowviz", server=server,  # type: ignore[arg-type]  # Dash annotates its own backends only
        title="glowviz", update_title="", assets_folder=str(assets_folder()),
        assets_ignore=r".*\.js$", serve_locally=True, suppress_callback_exceptions=False,
    )
    app.index_string = INDEX.replace("THEME", theme.css()).replace("MARKS", orjson.dumps(theme.marks()).decode())
    app.layout = page()
    charts.register(app, services)
    server.config["COMPRESS_MIMETYPES"] = ["text/html", "text/css", "text/javascript", "application/json"]
    server.config["COMPRESS_LEVEL"] = 4
    server.config["COMPRESS_STREAMS"] = False  # files of assets/ would stay open after being compressed
    Compress(server)
    server.register_blueprint(blueprint(services))
    server.register_error_handler(500, _broken)
    _guard(server, hosts, token)
    _headers(server, app)
    return app


def _broken(error: Exception) -> Response | tuple[str, int]:
    """Answer a fault of ours in one sentence; the traceback goes to the log, never to the browser."""
    if request.path.startswith("/api/"):
        remedy = "See its log and report it."
        return refusal(Problem("glowviz failed while answering.", request.path, remedy=remedy, status=500))
    return "glowviz failed while answering; see its log.", 500


def _guard(server: Flask, hosts: frozenset[str], token: str | None) -> None:
    known = {"localhost", "127.0.0.1", "[::1]"} | hosts

    @server.before_request
    def check() -> Response | None:
        # An unknown Host header is how another site's name is pointed at this machine (DNS rebinding).
        if request.host.rsplit(":", 1)[0] not in known and request.host not in known:
            abort(421, "This Host name is not served here.")
        origin = request.headers.get("Origin")
        if request.method not in ("GET", "HEAD") and origin not in (None, request.host_url.rstrip("/")):
            abort(403, "Requests from other sites are refused.")
        return _check_token(token)


def _check_token(token: str | None) -> Response | None:
    if token is None or secrets.compare_digest(request.cookies.get(COOKIE, ""), token):
        return None
    if secrets.compare_digest(request.args.get("token", ""), token):
        response = redirect(request.path)
        response.set_cookie(COOKIE, token, httponly=True, samesite="Strict")
        return response  # type: ignore[return-value]  # werkzeug's Response is Flask's base class
    abort(403, "Open the address that glowviz printed at its start: it carries the token.")


def _headers(server: Flask, app: dash.Dash) -> None:
    policies: list[str] = []

    @server.after_request
    def close(response: Response) -> Response:
        if not policies:  # hashes exist once all callbacks are known, which is at the first request
            policies.append(_policy(list(app.csp_hashes())))
        response.headers["Content-Security-Policy"] = policies[0]
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        return response


def _policy(hashes: list[str]) -> str:
    return "; ".join((
        "default-src 'self'",
        "script-src 'self' " + " ".join(hashes),
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ))


class _Quiet(WSGIRequestHandler):
    """Says nothing about requests that went well, and nothing about versions."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        return

    def version_string(self) -> str:
        return "glowviz"


def is_loopback(host: str) -> bool:
    """Return whether `host` is reachable from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def make_web_server(app: dash.Dash, host: str, port: int) -> BaseWSGIServer:
    """Return a threaded server bound to host:port (0 = any free one); raises Problem when the port is taken."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Problem(f"{host}:{port} cannot be opened: {error.strerror or error}", "--host and --port",
                          "an address of this machine and a free port",
                          f"Give another one, for example --port {port + 1}") from error
    return make_server(host, port, app.server, threaded=True, request_handler=_Quiet)


def serve(
    model: str | None = None, shapes: Mapping[str, tuple[int, ...]] | None = None, *, host: str = "127.0.0.1",
    port: int = 8050, browser: bool = True, load: Sequence[str] = (), cluster: str | None = None,
    store: Store | None = None,
) -> int:
    """Open the app, with a model (or recording) when one is given, and run until interrupted; returns the exit status.

    On any address but loopback a token is made and printed, and paths of this machine cannot be opened. `cluster` is
    the address of a Dask scheduler on whose workers models are compiled.
    """
    if cluster is not None:
        jobs_of_cluster.check(cluster)
    local = is_loopback(host)
    token = None if local else secrets.token_urlsafe(24)
    shelf_store = store or Store()
    workshop = JobWorkshop(shelf_store, load=load, cluster=cluster or "")
    app = create_app(real_services(shelf_store, workshop, local), hosts=frozenset({host}), token=token)
    server = make_web_server(app, host, port)
    try:
        path = _first_path(workshop, model, dict(shapes or {}))
    except BaseException:
        server.server_close()
        workshop.close()
        raise
    address = f"http://{'[' + host + ']' if ':' in host else host}:{server.server_port}{path}"
    secret = f"{'&' if '?' in path else '?'}token={token}" if token else ""
    print(f"glowviz runs on {address}{secret}", file=sys.stderr)
    threading.Thread(target=_warm, args=(workshop,), daemon=True).start()
    signal.signal(signal.SIGTERM, _interrupt)
    if browser:
        threading.Timer(0.3, webbrowser.open, [address + secret]).start()
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print("glowviz stopped", file=sys.stderr)
    finally:
        server.server_close()
        workshop.close()
    return 0


def _interrupt(number: int, frame: object) -> None:
    """Make an end by SIGTERM as orderly as one by Ctrl-C: jobs must not outlive the app."""
    raise KeyboardInterrupt


def real_services(store: Store, workshop: JobWorkshop, local: bool = True) -> Services:
    """Return services that read the store's recordings and compile in child processes."""
    shelf = Shelf(store, workshop.progress)
    return Services(store, shelf.reader, workshop, local, Draughtsman(workshop.pool))


def _first_path(workshop: JobWorkshop, model: str | None, shapes: dict[str, tuple[int, ...]]) -> str:
    """Return the path to open in the browser; a model given on the command line is compiling by then."""
    if model is None:
        return "/"
    if model.startswith("gallery:"):
        return f"/?recording={workshop.compile({'gallery': model.removeprefix('gallery:')})['recording']}"
    if model.startswith(GALLERY):
        made = workshop.compile({"gallery": model.removeprefix(GALLERY)})
    else:
        made = workshop.open_path(Path(model), full_shapes=shapes)
    if "dims" in made:
        wanted = ", ".join(f"{dim['name']} of {dim['input']}" for dim in made["dims"])
        raise Problem(f"{model} leaves dimensions open: {wanted}", "the model's inputs", "a number for each",
                      f"Give {_example(Path(model))}, or other numbers")
    return f"/?recording={made['recording']}"


def _example(model: Path) -> str:
    """The --shape options that would do for a model with free dimensions."""
    from glowviz.app.work import fitting
    from glowviz.compiler.shapes import shape_text

    return " ".join(shape_text(name, shape) for name, shape in fitting(str(model), {}).items())


def _warm(workshop: JobWorkshop) -> None:
    """Have one gallery card compiled by the time somebody clicks it; a failure shows when the card is opened."""
    with suppress(CompilerProblem, OSError, TimeoutError):
        workshop.warm()
