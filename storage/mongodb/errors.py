"""Define the errors of the database, independent of the driver."""

DUPLICATE_KEY = 11000
NOT_NOW = frozenset({6, 7, 89, 91, 134, 189, 262, 9001, 10058, 10107, 11600, 11602, 13435, 13436})
"""Error codes of a server that starts, stops or has no primary yet. The drivers retry once after these errors."""
HISTORY_LOST = frozenset({136, 260, 280, 286})
"""Error codes CappedPositionLost, InvalidResumeToken, ChangeStreamFatalError, ChangeStreamHistoryLost."""


class DuplicateError(Exception):
    """Raised if a unique key is taken. `fields` are the fields of the unique index."""

    def __init__(self, fields: tuple[str, ...]) -> None:
        super().__init__(f"taken: {', '.join(fields)}")
        self.fields = fields


class StoreError(Exception):
    """Raised for an error of the driver or server that no caller can handle. Clients see only a correlation id."""


class HistoryLostError(Exception):
    """Raised if the server no longer has the changes after a reader's position. The reader must start again."""
