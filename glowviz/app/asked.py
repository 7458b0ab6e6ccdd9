"""What a request names (a value, a state, a JSON body) is checked here before anything is done with it."""

import orjson
from flask import request

from glowviz.app.problem import Problem
from glowviz.app.reader import Payload, Reader

MAX_NAME = 2000
BODY_LIMIT = 4 << 20


def check_snapshot(found: Reader, snapshot: int) -> None:
    """Raise Problem unless the recording has this state."""
    count = found.snapshots()
    if not 0 <= snapshot < count:
        raise Problem(f"This recording has no state {snapshot}.", expected=f"A state from 0 to {count - 1}.",
                      remedy="Choose a pass in the ledger.", status=404)


def asked_name() -> str:
    """Return the value that ?name= names."""
    name = request.args.get("name", "")
    if not name or len(name) > MAX_NAME:
        raise Problem("The request names no value.", expected="?name=… with the name of a value.")
    return name


def asked_json(text: str | bytes) -> object:
    """Return what JSON text holds."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Problem("The request is not JSON.", expected="JSON.", remedy="Reload the page.") from error


def asked_body() -> Payload:
    """Return the JSON object that was sent."""
    if (request.content_length or 0) > BODY_LIMIT:
        raise Problem("The request is too long.", expected="At most 4 MiB.", status=413)
    body = asked_json(request.get_data())
    if not isinstance(body, dict):
        raise Problem("The request is not a JSON object.", expected="An object.")
    return body
