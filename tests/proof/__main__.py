"""`make prove EVERY=10` prints what every pass changed, and how far results are apart; status 1 when too far."""

from __future__ import annotations

import argparse
import sys

from glowviz.compiler.problem import Problem
from tests.proof.prove import Table, everything


def main() -> int:
    """Run everything that the arguments choose."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("every", type=int, nargs="?", default=10, help="each so-many-th case of the suites (0 = none)")
    parser.add_argument("--no-models", action="store_true", help="leave gallery and trained models out")
    options = parser.parse_args()
    table, refused, failed, done = Table(), 0, [], 0
    gallery = () if options.no_models else None
    for label, steps in everything(options.every, gallery, not options.no_models):
        done += 1
        print(f"\r\033[K{done} {label}", end="", file=sys.stderr, flush=True)
        try:
            table.add(steps)
        except Problem:
            refused += 1
        except Exception as fault:  # a fault of one model is told, and the others go on
            failed.append(f"{label}: {type(fault).__name__}: {fault}")
    print("\r\033[K", end="", file=sys.stderr)
    print(table.text())
    print(f"{done} models and files, {refused} refused, {len(failed)} failed, {len(table.broken)} promises broken")
    for step in table.broken:
        print(f"BROKEN {step.name} on {step.model}: {step.difference}")
    print("\n".join(failed))
    return 1 if table.broken or failed else 0


if __name__ == "__main__":
    sys.exit(main())
