"""Payloads leave the server as JSON with an ETag, and Problems as JSON with their own status."""

import hashlib

import orjson
from flask import Response, request

from glowviz.app.problem import payload_of
from glowviz.app.reader import Payload
from glowviz.compiler.problem import Problem

OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


def answer(payload: Payload, *, status: int = 200, final: bool = False) -> Response:
    """Return `payload` as a response; `final` says that the same address will always answer the same."""
    return answer_text(orjson.dumps(payload, option=OPTIONS), status=status, final=final)


def answer_text(body: bytes, *, status: int = 200, final: bool = False) -> Response:
    """Return JSON text as a response, as `answer` does."""
    response = Response(body, status=status, mimetype="application/json")
    response.set_etag(hashlib.blake2b(body, digest_size=12).hexdigest())
    if final:
        response.cache_control.max_age = 31_536_000
        response.cache_control.immutable = True
        response.cache_control.private = True
    else:
        response.cache_control.no_cache = True
    response.make_conditional(request)
    return response


def refusal(problem: Problem) -> Response:
    """Return a Problem as the page shows it; the compiler's own ones are the request's fault (400)."""
    return answer({"problem": payload_of(problem)}, status=getattr(problem, "status", 400))
