"""Print the help of several commands, each run as by `python -m`: `python -m tests.support.help_printer MODULE...`.

One process imports what the commands share only once.
"""

import contextlib
import runpy
import sys

for module in sys.argv[1:]:
    sys.argv = [module, "--help"]
    with contextlib.suppress(SystemExit):
        runpy.run_module(module, run_name="__main__", alter_sys=True)
