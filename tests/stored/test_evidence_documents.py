"""Test the stored documents of evidence: observations, id conflicts, flags, ratings, and likenesses of pictures."""

from dataclasses import replace
from datetime import date, timedelta

from schema.access.viewers import Role
from schema.appraisal.ratings import Rating
from schema.checks.flag_messages import FlagCode
from schema.checks.flags import (
    CheckFinding,
    FlagOwner,
    FlagReview,
    FlagState,
    FlagVerdict,
    finding_key_of,
    raise_flag,
)
from schema.checks.similarity import Likeness
from schema.checks.thresholds import Measure
from schema.core.digests import canonical, digest_of
from schema.core.times import ByteCount
from schema.fieldwork.drafts import Author, ComplainantInput, ObservationDraft, content_of, new_observation
from schema.fieldwork.observations import Category, Method, Observation, ObservationRevision, Placement, Severity
from schema.fieldwork.placement import PlacementResult
from schema.geography.positions import Datum, GeoPointInput, PositionSource
from schema.media.media_drafts import MediaDraft
from storage.checks.queue import Claim
from storage.mongodb.client import Document, Session
from storage.mongodb.codecs import to_document
from storage.similarity.keypoints import Keypoint, KeypointSet, pack
from storage.store import Store
from tests.stored.fixed import DIGEST, NOW, OTHER_DIGEST, PATH, UNUSABLE_POSITION, by_id, fixed_id, minutes
from tests.stored.fixed_records import CONTENT, COVERT, whole_observation
from tests.stored.golden_documents import Goldens

PLACED = PlacementResult(fixed_id("unt", 2), PATH, fixed_id("pnt", 1), Placement.PLACED)
UNPLACED = PlacementResult(None, None, None, Placement.UNPLACED)


def bare_observation(number: int, placed: PlacementResult, *, later: float = 0) -> Observation:
    """Return a new observation with required fields only, recorded `later` minutes after the others."""
    draft = ObservationDraft(
        id=fixed_id("obs", number),
        method=Method.PATROL,
        category=Category.OTHER,
        severity=Severity.NOTE,
        captured_at=minutes(-60),
    )
    roles = frozenset({Role.OFFICER})
    author = Author(fixed_id("usr", 4), None, roles, fixed_id("unt", 1), PATH)
    return new_observation(draft.id, content_of(draft, roles, field=""), DIGEST, author, placed, minutes(later))


async def test_observations_keep_their_stored_form(records: Store, goldens: Goldens) -> None:
    """Observations are recorded, linked to a case, revised, placed later, claimed for a check, and checked.

    MongoDB's clock decides when an observation that is placed later is due for a check. The test sets that time to
    `NOW`.
    """
    whole, revised = whole_observation(1), whole_observation(2)
    unusable = replace(whole_observation(3), content=replace(CONTENT, position=UNUSABLE_POSITION), case_ids=())
    bare, linked = bare_observation(4, PLACED), bare_observation(5, PLACED)
    placed = bare_observation(6, UNPLACED)
    claimed, checked = (bare_observation(number, UNPLACED, later=number - 20) for number in (7, 8))
    observations = records.observations
    added = await observations.add([whole, revised, unusable, bare, linked, placed, claimed, checked])
    assert not added.duplicate_ids
    for due in (claimed, checked):
        assert await records.checks.claim(minutes(-1), timedelta(minutes=20), due.author_id) == Claim(due.id, 1)
    await records.checks.finish(Claim(checked.id, 1))
    revision = ObservationRevision(
        number=2,
        id=fixed_id("rev", 1),
        recorded_at=minutes(5),
        reason="更正类别",
        content=replace(CONTENT, category=Category.CHATTING),
        content_sha256=OTHER_DIGEST,
    )
    again = await observations.revise(revised, revision, to_document(UNPLACED))

    async def link(session: Session) -> int:
        return await observations.link([linked.id], fixed_id("cas", 1), {}, session)

    assert await records.mongo.transact(link) == 1
    assert await observations.set_placement(placed.id, 1, to_document(PLACED))

    def normalize(document: Document) -> Document:
        return document | {"check_due_at": NOW} if document["_id"] == placed.id else document

    await goldens.check("observations", normalize)
    assert again == replace(
        revised,
        content=revision.content,
        revision=2,
        revisions=[*revised.revisions, revision],
        placement=Placement.UNPLACED,
        unit_id=None,
        unit_path=None,
        monitoring_point_id=None,
    )
    stored = await observations.many([whole.id, bare.id])
    assert by_id(stored) == [whole, bare]
    assert await observations.whole(unusable.id) == unusable  # whole, because its two contents differ as no others do


async def test_content_under_a_taken_id_keeps_its_stored_form(records: Store, goldens: Goldens) -> None:
    draft = ObservationDraft(
        id=fixed_id("obs", 1),
        method=Method.COMPLAINT,
        category=Category.RUDE,
        severity=Severity.GRAVE,
        text="态度恶劣",
        captured_at=minutes(-3),
        position=GeoPointInput(
            latitude=25.8587,
            longitude=114.7227,
            datum=Datum.GCJ02,
            accuracy_metres=8.5,
            altitude_metres=120.0,
            source=PositionSource.GPS,
            is_mock=True,
            fixed_at=minutes(-4),
        ),
        unit="360703-JT-1",
        monitoring_point="GZ-001",
        assignment_id=fixed_id("asg", 1),
        staff_seen="工号 0017",
        device_sequence=2**60,
        complainant=ComplainantInput(name="丙", contact="0797-0000000", is_anonymous=True),
        media=[
            MediaDraft(
                id=fixed_id("med", 1),
                sha256=DIGEST,
                byte_size=ByteCount(2**33),
                content_type="video/mp4",
                md5="0123456789abcdef" * 2,
                captured_at=minutes(-3),
            )
        ],
    )
    newcomer = (draft.id, digest_of(draft), canonical(draft))
    assert await records.observations.store_conflicts([newcomer], fixed_id("usr", 1), NOW, 10) == {newcomer[1]}
    await goldens.check("set_aside")


async def test_flags_keep_their_stored_form(records: Store, goldens: Goldens) -> None:
    """The key of a finding must stay the same, or checking again raises the flag twice.

    Two of the flags were stored before flags had keys and reviews had a capacity. Their ids are the keys.
    """
    former_ids = ("flg_01a1f67c-3edb-74b4-8c08-de9b0df149cd", "flg_01a1f67c-3edb-7c98-9711-3059c859e590")
    await goldens.restore("flags", *former_ids)
    flagged = FlagOwner(fixed_id("obs", 1), PATH, fixed_id("usr", 1), NOW)
    whole = CheckFinding(
        code=FlagCode.SIMILAR_PICTURE,
        value=7.04,
        threshold=24,
        measure=Measure.BITS,
        medium_id=fixed_id("med", 1),
        other_observation_id=fixed_id("obs", 2),
        other_medium_id=fixed_id("med", 2),
        name="Snapseed",
    )
    bare = CheckFinding(code=FlagCode.FAR_FROM_UNIT, value=731.26, threshold=500.0, measure=Measure.METRES)
    assert (finding_key_of(bare, flagged), finding_key_of(whole, flagged)) == former_ids
    await records.flags.raise_all([raise_flag(finding, flagged, minutes(2), bytes(10)) for finding in (whole, bare)])
    former = await records.flags.many(former_ids)
    assert sorted((flag.id, flag.finding_key, len(flag.reviews)) for flag in former) == [
        (former_ids[0], None, 0),
        (former_ids[1], None, 2),
    ]
    old_reviews = [review for flag in former for review in flag.reviews]
    assert all(review.by_capacity is None and not review.capacity.is_covert for review in old_reviews)
    flagged = replace(flagged, id=fixed_id("obs", 3))
    flags = [
        raise_flag(finding, flagged, minutes(1), bytes([number] * 10)) for number, finding in enumerate((whole, bare))
    ]
    reviews = [
        FlagReview(
            id=fixed_id("evt", number),
            verdict=verdict,
            note="同一窗口的两张照片",
            at=minutes(number),
            by_id=fixed_id("usr", 4),
            sent_sha256=OTHER_DIGEST,
            by_capacity=COVERT,
        )
        for number, verdict in ((2, FlagVerdict.CONFIRMED), (3, FlagVerdict.EXPLAINED))
    ]
    await records.flags.raise_all(flags)
    assert await records.flags.review(flags[0].id, reviews[0], None)
    reviewed = await records.flags.review(flags[0].id, reviews[1], reviews[0].id)
    await goldens.check("flags")
    assert reviewed == replace(flags[0], state=FlagState.REVIEWED, verdict=FlagVerdict.EXPLAINED, reviews=reviews)
    assert await records.flags.many([flags[1].id]) == [flags[1]]


async def test_ratings_keep_their_stored_form(records: Store, goldens: Goldens) -> None:
    """One rating has every field, one only required fields, one is superseded, and one supersedes that one."""
    bare = Rating(
        id=fixed_id("rat", 1),
        month=date(2026, 10, 1),
        score=90,
        is_late=False,
        revision=1,
        arrived_at=NOW,
        published_at=minutes(60),
        unit_id=fixed_id("unt", 1),
        unit_path=PATH,
        monitoring_point_id=fixed_id("pnt", 1),
        rater_id=fixed_id("usr", 2),
        office_path=PATH,
        sent_sha256=DIGEST,
    )
    whole = replace(
        bare,
        id=fixed_id("rat", 2),
        unit_id=fixed_id("unt", 2),
        grade="优",
        reason="服务热情",
        is_late=True,
        is_latest=False,
        superseded_from=minutes(90),
    )
    former, later = (replace(bare, id=fixed_id("rat", number), unit_id=fixed_id("unt", 3)) for number in (3, 4))
    await records.ratings.add([bare, whole, former])
    superseding = await records.ratings.supersede(replace(later, published_at=minutes(30)))
    await goldens.check("ratings")
    assert superseding == replace(later, revision=2)
    found = await records.ratings.many([bare.id, whole.id, former.id, later.id])
    superseded = replace(former, is_latest=False, superseded_from=minutes(60))
    assert by_id(found) == [bare, whole, superseded, superseding]


async def test_likenesses_and_their_keypoints_keep_their_stored_form(records: Store, goldens: Goldens) -> None:
    marks = tuple(
        Keypoint(figure=(0x0FEDCBA987654321 >> shift) & (2**60 - 1), weak=(0, 7, 20, 33), x=0.25, y=0.5, level=shift)
        for shift in (0, 1, 11)
    )
    whole = Likeness(0, -(2**62) + 12345, DIGEST, grey=bytes(range(64)), marks=pack(KeypointSet((1.0, 0.75), marks)))
    framed = Likeness(1, 2**62 + 54321, OTHER_DIGEST)
    await records.likenesses.store(fixed_id("med", 1), [whole, framed])
    await goldens.check("likenesses")
    await goldens.check("likeness_marks")
    assert await records.likenesses.of([fixed_id("med", 1)]) == {fixed_id("med", 1): [whole, framed]}
