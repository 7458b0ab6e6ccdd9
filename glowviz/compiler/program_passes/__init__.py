"""Program -> Program passes, in the order of the Glow paper."""

from glowviz.compiler.program_passes.borrow_views import borrow_views
from glowviz.compiler.program_passes.copy_elimination import copy_elimination
from glowviz.compiler.program_passes.dse import dse
from glowviz.compiler.program_passes.lifetimes import delete_dead_allocs, hoist_deallocs, sink_allocs
from glowviz.compiler.program_passes.make_weights_constant import make_weights_constant
from glowviz.compiler.program_passes.peephole import peephole
from glowviz.compiler.program_passes.share_buffers import share_buffers

__all__ = [
    "borrow_views", "copy_elimination", "delete_dead_allocs", "dse", "hoist_deallocs", "make_weights_constant",
    "peephole", "share_buffers", "sink_allocs",
]
