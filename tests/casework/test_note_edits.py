"""Test the merging of note edits: the order of arrival changes neither the notes nor the lost edits."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schema.casework.assignment_notes import NoteEdit, NoteField, merge_edits

BEGAN = datetime(2026, 11, 20, 9, tzinfo=UTC)
DEVICES = ("phone", "other phone", "tablet")


@st.composite
def rounds(draw: st.DrawFn) -> list[list[NoteEdit]]:
    """Draw rounds of edits that three devices write offline between two synchronisations."""
    made: list[list[NoteEdit]] = []
    numbers = dict.fromkeys(DEVICES, 0)
    versions = dict.fromkeys(NoteField, 0)
    for _ in range(draw(st.integers(1, 3))):
        base, now = dict(versions), []
        for device in draw(st.lists(st.sampled_from(DEVICES), max_size=5)):
            numbers[device] += 1
            field = draw(st.sampled_from(list(NoteField)))
            at = BEGAN + timedelta(minutes=draw(st.integers(0, 3)))
            id = f"evt_{draw(st.uuids())}"
            value = draw(st.none() | st.text("甲乙丙", min_size=1, max_size=2))
            earlier = [each.id for before in made for each in before if each.field is field]
            restores = draw(st.none() | st.sampled_from(earlier)) if earlier else None
            now.append(NoteEdit(id, field, value, base[field], at, at, device, numbers[device], "", BEGAN, restores))
            versions[field] += 1
        made.append(now)
    return made


@given(rounds(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_neither_notes_nor_lost_edits(made: list[list[NoteEdit]], random: Any) -> None:
    def arrived(*, shuffled: bool) -> Sequence[NoteEdit]:
        found: list[NoteEdit] = []
        for edits in made:
            found += random.sample(edits, len(edits)) if shuffled else edits
        return found

    expected = merge_edits(arrived(shuffled=False))
    assert merge_edits(arrived(shuffled=True)) == expected
    for note in expected:
        of_field = {each.id: each for edits in made for each in edits if each.field is note.field}
        assert note.version == len(of_field)
        assert of_field[note.edit_id].value == note.value
        assert note.edit_id not in {each.id for each in note.lost_edits}


@given(rounds())
def test_each_devices_latest_edit_of_the_last_round_stays_visible(made: list[list[NoteEdit]]) -> None:
    shown = {each.id for note in merge_edits([one for edits in made for one in edits]) for each in note.lost_edits}
    shown |= {note.edit_id for note in merge_edits([one for edits in made for one in edits])}
    latest = {(each.field, each.device_id): each.id for each in made[-1]}
    assert set(latest.values()) <= shown
