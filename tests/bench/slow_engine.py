"""The odd engine that is always slow."""

from glowviz.bench.engine import Request
from tests.bench.odd_engines import Odd


def load(request: Request) -> Odd:
    engine = Odd(request)
    engine.way = "slow"
    return engine
