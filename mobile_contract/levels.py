"""Read and raise the contract's level: one integer that every change of the contract raises.

Changes of types, fields, arguments and operations count. Changes of descriptions don't.
Within the supported levels, nothing is removed and no input becomes stricter.
After a breaking change, only the new level is supported. Older phones are told the last day on which they work.
The operations in `OUTBOX` must never break: the server accepts an old phone's outbox without a time limit.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any

from graphql import GraphQLSchema, build_schema, parse, validate
from graphql.utilities.find_schema_changes import BreakingChange, SafeChangeType, find_schema_changes

from mobile_contract.documents import FOLDER

FILE, CHANGELOG = FOLDER / "level.json", FOLDER / "CHANGELOG.md"
SDL, OLDEST = FOLDER / "schema.graphql", FOLDER / "oldest.graphql"
OUTBOX = frozenset(
    {
        "SignIn",
        "RefreshSession",
        "SubmitObservations",
        "RequestUploads",
        "ConfirmMedia",
        "SubmitRatings",
        "AnswerAssignments",
        "EditAssignmentNotes",
    }
)
"""The operations with which a phone of any level empties its outbox."""


@dataclass(frozen=True)
class Levels:
    """The supported levels: `current` is this contract's level, and `oldest` the oldest supported level.

    `until` maps each older level that still works to the last day on which it works.
    """

    current: int
    oldest: int
    until: Mapping[int, date] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "Levels":
        values = json.loads(text)
        until = {int(level): date.fromisoformat(day) for level, day in values["until"].items()}
        return cls(values["current"], values["oldest"], until)

    @classmethod
    @cache
    def read(cls) -> "Levels":
        """Read the levels from `level.json`."""
        return cls.parse(FILE.read_text(encoding="utf-8"))

    def as_text(self) -> str:
        until = {str(level): day.isoformat() for level, day in sorted(self.until.items())}
        return json.dumps({"current": self.current, "oldest": self.oldest, "until": until}, indent=2) + "\n"

    def is_supported(self, level: int, today: date) -> bool:
        """Return whether a phone of this level may use every operation today."""
        return level >= self.oldest or today <= self.until.get(level, date.min)

    def next_level(self, until: date | None) -> "Levels":
        """Return the levels after a change. `current` is one higher.

        If `until` is given, only the new level is fully supported. The levels supported so far still work until that
        day.
        """
        current = self.current + 1
        if until is None:
            return Levels(current, self.oldest, self.until)
        ending = dict.fromkeys(range(self.oldest, current), until)
        return Levels(current, current, {**self.until, **ending})


@dataclass(frozen=True)
class ContractChange:
    """One difference between two versions of the contract, as a sentence for implementers."""

    sentence: str
    is_breaking: bool = False


class BreakingChangeError(Exception):
    """The contract must not change in this way; `changes` lists what would break."""

    def __init__(self, sentence: str, changes: Sequence[ContractChange]) -> None:
        super().__init__("\n".join([sentence, *(f"  {change.sentence}" for change in changes)]))
        self.changes = changes


def changes_of(old_sdl: str, new_sdl: str) -> list[ContractChange]:
    """List the differences between two SDL texts, breaking changes first. Changed descriptions are left out."""
    differences = find_schema_changes(build_schema(old_sdl), build_schema(new_sdl))
    changes = [
        ContractChange(change.description, isinstance(change, BreakingChange))
        for change in differences
        if change.type is not SafeChangeType.DESCRIPTION_CHANGED
    ]
    return sorted(changes, key=lambda change: (not change.is_breaking, change.sentence))


def document_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[ContractChange]:
    """List the operations that were added, removed or changed between two manifests."""
    before, after = _by_name(old), _by_name(new)
    return [
        *(ContractChange(f"Operation {name} was added.") for name in after if name not in before),
        *(ContractChange(f"Operation {name} was removed.") for name in before if name not in after),
        *(
            ContractChange(f"Operation {name} was changed.")
            for name in before
            if name in after and before[name]["id"] != after[name]["id"]
        ),
    ]


def retire(
    old: Mapping[str, Any], new: Mapping[str, Any], retired: Sequence[Mapping[str, Any]], level: int
) -> list[Any]:
    """Return the documents of earlier levels: the documents of `old` that are not in `new`, then those in `retired`.

    Record `level` with the newly retired documents. Leave out a document that `new` contains again.
    """
    present = {operation["id"] for operation in new["operations"]}
    newly_retired = [{**operation, "level": level} for operation in old["operations"] if operation["id"] not in present]
    known = {document["id"] for document in newly_retired}
    return [*newly_retired, *(document for document in retired if document["id"] not in known | present)]


def broken_documents(sdl: str, documents: Sequence[Mapping[str, Any]], oldest: int) -> Iterator[str]:
    """Check the retired documents that phones may still send.

    Yield the errors of documents that the SDL does not accept.
    """
    schema = build_schema(sdl)
    for document in documents:
        if document["level"] >= oldest or document["name"] in OUTBOX:
            yield from (
                f"{document['name']} of level {document['level']}: {error}"
                for error in _errors(schema, document["body"])
            )


def add_entry(changelog: str, level: int, day: date, why: str | None, changes: Sequence[ContractChange]) -> str:
    """Return the changelog with a new entry for `level` at the top."""
    title, mark, past = changelog.partition("## ")
    lines = [f"- {'**Breaking.** ' if change.is_breaking else ''}{change.sentence}" for change in changes]
    paragraph = "\n".join([f"## Level {level} · {day.isoformat()}", "", *([why, ""] if why else []), *lines])
    return f"{title}{paragraph}\n" + (f"\n{mark}{past}" if mark else "")


def _by_name(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {operation["name"]: operation for operation in manifest["operations"]}


def _errors(schema: GraphQLSchema, text: str) -> list[str]:
    return [error.message for error in validate(schema, parse(text))]
