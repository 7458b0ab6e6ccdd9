"""`glowviz …` finds its command; whatever a person did wrong ends in one line on stderr and exit status 2."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

REFUSED = 2
"""Exit status of an input that is refused."""
FAULT = 3
"""Exit status when glowviz itself is at fault."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0, 1 (a check found something), 2 (refused) or 3 (a fault of glowviz).

    The last two come with one line on stderr; GLOWVIZ_DEBUG=1 adds the traceback.
    """
    from glowviz.cli.arguments import parser, with_command

    try:
        options = parser().parse_args(with_command(list(sys.argv[1:] if arguments is None else arguments)))
        return options.run(options) or 0
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read us has gone: nothing to flush
        return 0
    except KeyboardInterrupt:
        return 130
    except Exception as fault:
        if os.environ.get("GLOWVIZ_DEBUG"):
            traceback.print_exc()
        return _told(fault)


def _told(fault: Exception) -> int:
    """Say what went wrong in one line: a refusal in its own words, anything else as a fault of glowviz."""
    import sqlite3

    from glowviz.compiler.problem import Problem
    from glowviz.compiler.recording.schema import RecordingProblem
    from glowviz.compiler.rewrite.passes import PassProblem
    from glowviz.compiler.text.scanner import TextProblem
    from glowviz.compiler.types import TypeProblem

    if isinstance(fault, (Problem, RecordingProblem, PassProblem, TextProblem, TypeProblem)):
        return _say(str(fault), REFUSED)
    if isinstance(fault, OSError):
        return _say(f"{fault.filename or 'a file'}: {fault.strerror or fault}. Expected a file that can be read and "
                    "written. Check the path, its permissions and the free space.", REFUSED)
    if isinstance(fault, sqlite3.Error):
        return _say(f"The recording cannot be written or read ({fault}). Expected a file on a disk with free space. "
                    "Take another folder.", REFUSED)
    place = traceback.extract_tb(fault.__traceback__)[-1]
    where = f"{os.path.basename(place.filename)} line {place.lineno}"
    return _say(f"{type(fault).__name__}: {fault}. In {where}. This is a fault of glowviz, not of your input. "
                "Report it with the output of the same command under GLOWVIZ_DEBUG=1.", FAULT)


def _say(text: str, status: int) -> int:
    print("glowviz: " + " ".join(text.split()), file=sys.stderr)
    return status
