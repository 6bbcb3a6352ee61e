"""Define the errors of the database, independent of the driver.

`SERVER_ERRORS` is the only place that says how a caller is refused for an error code of the server. Names and codes are
those of MongoDB's `error_codes.yml`.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from schema.core.refusals import Refusal, RefusalCode

DUPLICATE_KEY = 11000
INDEX_MISSING = frozenset({26, 27})
"""Error codes NamespaceNotFound, IndexNotFound."""
HISTORY_LOST = frozenset({136, 260, 280, 286})
"""Error codes CappedPositionLost, InvalidResumeToken, ChangeStreamFatalError, ChangeStreamHistoryLost."""

_UNAVAILABLE = {
    # The network between driver, router and members.
    6: "HostUnreachable",
    7: "HostNotFound",
    89: "NetworkTimeout",
    145: "PooledConnectionsDropped",
    172: "TransportSessionClosed",
    202: "NetworkInterfaceExceededTimeLimit",
    279: "ClientDisconnect",
    317: "ConnectionPoolExpired",
    384: "ConnectionError",
    407: "PooledConnectionAcquisitionExceededTimeLimit",
    9001: "SocketException",
    # A member that starts, stops, or is not primary.
    90: "CallbackCanceled",
    91: "ShutdownInProgress",
    94: "NotYetInitialized",
    133: "FailedToSatisfyReadPreference",
    134: "ReadConcernMajorityNotAvailableYet",
    149: "NoConfigPrimary",
    189: "PrimarySteppedDown",
    199: "ReplicaSetMonitorRemoved",
    216: "ElectionInProgress",
    281: "TransactionCoordinatorSteppingDown",
    303: "SplitHorizonChange",
    308: "CurrentConfigNotCommittedYet",
    333: "ServiceExecutorInShutdown",
    355: "InterruptedDueToStorageChange",
    372: "CloseConnectionForShutdownCommand",
    10058: "LegacyNotPrimary",
    10107: "NotWritablePrimary",
    11600: "InterruptedAtShutdown",
    11601: "Interrupted",
    11602: "InterruptedDueToReplStateChange",
    13435: "NotPrimaryNoSecondaryOk",
    13436: "NotPrimaryOrSecondary",
    # A replica set with authorization that has just restarted: it has no keys yet, or can't read its users yet.
    18: "AuthenticationFailed",
    204: "TimeProofMismatch",
    210: "CannotVerifyAndSignLogicalTime",
    211: "KeyNotFound",
    391: "ReauthenticationRequired",
    # Too slow, too few members, or no room.
    50: "MaxTimeMSExpired",
    64: "WriteConcernTimeout",
    100: "UnsatisfiableWriteConcern",
    262: "ExceededTimeLimit",
    264: "TooManyFilesOpen",
    371: "UserWritesBlocked",
    14031: "OutOfDiskSpace",
    # A change stream that must be opened again.
    222: "CloseChangeStream",
    234: "RetryChangeStream",
    # A router with an outdated map of the shards.
    70: "ShardNotFound",
    150: "StaleEpoch",
    249: "StaleDbVersion",
    319: "MovePrimaryInProgress",
    358: "InternalTransactionNotSupported",
    406: "MigrationBlockingOperationCoordinatorCleaningUp",
    412: "UpdatesStillPending",
    13388: "StaleConfig",
}
_BUSY = {
    # Another operation was in the way.
    24: "LockTimeout",
    46: "LockBusy",
    107: "LockFailed",
    112: "WriteConflict",
    117: "ConflictingOperationInProgress",
    215: "DatabaseDropPending",
    225: "TransactionTooOld",
    239: "SnapshotTooOld",
    246: "SnapshotUnavailable",
    250: "StaleChunkHistory",
    251: "NoSuchTransaction",
    267: "PreparedTransactionInProgress",
    272: "MigrationConflict",
    282: "TransactionCoordinatorReachedAbortDecision",
    290: "TransactionExceededLifetimeLimitSeconds",
    363: "RetryableTransactionInProgress",
    # The server ended the cursor.
    43: "CursorNotFound",
    175: "QueryPlanKilled",
    237: "CursorKilled",
    # The server has too much to do.
    205: "ClusterTimeFailsRateLimiter",
    261: "TooManyLogicalSessions",
    365: "TemporarilyUnavailable",
    402: "ResourceExhausted",
    433: "AdmissionQueueOverflow",
    449: "RateLimitExceeded",
    462: "IngressRequestRateLimitExceeded",
}
SERVER_ERRORS: Mapping[int, RefusalCode] = MappingProxyType(
    dict.fromkeys(_UNAVAILABLE, RefusalCode.UNAVAILABLE) | dict.fromkeys(_BUSY, RefusalCode.BUSY)
)
"""How a caller is refused for each error code that passes by itself. Both refusals tell the caller to try again later.

The drivers run some of these commands again by themselves, but only once.
"""
ERROR_NAMES: Mapping[int, str] = MappingProxyType(_UNAVAILABLE | _BUSY)
RETRYABLE_LABELS = ("RetryableWriteError", "RetryableError", "SystemOverloadedError", "ResumableChangeStreamError")
"""Labels by which a newer server says that an error passes by itself, for codes that are not in the table."""


class DuplicateError(Exception):
    """Raised if a unique key is taken. `fields` are the fields of the unique index."""

    def __init__(self, fields: tuple[str, ...]) -> None:
        super().__init__(f"taken: {', '.join(fields)}")
        self.fields = fields


def duplicate_error(reply: Mapping[str, Any] | None) -> DuplicateError:
    return DuplicateError(tuple((reply or {}).get("keyPattern", {})))


class NoSessionsError(Refusal):
    """Raised if the driver's connection takes no sessions, before anything was sent over it.

    Such a connection was made while its member could be neither primary nor secondary, as after its start.
    """

    def __init__(self) -> None:
        super().__init__(RefusalCode.UNAVAILABLE)


class StoreError(Exception):
    """Raised for an error of the driver or server that no caller can handle. Clients see only a correlation id.

    `code` is the server's error code, or None for an error of the driver itself. The log shows it.
    """

    def __init__(self, text: str = "", code: int | None = None) -> None:
        super().__init__(text)
        self.code = code


class HistoryLostError(Exception):
    """Raised if the server no longer has the changes after a reader's position. The reader must start again."""


def duplicates(reply: Mapping[str, Any]) -> list[int] | None:
    """Return the indexes of the documents whose unique key was taken, or None if the reply has any other error."""
    errors = reply.get("writeErrors", [])
    if reply.get("writeConcernErrors") or any(each["code"] != DUPLICATE_KEY for each in errors):
        return None
    return [each["index"] for each in errors]


def reply_error(
    kind: str, reply: Mapping[str, Any] | None, has_label: Callable[[str], bool], *, is_transient: bool
) -> Exception:
    """Return the error to raise for a server's reply. `kind` is the type of the driver's error.

    If a reply has several errors, UNAVAILABLE wins. `is_transient` means that a transaction may succeed if it is run
    again. A `StoreError` has no message of the server, because it would quote documents.
    """
    found = reply or {}
    errors = [found, *found.get("writeErrors", []), *found.get("writeConcernErrors", [])]
    names = {each["code"]: str(each.get("codeName") or each["code"]) for each in errors if "code" in each}
    refusals = {SERVER_ERRORS[code] for code in names if code in SERVER_ERRORS}
    if not HISTORY_LOST.isdisjoint(names):
        return HistoryLostError()
    if RefusalCode.UNAVAILABLE in refusals or (not refusals and any(map(has_label, RETRYABLE_LABELS))):
        return Refusal(RefusalCode.UNAVAILABLE)
    if refusals or is_transient:
        return Refusal(RefusalCode.BUSY)
    return StoreError(" ".join([kind, *names.values()]), next(iter(names), None))
