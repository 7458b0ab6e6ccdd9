"""Lessons from the command line: the list of them, and each as one file that needs no server."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from glowviz.cli.sources import writable
from glowviz.compiler.problem import Problem

if TYPE_CHECKING:
    from glowviz.app.lessons import Lesson


def lesson(options: argparse.Namespace) -> int:
    """List the lessons, or build one as an HTML file that opens from disk: glowviz lesson build NAME -o lesson.html."""
    from glowviz.app.lesson_page import lesson_page
    from glowviz.app.lessons import lessons

    if options.action == "list":
        for one in lessons():
            card = one.card()
            print(f"{card['name']}\t{card['minutes']} min\t{card['steps']} steps\t{card['title']}")
        return 0
    if options.lesson is None or options.output is None:
        raise Problem("A lesson and a file to write are needed", "glowviz lesson build",
                      "glowviz lesson build LESSON.yaml -o lesson.html", "`glowviz lesson list` names what there is")
    path = writable(options.output)
    page = lesson_page(_lesson(options.lesson))
    path.write_text(page, encoding="utf-8")
    size = len(page.encode()) / 2**20
    print(f"{path}: {size:.2f} MiB; opens in a browser, without server or network", file=sys.stderr)
    return 0


def arguments(one: argparse.ArgumentParser) -> None:
    """What `glowviz lesson` takes."""
    one.add_argument("action", choices=["list", "build"])
    one.add_argument("lesson", nargs="?", metavar="LESSON", help="a .yaml file, or the name of a lesson of the list")
    one.add_argument("-o", "--output", metavar="lesson.html", help="the file to write")


def _lesson(named: str) -> Lesson:
    """The lesson of a YAML file, or the one of this name."""
    from glowviz.app.lessons import lesson as find
    from glowviz.app.lessons import read_lesson

    return read_lesson(Path(named)) if Path(named).is_file() else find(named)
