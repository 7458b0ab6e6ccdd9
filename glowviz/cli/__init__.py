"""The command line: everything the app can do, as Unix commands."""

from glowviz.cli.main import main

__all__ = ["main"]
