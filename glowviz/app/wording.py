"""Numbers and facts as the page words them: three digits, a unit, a real minus sign, no exclamation mark."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def digits(value: float, count: int = 3) -> str:
    """Return `value` with `count` significant digits and no trailing zeros: 38.9, 0.012, 3e-07, 1,234."""
    if value == 0:
        return "0"
    if abs(value) >= 10**count:
        return f"{value:,.0f}".replace("-", "−")
    if abs(value) < 1e-3:
        mantissa, power = f"{value:.0e}".split("e")
        return f"{mantissa}e{int(power)}".replace("-", "−", 1) if value < 0 else f"{mantissa}e{int(power)}"
    return f"{value:.{count}g}".replace("-", "−")


def byte_text(count: float) -> str:
    """Return bytes in binary units: 784 KiB, 9.19 MiB."""
    size, unit = abs(float(count)), 0
    while size >= 1024 and unit < len(UNITS) - 1:
        size, unit = size / 1024, unit + 1
    text = digits(size) if unit else f"{size:.0f}"
    return f"{'−' if count < 0 else ''}{text} {UNITS[unit]}"


def signed(count: float, text: str) -> str:
    """Return `text` (of the absolute value) with the sign of `count`."""
    return f"{'−' if count < 0 else '+'}{text}"


def time_text(seconds: float) -> str:
    """Return a duration: 38.9 ms, 12 µs, 40 ns, 1.2 s."""
    if seconds >= 1:
        return f"{digits(seconds)} s"
    if seconds >= 1e-3:
        return f"{digits(seconds * 1e3)} ms"
    # clocks tell no part of a nanosecond
    return f"{digits(seconds * 1e6)} µs" if seconds >= 1e-7 or not seconds else f"{seconds * 1e9:.0f} ns"


def time_with_spread(seconds: float, around: float) -> tuple[str, str]:
    """Return a duration and its spread in the same unit, the spread no finer than the duration's last digit."""
    text = time_text(seconds)
    number, unit = text.split(" ")
    size = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}[unit]
    places = len(number.partition(".")[2])
    shown = f"{around / size:.{places}f}"
    return text, f"±{shown}" if float(shown) else ""


def flop_text(flops: float) -> str:
    """Return floating-point operations: 8.17 GFLOP, 24.8 kFLOP."""
    for size, unit in ((1e12, "TFLOP"), (1e9, "GFLOP"), (1e6, "MFLOP"), (1e3, "kFLOP")):
        if flops >= size:
            return f"{digits(flops / size)} {unit}"
    return f"{flops:.0f} FLOP"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return "1 node", "53 nodes"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def shape_of(type_text: str) -> str:
    """Return the shape of a type's text with × between dimensions: f32[1x64x56x56]@NCHW16c -> 1×64×56×56."""
    found = re.search(r"\[([^\]]*)\]", type_text)
    return found.group(1).replace("x", "×") if found else type_text


def is_bound(type_text: str) -> bool:
    """Return whether all dimensions of a type's text are numbers."""
    found = re.search(r"\[([^\]]*)\]", type_text)
    return found is None or all(part.isdigit() for part in found.group(1).split("x") if part)


def op_text(op: str, attributes: str) -> str:
    """Return the op as the page names it: a Fused node by what its body runs, Conv+Relu."""
    if op != "Fused":
        return op
    inside = re.findall(r"= ([A-Z]\w*)\(", attributes)
    return "+".join(inside[:4]) + ("+…" if len(inside) > 4 else "") if inside else op


def sentence(text: str) -> str:
    """Return `text` with exactly one full stop at its end."""
    return text.rstrip(". ") + "."


def listed(names: Iterable[str], most: int = 6) -> str:
    """Return names with commas; beyond `most` it says how many more there are."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def tally(words: Iterable[str], most: int = 4) -> str:
    """Return equal words counted, the most frequent first: 33 Conv, 16 Relu."""
    return told(dict(Counter(words).most_common()), most)


def told(counts: Mapping[str, int], most: int = 4) -> str:
    """Return counts in words, in their order; what comes after `most` is summed up."""
    parts = [f"{count:,} {word}" for word, count in list(counts.items())[:most]]
    rest = sum(list(counts.values())[most:])
    return ", ".join([*parts, f"{rest:,} others"] if rest else parts)


def median(samples: list[float]) -> float:
    """Return the middle sample; of an even number the mean of the two middle ones."""
    ordered = sorted(samples)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def spread(samples: list[float]) -> float:
    """Return half the distance between the quartiles, a spread that one slow run does not move."""
    ordered = sorted(samples)
    return (ordered[(3 * len(ordered)) // 4 - (len(ordered) % 4 == 0)] - ordered[len(ordered) // 4]) / 2


def account_of(meta: Mapping[str, Any]) -> dict[str, int]:
    """Return bytes by use, as parts that add up: packed copies are counted apart from the other weights."""
    account = dict(meta.get("account") or (meta.get("plan") or {}).get("arenas") or {})
    if "packed" in account:
        account["weights"] -= account["packed"]
    return account
