"""Answers of finished recordings are made once: their JSON is kept, as it was sent, for as long as the reader is."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from weakref import WeakKeyDictionary

import orjson

from glowviz.app.answers import OPTIONS
from glowviz.app.reader import Payload, Reader

MOST = 6 << 20  # bytes of JSON kept per recording


@dataclass
class _Shelfful:
    """What is kept of one recording: address → JSON, the last used at the end; a lock per answer in the making."""

    found: OrderedDict[str, bytes] = field(default_factory=OrderedDict)
    making: dict[str, Lock] = field(default_factory=dict)
    size: int = 0


class KeptAnswers:
    """Safe for several threads; the same answer asked for by several at once is made by the first."""

    def __init__(self) -> None:
        self._kept: WeakKeyDictionary[Reader, _Shelfful] = WeakKeyDictionary()
        self._lock = Lock()

    def json(self, reader: Reader, address: str, ask: Callable[[], Payload]) -> bytes:
        """Return the JSON of `ask()`, which is called only when no answer to `address` is kept.

        What `ask` raises is raised to everybody who waits, each after asking for himself.
        """
        with self._lock:
            kept = self._kept.setdefault(reader, _Shelfful())
            found = _used(kept, address)
            making = kept.making.setdefault(address, Lock())
        if found is not None:
            return found
        with making:
            with self._lock:
                found = _used(kept, address)
            if found is None:
                found = orjson.dumps(ask(), option=OPTIONS)
                with self._lock:
                    _keep(kept, address, found)
        return found


def _used(kept: _Shelfful, address: str) -> bytes | None:
    found = kept.found.get(address)
    if found is not None:
        kept.found.move_to_end(address)
        kept.making.pop(address, None)
    return found


def _keep(kept: _Shelfful, address: str, found: bytes) -> None:
    kept.found[address] = found
    kept.size += len(found)
    kept.making.pop(address, None)
    while kept.size > MOST and len(kept.found) > 1:
        kept.size -= len(kept.found.popitem(last=False)[1])
