"""Attention as onnxruntime's optimizer and exporters of language models write it is taken apart, its past included."""

from __future__ import annotations

import numpy as np

from glowviz.compiler.importer.quirks import op, quirk
from glowviz.compiler.importer.quirks_quantized import MICROSOFT
from glowviz.compiler.importer.site import NotTaken, Site
from glowviz.compiler.importer.writer import Writer

LOWEST = -3.0e38
"""The score of a key that nobody may see, where the op has no number of its own for it."""


@quirk(f"{MICROSOFT}::Attention", f"{MICROSOFT}::QAttention")
def attention(site: Site) -> None:
    """Queries, keys and values by one product from the input, then attention over heads; a past comes before."""
    do = Writer(site)
    if site.kind == "QAttention":
        weights = do("DequantizeLinear", site.need(1), site.need(4), site.operand(7), axis=1)
        x = do("DequantizeLinear", site.need(0), site.need(3), site.operand(6))
        mask, past, extra = site.operand(5), site.operand(8), None
    else:
        x, weights = site.need(0), site.need(1)
        mask, past, extra = site.operand(3), site.operand(4), site.operand(5)
        if site.operand(6) is not None or site.number("past_present_share_buffer", 0):
            raise NotTaken("its past and present share a buffer")
    if site.number("do_rotary", 0):
        raise NotTaken("it turns positions")
    product = do("MatMul", x, weights)
    if site.operand(2) is not None:
        product = do("Add", product, site.need(2))
    width = do.static(weights)[1]
    sizes = site.ints("qkv_hidden_sizes") or (width // 3,) * 3
    parts = do.several(3, op("Split", product, do.const(sizes), axis=-1, num_outputs=3))
    q, k, v = (heads_of(do, part, int(site.number("num_heads", 1))) for part in parts)
    if past is not None:
        k, v = (do("Concat", (do("Gather", past, do.const(n), axis=0), one), axis=2) for n, one in ((0, k), (1, v)))
    present = None
    if len(site.results) > 1:
        present = do("Concat", tuple(do("Unsqueeze", one, axes=(0,)) for one in (k, v)), axis=0)
    do.finish(attended(do, q, k, v, mask, extra), present)


@quirk(f"{MICROSOFT}::MultiHeadAttention")
def multi_head_attention(site: Site) -> None:
    """Attention over heads of given queries, keys and values; a past comes before them."""
    if any(site.operand(i) is not None for i in (8, 9)):
        raise NotTaken("its past and present share a buffer")
    do, heads = Writer(site), int(site.number("num_heads", 1))
    parts = _given_parts(do, heads)
    if site.operand(3) is not None:
        parts = _biased(do, parts, heads)
    q, k, v = parts
    if site.operand(6) is not None:
        k = do("Concat", (site.need(6), k), axis=2)
        v = do("Concat", (site.need(7), v), axis=2)
    do.finish(attended(do, q, k, v, site.operand(4), site.operand(5)), k, v)


def _given_parts(do: Writer, heads: int) -> list[str]:
    """Queries, keys and values with their heads in front, whatever form the file gives them in."""
    site = do.site
    if site.rank(site.need(0)) == 5:  # [batch, sequence, heads, 3, size]
        return _unpacked(do, site.need(0), 3)
    q = heads_of(do, site.need(0), heads)
    if site.rank(site.need(1)) == 5:
        return [q, *_unpacked(do, site.need(1), 2)]
    if site.operand(2) is None:
        raise NotTaken("its keys and values are packed in a form that is not known here")
    both = (site.need(1), site.need(2))
    return [q, *(heads_of(do, part, heads) if site.rank(part) == 3 else part for part in both)]


def _unpacked(do: Writer, packed: str, count: int) -> list[str]:
    """[batch, sequence, heads, count, size] as that many of [batch, heads, sequence, size]."""
    parts = [do("Gather", packed, do.const(n), axis=3) for n in range(count)]
    return [do("Transpose", part, perm=(0, 2, 1, 3)) for part in parts]


def _biased(do: Writer, parts: list[str], heads: int) -> list[str]:
    """The bias [hidden · 3] added, a third to each, as [heads, 1, size]."""
    sizes = [heads * do.static(part)[3] for part in parts]
    thirds = do.several(3, op("Split", do.site.need(3), do.const(sizes), axis=0, num_outputs=3))
    shaped = [do("Reshape", third, do.const([heads, 1, -1])) for third in thirds]
    return [do("Add", part, bias) for part, bias in zip(parts, shaped, strict=True)]


def attended(do: Writer, q: str, k: str, v: str, mask: str | None, extra: str | None) -> str:
    """softmax(q · kᵀ · scale + mask) · v over heads [batch, heads, sequence, size], the heads beside each other again.

    Queries are the last of the keys' positions: with `unidirectional` none sees a later one.
    """
    scores = scaled(do, q, k)
    if extra is not None:
        scores = do("Add", scores, extra)
    if do.site.number("unidirectional", 0):
        rows, columns = do.static(scores)[2:]
        future = np.triu(np.ones((rows, columns)), 1 + columns - rows)
        scores = do("Add", scores, do.const(future * _low(do), like=q))
    if mask is not None:
        scores = do("Add", scores, _masked(do, mask, scores, q))
    return mixed(do, do("Softmax", scores, axis=-1), v)


def scaled(do: Writer, q: str, k: str) -> str:
    """q · kᵀ · scale."""
    scale = do.site.number("scale", 0.0) or 1 / np.sqrt(do.static(q)[-1])
    turned = (*range(len(do.static(k)) - 2), len(do.static(k)) - 1, len(do.static(k)) - 2)
    return do("Mul", do("MatMul", q, do("Transpose", k, perm=turned)), do.const(scale, like=q))


def mixed(do: Writer, weights: str, v: str) -> str:
    """The values by their weights, [batch, sequence, heads · size]."""
    side = do("Transpose", do("MatMul", weights, v), perm=(0, 2, 1, 3))
    return do("Reshape", side, do.const([0, 0, -1]))


def heads_of(do: Writer, value: str, heads: int) -> str:
    """[batch, sequence, heads · size] as [batch, heads, sequence, size]."""
    return do("Transpose", do("Reshape", value, do.const([0, 0, heads, -1])), perm=(0, 2, 1, 3))


def _low(do: Writer) -> float:
    """What a masked score gets added."""
    return float(do.site.number("mask_filter_value", -10000.0))


def _masked(do: Writer, mask: str, scores: str, like: str) -> str:
    """0 where a key counts, a large negative number where it does not: [B, K], [B, Q, K], or how many keys [B]."""
    rank = do.site.rank(mask)
    length = do.static(scores)[3]
    batch = do.static(scores)[0]
    if rank == 1 and do.static(mask) == (batch,):
        ends = do("Unsqueeze", mask, axes=(1,))
        places = do.const(np.arange(length)[None], like=mask)
        mask = do("Cast", do("Less", places, ends), to="i32")
        rank = 2
    if rank not in (2, 3):
        raise NotTaken("its mask has a form that is not known here")
    number = do("Cast", mask, to=do.type(like).elem)
    masked = do("Mul", do("Sub", do.const(1, like=like), number), do.const(_low(do), like=like))
    return do("Unsqueeze", masked, axes=(1, 2) if rank == 2 else (1,))


@quirk(f"{MICROSOFT}::GroupQueryAttention")
def group_query_attention(site: Site) -> None:
    """Several heads of queries share a head of keys and values; a cache, turned positions and a window of keys.

    Keys of a sequence are written behind what it has seen: `seqlens_k` + 1 is its length with them.
    """
    if any(site.operand(i) is not None for i in range(9, 14)):
        raise NotTaken("it has positions, a bias or sinks of its own")
    do, heads, groups = Writer(site), int(site.number("num_heads", 1)), int(site.number("kv_num_heads", 1))
    q, k, v = _query_parts(do, heads, groups)
    batch, _, sequence, size = do.static(q)
    total = site.known(6)
    if total is None:
        raise NotTaken("its total_sequence_length is computed at run time")
    whole = max(int(np.asarray(total).reshape(-1)[0]), do.static(site.need(3))[2] if site.operand(3) is not None else 0)
    ends = do("Add", do("Cast", do("Reshape", site.need(5), do.const([batch])), to="i64"), do.const(1))
    seen = do("Sub", ends, do.const(sequence))
    if sequence > 1 and whole == sequence:
        seen = do.const(np.zeros(batch))  # the first tokens: shorter sequences are filled up behind
    if site.number("do_rotary", 0):
        places = do("Add", do("Unsqueeze", seen, axes=(1,)), do.const(np.arange(sequence)[None]))
        q, k = (turned(do, one, places, site.need(7), site.need(8)) for one in (q, k))
    k, v = (_cached(do, past, one, seen, whole) for past, one in ((site.operand(3), k), (site.operand(4), v)))
    grouped = do("Reshape", q, do.const([batch, groups, heads // groups, sequence, size]))
    scores = scaled(do, grouped, do("Unsqueeze", k, axes=(2,)))
    softcap = float(site.number("softcap", 0.0))
    if softcap:
        bent = do("Tanh", do("Div", scores, do.const(softcap, like=q)))
        scores = do("Mul", bent, do.const(softcap, like=q))
    seeing = _visible(do, seen, sequence, whole)
    scores = do("Where", seeing, scores, do.const(LOWEST, like=q))
    found = do("MatMul", do("Softmax", scores, axis=-1), do("Unsqueeze", v, axes=(2,)))
    side = do("Transpose", do("Reshape", found, do.const([batch, heads, sequence, -1])), perm=(0, 2, 1, 3))
    do.finish(do("Reshape", side, do.const([0, 0, -1])), k, v)


def _query_parts(do: Writer, heads: int, groups: int) -> list[str]:
    """Queries, keys and values with their heads in front; packed behind each other where there are no keys."""
    site = do.site
    if site.operand(1) is not None:
        return [heads_of(do, site.need(n), count) for n, count in ((0, heads), (1, groups), (2, groups))]
    size = do.static(site.need(0))[2] // (heads + 2 * groups)
    sizes = [heads * size, groups * size, groups * size]
    parts = do.several(3, op("Split", site.need(0), do.const(sizes), axis=-1, num_outputs=3))
    return [heads_of(do, part, count) for part, count in zip(parts, (heads, groups, groups), strict=True)]


def _cached(do: Writer, past: str | None, new: str, seen: str, whole: int) -> str:
    """The past with the new ones written behind what each sequence has seen, `whole` places long."""
    batch, groups, sequence, size = do.static(new)
    if past is None and sequence == whole:
        return new
    have = 0 if past is None else do.static(past)[2]
    parts = [] if past is None else [past]
    if whole > have:
        parts.append(do.const(np.zeros((batch, groups, whole - have, size)), like=new))
    cache = do("Concat", tuple(parts), axis=2) if len(parts) > 1 else parts[0]
    return do("TensorScatter", cache, new, seen, axis=2)


def _visible(do: Writer, seen: str, sequence: int, whole: int) -> str:
    """[batch, 1, 1, sequence, whole]: a query sees keys up to its own place, and no farther back than its window."""
    own = do("Add", do("Unsqueeze", seen, axes=(1, 2, 3, 4)), do.const(np.arange(sequence)[:, None]))
    places = do.const(np.arange(whole)[None, None, None, None])
    seeing = do("LessOrEqual", places, own)
    window = int(do.site.number("local_window_size", -1))
    if window < 0:
        return seeing
    return do("And", seeing, do("Greater", places, do("Sub", own, do.const(window))))


@quirk(f"{MICROSOFT}::RotaryEmbedding")
def rotary_embedding(site: Site) -> None:
    """The halves of every head turned by the angles of their place; [B, S, hidden] or [B, heads, S, size]."""
    do, x = Writer(site), site.need(0)
    if site.number("is_packed_batching", 0) or float(site.number("scale", 1.0)) != 1.0:
        raise NotTaken("its batch is packed, or it scales")
    rank, cos, sin = len(do.static(x)), site.need(2), site.need(3)
    wide = x
    if rank == 3:
        size = 2 * do.static(cos)[1] if not site.number("num_heads", 0) else 0
        heads = int(site.number("num_heads", 0)) or do.static(x)[2] // size
        wide = heads_of(do, x, heads)
    sequence = do.static(wide)[2]
    places = site.need(1)
    if do.static(places) in ((1,), ()):  # where the first token lies
        places = do("Add", do("Reshape", places, do.const([1, 1])), do.const(np.arange(sequence)[None]))
    y = turned(do, wide, places, cos, sin)
    if rank == 3:
        y = do("Reshape", do("Transpose", y, perm=(0, 2, 1, 3)), do.const([0, 0, -1]))
    do.finish(y)


def turned(do: Writer, x: str, places: str, cos: str, sin: str) -> str:
    """[B, heads, S, size] with pairs turned by the rows `places` of cos and sin; what is beyond them stays."""
    interleaved = bool(do.site.number("rotary_interleaved", 0) or do.site.number("interleaved", 0))
    batch, heads, sequence, size = do.static(x)
    half = do.static(cos)[1]
    rest: list[str] = []
    if 2 * half < size:
        x, *rest = do.several(2, op("Split", x, do.const([2 * half, size - 2 * half]), axis=-1, num_outputs=2))
    c, s = (do("Unsqueeze", do("Gather", table, places, axis=0), axes=(1,)) for table in (cos, sin))
    if interleaved:
        pairs = do("Reshape", x, do.const([batch, heads, sequence, half, 2]))
        a, b = (do("Gather", pairs, do.const(n), axis=4) for n in (0, 1))
    else:
        a, b = do.several(2, op("Split", x, do.const([half, half]), axis=-1, num_outputs=2))
    first = do("Sub", do("Mul", a, c), do("Mul", b, s))
    second = do("Add", do("Mul", a, s), do("Mul", b, c))
    if interleaved:
        both = do("Concat", tuple(do("Unsqueeze", one, axes=(4,)) for one in (first, second)), axis=4)
        y = do("Reshape", both, do.const([batch, heads, sequence, 2 * half]))
    else:
        y = do("Concat", (first, second), axis=-1)
    return do("Concat", (y, *rest), axis=-1) if rest else y
