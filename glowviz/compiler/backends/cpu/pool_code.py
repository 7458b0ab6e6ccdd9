"""The LLVM IR of the thread pool: chunks are claimed from counters that only grow, so nothing is ever reset.

The chunks of a step fall into two halves. Every step has a counter of claimed chunks for each half and one of
finished chunks. In run r a thread may claim numbers r·half … (r+1)·half - 1, and goes on to the next step when
(r+1)·chunks are finished. Threads with even numbers begin with the first half, the others with the second: what a
thread wrote in one step it mostly reads in the next, so that fewer lines move between cores. `limit` says how
many steps of all runs may be started: a thread that sleeps through a run walks over it in a few loads.
"""

from glowviz.compiler.target import Target

FIELDS = {
    "limit": 0, "sleepers": 128, "completed": 256, "table": 384, "count": 392, "counters": 400, "stamps": 408,
    "workers": 416, "clock": 424, "handles": 512,
}  # fmt: skip
"""Byte offsets in the context; what several threads write has a pair of cache lines of its own."""
CONTEXT_BYTES = 512
COUNTER_BYTES = 384
FUNCTIONS = ("glowviz_walk", "glowviz_run", "glowviz_start", "glowviz_stop", "glowviz_clock")
SPINS = 2000
"""Pauses before a waiting thread gives its core away."""
FUTEX_NUMBERS = {"x86_64": 202, "amd64": 202, "aarch64": 98}
FUTEX_WAIT, FUTEX_WAKE = 128, 129  # process-private


def pool_text(target: Target) -> str:
    """The module text of the pool for one machine."""
    machine = target.triple.split("-")[0]
    number = FUTEX_NUMBERS.get(machine) if "linux" in target.triple else None
    clock = machine in ("x86_64", "amd64")
    pause = "call void @llvm.x86.sse2.pause()" if clock else 'fence syncscope("singlethread") acquire'
    fields = {name: str(offset) for name, offset in FIELDS.items()}
    parts = [
        f'target triple = "{target.triple}"' if target.triple else "", WALK, STEP, RUN, WORKER, START, STOP, CLOCK,
        _tick(clock), _futex(number), *DECLARATIONS,
        "declare void @llvm.x86.sse2.pause()" if clock else "",
    ]  # fmt: skip
    text = "\n".join(parts).replace("$PAUSE", pause).replace("$SPINS", str(SPINS))
    for name, offset in sorted(fields.items(), reverse=True):  # counters before count
        text = text.replace(f"${name}", offset)
    return text + "\n"


def _tick(has_clock: bool) -> str:
    body = "  %now = call i64 @llvm.readcyclecounter()\n  ret i64 %now" if has_clock else "  ret i64 0"
    declare = "declare i64 @llvm.readcyclecounter()" if has_clock else ""
    return f"define internal i64 @tick() nounwind {{\n{body}\n}}\n{declare}"


def _futex(number: int | None) -> str:
    if number is None:  # no sleeping without futexes: idle threads give their core away and ask again
        return (
            "define internal void @sleep(ptr %word, i32 %seen) nounwind {\n  call i32 @sched_yield()\n  ret void\n}\n"
            "define internal void @wake(ptr %word) nounwind {\n  ret void\n}"
        )
    return f"""declare i64 @syscall(i64, ...)
define internal void @sleep(ptr %word, i32 %seen) nounwind {{
  call i64 (i64, ...) @syscall(i64 {number}, ptr %word, i32 {FUTEX_WAIT}, i32 %seen, ptr null)
  ret void
}}
define internal void @wake(ptr %word) nounwind {{
  call i64 (i64, ...) @syscall(i64 {number}, ptr %word, i32 {FUTEX_WAKE}, i32 2147483647)
  ret void
}}"""


DECLARATIONS = (
    "declare i32 @pthread_create(ptr, ptr, ptr, ptr)",
    "declare i32 @pthread_join(i64, ptr)",
    "declare i32 @sched_yield()",
)

# one thread: steps %first..%last in order, each whole, on the caller's thread
WALK = """define void @glowviz_walk(ptr %context, i64 %first, i64 %last) nounwind {
entry:
  %table.at = getelementptr i8, ptr %context, i64 $table
  %table = load ptr, ptr %table.at
  %stamps.at = getelementptr i8, ptr %context, i64 $stamps
  %stamps = load ptr, ptr %stamps.at
  %timed = icmp ne ptr %stamps, null
  br label %next
next:
  %step = phi i64 [ %first, %entry ], [ %following, %done ]
  %row = getelementptr [4 x i64], ptr %table, i64 %step
  %function = load ptr, ptr %row
  %arguments.at = getelementptr i8, ptr %row, i64 8
  %arguments = load ptr, ptr %arguments.at
  %tiles.at = getelementptr i8, ptr %row, i64 16
  %tiles = load i64, ptr %tiles.at
  %stamp = getelementptr [2 x i64], ptr %stamps, i64 %step
  br i1 %timed, label %before, label %work
before:
  %start = call i64 @tick()
  store i64 %start, ptr %stamp
  br label %work
work:
  call void %function(ptr %arguments, i64 0, i64 %tiles, i64 0)
  br i1 %timed, label %behind, label %done
behind:
  %end = call i64 @tick()
  %end.at = getelementptr i8, ptr %stamp, i64 8
  store i64 %end, ptr %end.at
  br label %done
done:
  %following = add i64 %step, 1
  %more = icmp slt i64 %following, %last
  br i1 %more, label %next, label %out
out:
  ret void
}"""

# one step of one run: claim and do chunks until none is left, then wait for those of the others
STEP = """define internal void @step(ptr %context, i64 %position, i64 %worker) nounwind {
entry:
  %count.at = getelementptr i8, ptr %context, i64 $count
  %count = load i64, ptr %count.at
  %run = udiv i64 %position, %count
  %before = mul i64 %run, %count
  %index = sub i64 %position, %before
  %table.at = getelementptr i8, ptr %context, i64 $table
  %table = load ptr, ptr %table.at
  %row = getelementptr [4 x i64], ptr %table, i64 %index
  %function = load ptr, ptr %row
  %arguments.at = getelementptr i8, ptr %row, i64 8
  %arguments = load ptr, ptr %arguments.at
  %tiles.at = getelementptr i8, ptr %row, i64 16
  %tiles = load i64, ptr %tiles.at
  %chunks.at = getelementptr i8, ptr %row, i64 24
  %chunks = load i64, ptr %chunks.at
  %counters.at = getelementptr i8, ptr %context, i64 $counters
  %counters = load ptr, ptr %counters.at
  %here = getelementptr [384 x i8], ptr %counters, i64 %index
  %finished = getelementptr i8, ptr %here, i64 256
  %done.before = mul i64 %run, %chunks
  %goal = add i64 %done.before, %chunks
  %half.second = udiv i64 %chunks, 2
  %half.first = sub i64 %chunks, %half.second
  %own = and i64 %worker, 1
  %stamps.at = getelementptr i8, ptr %context, i64 $stamps
  %stamps = load ptr, ptr %stamps.at
  %timed = icmp ne ptr %stamps, null
  %lane = mul i64 %worker, %count
  %slot = add i64 %lane, %index
  %stamp = getelementptr [2 x i64], ptr %stamps, i64 %slot
  %end.at = getelementptr i8, ptr %stamp, i64 8
  br label %side
side:
  %turn = phi i64 [ 0, %entry ], [ 1, %side.done ]
  %nothing.yet = phi i1 [ true, %entry ], [ %first.turn, %side.done ]
  %which = xor i64 %own, %turn
  %is.second = icmp ne i64 %which, 0
  %size = select i1 %is.second, i64 %half.second, i64 %half.first
  %base = select i1 %is.second, i64 %half.first, i64 0
  %distance = mul i64 %which, 128
  %claimed = getelementptr i8, ptr %here, i64 %distance
  %begin = mul i64 %run, %size
  %side.goal = add i64 %begin, %size
  br label %claim
claim:
  %first.turn = phi i1 [ %nothing.yet, %side ], [ %first.turn, %taken ], [ false, %count.done ]
  %number = load atomic i64, ptr %claimed monotonic, align 8
  %left = icmp slt i64 %number, %side.goal
  br i1 %left, label %try, label %side.done
side.done:
  %other.side = icmp eq i64 %turn, 0
  br i1 %other.side, label %side, label %wait
try:
  %next = add i64 %number, 1
  %pair = cmpxchg weak ptr %claimed, i64 %number, i64 %next monotonic monotonic
  %mine = extractvalue { i64, i1 } %pair, 1
  br i1 %mine, label %chunk, label %taken
taken:
  br label %claim
chunk:
  %chunk.of.side = sub i64 %number, %begin
  %chunk.number = add i64 %chunk.of.side, %base
  %low.wide = mul i64 %chunk.number, %tiles
  %low = udiv i64 %low.wide, %chunks
  %high.wide = add i64 %low.wide, %tiles
  %high = udiv i64 %high.wide, %chunks
  %starts = and i1 %first.turn, %timed
  br i1 %starts, label %note.start, label %work
note.start:
  %start = call i64 @tick()
  store i64 %start, ptr %stamp
  br label %work
work:
  call void %function(ptr %arguments, i64 %low, i64 %high, i64 %worker)
  br i1 %timed, label %note.end, label %count.done
note.end:
  %end = call i64 @tick()
  store i64 %end, ptr %end.at
  br label %count.done
count.done:
  %old = atomicrmw add ptr %finished, i64 1 release
  br label %claim
wait:
  %spins = phi i64 [ 0, %side.done ], [ %spins.next, %again ]
  %done = load atomic i64, ptr %finished acquire, align 8
  %all = icmp sge i64 %done, %goal
  br i1 %all, label %out, label %rest
rest:
  %patient = icmp slt i64 %spins, $SPINS
  br i1 %patient, label %spin, label %give
spin:
  $PAUSE
  br label %again
give:
  call i32 @sched_yield()
  br label %again
again:
  %spins.next = add i64 %spins, 1
  br label %wait
out:
  ret void
}"""

# the caller's part of a run: let everybody start steps up to %limit, and take part
RUN = """define void @glowviz_run(ptr %context, i64 %limit, i64 %unused) nounwind {
entry:
  %limit.at = getelementptr i8, ptr %context, i64 $limit
  %first = load atomic i64, ptr %limit.at monotonic, align 8
  store atomic i64 %limit, ptr %limit.at seq_cst, align 8
  %sleepers.at = getelementptr i8, ptr %context, i64 $sleepers
  %sleepers = load atomic i64, ptr %sleepers.at seq_cst, align 8
  %asleep = icmp sgt i64 %sleepers, 0
  br i1 %asleep, label %ring, label %next
ring:
  call void @wake(ptr %limit.at)
  br label %next
next:
  %position = phi i64 [ %first, %entry ], [ %first, %ring ], [ %following, %next ]
  call void @step(ptr %context, i64 %position, i64 0)
  %following = add i64 %position, 1
  %more = icmp slt i64 %following, %limit
  br i1 %more, label %next, label %out
out:
  %completed.at = getelementptr i8, ptr %context, i64 $completed
  store atomic i64 %limit, ptr %completed.at release, align 8
  ret void
}"""

# a thread of the pool: walks towards the limit, sleeps when it got there, ends when the limit is -1
WORKER = """define internal ptr @worker(ptr %context) nounwind {
entry:
  %workers.at = getelementptr i8, ptr %context, i64 $workers
  %earlier = atomicrmw add ptr %workers.at, i64 1 monotonic
  %worker = add i64 %earlier, 1
  %limit.at = getelementptr i8, ptr %context, i64 $limit
  %sleepers.at = getelementptr i8, ptr %context, i64 $sleepers
  %completed.at = getelementptr i8, ptr %context, i64 $completed
  br label %look
look:
  %here = phi i64 [ 0, %entry ], [ %here, %again ], [ %following, %work ]
  %spins = phi i64 [ 0, %entry ], [ %spins.next, %again ], [ 0, %work ]
  %limit = load atomic i64, ptr %limit.at acquire, align 8
  %over = icmp eq i64 %limit, -1
  br i1 %over, label %out, label %compare
compare:
  %behind = icmp slt i64 %here, %limit
  br i1 %behind, label %catch.up, label %idle
catch.up:
  %completed = load atomic i64, ptr %completed.at acquire, align 8
  %late = icmp slt i64 %here, %completed
  %position = select i1 %late, i64 %completed, i64 %here
  %open = icmp slt i64 %position, %limit
  br i1 %open, label %join, label %skip
join:
  call void @step(ptr %context, i64 %position, i64 %worker)
  br label %skip
skip:
  %stepped = zext i1 %open to i64
  br label %work
work:
  %following = add i64 %position, %stepped
  br label %look
idle:
  %patient = icmp slt i64 %spins, $SPINS
  br i1 %patient, label %spin, label %lie.down
spin:
  $PAUSE
  br label %again
lie.down:
  %more = atomicrmw add ptr %sleepers.at, i64 1 seq_cst
  %seen = trunc i64 %limit to i32
  call void @sleep(ptr %limit.at, i32 %seen)
  %less = atomicrmw sub ptr %sleepers.at, i64 1 seq_cst
  br label %again
again:
  %spins.next = add i64 %spins, 1
  br label %look
out:
  ret ptr null
}"""

START = """define void @glowviz_start(ptr %context, i64 %threads, i64 %unused) nounwind {
entry:
  %handles = getelementptr i8, ptr %context, i64 $handles
  br label %next
next:
  %number = phi i64 [ 0, %entry ], [ %following, %next ]
  %handle = getelementptr i64, ptr %handles, i64 %number
  %failed = call i32 @pthread_create(ptr %handle, ptr null, ptr @worker, ptr %context)
  %bad = icmp ne i32 %failed, 0
  %following = add i64 %number, 1
  %all = icmp sge i64 %following, %threads
  %stop = or i1 %bad, %all
  br i1 %stop, label %out, label %next
out:
  ret void
}"""

STOP = """define void @glowviz_stop(ptr %context, i64 %threads, i64 %unused) nounwind {
entry:
  %limit.at = getelementptr i8, ptr %context, i64 $limit
  store atomic i64 -1, ptr %limit.at seq_cst, align 8
  call void @wake(ptr %limit.at)
  %handles = getelementptr i8, ptr %context, i64 $handles
  br label %next
next:
  %number = phi i64 [ 0, %entry ], [ %following, %joined ]
  %handle.at = getelementptr i64, ptr %handles, i64 %number
  %handle = load i64, ptr %handle.at
  %started = icmp ne i64 %handle, 0
  br i1 %started, label %join, label %joined
join:
  %ignored = call i32 @pthread_join(i64 %handle, ptr null)
  store i64 0, ptr %handle.at
  br label %joined
joined:
  %following = add i64 %number, 1
  %more = icmp slt i64 %following, %threads
  br i1 %more, label %next, label %out
out:
  ret void
}"""

CLOCK = """define void @glowviz_clock(ptr %context, i64 %unused, i64 %unused2) nounwind {
  %now = call i64 @tick()
  %clock.at = getelementptr i8, ptr %context, i64 $clock
  store i64 %now, ptr %clock.at
  ret void
}"""
