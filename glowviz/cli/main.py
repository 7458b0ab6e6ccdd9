"""`glowviz …` finds its command; whatever a person did wrong ends in one line on stderr and exit status 2."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from glowviz.cli.arguments import COMMANDS, parser
from glowviz.compiler.problem import Problem

REFUSED = 2
"""Exit status of an input that is refused."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0, 1 (a check found something) or 2 (refused, with one line on stderr)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(_with_command(given))
    try:
        return options.run(options) or 0
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read us has gone: nothing to flush
        return 0
    except KeyboardInterrupt:
        return 130
    except (Problem, ValueError) as problem:
        return _refuse(str(problem))
    except (FileNotFoundError, PermissionError, IsADirectoryError) as problem:
        return _refuse(f"{problem.filename}: {problem.strerror}. Expected a file that can be read and written.")


def _with_command(given: list[str]) -> list[str]:
    """Without a command the app opens: `glowviz MODEL` is `glowviz serve MODEL`."""
    if given and (given[0] in COMMANDS or given[0] in ("-h", "--help", "--version")):
        return given
    return ["serve", *given]


def _refuse(text: str) -> int:
    print("glowviz: " + " ".join(text.split()), file=sys.stderr)
    return REFUSED
