"""Importing this package declares every Graph -> Graph pass: one file per pass, found by looking into the folder."""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
