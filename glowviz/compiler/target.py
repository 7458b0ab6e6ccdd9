"""A machine is plain data: what it keeps and fuses, how wide its vectors are, how big its caches."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Space:
    """One memory of a machine and how many bytes it holds (None: as many as asked for)."""

    name: str
    capacity: int | None = None


@dataclass(frozen=True)
class Span:
    """One stretch of time an instruction took on one lane (thread or engine); `unit` is "ns" or "cycles"."""

    instruction: str
    lane: int
    start: float
    duration: float
    unit: str = "ns"
    counters: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """Everything a pass may ask about the machine the program will run on.

    `keeps` names the graph ops that the backend wants unlowered, `fuses` the ops that may end in an
    epilogue, `orders` the memory orders it prefers per op. `vector_width` counts f32 lanes, `registers`
    vector registers; cache sizes are bytes; measured peaks are GFLOP/s and GB/s of one thread, None where
    nobody measured.
    """

    name: str
    triple: str = ""
    cpu: str = ""
    features: str = ""
    vector_width: int = 1
    registers: int = 16
    has_fma: bool = False
    has_round: bool = False
    has_vnni: bool = False
    has_bf16: bool = False
    has_masks: bool = False
    l1: int = 32 << 10
    l2: int = 512 << 10
    l3: int = 8 << 20
    keeps: frozenset[str] = frozenset()
    fuses: frozenset[str] = frozenset()
    orders: tuple[tuple[str, str], ...] = ()
    spaces: tuple[Space, ...] = (Space("host"),)
    peak_gflops: float | None = None
    peak_gbytes: float | None = None

    def order_of(self, op: str) -> str | None:
        """The nickname of the memory order that `op` prefers here, for example NCHW16c, or None."""
        return dict(self.orders).get(op)
