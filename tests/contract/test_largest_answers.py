"""Test that every operation of the contract stays within the limit of work, also with all lists at their limits."""

from pathlib import Path

import pytest
from graphql import parse

from api.graphql.list_sizes import LIST_SIZES
from api.media.owned_media import MAX_AT_ONCE
from api.media.uploads import MAX_PARTS_AT_ONCE
from api.settings import Settings
from api.sync.changes import MAX_PARTS
from schema.casework.assignment_notes import MAX_EDITS_KEPT, NoteField
from schema.core.pagination import MAX_PAGE
from schema.fieldwork.drafts import MAX_DRAFTS
from tests.support.largest_answers import largest_work
from tests.support.world import SCHEMA

OPERATIONS = Path(__file__).parents[2] / "mobile_contract" / "operations"
ANNOUNCEMENT_BYTES = 180
"""The least size of an announced medium in a request, of which the digest and the id are 104 bytes."""
ANNOUNCED = Settings().body_limit_bytes // ANNOUNCEMENT_BYTES
IN_REQUEST = {
    "DraftResult.uploads": ANNOUNCED // MAX_DRAFTS,
    "UploadSlot.parts": MAX_PARTS_AT_ONCE // MAX_AT_ONCE,
    "AssignmentNote.lostEdits": MAX_EDITS_KEPT // len(NoteField),
}
"""Lengths of lists that are limited together: by the size of a request, by the parts of all its uploads, and by the
edits of all notes of an assignment."""
IN_PULL = {
    "ObservationContent.media": MAX_PARTS // MAX_PAGE,
    "AssignmentNote.lostEdits": MAX_PARTS // MAX_PAGE // len(NoteField),
}
"""Lengths of lists in a page of changes, which has at most `MAX_PARTS` media and edits in all."""
PAGES = {"MyReports": 20, "MyAssignments": 50}
"""The page sizes with which operations ask by themselves, if it is not `MAX_PAGE`."""


def work_of(name: str, sizes: dict[str, int]) -> int:
    document = parse((OPERATIONS / f"{name}.graphql").read_text("utf-8"))
    return largest_work(SCHEMA._schema, document, PAGES.get(name, MAX_PAGE), sizes)


@pytest.mark.parametrize("name", sorted(path.stem for path in OPERATIONS.glob("*.graphql")))
def test_an_operation_of_the_contract_stays_within_the_limit_of_work(name: str) -> None:
    match name:
        case "Sync":
            # What it hands in and what it pulls are limited apart.
            work = work_of(name, IN_REQUEST | IN_PULL) + work_of("EditAssignmentNotes", IN_REQUEST)
        case "Changes":
            work = work_of(name, IN_PULL)
        case _:
            work = work_of(name, IN_REQUEST)
    assert work <= Settings().max_work


def test_the_lists_that_the_test_shortens_are_lists_of_the_product() -> None:
    assert {*IN_REQUEST, *IN_PULL} <= LIST_SIZES.keys()


def test_reports_whose_observations_have_all_media_are_most_of_the_limit() -> None:
    """Without the lists of media there would be nothing to test."""
    assert work_of("MyReports", {}) > 10 * work_of("MyReports", {"ObservationContent.media": 1})
