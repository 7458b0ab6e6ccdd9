"""Every answer that a page without a server may need, by its address, and packed as small as browsers can unpack."""

import base64
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

import orjson

from glowviz.app.answers import OPTIONS
from glowviz.app.problem import Problem
from glowviz.app.reader import Payload, SceneRequest
from glowviz.app.recordings import RecordingReader

IDENTIFIER = "0" * 32  # the id that assets/standalone.js opens
HERE = f"/api/r/{IDENTIFIER}"
BUDGET = 24 << 20  # bytes of payloads; what is asked for least is left out first
MOST_MAPS = 1 << 19  # bytes of pictures of tensors
MOST_LIVES = 3000
DEEPEST = 4  # levels of blocks in blocks that are unfolded
VARIANTS = 9  # ways of looking at a state beside the first: folding, unfolded or not, constants or not
Pictures = Iterator[tuple[str, Payload]]
Progress = Callable[[float, str], None]
SAME = "same"  # a payload that another address has already, but for the state's number


def packed(payloads: Payload) -> str:
    """Return payloads as base64 of deflated JSON: about a sixth of their size."""
    return base64.b64encode(zlib.compress(orjson.dumps(payloads, option=OPTIONS), 9)).decode()


def collect(reader: RecordingReader, progress: Progress = lambda done, what: None) -> Payload:
    """Return address → payload, in the addresses that the modules ask for; {same: address} where one says it already.

    States between two changes share pictures and texts; life cards, refusals and values are told once, as at the end.
    Where there is no room for all, each kind of answer leaves some to those that are asked for less.
    """
    room, done = _Room(), 0.0
    for what, payload in _basics(reader):
        room.add(what, payload)
    for wave in _waves(reader, room):
        least = room.left * (1 - wave.room)
        for count, (address, payload) in enumerate(wave.payloads):
            progress(done + wave.work * min(1, count / wave.expected), f"Saving: {wave.what}")
            if not room.add(address, payload) or room.left < least:
                break
        done += wave.work
    return room.found


class _Wave(NamedTuple):
    """One kind of answer: its shares of all work and of the room that is left, and about how many there are."""

    what: str
    work: float
    room: float
    expected: int
    payloads: Pictures


def _waves(reader: RecordingReader, room: "_Room") -> Iterator[_Wave]:
    """Yield what is asked for most first."""
    states, names = reader.snapshots(), MOST_LIVES
    yield _Wave("states", 0.1, 1.0, 3 * states, _states(reader))
    yield _Wave("life cards", 0.08, 0.7, names, _lives(reader, room))
    yield _Wave("texts", 0.07, 0.7, 2 * states, _texts(reader))
    yield _Wave("unfolded blocks", 0.6, 0.6, VARIANTS * states, _unfolded(reader))
    yield _Wave("refusals and values", 0.1, 0.7, 2 * names, _refusals(reader, room))
    yield _Wave("machine code", 0.05, 1.0, 100, _code(reader, room))


class _Room:
    """Payloads by address, until there is no room for more."""

    def __init__(self) -> None:
        self.found: Payload = {}
        self.left = BUDGET
        self._known: dict[bytes, str] = {}

    def add(self, what: str, payload: Payload) -> bool:
        """Keep a payload; returns whether it fitted."""
        text = orjson.dumps({**payload, "snapshot": 0, "base": 0}, option=OPTIONS)
        before = self._known.setdefault(text, what)
        self.left -= 0 if before != what else len(text)
        if self.left < 0:
            return False
        self.found[f"{HERE}/{what}"] = payload if before == what else {SAME: f"{HERE}/{before}"}
        return True

    def boxes(self) -> list[str]:
        """Return the name of every box of every picture so far."""
        scenes = [payload for what, payload in self.found.items() if what.startswith(f"{HERE}/scene/")]
        return list(dict.fromkeys(name for one in scenes if SAME not in one for name in one["boxes"]["name"]))


def _basics(reader: RecordingReader) -> Iterator[tuple[str, Payload]]:
    for name in ("overview", "passes", "problems", "kernels", "hunt", "rewrites"):
        yield name, getattr(reader, name)()
    yield "names", reader.names()


def _states(reader: RecordingReader) -> Iterator[tuple[str, Payload]]:
    yield from _scenes(reader, "blocks")
    for at in range(reader.snapshots()):
        yield f"numbers/{at}", reader.numbers(at)
        if at:
            yield f"changes/{at}", reader.changes(at)


def changed_states(reader: RecordingReader) -> list[int]:
    """Return the states that differ from the one before, the imported one first."""
    rows = reader.passes()["rows"]
    stops = zip(rows["snapshot"], rows["changes"], strict=True)
    return [at for at, changes in stops if at == 0 or (at > 0 and changes)]


def _texts(reader: RecordingReader) -> Iterator[tuple[str, Payload]]:
    """Yield the last texts first: they are read most, and nearest stands in for what is missing."""
    last_graph = reader.recording.last("graph") or 0
    stops = changed_states(reader)
    for at in dict.fromkeys((*reversed(stops), reader.snapshots() - 1)):
        if at <= last_graph:
            yield f"text/{at}", reader.text(at)
        else:
            yield f"program/{at}", reader.program(at)
            yield f"memory/{at}", reader.memory(at)


def _scenes(reader: RecordingReader, fold: str, opened: tuple[str, ...] = (), constants: bool = False) -> Pictures:
    """Yield one picture per state; two states in a row that no pass changed look the same, and are drawn once."""
    changed, before = set(changed_states(reader)), None
    options = f"fold={fold}{'&open=all' if opened else ''}{'&constants=1' if constants else ''}"
    for at in range(reader.snapshots()):
        base = at - 1 if at else None
        if before is None or at in changed or at - 1 in changed:
            before = reader.scene(SceneRequest(at, base, fold, opened, constants))
        yield f"scene/{at}?{options}", before | {"snapshot": at, "base": base}


def _unfolded(reader: RecordingReader) -> Pictures:
    """Yield every state in each other way to look at it. Blocks are all unfolded: from that picture the page makes
    those in which some are (assets/core/refold.js)."""
    for fold in ("blocks", "scopes"):
        opened = openable(reader, fold)
        if fold != "blocks":
            yield from _scenes(reader, fold)
        if opened:
            yield from _scenes(reader, fold, opened)
        yield from _scenes(reader, fold, (), constants=True)
        if opened:
            yield from _scenes(reader, fold, opened, constants=True)
    if not reader.is_large(SceneRequest(0, fold="none")):
        yield from _scenes(reader, "none")
        yield from _scenes(reader, "none", constants=True)


def openable(reader: RecordingReader, fold: str) -> tuple[str, ...]:
    """Return the blocks that can be unfolded in the page, from the outermost inwards, as far as pictures stay small."""
    names: tuple[str, ...] = ()
    for _ in range(DEEPEST):
        seen = reader.scene(SceneRequest(0, None, fold, names))
        found = [seen["boxes"]["name"][int(at)] for at in seen["members"]]
        for most in (len(found), len(found) // 2, len(found) // 8):
            more = tuple(found[:most])
            if not reader.is_large(SceneRequest(0, None, fold, names + more)):
                break
        else:
            return names
        if not more:
            return names
        names += more
    return names


def _lives(reader: RecordingReader, room: _Room) -> Iterator[tuple[str, Payload]]:
    """Yield one life card per box, node and buffer that ever was; the modules ask for it whatever state is shown."""
    last = reader.snapshots() - 1
    names = [row["name"] for row in reader.recording.query("SELECT DISTINCT name FROM nodes ORDER BY rowid")]
    buffers = [row["name"] for row in reader.recording.query("SELECT DISTINCT name FROM buffers ORDER BY rowid")]
    for name in list(dict.fromkeys((*room.boxes(), *names, *buffers)))[:MOST_LIVES]:
        at = 0 if name.startswith("fold:") else last
        yield from _told(f"life?name={name}", lambda at=at, name=name: reader.life(at, name))


def _refusals(reader: RecordingReader, room: _Room) -> Iterator[tuple[str, Payload]]:
    """Yield why each node was left alone, as asked in the last graph in which it lives, and its values."""
    last, maps = reader.recording.last("graph") or 0, Counter[str]()
    rows = reader.recording.query("SELECT name, MAX(died) AS died FROM nodes GROUP BY name ORDER BY MIN(rowid)")
    ends = dict.fromkeys(room.boxes(), last) | {row["name"]: min(last, row["died"] - 1) for row in rows[:MOST_LIVES]}
    for name, at in sorted(ends.items(), key=lambda one: -one[1]):  # state by state: each graph is read once
        yield from _told(f"why?name={name}", lambda name=name, at=at: reader.why(at, name))
        yield from _told(f"values?name={name}", lambda name=name, at=at: _values(reader, at, name, maps))


def _values(reader: RecordingReader, at: int, name: str, maps: Counter[str]) -> Payload:
    """Return a tensor's numbers; its maps only as long as the page has room for them, for they hardly pack."""
    found = reader.values(at, name)
    maps["bytes"] += len((found.get("picture") or {}).get("pixels", ""))
    return found if maps["bytes"] < MOST_MAPS else found | {"picture": None}


def _code(reader: RecordingReader, room: _Room) -> Iterator[tuple[str, Payload]]:
    """Yield the code of kernels, the slowest first."""
    rows = room.found[f"{HERE}/kernels"]["rows"]
    order = sorted(range(len(rows["name"])), key=lambda at: -(rows["ms"][at] or 0))
    for name in dict.fromkeys(rows["name"][at] for at in order):
        yield from _told(f"kernel?name={name}", lambda name=name: reader.kernel(name))


def _told(what: str, ask: Callable[[], Payload]) -> Iterator[tuple[str, Payload]]:
    with suppress(Problem):  # no answer here is no answer in the page either
        yield what, ask()
