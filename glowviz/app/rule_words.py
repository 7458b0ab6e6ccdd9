"""What a rule did so many times, in words for the ledger, where no operator became another one."""

from __future__ import annotations

from glowviz.app.wording import sentence

WORDS = {
    "bind_input": ("one input got its shape", "{n} inputs got their shapes"),
    "concat_in_place": ("one Concat went: its parts are computed where it put them",
                        "{n} Concats went: their parts are computed where they put them"),
    "dead_alloc": ("one buffer that nothing touches went", "{n} buffers that nothing touches went"),
    "dead_store": ("one instruction went whose result nothing reads",
                   "{n} instructions went whose results nothing reads"),
    "choose_schedule": ("one instruction got its algorithm and tiles",
                        "{n} instructions got their algorithms and tiles"),
    "detour": ("one instruction got operands in the order its kernel reads",
               "{n} instructions got operands in the order their kernels read"),
    "drop_idle_copy": ("one copy of a buffer onto itself went", "{n} copies of buffers onto themselves went"),
    "drop_same_view": ("one view of a whole buffer went", "{n} views of whole buffers went"),
    "drop_unused_result": ("one result that nothing reads is no longer computed",
                           "{n} results that nothing reads are no longer computed"),
    "equal_constant": ("one constant went that equals another", "{n} constants went that equal others"),
    "forward_copy": ("one copy went: its source is computed where it was copied to",
                     "{n} copies went: their sources are computed where they were copied to"),
    "freeze_state": ("one state that never changes became a weight", "{n} states that never change became weights"),
    "hoist_dealloc": ("one buffer dies earlier, after its last use", "{n} buffers die earlier, after their last use"),
    "pack": ("one set of weights was packed as its kernel reads it",
             "{n} sets of weights were packed as their kernels read them"),
    "pad_apart": ("one padding became a copy of its own", "{n} paddings became copies of their own"),
    "plain_output": ("one output was put back into row-major memory",
                     "{n} outputs were put back into row-major memory"),
    "read_in_place": ("one cut went: its part is read where it lies",
                      "{n} cuts went: their parts are read where they lie"),
    "read_the_source": ("one copy went: its source is read instead", "{n} copies went: their sources are read instead"),
    "sink_alloc": ("one buffer is born later, at its first use", "{n} buffers are born later, at their first use"),
    "split_epilogue": ("one epilogue became a pass of its own", "{n} epilogues became passes of their own"),
    "straighten_view": ("one view of a view is a view of the buffer itself now",
                        "{n} views of views are views of the buffers themselves now"),
    "transform_apart": ("one input is transformed once for all its weights",
                        "{n} inputs are transformed once for all their weights"),
    "unused_constant": ("one constant that nobody reads went", "{n} constants that nobody reads went"),
    "unused_result": ("one result that nobody reads went", "{n} results that nobody reads went"),
    "work_in_place": ("one instruction writes over an operand that it reads last",
                      "{n} instructions write over operands that they read last"),
}
"""One firing, and several. A rule that is not listed here is told by the reason of its first firing."""


def rule_text(rule: str, count: int, reason: str) -> str:
    """Return what `count` firings of the rule did; `reason` is that of the first one."""
    if rule in WORDS:
        return WORDS[rule][count > 1].format(n=f"{count:,}")
    return sentence(reason).rstrip(".") + (f" (and {count - 1:,} more alike)" if count > 1 else "")
