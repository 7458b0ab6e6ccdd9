"""What is asked of each network's speed against the fastest other library, and a table of met and missed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

from glowviz.bench import Comparison, Row

MUST_MEAN, AIM_MEAN = 1.20, 1.5
WRONG = 1e-2
"""Part of max |output| by which a peer may differ: one that computes something else is shown, but not held against."""


@dataclass(frozen=True)
class Goal:
    """Best f32 peer's time ÷ ours on one thread: what must be, and what is aimed at."""

    must: float
    aim: float


GOALS = {
    "light_resnet50": Goal(1.20, 1.40),
    "light_vgg19": Goal(1.20, 1.8),
    "light_inception_v1": Goal(1.15, 1.6),
    "light_inception_v2": Goal(1.10, 1.5),
    "light_densenet121": Goal(1.05, 1.4),
    "light_bvlc_alexnet": Goal(1.2, 1.8),
    "light_squeezenet": Goal(1.10, 1.5),
    "mobilenet_v2": Goal(1.15, 1.5),
    "light_shufflenet": Goal(1.3, 2.2),
    "bert": Goal(1.08, 1.18),
    "minilm": Goal(1.15, 1.3),
    "gpt2_small": Goal(1.12, 1.3),
}


GOALS_OF_BATCH = {"light_resnet50_8": Goal(1.10, 1.4), "light_vgg19_8": Goal(1.10, 1.4)}
"""The same for eight pictures at once, as the Glow paper measures."""
GOALS_OF_BF16 = {"light_resnet50": Goal(0.95, 1.05), "bert": Goal(0.95, 1.05)}
"""The same where both compute in bf16."""
WRONG_OF_BF16 = 5e-2


def goal_of(comparison: Comparison) -> Goal | None:
    """What is asked of a network in the precision that was measured."""
    known = GOALS | GOALS_OF_BATCH if comparison.precision == "f32" else GOALS_OF_BF16
    return known.get(comparison.model)


def best_peer(comparison: Comparison) -> tuple[float, Row] | None:
    """The smallest ratio over all peers with right answers, and whose it is."""
    reference = next((row for row in comparison.rows[1:] if row.rounds and row.difference is None), None)
    wrong = WRONG if comparison.precision == "f32" else WRONG_OF_BF16
    right = [row for row in comparison.rows[1:] if row is reference or (row.difference or 0) <= wrong]
    found = [(ratio, row) for row in right if (ratio := comparison.ratio(row)) is not None and "@" not in row.engine]
    return min(found, key=lambda pair: pair[0]) if found else None


def verdict(ratio: float, goal: Goal | None) -> str:
    """`met`, `missed` or `aim met`."""
    if goal is None:
        return ""
    return "aim met" if ratio >= goal.aim else "met" if ratio >= goal.must else "MISSED"


def table(comparisons: Sequence[Comparison]) -> str:
    """One line a network, and the geometric mean."""
    lines = [f"{'network':<20}{'ours ms':>9}{'best peer':>13}{'ms':>9}{'ratio':>7}{'must':>6}{'aim':>6}"]
    ratios = []
    for comparison in comparisons:
        best, goal = best_peer(comparison), goal_of(comparison)
        if best is None or not comparison.rows[0].rounds:
            lines.append(f"{comparison.model:<20} no times: {comparison.rows[0].error or 'no peer ran'}")
            continue
        ratio, row = best
        ratios.append(ratio)
        asked = f"{goal.must:>6.2f}{goal.aim:>6.2f}" if goal else " " * 12
        lines.append(
            f"{comparison.model:<20}{comparison.rows[0].least:>9.2f}{row.engine:>13}{row.least:>9.2f}"
            f"{ratio:>7.2f}{asked}  {verdict(ratio, goal)}"
        )
    if len(ratios) > 1:
        mean = exp(sum(map(log, ratios)) / len(ratios))
        whole = set(GOALS) <= {comparison.model for comparison in comparisons}
        asked = f"{MUST_MEAN:>6.2f}{AIM_MEAN:>6.2f}  {verdict(mean, Goal(MUST_MEAN, AIM_MEAN))}" if whole else ""
        lines.append(f"{'geometric mean of ' + str(len(ratios)):<51}{mean:>7.2f}{asked}")
    return "\n".join(lines)


def missed(comparisons: Sequence[Comparison]) -> list[str]:
    """A line for every network that is not as fast as it must be, or did not run."""
    found = []
    for comparison in comparisons:
        best, goal = best_peer(comparison), goal_of(comparison)
        if not comparison.rows[0].rounds:
            found.append(f"{comparison.model}: {comparison.rows[0].engine} gave no times: {comparison.rows[0].error}")
        elif best and goal and best[0] < goal.must:
            found.append(f"{comparison.model}: {best[0]:.2f} x the speed of {best[1].engine}, must be {goal.must:.2f}")
    return found
