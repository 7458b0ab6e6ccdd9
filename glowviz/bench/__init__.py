"""bench times our code beside other engines, side by side on the same inputs, and compares the answers."""

from glowviz.bench.compare import compare
from glowviz.bench.engine import ENGINES
from glowviz.bench.report import Comparison, Report, Row

__all__ = ["ENGINES", "Comparison", "Report", "Row", "compare"]
