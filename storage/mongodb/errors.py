"""Faults: what the database may say other than yes, in our own words.

Telling them apart is left to `mongo.py`, the one file that knows the driver's.
"""

DUPLICATE_KEY = 11000
NOT_NOW = frozenset({6, 7, 89, 91, 134, 189, 262, 9001, 10058, 10107, 11600, 11602, 13435, 13436})
"""Codes of a server that starts, stops or has no primary yet: those that drivers try once more by themselves."""
HISTORY_LOST = frozenset({136, 260, 280, 286})
"""CappedPositionLost, InvalidResumeToken, ChangeStreamFatalError, ChangeStreamHistoryLost."""


class DuplicateError(Exception):
    """A unique key is taken; `fields` names the keys of the index that refused."""

    def __init__(self, fields: tuple[str, ...]) -> None:
        super().__init__(f"taken: {', '.join(fields)}")
        self.fields = fields


class StoreError(Exception):
    """The driver or the server reported a fault that no caller can mend; clients see a correlation id only."""


class HistoryLostError(Exception):
    """The server keeps no changes from so far back: who follows them reads everything once more."""
