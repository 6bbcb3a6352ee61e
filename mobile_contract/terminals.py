"""Let commands print on terminals that lack some letters."""

import io
import sys


def tolerate_missing_letters() -> None:
    """Print a letter that the terminal's encoding lacks by its code, such as `\\U0001f34a`.

    Else one emoji in the name of a file would end a command on a terminal in GBK, and any Chinese on one in ASCII.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
