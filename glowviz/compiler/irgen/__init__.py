"""Graph -> Program; the order of instructions is chosen here."""

from glowviz.compiler.irgen.generate import irgen
from glowviz.compiler.irgen.schedule import Schedule, live_peak, schedule

__all__ = ["Schedule", "irgen", "live_peak", "schedule"]
