"""What each command takes: one parser per command, shared options said once."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from glowviz import __version__
from glowviz.cli import bisection, checks, commands, exports, lessons, show, tables, text_filter
from glowviz.compiler.problem import Problem

Run = Callable[[argparse.Namespace], int | None]


class Parser(argparse.ArgumentParser):
    """Refuses with a Problem instead of its usage and an exit."""

    def error(self, message: str) -> NoReturn:
        raise Problem(message, self.prog, self._needed(), f"`{self.prog} --help` lists all it takes")

    def _needed(self) -> str:
        """What must be given, as a line to type."""
        parts = [self.prog]
        for action in self._actions:
            if action.required or (not action.option_strings and action.nargs != "?"):
                name = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
                parts.append(" ".join([*action.option_strings[:1], name]))
        return " ".join(parts)


def parser() -> argparse.ArgumentParser:
    """The parser of `glowviz`; every command sets `run`."""
    top = Parser(prog="glowviz", usage=USAGE, description=TITLE, epilog=EPILOG, allow_abbrev=False)
    top.add_argument("--version", action="version", version=f"glowviz {__version__}")
    subparsers = top.add_subparsers(prog="glowviz", metavar="COMMAND", required=True)
    for name, (add, run) in COMMANDS.items():
        text = (run.__doc__ or "").strip()
        one = subparsers.add_parser(name, help=text.split("\n")[0], description=text, allow_abbrev=False)
        add(one)
        one.set_defaults(run=run)
    return top


USAGE = "glowviz [MODEL]\n       glowviz COMMAND …"
TITLE = "Opens any ONNX network, compiles it to machine code one pass at a time, and shows every step."
EPILOG = "`glowviz MODEL` opens the app with a model; `glowviz` alone opens the gallery. " \
         "Wherever a model may stand, gallery:NAME is one of the gallery."


def with_command(given: list[str]) -> list[str]:
    """Without a command the app opens: `glowviz MODEL` is `glowviz serve MODEL`; a mistyped command is told."""
    if given and (given[0] in COMMANDS or given[0] in ("-h", "--help", "--version")):
        return given
    if given and not given[0].startswith("-") and not Path(given[0]).exists():
        near = difflib.get_close_matches(given[0], COMMANDS, n=1)
        if near:
            raise Problem(f"There is no command {given[0]!r}", "glowviz", ", ".join(COMMANDS),
                          f"Did you mean `glowviz {near[0]}`?")
    return ["serve", *given]


def _model(one: argparse.ArgumentParser) -> None:
    one.add_argument("model", help="an .onnx or .glow file, or gallery:NAME")
    one.add_argument("--shape", action="append", default=[], metavar="x=1x3x224x224", type=shape,
                     help="bind the free dimensions of an input (may be given several times)")
    one.add_argument("--target", default="cpu", help="a name of `glowviz backends`")
    one.add_argument("--threads", type=int, default=1)
    one.add_argument("--precision", default="f32", help="f32, or bf16 on processors with AVX512-BF16")
    one.add_argument("--disable", action="append", default=[], metavar="PASS", help="switch a pass off")
    one.add_argument("--option", action="append", default=[], metavar="fuse.max_inputs=2", type=option,
                     help="set an option of a pass")
    one.add_argument("--order", default="", metavar="order.yaml", help="run the graph passes in this order")
    one.add_argument("--quiet", action="store_true", help="no progress on stderr")
    _load(one)


def _load(one: argparse.ArgumentParser) -> None:
    one.add_argument("--load", action="append", default=[], metavar="file.py|module:function",
                     help="run a file that declares ops and passes, or make a function Graph -> Graph a pass")
    one.add_argument("--after", default="", metavar="PASS",
                     help="where a function of --load runs (default: the last graph pass before lower)")


def _given(one: argparse.ArgumentParser, otherwise: str) -> None:
    one.add_argument("--inputs", action="append", default=[], metavar="in.npz|x=photo.png",
                     help="arrays (.npz, .npy) or pictures, by input name; may be given several times; " + otherwise)
    one.add_argument("--pixels", action="append", default=[], metavar="scale=0..1", type=pixels,
                     help="how a picture becomes numbers: fit=crop|stretch|border, scale=0..1|-1..1|0..255|imagenet, "
                          "colours=RGB|BGR, light=inverted")


def _expected(one: argparse.ArgumentParser) -> None:
    one.add_argument("--expected", action="append", default=[], metavar="out.npz",
                     help="hold it against these arrays, by name of an output or (compile) of any value")


def _serve(one: argparse.ArgumentParser) -> None:
    one.add_argument("model", nargs="?", help="an .onnx, .glow or .glowrec file; without it the gallery opens")
    one.add_argument("--host", default="127.0.0.1")
    one.add_argument("--port", type=int, default=8050)
    one.add_argument("--no-browser", action="store_true", help="do not open a browser window")
    one.add_argument("--cluster", metavar="tcp://HOST:8786", help="compile on the workers of this Dask scheduler")
    one.add_argument("--shape", action="append", default=[], metavar="x=1x3x224x224", type=shape)
    _load(one)


def _compile(one: argparse.ArgumentParser) -> None:
    _model(one)
    one.add_argument("-o", "--output", required=True, metavar="RUN.glowrec", help="the recording to write")
    one.add_argument("--time", type=natural, default=0, metavar="RUNS",
                     help="also run it so often: times of every kernel, the error after every pass, values")
    _given(one, "default: seeded noise")
    _expected(one)


def _run(one: argparse.ArgumentParser) -> None:
    _model(one)
    _given(one, "without it seeded noise")
    one.add_argument("--outputs", metavar="out.npz", help="where the results go; without it their statistics are shown")


def _opt(one: argparse.ArgumentParser) -> None:
    one.add_argument("file", help="a .glow file, or - for standard input")
    one.add_argument("--passes", required=True, metavar="dce,fuse{max_inputs=2}",
                     help="passes in the order they run; irgen and plan_memory make a program and place it")
    one.add_argument("--target", default="cpu", help="the machine that passes ask")
    _load(one)


def _bench(one: argparse.ArgumentParser) -> None:
    one.add_argument("models", nargs="+", metavar="MODEL")
    one.add_argument("--against", default="onnxruntime", metavar="onnxruntime,openvino,mnn")
    one.add_argument("--threads", type=int, default=1)
    one.add_argument("--precision", default="f32", help="f32 or bf16; engines that only know f32 compute in that")
    one.add_argument("--seconds", type=float, default=10.0, help="timing per engine and model")
    one.add_argument("--shape", action="append", default=[], metavar="x=1x3x224x224", type=shape)
    one.add_argument("--sweep", action="append", default=[], metavar="batch=1,2,8", type=sizes,
                     help="compare at these sizes of an open dimension (several times: all combinations)")
    one.add_argument("--json", action="store_true")


def _tune(one: argparse.ArgumentParser) -> None:
    one.add_argument("model", help="an .onnx or .glow file, or gallery:NAME")
    one.add_argument("--shape", action="append", default=[], metavar="x=1x3x224x224", type=shape,
                     help="bind the free dimensions of an input (may be given several times)")
    one.add_argument("--target", default="cpu", help="a cpu target of `glowviz backends`")
    one.add_argument("--threads", type=int, default=1)
    one.add_argument("--quiet", action="store_true", help="no progress on stderr")


def _validate(one: argparse.ArgumentParser) -> None:
    _model(one)
    _given(one, "default: seeded noise")
    one.add_argument("--seed", type=int, default=0, help="of the noise that is fed in")


def _bisect(one: argparse.ArgumentParser) -> None:
    _validate(one)
    _expected(one)
    one.add_argument("--tolerance", type=float,
                     help="of max |value|, for all passes together (default: to each pass what it promises)")
    other = one.add_mutually_exclusive_group()
    other.add_argument("--peak", metavar="MiB|grows", type=mebibytes,
                       help="find the pass that brings live memory above so many MiB (`grows`: that raises it at all)")
    other.add_argument("--slower", metavar="PERCENT", type=float,
                       help="find the pass without which a run is faster by more than this, beyond the spread")
    other.add_argument("--pattern", metavar="'Conv > Relu'",
                       help="find the pass that makes this chain of ops (or of instructions: conv > relu)")
    one.add_argument("--absent", action="store_true", help="with --pattern: the pass after which it is gone")
    one.add_argument("--trials", type=natural, default=0,
                     help="how many different inputs are tried (default: 3, of small networks 20)")
    one.add_argument("--save", metavar="cut.onnx",
                     help="write the smallest part that shows it, as .onnx, .glow and a test")


def _diff(one: argparse.ArgumentParser) -> None:
    one.add_argument("before", metavar="A.glowrec")
    one.add_argument("after", metavar="B.glowrec")


def _show(one: argparse.ArgumentParser) -> None:
    one.add_argument("recording", metavar="RUN.glowrec")
    one.add_argument("what", nargs="?", choices=list(show.PARTS), default="passes", metavar="WHAT",
                     help=f"{', '.join(show.PARTS)} (default: passes)")
    one.add_argument("name", nargs="?", help="life, why: a value; kernel: its name; changes, text: a pass")
    one.add_argument("--at", metavar="PASS", help="a pass or the number of a snapshot (0 = imported); default: the end")
    one.add_argument("--beside", metavar="onnxruntime|profile.json",
                     help="kernels: first add what onnxruntime takes for the same nodes, timed now or from its profile")
    one.add_argument("--json", action="store_true", help="as docs/payloads.md describes it")


def _export(one: argparse.ArgumentParser) -> None:
    one.add_argument("recording", metavar="RUN.glowrec")
    one.add_argument("-o", "--output", required=True, metavar="OUT",
                     help="page.html, graph.svg, trace.json, run.json, optimised.onnx or graph.glow: the name decides")
    one.add_argument("--snapshot", metavar="PASS", help="a pass or the number of a snapshot (0 = imported); "
                                                        "default: the last graph")
    one.add_argument("--weights", action="store_true", help="also write the .npz that makes a .glow file run again")


def _table(one: argparse.ArgumentParser) -> None:
    one.add_argument("--json", action="store_true")
    one.add_argument("--markdown", action="store_true", help="as docs/ holds it")


COMMANDS: dict[str, tuple[Callable[[argparse.ArgumentParser], None], Run]] = {
    "serve": (_serve, commands.serve),
    "compile": (_compile, commands.compile_model),
    "run": (_run, commands.run_model),
    "opt": (_opt, text_filter.opt),
    "bench": (_bench, commands.bench),
    "tune": (_tune, commands.tune),
    "validate": (_validate, checks.validate),
    "bisect": (_bisect, bisection.bisect),
    "diff": (_diff, checks.diff),
    "show": (_show, show.show),
    "export": (_export, exports.export),
    "lesson": (lessons.arguments, lessons.lesson),
    "ops": (_table, tables.ops),
    "passes": (_table, tables.passes),
    "backends": (_table, tables.backends),
}


def shape(text: str) -> tuple[str, tuple[int, ...]]:
    """`x=1x3x224x224`; names may hold `=`, the dims stand behind the last one."""
    name, _, dims = text.rpartition("=")
    if not name or not re.fullmatch(r"\d+(x\d+)*|", dims):
        raise argparse.ArgumentTypeError(f"{text!r} is no shape: expected NAME=1x3x224x224")
    return name, tuple(int(d) for d in dims.split("x") if d)


def sizes(text: str) -> tuple[str, tuple[int, ...]]:
    """`batch=1,2,8`: an open dimension and the numbers it takes."""
    name, _, numbers = text.rpartition("=")
    if not name or not re.fullmatch(r"\d+(,\d+)*", numbers):
        raise argparse.ArgumentTypeError(f"{text!r} is no sweep: expected NAME=1,2,8")
    return name, tuple(int(number) for number in numbers.split(","))


def mebibytes(text: str) -> int:
    """A limit in MiB as bytes; `grows` = 0 stands for no limit."""
    try:
        return 0 if text == "grows" else int(float(text.removesuffix("MiB")) * 2**20)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of memory: expected MiB, or grows") from error


def pixels(text: str) -> tuple[str, str]:
    """`scale=imagenet`: one choice of the recipe for pictures."""
    key, equals, choice = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is no choice: expected such as scale=0..1")
    return key, choice


def natural(text: str) -> int:
    """A count: 0, 1, 2, …"""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no count: expected 0, 1, 2, …")
    return int(text)


def option(text: str) -> tuple[str, str, Any]:
    """`fuse.max_inputs=2`: pass, option, value (int, float, true/false or text)."""
    found = re.fullmatch(r"(\w+)\.(\w+)=(.*)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no option: expected PASS.OPTION=VALUE")
    return found[1], found[2], text_filter.plain(found[3])
