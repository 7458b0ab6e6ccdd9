"""`make conformance`: every case of every suite on every target, written as docs/conformance.md."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from glowviz.compiler.folders import cache_folder
from tests.conformance.outcome import Outcome
from tests.conformance.suites import SUITES, names
from tests.conformance.table import DOCUMENT, document
from tests.conformance.workers import Job, run

TARGETS = ("interpreter", "cpu")


def main() -> None:
    """Run what the arguments choose; everything without arguments, and then the document is written."""
    options = _options()
    chosen = [(s, n, t) for s in options.suite for n in names(s) for t in options.target if re.search(options.only, n)]
    kept = _kept(options.fresh)
    jobs: list[Job] = [job for job in chosen if not _known(kept.get(job), options)]
    fresh = run(jobs, options.processes, _progress(len(jobs), options.verbose))
    kept.update({(o.suite, o.case, o.target): o for o in fresh})
    outcomes = [kept[job] for job in chosen if job in kept]
    _keep(kept)
    for (suite, target, state), count in sorted(Counter((o.suite, o.target, o.state) for o in outcomes).items()):
        print(f"{suite:20} {target:12} {state:8} {count}")
    if options.write:
        DOCUMENT.write_text(document(outcomes))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", nargs="+", default=list(SUITES), choices=SUITES)
    parser.add_argument("--target", nargs="+", default=list(TARGETS))
    parser.add_argument("--only", default="", help="a regular expression that the names match")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--verbose", action="store_true", help="show every case that does not pass")
    parser.add_argument("--write", action="store_true", help="write docs/conformance.md")
    parser.add_argument("--fresh", action="store_true", help="forget all earlier outcomes")
    parser.add_argument("--hosts", action="store_true", help="run again only what made host calls")
    parser.add_argument("--resume", action="store_true", help="run only what has no outcome yet")
    return parser.parse_args()


def _known(before: Outcome | None, options: argparse.Namespace) -> bool:
    """An earlier outcome that need not be found again."""
    if before is None:
        return False
    return options.resume or (options.hosts and before.state == "pass" and not before.hosts)


def _progress(total: int, verbose: bool) -> object:
    done = Counter[str]()

    def told(one: Outcome) -> None:
        done[one.state] += 1
        if verbose and one.state != "pass":
            print(f"{one.target:11} {one.state:8} {one.case}: {one.told}", flush=True)
        if done.total() % 100 == 0:
            print(f"{done.total()} of {total}: {dict(done)}", file=sys.stderr, flush=True)

    return told


def _file() -> Path:
    return cache_folder() / "suites" / "outcomes.json"


def _kept(fresh: bool) -> dict[Job, Outcome]:
    """Outcomes of earlier runs by job."""
    if fresh or not _file().exists():
        return {}
    rows = [{k: tuple(v) if isinstance(v, list) else v for k, v in r.items()} for r in json.loads(_file().read_text())]
    return {(r["suite"], r["case"], r["target"]): Outcome(**r) for r in rows}


def _keep(kept: dict[Job, Outcome]) -> None:
    _file().write_text(json.dumps([asdict(o) for o in kept.values()]))


if __name__ == "__main__":
    main()
