"""Store the pulled records (本机数据): places, assignments, cases, own reports and catalogues, and the pull's cursor."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

from mobile_contract.documents import text_of
from mobile_contract.phone.outbox.outbox import Outbox

_CURSOR, _ROUND, _DOCUMENT, _AS_OF, _PULLED_AT = "cursor", "round", "pull_document", "as_of", "pulled_at"
_FULL = "pull_is_full"


class PulledKind(StrEnum):
    UNIT = "UNIT"
    MONITORING_POINT = "MONITORING_POINT"
    ASSIGNMENT = "ASSIGNMENT"
    CASE = "CASE"
    OBSERVATION = "OBSERVATION"
    CATALOGUE_ENTRY = "CATALOGUE_ENTRY"


@dataclass(frozen=True)
class Age:
    """How current the stored records are. The times are None before the first pull.

    `as_of` is a time by the server's clock, and `pulled_at` a time by this device's clock.
    """

    as_of: str | None
    pulled_at: str | None


class Records:
    """The pulled records, each in one row of the outbox's database."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    @property
    def cursor(self) -> str | None:
        """Return the cursor where the next pull continues, or None to pull everything.

        An updated phone may request other fields. Then it pulls everything, because the stored records lack them.
        """
        cursor = self._outbox.get_fact(_CURSOR)
        return cursor if cursor and self._outbox.get_fact(_DOCUMENT) == _document() else None

    @property
    def age(self) -> Age:
        return Age(self._outbox.get_fact(_AS_OF) or None, self._outbox.get_fact(_PULLED_AT))

    def start_over(self) -> None:
        """Make the next request pull everything. The stored records stay readable until the last page is stored."""
        with self._outbox.transaction() as database:
            database.execute("DELETE FROM facts WHERE name = ?", (_CURSOR,))

    def store(self, page: dict[str, Any], since: str | None) -> None:
        """Store a `ChangePage` that was requested with `since`, and its cursor, in one transaction.

        The last page of a full pull also removes all records that were on no page of this pull.
        """
        last_round = int(self._outbox.get_fact(_ROUND) or 0)
        is_full = since is None or self._outbox.get_fact(_FULL) == "1"
        round = last_round + 1 if since is None else last_round
        with self._outbox.transaction() as database:
            for change in page["changes"]:
                key = (change["kind"], change["id"])
                if change["record"] is None:
                    database.execute("DELETE FROM records WHERE kind = ? AND id = ?", key)
                else:
                    content = json.dumps(change["record"], ensure_ascii=False)
                    database.execute("INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?)", (*key, content, round))
            if is_full and not page["hasMore"]:
                database.execute("DELETE FROM records WHERE round < ?", (round,))
            facts = {
                _CURSOR: page["cursor"],
                _ROUND: str(round),
                _FULL: "1" if is_full and page["hasMore"] else "0",
                _DOCUMENT: _document(),
                _AS_OF: page["asOf"] or "",
                _PULLED_AT: datetime.now(UTC).isoformat(timespec="milliseconds"),
            }
            database.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", list(facts.items()))

    def merge(self, kind: PulledKind, id: str, fields: dict[str, Any]) -> None:
        """Update fields of a stored record from the answer to a submission. Do nothing if the record isn't stored."""
        with self._outbox.transaction() as database:
            row = database.execute("SELECT content FROM records WHERE kind = ? AND id = ?", (kind, id)).fetchone()
            if row:
                content = json.dumps(json.loads(row["content"]) | fields, ensure_ascii=False)
                database.execute("UPDATE records SET content = ? WHERE kind = ? AND id = ?", (content, kind, id))

    def all(self, kind: PulledKind) -> list[dict[str, Any]]:
        rows = self._outbox.rows("SELECT content FROM records WHERE kind = ? ORDER BY id", kind.value)
        return [json.loads(row["content"]) for row in rows]

    def by_id(self, kind: PulledKind) -> dict[str, dict[str, Any]]:
        return {record["id"]: record for record in self.all(kind)}

    def counts(self) -> dict[str, int]:
        """Count the records by kind."""
        rows = self._outbox.rows("SELECT kind, count(*) AS many FROM records GROUP BY kind ORDER BY kind")
        return {row["kind"]: row["many"] for row in rows}


def _document() -> str:
    return sha256((text_of("Changes") + text_of("Sync")).encode()).hexdigest()
