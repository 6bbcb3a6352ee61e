"""Merge edits of queued drafts (草稿修改) from several windows of one phone, and keep the losing edits."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mobile_contract.phone.errors import UsageError
from mobile_contract.phone.ids import new_id
from mobile_contract.phone.outbox.drafts import change
from mobile_contract.phone.outbox.items import ObservationState
from mobile_contract.phone.outbox.outbox import Outbox
from mobile_contract.phone.storage.database import DatabaseRow

CLEARABLE = frozenset({"unit", "monitoringPoint"})


@dataclass(frozen=True)
class DraftEdit:
    """A new value of one field, typed in one window. `number` is the edit's running number.

    `seen` is the number of the last edit that the window showed while the user typed.
    `value` is None if the user cleared the field. `edited_at` is the time of typing, in UTC.
    `restores` is the id of the lost edit whose value this edit restores, or None.
    """

    number: int
    id: str
    field: str
    value: Any
    seen: int
    edited_at: str
    restores: str | None

    @classmethod
    def read(cls, row: DatabaseRow) -> "DraftEdit":
        values = {name: row[name] for name in row.keys() if name in cls.__dataclass_fields__}  # noqa: SIM118
        return cls(**values | {"value": json.loads(row["value"])})

    @property
    def sort_key(self) -> tuple[str, str, str]:
        """Order edits by typing time. If two times are equal, the value decides, not the order of saving."""
        return self.edited_at, json.dumps(self.value, sort_keys=True), self.id

    def has_seen(self, other: "DraftEdit") -> bool:
        return other.number <= self.seen


@dataclass(frozen=True)
class MergedEdits:
    """`standing` holds the winning edit of each field.

    `lost` holds the losing edits that were not restored, newest first.
    """

    standing: dict[str, DraftEdit]
    lost: list[DraftEdit]


def merge_edits(edits: Sequence[DraftEdit]) -> MergedEdits:
    """Merge the edits of one draft, field by field.

    An edit replaces the edits that its window showed. If two windows didn't show each other's edits, the edit that was
    typed later wins, even if it was saved first.
    """
    merged = MergedEdits({}, [])
    restored = {edit.restores for edit in edits}
    for field in dict.fromkeys(edit.field for edit in edits):
        own = [edit for edit in edits if edit.field == field]
        alive = [edit for edit in own if not any(other.has_seen(edit) for other in own)]
        standing = merged.standing[field] = max(alive, key=lambda edit: edit.sort_key)
        for edit in own:
            rivals = [other for other in own if not (other.has_seen(edit) or edit.has_seen(other))]
            if (
                edit is not standing
                and edit.id not in restored
                and any(other.sort_key > edit.sort_key for other in rivals)
            ):
                merged.lost.append(edit)
    merged.lost.sort(key=lambda edit: edit.sort_key, reverse=True)
    return merged


class DraftEdits:
    """The edits of all drafts, in the outbox's database. They are deleted with their observation."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def edits_of(self, observation_id: str) -> list[DraftEdit]:
        """List a draft's edits in the order of saving. The draft's version is the number of its last edit, or 0."""
        rows = self._outbox.rows("SELECT * FROM draft_edits WHERE observation_id = ? ORDER BY number", observation_id)
        return [DraftEdit.read(row) for row in rows]

    def save(
        self, observation_id: str, values: Mapping[str, Any], *, seen: int | None, edited_at: datetime
    ) -> list[DraftEdit]:
        """Save an edit of each field and the merged draft in one transaction; return the new edits.

        `seen` is the version that the window showed, or None for the newest.
        Raise `UsageError` if the server may have the draft already, or the version doesn't exist.
        """
        new_edits = [(new_id("evt"), field, value, None) for field, value in values.items()]
        return self._save(observation_id, new_edits, seen, edited_at)

    def restore(self, observation_id: str, edit_id: str) -> list[DraftEdit]:
        """Restore a lost edit's value with a new edit, which replaces all earlier edits of the field.

        Raise `UsageError` if the draft has no such lost edit, or the server may have the draft already.
        """
        lost = {edit.id: edit for edit in merge_edits(self.edits_of(observation_id)).lost}
        if edit_id not in lost:
            raise UsageError(f"There is no lost edit {edit_id} of this draft; see `edit`.", "没有这条落选的修改。")
        edit = lost[edit_id]
        new_edits = [(new_id("evt"), edit.field, edit.value, edit_id)]
        return self._save(observation_id, new_edits, None, datetime.now(UTC))

    def _save(
        self,
        observation_id: str,
        new_edits: Sequence[tuple[str, str, Any, str | None]],
        seen: int | None,
        edited_at: datetime,
    ) -> list[DraftEdit]:
        at = edited_at.astimezone(UTC).isoformat(timespec="microseconds")
        with self._outbox.transaction() as database:
            observation = database.execute("SELECT * FROM observations WHERE id = ?", (observation_id,)).fetchone()
            if observation is None or observation["state"] != ObservationState.QUEUED or observation["attempts"]:
                raise UsageError(
                    "You can only edit an observation that was never sent: the server may have this one already. Use `fix` if the"
                    " server refused it, or a revision if the server has it.",
                    "只能修改从未发送过的记录；被退回的用 fix 修改，已接收的请提交更正。",
                )
            version = max([0, *(edit.number for edit in self.edits_of(observation_id))])
            if seen is not None and not 0 <= seen <= version:
                raise UsageError(f"The draft is at version {version}; see `edit`.", f"草稿当前版本为 {version}。")
            for id, field, value, restores in new_edits:
                row = (id, observation_id, field, json.dumps(value), version if seen is None else seen, at, restores)
                database.execute(
                    "INSERT INTO draft_edits (id, observation_id, field, value, seen, edited_at, restores)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    row,
                )
            edits = self.edits_of(observation_id)
            standing = {field: edit.value for field, edit in merge_edits(edits).standing.items()}
            text = json.dumps(change(json.loads(observation["draft"]), standing), ensure_ascii=False)
            database.execute("UPDATE observations SET draft = ? WHERE id = ?", (text, observation_id))
        ids = {id for id, *_ in new_edits}
        return [edit for edit in edits if edit.id in ids]
