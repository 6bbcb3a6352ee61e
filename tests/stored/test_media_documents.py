"""Test the stored documents of media: each step from announced to verified, access entries, and redactions."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from api.graphql.context import Context
from api.server.services import open_services
from api.settings import Settings
from schema.access.viewers import Role, Viewer
from schema.core.times import ByteCount
from schema.media.media import Link, Media, MediaKind, MediaRejection, MediaState, Rendition, Thumbnail
from schema.media.media_drafts import MediaDraft, media_from_draft
from schema.media.media_facts import MediaDamage, MediaFacts, MotionVideo, PositionAbsence
from schema.publication.redactions import (
    FaceDetection,
    RedactionEventKind,
    RedactionState,
)
from storage.checks.queue import Claim
from storage.mongodb.client import Document
from storage.store import Store
from tests.stored.fixed import DIGEST, NOW, OTHER_DIGEST, PATH, POSITION, by_id, fixed_id, minutes
from tests.stored.fixed_redactions import DRAWN, FACE, RENDERING, event, requested, whole_redaction
from tests.stored.golden_documents import Goldens

LEASE = timedelta(minutes=10)
FACTS = MediaFacts(
    content_type="image/jpeg",
    width=4000,
    height=3000,
    orientation=6,
    rotation=90,
    display_width=3000,
    display_height=4000,
    taken_at_local="2026-11-20T09:02:03.120",
    taken_offset_minutes=480,
    created_at=minutes(-3),
    position=POSITION,
    position_absent=PositionAbsence.NULL_ISLAND,
    stated_latitude=0.5,
    stated_longitude=-0.25,
    duration_ms=1500,
    page_count=2,
    is_encrypted=False,
    motion_video=MotionVideo(offset=ByteCount(2**33), byte_size=ByteCount(12_345)),
    damage=MediaDamage.TRUNCATED,
    make="Xiaomi",
    model="14",
    software="MIUI Camera",
)


def thumbnails(number: int) -> Sequence[Thumbnail]:
    key = f"thumbnails/{fixed_id('med', number)}"
    return (
        Thumbnail(Rendition.LARGE, 1280, 960, f"{key}-large-{DIGEST}.jpg", DIGEST),
        Thumbnail(Rendition.SMALL, 320, 240, f"{key}-small-{OTHER_DIGEST}.jpg"),
    )


def whole_medium(number: int) -> Media:
    """Return a medium with every field filled."""
    return Media(
        id=fixed_id("med", number),
        kind=MediaKind.PHOTO,
        state=MediaState.READY,
        rejection=MediaRejection.DIGEST_MISMATCH,
        sha256=DIGEST,
        byte_size=ByteCount(2**33),
        content_type="image/heic",
        captured_at=minutes(-3),
        expected_at=NOW,
        uploaded_at=minutes(1),
        ready_at=minutes(2),
        facts=FACTS,
        thumbnails=tuple(thumbnails(number)),
        observation_id=fixed_id("obs", 1),
        uploader_id=fixed_id("usr", 1),
        key=f"originals/{fixed_id('med', number)}-{DIGEST}.2",
        md5="0123456789abcdef" * 2,
        upload_id="upload 1",
        upload_part_bytes=8 * 2**20,
        upload_used_at=minutes(1),
        is_copy=True,
        copy_failed=True,
        attempts=3,
        decoding_failures=1,
    )


def announced(number: int) -> Media:
    """Return a medium as a phone announces it, with required fields only."""
    draft = MediaDraft(
        id=fixed_id("med", number), sha256=DIGEST, byte_size=ByteCount(100_000), content_type="image/jpeg"
    )
    return media_from_draft(
        draft,
        observation_id=fixed_id("obs", 1),
        uploader_id=fixed_id("usr", 1),
        now=NOW,
        max_bytes=2**40,
        field="media",
    )


async def test_media_keep_their_stored_form(records: Store, goldens: Goldens) -> None:
    """There are media at every step. Of the last two, one is claimed for a check, and the other has been checked.

    Another was stored before media could belong to a notice.
    """
    former = fixed_id("med", 21)
    await goldens.restore("media", former)
    whole, unnamed, named, open_one = whole_medium(1), announced(2), announced(3), announced(4)
    verified, rejected, copied, uncopied = (announced(number) for number in (5, 6, 7, 8))
    unhashed, checked = whole_medium(9), whole_medium(10)
    media, queue, sweep_at = records.media, records.verification, minutes(600)
    await media.insert_expected(
        [whole, open_one, verified, rejected, copied, uncopied, unhashed, checked], sweep_at=sweep_at
    )
    await media.insert_expected([unnamed, named], sweep_at=sweep_at, unnamed_since=NOW)
    await media.mark_named([named.id])
    assert await media.store_upload(open_one, "upload 2", 5 * 2**20, minutes(1))
    claims = []
    for number, arrived in enumerate((verified, rejected)):
        assert await media.confirm(arrived.id, minutes(number))
        claims.append(await queue.claim(minutes(number), LEASE, arrived.uploader_id))
    ready = await media.mark_ready(verified.id, minutes(20), FACTS, thumbnails(5), key=verified.key)
    assert claims[1]
    bad = await media.reject(claims[1], MediaRejection.SIZE_MISMATCH)
    for number, same in enumerate((uncopied, copied), start=2):
        await media.mark_copies([same.id], minutes(number))
    claimed = await queue.claim(minutes(2), LEASE, copied.uploader_id)
    assert claimed
    assert claimed.id == uncopied.id
    await queue.mark_copy_failed(claimed, minutes(30))
    for number, hashed in enumerate((checked, unhashed), start=3):
        assert await media.mark_hashed(hashed, minutes(number))
        found = await records.checks.claim(minutes(number), LEASE, hashed.uploader_id)
        assert found == Claim(fixed_id("obs", 1), 1, hashed.id)
    await records.checks.finish(Claim(fixed_id("obs", 1), 1, checked.id))
    await goldens.check("media")
    assert await records.media.many([former]) == [replace(whole, id=former)]
    assert ready == replace(
        verified,
        state=MediaState.READY,
        uploaded_at=NOW,
        ready_at=minutes(20),
        facts=FACTS,
        thumbnails=tuple(thumbnails(5)),
        attempts=1,
    )
    assert bad
    assert (bad.state, bad.rejection, bad.key) == (
        MediaState.REJECTED,
        MediaRejection.SIZE_MISMATCH,
        f"originals/{rejected.id}-{DIGEST}.2",
    )
    assert by_id(await media.many([whole.id, unnamed.id])) == [whole, unnamed]


async def test_redactions_keep_their_stored_form(records: Store, goldens: Goldens) -> None:
    """One redaction has every field. The others are claimed, failed, rejected, and approved after every step.

    Five redactions were stored before steps had a capacity.
    """
    former_ids = [fixed_id("red", number) for number in range(1, 6)]
    await goldens.restore("redactions", *former_ids)
    whole, released, failed, rejected, claimed = (whole_redaction(11), *map(requested, (12, 13, 14, 15)))
    redactions, kinds = records.redactions, RedactionEventKind
    for redaction in (whole, released, failed, rejected, claimed):
        await redactions.request(redaction)
    claim = await redactions.claim(minutes(12), LEASE)
    assert claim == replace(released, attempts=1)
    proposing = event(11, kinds.PROPOSED, revision=0)
    correcting = event(12, kinds.CORRECTED, revision=1, by=fixed_id("usr", 5))
    rendering = event(13, kinds.RENDERED, revision=1)
    approving = event(14, kinds.APPROVED, revision=1, by=fixed_id("usr", 6))
    assert await redactions.propose(claim, FaceDetection.DONE, [FACE], proposing)
    corrected = await redactions.correct(released.id, 0, [FACE, DRAWN], correcting)
    assert corrected
    assert await redactions.store_rendering(corrected, RENDERING, rendering)
    approved = await redactions.approve(released.id, approving)
    assert await redactions.fail(failed, event(15, kinds.FAILED, revision=0))
    assert await redactions.reject(rejected.id, event(16, kinds.REJECTED, revision=0, by=fixed_id("usr", 4)))
    assert await redactions.claim(minutes(15), LEASE) == replace(claimed, attempts=1)
    await goldens.check("redactions")
    assert approved == replace(
        released,
        state=RedactionState.APPROVED,
        face_detection=FaceDetection.DONE,
        faces=[FACE],
        boxes=[FACE, DRAWN],
        revision=1,
        rendering=RENDERING,
        history=[proposing, correcting, rendering, approving],
        corrector_ids=(fixed_id("usr", 5),),
        decided_by_id=fixed_id("usr", 6),
    )
    assert await redactions.many([whole.id]) == [whole]
    former = [step for redaction in await redactions.many(former_ids) for step in redaction.history]
    assert len(former) == 7
    assert all(step.by_capacity is None and not step.capacity.is_covert for step in former)


async def test_media_accesses_keep_their_stored_form(kept: Store, goldens: Goldens, tmp_path: Path) -> None:
    """An entry is stored for every address given out. The test sets the random end of an entry's id to zeros."""
    viewer = Viewer(
        user_id=fixed_id("usr", 1),
        roles=frozenset({Role.OFFICER}),
        scopes=(PATH,),
        office_id=fixed_id("unt", 1),
        office_path=PATH,
        clearances=frozenset(),
        device_id=fixed_id("dev", 1),
    )
    services = open_services(kept, Settings(data=tmp_path))
    for number, rendition in enumerate((Rendition.ORIGINAL, Rendition.SMALL)):
        load = Context(services, viewer, now=minutes(number)).load
        assert await load.one(Link, media=whole_medium(1), rendition=rendition)
    assert await Context(services, viewer, now=minutes(2)).load.one(Link, redaction=whole_redaction(1))

    def normalize(document: Document) -> Document:
        made_at = document["_id"][: len("evt_01a2008d-7400")]
        return document | {"_id": f"{made_at}-7000-8000-000000000000"}

    await goldens.check("media_accesses", normalize)
