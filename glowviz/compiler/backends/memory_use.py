"""How much memory this process has held at most."""

import sys

import psutil

try:
    import resource
except ImportError:  # Windows
    resource = None


def peak_bytes() -> int:
    """The largest resident set of this process so far, in bytes, as the system measured it."""
    if resource is None:
        return int(getattr(psutil.Process().memory_info(), "peak_wset", psutil.Process().memory_info().rss))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10
