"""Commands that make something: the app, a recording, results, optimised text, a comparison of engines."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from glowviz.compiler.problem import Problem


def compile_options(options: argparse.Namespace) -> dict[str, Any]:
    """The keyword arguments of `glowviz.compile` that the shared options say."""
    per_pass: dict[str, dict[str, Any]] = {}
    for name, key, value in options.option:
        per_pass.setdefault(name, {})[key] = value
    return {
        "shapes": dict(options.shape), "target": options.target, "threads": options.threads,
        "precision": options.precision, "disable": tuple(options.disable), "options": per_pass,
        "progress": progress(options),
    }


def progress(options: argparse.Namespace) -> Callable[[str], None]:
    """One line on stderr that is written over; nothing with --quiet or when stderr is no terminal."""
    if options.quiet or not sys.stderr.isatty():
        return lambda _: None
    return lambda text: print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def clear(options: argparse.Namespace) -> None:
    """Take the progress line away."""
    if not options.quiet and sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def source(path: str) -> Any:
    """A model file for the compiler: .glow files are parsed here, everything else is left to the importer."""
    if not path.endswith(".glow"):
        return path
    from glowviz.compiler import ops  # noqa: F401  # the parser needs every op class
    from glowviz.compiler.text import parse_graph

    return parse_graph(Path(path).read_text(encoding="utf-8"))


def serve(options: argparse.Namespace) -> int:
    """Open the app on this machine; with a model (or recording) it is compiled and shown."""
    from glowviz.app.server import serve as serve_app

    if options.model is not None and not Path(options.model).is_file():
        raise Problem(f"{options.model} is not there", "glowviz MODEL", "an .onnx, .glow or .glowrec file")
    return serve_app(
        model=options.model, shapes=dict(options.shape), host=options.host, port=options.port,
        browser=not options.no_browser, load=options.load,
    )  # fmt: skip


def compile_model(options: argparse.Namespace) -> int:
    """Compile a model and write the recording of every step."""
    import glowviz
    from glowviz.compiler.recording.schema import connect

    started = time.process_time()
    executable = glowviz.compile(
        source(options.model), record=options.output, measured_runs=options.time, **compile_options(options)
    )
    clear(options)
    size = Path(options.output).stat().st_size
    connect(Path(options.output)).close()
    hosts = [listing.instruction for listing in executable.listing() if not listing.native]
    note = f", {len(hosts)} host calls ({', '.join(sorted(set(hosts)))})" if hosts else ""
    print(f"{options.output}: {len(executable.listing())} instructions{note}, {size / 2**20:.2f} MiB, "
          f"{time.process_time() - started:.2f} CPU-s", file=sys.stderr)
    return 0


def run_model(options: argparse.Namespace) -> int:
    """Compile a model and run it once."""
    import glowviz
    from glowviz.compiler.pipeline import bound_graph
    from glowviz.compiler.validate import inputs_of

    given = _inputs(options.inputs)
    executable = glowviz.compile(source(options.model), **compile_options(options))
    clear(options)
    feeds = given if given is not None else inputs_of(bound_graph(source(options.model), dict(options.shape)))
    results = executable.run(feeds)
    if options.outputs:
        np.savez(options.outputs, allow_pickle=False, **results)  # type: ignore[arg-type]  # arrays by name
        return 0
    if given is None:
        print("input: seeded noise, so the answers mean nothing", file=sys.stderr)
    for name, array in results.items():
        print(f"{name}\t{array.dtype}[{'x'.join(map(str, array.shape))}]\t{_statistics(array)}")
    return 0


def _inputs(path: str | None) -> Mapping[str, np.ndarray] | None:
    if path is None:
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (ValueError, EOFError, AttributeError):
        expected = "arrays by input name, as numpy.savez writes"
        raise Problem(f"{path} is not an .npz file", "--inputs", expected) from None


def _statistics(array: np.ndarray) -> str:
    if not array.size or array.dtype.kind not in "fiub":
        return f"{array.size} elements"
    real = array.astype(np.float64)
    return f"min {real.min():.6g}  mean {real.mean():.6g}  max {real.max():.6g}  largest at {int(real.argmax())}"


def opt(options: argparse.Namespace) -> int:
    """Run passes over a text and print the result: a Unix filter."""
    import glowviz.compiler.pipeline  # noqa: F401  # registers ops and passes
    from glowviz.cli.arguments import pass_list
    from glowviz.compiler.backends import backend_named
    from glowviz.compiler.graph import Graph
    from glowviz.compiler.ledger import Ledger
    from glowviz.compiler.text import parse_graph, parse_program, print_graph, print_program
    from glowviz.compiler.verify import verify_graph, verify_program

    text = sys.stdin.read() if options.file == "-" else Path(options.file).read_text(encoding="utf-8")
    is_program = _first_word(text) == "program"
    ir: Any = parse_program(text) if is_program else parse_graph(text)
    (verify_program if is_program else verify_graph)(ir)
    backend = backend_named(options.target)
    for name, settings in pass_list(options.passes):
        ledger = Ledger(backend.target, options={name: settings})
        ledger.check((name,))
        if name == "irgen":
            from glowviz.compiler.irgen import irgen

            ir = irgen(ir, target=backend.target)
        else:
            ir = ledger.run(name, "opt", ir)
    print(print_graph(ir) if isinstance(ir, Graph) else print_program(ir))
    return 0


def _first_word(text: str) -> str:
    lines = (line.strip() for line in text.splitlines())
    return next((line.split(" ", 1)[0] for line in lines if line and not line.startswith("//")), "")


def bench(options: argparse.Namespace) -> int:
    """Time our code beside other engines: own processes, interleaved windows, outputs compared."""
    from glowviz.bench import compare

    engines = ["glowviz", *(name for name in options.against.split(",") if name)]
    report = compare(options.models, engines, options.threads, options.seconds, dict(options.shape))
    print(report.json() if options.json else report.text())
    return 0
