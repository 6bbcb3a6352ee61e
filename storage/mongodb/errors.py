"""Define the errors of the database, independent of the driver."""

DUPLICATE_KEY = 11000
NOT_NOW = frozenset({6, 7, 89, 91, 134, 189, 262, 9001, 10058, 10107, 11600, 11602, 13435, 13436})
"""Codes of a server that starts, stops or has no primary yet. Drivers retry these once by themselves."""
HISTORY_LOST = frozenset({136, 260, 280, 286})
"""CappedPositionLost, InvalidResumeToken, ChangeStreamFatalError, ChangeStreamHistoryLost."""


class DuplicateError(Exception):
    """A unique key is taken. `fields` names the fields of that index."""

    def __init__(self, fields: tuple[str, ...]) -> None:
        super().__init__(f"taken: {', '.join(fields)}")
        self.fields = fields


class StoreError(Exception):
    """The driver or the server reported an error that no caller can handle. Clients see only a correlation id."""


class HistoryLostError(Exception):
    """The server no longer has the changes since that position. The reader must read everything again."""
