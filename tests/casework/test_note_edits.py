"""Edits of notes as such: whatever devices write and whatever arrives first, the notes and what lost are the same."""

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
    """What three devices write between one meeting of all of them and the next, offline."""
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
def test_whatever_arrives_first_the_notes_and_the_lost_edits_are_the_same(
    made: list[list[NoteEdit]], random: Any
) -> None:
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
def test_of_the_last_meeting_everything_is_kept_or_was_replaced_by_its_own_device(made: list[list[NoteEdit]]) -> None:
    shown = {each.id for note in merge_edits([one for edits in made for one in edits]) for each in note.lost_edits}
    shown |= {note.edit_id for note in merge_edits([one for edits in made for one in edits])}
    latest = {(each.field, each.device_id): each.id for each in made[-1]}
    assert set(latest.values()) <= shown
