"""Count the commands that reach MongoDB, so that tests can check that their number doesn't grow."""

from collections import Counter
from typing import Any

from storage.mongodb.client import CommandListener

HOUSEKEEPING = frozenset({"hello", "isMaster", "ping", "saslStart", "saslContinue", "endSessions", "killCursors"})


class Commands(CommandListener):
    """Counts of each command since the last `clear`, without the driver's own housekeeping."""

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
        """Do nothing: the command was counted when it started."""

    def failed(self, event: Any) -> None:
        """Do nothing: the command was counted when it started."""
