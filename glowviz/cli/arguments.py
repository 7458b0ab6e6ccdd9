"""What each command takes: one parser per command, shared options said once."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import Any

from glowviz import __version__
from glowviz.cli import commands, inspect, tables
from glowviz.compiler.problem import Problem

Run = Callable[[argparse.Namespace], int | None]


def parser() -> argparse.ArgumentParser:
    """The parser of `glowviz`; every command sets `run`."""
    top = argparse.ArgumentParser(prog="glowviz", description=TITLE, epilog=EPILOG)
    top.add_argument("--version", action="version", version=f"glowviz {__version__}")
    subparsers = top.add_subparsers(metavar="COMMAND", required=True)
    for name, (add, run) in COMMANDS.items():
        text = (run.__doc__ or "").strip()
        one = subparsers.add_parser(name, help=text.split("\n")[0], description=text)
        add(one)
        one.set_defaults(run=run)
    return top


TITLE = "Opens any ONNX network, compiles it to machine code one pass at a time, and shows every step."
EPILOG = "`glowviz MODEL` opens the app with a model; `glowviz` alone opens the gallery."


def _model(one: argparse.ArgumentParser) -> None:
    one.add_argument("model", help="an .onnx or .glow file")
    one.add_argument("--shape", action="append", default=[], metavar="x=1x3x224x224", type=shape,
                     help="bind the free dimensions of an input (may be given several times)")
    one.add_argument("--target", default="cpu", help="a name of `glowviz backends`")
    one.add_argument("--threads", type=int, default=1)
    one.add_argument("--precision", default="f32")
    one.add_argument("--disable", action="append", default=[], metavar="PASS", help="switch a pass off")
    one.add_argument("--option", action="append", default=[], metavar="fuse.max_inputs=2", type=option,
                     help="set an option of a pass")
    one.add_argument("--quiet", action="store_true", help="no progress on stderr")


def _serve(one: argparse.ArgumentParser) -> None:
    one.add_argument("model", nargs="?", help="an .onnx, .glow or .glowrec file; without it the gallery opens")
    one.add_argument("--host", default="127.0.0.1")
    one.add_argument("--port", type=int, default=8050)
    one.add_argument("--no-browser", action="store_true", help="do not open a browser window")
    one.add_argument("--shape", action="append", default=[], metavar="x=1x3x224x224", type=shape)
    one.add_argument("--load", action="append", default=[], metavar="file.py", help="load ops and passes from a file")


def _compile(one: argparse.ArgumentParser) -> None:
    _model(one)
    one.add_argument("-o", "--output", required=True, metavar="RUN.glowrec", help="the recording to write")
    one.add_argument("--time", type=int, default=0, metavar="RUNS", help="also time every kernel this often")


def _run(one: argparse.ArgumentParser) -> None:
    _model(one)
    one.add_argument("--inputs", metavar="in.npz", help="arrays by input name; without it seeded noise")
    one.add_argument("--outputs", metavar="out.npz", help="where the results go; without it their statistics are shown")


def _opt(one: argparse.ArgumentParser) -> None:
    one.add_argument("file", help="a .glow file, or - for standard input")
    one.add_argument("--passes", required=True, metavar="dce,fuse{max_inputs=2}")
    one.add_argument("--target", default="cpu")


def _bench(one: argparse.ArgumentParser) -> None:
    one.add_argument("models", nargs="+", metavar="MODEL")
    one.add_argument("--against", default="onnxruntime", metavar="onnxruntime,openvino,mnn")
    one.add_argument("--threads", type=int, default=1)
    one.add_argument("--seconds", type=float, default=10.0, help="timing per engine and model")
    one.add_argument("--shape", action="append", default=[], metavar="x=1x3x224x224", type=shape)
    one.add_argument("--json", action="store_true")


def _validate(one: argparse.ArgumentParser) -> None:
    _model(one)
    one.add_argument("--seed", type=int, default=0)


def _bisect(one: argparse.ArgumentParser) -> None:
    _validate(one)
    one.add_argument("--tolerance", type=float, default=1e-4, help="of max |value|")
    one.add_argument("--save", metavar="cut.onnx", help="write the smallest broken part as ONNX")


def _diff(one: argparse.ArgumentParser) -> None:
    one.add_argument("before", metavar="A.glowrec")
    one.add_argument("after", metavar="B.glowrec")


def _export(one: argparse.ArgumentParser) -> None:
    one.add_argument("recording", metavar="RUN.glowrec")
    formats = "page.html|graph.svg|trace.json|optimised.onnx|graph.glow"
    one.add_argument("-o", "--output", required=True, metavar=formats)
    one.add_argument("--snapshot", type=int, help="which snapshot (default: the last that fits the format)")


def _table(one: argparse.ArgumentParser) -> None:
    one.add_argument("--json", action="store_true")
    one.add_argument("--markdown", action="store_true", help="as docs/ holds it")


COMMANDS: dict[str, tuple[Callable[[argparse.ArgumentParser], None], Run]] = {
    "serve": (_serve, commands.serve),
    "compile": (_compile, commands.compile_model),
    "run": (_run, commands.run_model),
    "opt": (_opt, commands.opt),
    "bench": (_bench, commands.bench),
    "validate": (_validate, inspect.validate),
    "bisect": (_bisect, inspect.bisect),
    "diff": (_diff, inspect.diff),
    "export": (_export, inspect.export),
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


def option(text: str) -> tuple[str, str, Any]:
    """`fuse.max_inputs=2`: pass, option, value (int, float, true/false or text)."""
    found = re.fullmatch(r"(\w+)\.(\w+)=(.*)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no option: expected PASS.OPTION=VALUE")
    return found[1], found[2], plain(found[3])


def plain(text: str) -> Any:
    """A number or truth value where the text is one, else the text."""
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def pass_list(text: str) -> list[tuple[str, dict[str, Any]]]:
    """`dce,fuse{max_inputs=2}` as pass names with their options."""
    found: list[tuple[str, dict[str, Any]]] = []
    rest = text.strip()
    while rest:
        match = re.match(r"(\w+)(?:\{([^}]*)\})?\s*(?:,\s*|$)", rest)
        if match is None:
            raise Problem(f"--passes {text!r} does not parse at {rest[:20]!r}", "--passes",
                          "names like dce,fuse{max_inputs=2}")
        pairs = (p.split("=", 1) for p in (match[2] or "").split(",") if "=" in p)
        found.append((match[1], {k.strip(): plain(v.strip()) for k, v in pairs}))
        rest = rest[match.end():]
    return found
