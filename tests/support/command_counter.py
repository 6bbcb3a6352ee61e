"""Counts the commands that reach MongoDB, for tests that promise a fixed number of them."""

from collections import Counter
from typing import Any

from storage.mongodb.client import CommandListener

HOUSEKEEPING = frozenset({"hello", "isMaster", "ping", "saslStart", "saslContinue", "endSessions", "killCursors"})


class Commands(CommandListener):
    """`names` counts each command since the last `clear`, without what the driver sends on its own account."""

    def __init__(self) -> None:
        self.names: Counter[str] = Counter()

    def clear(self) -> None:
        self.names.clear()

    @property
    def total(self) -> int:
        return sum(self.names.values())

    def started(self, event: Any) -> None:
        if event.command_name not in HOUSEKEEPING:
            self.names[event.command_name] += 1

    def succeeded(self, event: Any) -> None:
        """Counted when it started."""

    def failed(self, event: Any) -> None:
        """Counted when it started."""
