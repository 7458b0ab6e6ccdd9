"""`python -m glowviz` is the command `glowviz`."""

import sys

from glowviz.cli import main

sys.exit(main())
