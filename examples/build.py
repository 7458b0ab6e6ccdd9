"""python examples/build.py NAME -o FILE.onnx writes one of the example networks; without a name it lists them."""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import onnx

if not __package__:  # run as a script: the folder above holds the package
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from examples import encoder, gpt2, light, mobilenet_v2, mobilenet_v3, resnet, unet, vit
from glowviz.gallery.build_light import paths

BUILDERS: dict[str, Callable[[], onnx.ModelProto]] = {
    "mobilenet_v2": mobilenet_v2.build,
    "mobilenet_v3_small": mobilenet_v3.build,
    "resnet18": partial(resnet.build, 18),
    "resnet50": partial(resnet.build, 50),
    "bert": partial(encoder.build, 768),
    "bert_pieces": partial(encoder.build, 768, whole_layer_norm=False),
    "minilm": partial(encoder.build, 384),
    "minilm_pieces": partial(encoder.build, 384, whole_layer_norm=False),
    "unet": unet.build,
    "vit": vit.build,
    "gpt2": gpt2.build,
    **{name: partial(light.build, name) for name in paths()},
}


def main(arguments: list[str] | None = None) -> int:
    """Write the file; exit status 2 for an unknown name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="?", help="one of: " + ", ".join(BUILDERS))
    parser.add_argument("-o", "--output", type=Path, help="where to write (default: NAME.onnx)")
    options = parser.parse_args(arguments)
    if options.name is None:
        print("\n".join(BUILDERS))
        return 0
    if options.name not in BUILDERS:
        print(f"No example is called {options.name!r}; there are: {', '.join(BUILDERS)}", file=sys.stderr)
        return 2
    path = options.output or Path(f"{options.name}.onnx")
    onnx.save(BUILDERS[options.name](), path)
    print(f"{path}: {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
