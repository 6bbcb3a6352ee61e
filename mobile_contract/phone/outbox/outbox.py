"""Store observations, their media and the parts of uploads. Every change is one durable transaction."""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mobile_contract.phone.errors import ServerRefusedError, UsageError
from mobile_contract.phone.ids import new_id
from mobile_contract.phone.outbox.items import Medium, MediumState, ObservationState, OutboxObservation
from mobile_contract.phone.storage.database import DatabaseConnection, DatabaseRow, connect
from mobile_contract.phone.storage.migrations import LEVEL, statements
from mobile_contract.phone.storage.photo_copies import ByteRange, Original

_MEDIA = """
SELECT media.*, (SELECT count(*) FROM parts WHERE medium_id = media.id) AS parts,
  (SELECT count(*) FROM parts WHERE medium_id = media.id AND arrived) AS parts_arrived,
  (SELECT coalesce(sum(byte_size), 0) FROM parts WHERE medium_id = media.id AND arrived) AS bytes_arrived
FROM media JOIN observations ON observations.id = observation_id
"""


class Outbox:
    """One encrypted database. Every change is on disk when its method returns."""

    def __init__(self, path: Path, key: bytes, device_id: str | None = None) -> None:
        """Open or create the database with a key of 32 bytes. A new database gets `device_id`. Raise a `PhoneError`."""
        self._database = connect(path, key)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            self._database.execute(f"PRAGMA {pragma}")
        level = self._database.execute("PRAGMA user_version").fetchone()[0]
        if level > LEVEL:
            raise UsageError(
                f"A newer version of the phone wrote the outbox {path}: use that version.",
                "发件箱由更新的版本写成，请使用新版本。",
            )
        if level < LEVEL:
            self._migrate(device_id)

    def close(self) -> None:
        self._database.close()

    def _migrate(self, device_id: str | None) -> None:
        with self.transaction() as database:
            level = database.execute("PRAGMA user_version").fetchone()[0]
            for statement in statements(level):
                database.execute(statement)
            if level == 0:
                facts = [("device_id", device_id or new_id("dev")), ("last_sequence", "0")]
                database.executemany("INSERT INTO facts VALUES (?, ?)", facts)
            database.execute(f"PRAGMA user_version={LEVEL}")

    @contextmanager
    def transaction(self) -> Iterator[DatabaseConnection]:
        """Run the `with` block in one transaction: all or nothing, even if the process is killed."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield self._database
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def rows(self, statement: str, *values: object) -> list[DatabaseRow]:
        """Run a query. Other modules read their own tables with this method."""
        return self._database.execute(statement, values).fetchall()

    def get_fact(self, name: str) -> str | None:
        """Return the value that `set_fact` stored under this name, or None."""
        row = self._database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else None

    def set_fact(self, name: str, value: str) -> None:
        with self.transaction() as database:
            database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    @property
    def device_id(self) -> str:
        """Return the device's id, the same in every outbox of the phone."""
        return self.get_fact("device_id") or ""

    @property
    def last_sequence(self) -> int:
        """Return the highest running number that an observation has got, or 0."""
        return int(self.get_fact("last_sequence") or 0)

    # Taking, correcting, deleting

    def take(self, entries: Sequence[Sequence[Original]], compose: Callable[[int, Sequence[Original]], Any]) -> None:
        """Save one new observation for each list of originals in `entries`, all or none. `compose` makes each draft."""
        with self.transaction() as database:
            fact = database.execute("SELECT value FROM facts WHERE name = 'last_sequence'").fetchone()
            for sequence, originals in enumerate(entries, start=int(fact[0]) + 1):
                draft = compose(sequence, originals)
                database.execute(
                    "INSERT INTO observations (id, sequence, draft, state) VALUES (?, ?, ?, 'QUEUED')",
                    (draft["id"], sequence, json.dumps(draft, ensure_ascii=False)),
                )
                database.execute("UPDATE facts SET value = ? WHERE name = 'last_sequence'", (str(sequence),))
                for place, original in enumerate(originals):
                    row = (original.id, draft["id"], place, original.file, original.name, original.sha256)
                    database.execute(
                        "INSERT INTO media (id, observation_id, place, file, name, sha256, byte_size, content_type, state)"
                        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'WAITING')",
                        (*row, original.byte_size, original.content_type),
                    )

    def holds(self, sha256: str) -> bool:
        """Return whether a file with this SHA-256 was taken before, even if `forget` has deleted it since."""
        return bool(self._database.execute("SELECT 1 FROM media WHERE sha256 = ?", (sha256,)).fetchone())

    def replace_refused(self, id: str, draft: dict[str, Any]) -> None:
        """Queue a refused observation again with another draft. The server has stored nothing under this id."""
        with self.transaction() as database:
            database.execute(
                "UPDATE observations SET draft = ?, state = 'QUEUED', refusal = NULL, trouble = NULL"
                " WHERE id = ? AND state = 'REFUSED'",
                (json.dumps(draft, ensure_ascii=False), id),
            )

    def discard(self, id: str) -> None:
        """Delete an observation if the server has refused it. Keep it in any other state."""
        with self.transaction() as database:
            condition = "FROM observations WHERE id = ? AND state = 'REFUSED'"
            database.execute(f"INSERT OR IGNORE INTO discarded SELECT sequence {condition}", (id,))
            database.execute(f"DELETE {condition}", (id,))

    def forget(self, *, but: Collection[str] = ()) -> list[OutboxObservation]:
        """Delete the texts and file names of fully verified observations, except those with an id in `but`.

        Return the observations as they were before the deletion. Receipts and digests stay.
        """
        through = [
            observation for observation in self.observations() if observation.is_through and observation.id not in but
        ]
        with self.transaction() as database:
            for observation in through:
                database.execute("UPDATE observations SET draft = '{}', forgotten = 1 WHERE id = ?", (observation.id,))
                database.execute("UPDATE media SET name = '', file = '' WHERE observation_id = ?", (observation.id,))
                database.execute("DELETE FROM draft_edits WHERE observation_id = ?", (observation.id,))
        return through

    # Reading

    def observations(self, *states: ObservationState) -> list[OutboxObservation]:
        """List observations in the order in which they were taken. If `states` are given, list only these states.

        Observations that `forget` has deleted are left out.
        """
        media: dict[str, list[Medium]] = {}
        for medium in self.media():
            media.setdefault(medium.observation_id, []).append(medium)
        rows = self._database.execute("SELECT * FROM observations WHERE NOT forgotten ORDER BY sequence")
        observations = [OutboxObservation.read(row, tuple(media.get(row["id"], ()))) for row in rows]
        return [item for item in observations if not states or item.state in states]

    def find(self, id_or_number: str, *states: ObservationState) -> OutboxObservation | None:
        """Find an observation by id or running number. If `states` are given, it must have one of these states."""
        matches = (
            observation
            for observation in self.observations(*states)
            if id_or_number in {observation.id, str(observation.sequence)}
        )
        return next(matches, None)

    def undelivered(self) -> list[OutboxObservation]:
        """List the observations that the phone still has to send, or whose media it still has to upload or confirm."""
        return [observation for observation in self.observations() if observation.is_undelivered]

    def media(self, *states: MediumState) -> list[Medium]:
        """List media in the order in which they were taken. If `states` are given, list only these states.

        Media of observations that `forget` has deleted are left out.
        """
        rows = self._database.execute(f"{_MEDIA} WHERE NOT forgotten ORDER BY sequence, place")
        media = [Medium.read(row) for row in rows]
        return [item for item in media if not states or item.state in states]

    def receipts(self) -> list[DatabaseRow]:
        """Return a row for each observation with a receipt. Observations that `forget` has deleted are included."""
        return self.rows(
            "SELECT id, sequence, draft, receipt, forgotten FROM observations WHERE receipt IS NOT NULL ORDER BY sequence"
        )

    def unsent_sequences(self) -> set[int]:
        """Return the running numbers of observations without a receipt. They are queued, refused or discarded."""
        rows = self.rows(
            "SELECT sequence FROM observations WHERE state <> 'ACCEPTED' UNION SELECT sequence FROM discarded"
        )
        return {row["sequence"] for row in rows}

    def count_forgotten(self) -> int:
        count: int = self._database.execute("SELECT count(*) FROM observations WHERE forgotten").fetchone()[0]
        return count

    def spans(self, medium_id: str) -> list[ByteRange]:
        """Return the parts into which the server divided an upload. Return an empty list if the parts are unknown."""
        rows = self._database.execute("SELECT * FROM parts WHERE medium_id = ? ORDER BY number", (medium_id,))
        return [ByteRange(row["number"], row["start"], row["byte_size"]) for row in rows]

    # Steps of an observation

    def count_attempts(self, ids: Sequence[str]) -> None:
        with self.transaction() as database:
            database.executemany("UPDATE observations SET attempts = attempts + 1 WHERE id = ?", [(id,) for id in ids])

    def record_answers(
        self,
        receipts: dict[str, dict[str, Any]],
        refusals: dict[str, ServerRefusedError],
        troubles: dict[str, ServerRefusedError],
    ) -> None:
        """Store the server's answers to a batch, by observation id.

        `refusals` are errors that a person must look at. `troubles` are errors after which the phone tries again.
        """
        with self.transaction() as database:
            for id, receipt in receipts.items():
                database.execute(
                    "UPDATE observations SET state = 'ACCEPTED', receipt = ?, refusal = NULL, trouble = NULL WHERE id = ?",
                    (json.dumps(receipt), id),
                )
            for state, answers in (("REFUSED", refusals), ("QUEUED", troubles)):
                for id, refusal in answers.items():
                    column = "refusal" if state == "REFUSED" else "trouble"
                    text = json.dumps(refusal.as_json(), ensure_ascii=False)
                    database.execute(
                        f"UPDATE observations SET state = ?, {column} = ? WHERE id = ? AND state = 'QUEUED'",  # noqa: S608
                        (state, text, id),
                    )

    # Steps of a medium

    def mark_sending(self, id: str) -> None:
        self._set_state([id], MediumState.SENDING, "attempts = attempts + 1")

    def set_parts(self, id: str, spans: Sequence[ByteRange]) -> None:
        """Store the parts of a divided upload. Drop the earlier parts, because the store may lack them."""
        with self.transaction() as database:
            database.execute("DELETE FROM parts WHERE medium_id = ?", (id,))
            rows = [(id, span.number, span.start, span.byte_size) for span in spans]
            database.executemany("INSERT INTO parts (medium_id, number, start, byte_size) VALUES (?, ?, ?, ?)", rows)

    def mark_arrived(self, id: str, numbers: Sequence[int], *, alone: bool = False) -> None:
        """Record that the store has these parts. With `alone`, also record that it has no other parts."""
        with self.transaction() as database:
            if alone:
                database.execute("UPDATE parts SET arrived = 0 WHERE medium_id = ?", (id,))
            rows = [(id, number) for number in numbers]
            database.executemany("UPDATE parts SET arrived = 1 WHERE medium_id = ? AND number = ?", rows)

    def mark_sent(self, id: str) -> None:
        self._set_state([id], MediumState.SENT, "trouble = NULL")

    def mark_confirmed(self, ids: Sequence[str]) -> None:
        self._set_state(ids, MediumState.CONFIRMED, "trouble = NULL")

    def mark_ready(self, ids: Sequence[str]) -> None:
        self._set_state(ids, MediumState.READY, "trouble = NULL")

    def mark_missing(self, ids: Sequence[str]) -> None:
        """Queue media again, because the object store lacks their bytes."""
        self._set_state(ids, MediumState.WAITING)

    def mark_rejected(self, id: str) -> None:
        """Queue all bytes of a medium again, because the object store has other bytes than announced."""
        with self.transaction() as database:
            database.execute("DELETE FROM parts WHERE medium_id = ?", (id,))
            database.execute("UPDATE media SET state = 'WAITING', rejections = rejections + 1 WHERE id = ?", (id,))

    def rename_copy(self, id: str, file: str) -> None:
        """Record a new file name for a medium's copy."""
        with self.transaction() as database:
            database.execute("UPDATE media SET file = ? WHERE id = ?", (file, id))

    def set_aside(self, id: str, state: MediumState, refusal: ServerRefusedError) -> None:
        self._set_state([id], state, refusal=refusal)

    def record_trouble(self, id: str, trouble: ServerRefusedError) -> None:
        """Record the last error of a medium that will be tried again."""
        text = json.dumps(trouble.as_json(), ensure_ascii=False)
        with self.transaction() as database:
            database.execute("UPDATE media SET trouble = ? WHERE id = ?", (text, id))

    def _set_state(
        self, ids: Sequence[str], to: MediumState, also: str | None = None, *, refusal: ServerRefusedError | None = None
    ) -> None:
        """Set the state of media. Media that are READY stay READY, even if a late answer says otherwise."""
        if not ids:
            return
        text = json.dumps(refusal.as_json(), ensure_ascii=False) if refusal else None
        more = f", {also}" if also else ""
        with self.transaction() as database:
            database.executemany(
                f"UPDATE media SET state = ?, refusal = ?{more} WHERE id = ? AND state <> 'READY'",  # noqa: S608
                [(to.value, text, id) for id in ids],
            )
