"""Test evidence packs: what a pack contains, and what it never reveals."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from graphql import print_ast, validate

from api.checks.runner import CheckRunner
from api.evidence.pack_content import identifying_fields, query_of
from api.graphql.context import clock
from api.server.areas import REGISTRY
from schema.access.viewers import Role
from schema.core.digests import digest_of
from schema.core.times import ByteCount
from schema.fieldwork.drafts import Author, ObservationDraft, content_of, new_observation
from schema.fieldwork.observations import Category, Method, Placement, Severity
from schema.fieldwork.placement import PlacementResult
from schema.fieldwork.submissions import submission_of
from schema.geography.positions import Datum, GeoPointInput, PositionSource
from schema.media.media import Media
from schema.media.media_drafts import MediaDraft, media_from_draft
from scripts.verify import verify_pack
from tests.support.flags import HERE, REVIEW, flags_of
from tests.support.packs import PHOTO, files_of, observed, packed, verified
from tests.support.world import SCHEMA, World, new_id

REVISE = """
mutation($input: ReviseObservationInput!) {
  reviseObservation(input: $input) { ... on ReviseObservationPayload { observation { revision } } ... on Refused { code } }
}"""


def manifest_of(pack: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files_of(pack)["manifest.json"])
    return found


async def test_a_pack_contains_originals_thumbnails_data_and_pages(world: World, tmp_path: Path) -> None:
    id = await observed(world, PHOTO, b"no picture", text="窗口<无人>&在岗", deviceSequence=7)
    await verified(world, tmp_path)
    waiting = await observed(world, PHOTO + b"!", text="第二条")
    case = await world.open_case("officer", id, waiting)
    pack = await packed(world, "clerk", case["id"])
    files = files_of(pack)
    assert "2 are those that were handed in; 1" in verify_pack(io.BytesIO(pack))
    originals = [body for name, body in files.items() if name.startswith("originals/")]
    assert originals == [PHOTO, b"no picture"]
    assert [name for name in files if name.startswith("thumbnails/")], "of the one that is a picture"
    data = json.loads(files["case.json"])["case"]
    assert [each["content"]["text"] for each in data["observations"]] == ["窗口<无人>&在岗", "第二条"]
    page = files["index.html"].decode()
    assert "窗口&lt;无人&gt;&amp;在岗" in page
    assert "<script" not in page
    assert "http://" not in page.replace("http-equiv", "")
    for name in [each for each in files if each.startswith(("originals/", "thumbnails/"))]:
        assert f'"{name}"' in page
    assert files["report.pdf"].startswith(b"%PDF-")
    by_hand = {each["path"]: each["sha256"] for each in manifest_of(pack)["files"]}
    told = {name: hashlib.sha256(body).hexdigest() for name, body in files.items()}
    assert by_hand == {name: digest for name, digest in told.items() if not name.startswith("manifest.")}


@pytest.mark.parametrize("name", ["case", "observation"])
def test_the_pack_query_omits_addresses_and_identifying_fields(name: str) -> None:
    core = SCHEMA._schema
    with_all, without = (
        query_of(core, name, left_out) for left_out in (frozenset(), identifying_fields(REGISTRY.permits))
    )
    assert validate(core, with_all) == validate(core, without) == []
    words = set(print_ast(with_all).split())
    assert {"text", "sha256", "facts", "complainant", "device", "receipt", "revisions"} <= words
    assert words.isdisjoint({"url", "link", "pack", "relatedCases", "followUps"})
    assert words - set(print_ast(without).split()) == {
        *(
            "clockSkewSeconds",
            "complainant",
            "contact",
            "contentSha256",
            "device",
            "deviceSequence",
            "isAnonymous",
            "observationId",
            "receipt",
            "signed",
        )
    }


async def test_an_author_gets_a_pack_of_their_observation_without_being_named(world: World, tmp_path: Path) -> None:
    id = await observed(world, PHOTO)
    await verified(world, tmp_path)
    pack = await packed(world, "inspector", id)
    assert "observation obs_" in verify_pack(io.BytesIO(pack))
    manifest = manifest_of(pack)
    assert manifest["madeBy"] == {"name": None, "office": "南康区效能办"}, "a covert maker is not named"
    assert "甲inspector" not in str(files_of(pack))


SECRETS = ("甲inspector", "张三", "13800000000", '"deviceSequence": 7', 'contentSha256":"')


def texts_of(pack: bytes) -> str:
    """Return all text in a pack."""
    bodies = [body.decode() for path, body in files_of(pack).items() if path.endswith((".json", ".html"))]
    return "\n".join([*bodies, printed_in(pack)])


def printed_in(pack: bytes) -> str:
    """Return the text and the metadata of the PDF. Its XMP is not compressed."""
    body = files_of(pack)["report.pdf"]
    document = pypdfium2.PdfDocument(body)
    found = "".join(each.get_textpage().get_text_bounded() for each in document)
    facts = document.get_metadata_dict()
    document.close()
    return f"{found}{facts}{body.decode('utf-8', 'ignore')}"


async def test_a_pack_names_covert_people_only_if_a_cleared_viewer_asks_for_it(world: World, tmp_path: Path) -> None:
    given = {"name": "张三", "contact": "13800000000", "isAnonymous": False}
    complaint = await observed(world, name="officer", method="COMPLAINT", complainant=given)
    id = await observed(world, PHOTO, deviceSequence=7)
    await verified(world, tmp_path)
    case = await world.open_case("officer", id, complaint)
    inspector = str(world.people["inspector"].id)
    for name, identities in (("clerk", False), ("clerk", True), ("officer", False), ("supervisor", True)):
        pack = await packed(world, name, case["id"], identities=identities)
        texts = texts_of(pack)
        assert [secret for secret in (*SECRETS, inspector) if secret in texts] == [], (name, identities)
        assert not [path for path in files_of(pack) if path.startswith("submissions/")]
    pack = await packed(world, "officer", case["id"], identities=True)
    texts = texts_of(pack)
    assert "甲inspector" in printed_in(pack)
    assert [secret for secret in (*SECRETS, inspector) if secret not in texts] == []
    assert "2 of 2 recomputed" in verify_pack(io.BytesIO(pack))


async def test_flags_are_only_in_the_packs_of_examiners(world: World, tmp_path: Path) -> None:
    """A pack shows a flag's figure and review, but not the other records that the flag refers to."""
    await observed(world, PHOTO)
    id = await observed(world, PHOTO, position=HERE | {"isMock": True})
    await verified(world, tmp_path)
    await CheckRunner(world.store, clock).do_all()
    flags = await flags_of(world, id) or []
    assert {flag["code"] for flag in flags} >= {"MOCK_POSITION", "SAME_PICTURE"}
    [mock] = [flag for flag in flags if flag["code"] == "MOCK_POSITION"]
    review = {"id": new_id("evt"), "flagId": mock["id"], "verdict": "EXPLAINED", "note": "测试设备"}
    assert (await world.ask("officer", REVIEW, input=review))["reviewFlag"]["flag"]["state"] == "REVIEWED"
    pack = files_of(await packed(world, "supervisor", id))
    told = json.loads(pack["observation.json"])["observation"]["flags"]
    assert {each["id"] for each in told} == {each["id"] for each in flags}
    assert not {"otherObservation", "otherMedium"} & set(told[0])
    page = pack["index.html"].decode()
    assert all(each["messageZh"] in page for each in told)
    assert "可以解释：测试设备" in page
    pack = files_of(await packed(world, "inspector", id, identities=True))
    assert json.loads(pack["observation.json"])["observation"]["flags"] is None
    assert "疑点" not in pack["index.html"].decode()


async def test_an_inspector_who_becomes_an_officer_stays_unnamed(world: World, tmp_path: Path) -> None:
    """This holds for covert observations. What the same person records as an officer is open."""
    id = await observed(world)
    users = world.store.mongo.collection("users")
    author = world.people["inspector"].id
    await users.update_one({"_id": author}, {"$set": {"roles": ["OFFICER"]}})
    asked = "query($id: ID!) { observation(id: $id) { author { id } } }"
    told = {
        name: (await world.ask(name, asked, id=id))["observation"]["author"]
        for name in ("clerk", "supervisor", "officer")
    }
    assert told == {"clerk": None, "supervisor": None, "officer": {"id": author}}
    for name, identities, named in (("clerk", True, False), ("officer", False, False), ("officer", True, True)):
        pack = await packed(world, name, id, identities=identities)
        assert (author in texts_of(pack), "甲inspector" in texts_of(pack)) == (named, named), name
    observations = world.store.mongo.collection("observations")
    await observations.update_one(
        {"_id": id}, {"$unset": {"author_is_covert": ""}}
    )  # like records from before this field
    assert (await world.ask("clerk", asked, id=id))["observation"]["author"] is None
    assert author not in texts_of(await packed(world, "clerk", id))
    await observations.update_one({"_id": id}, {"$set": {"author_is_covert": False}})
    assert "甲inspector" in texts_of(await packed(world, "clerk", id)), "or the test would not see a name"


async def test_the_submission_of_every_revision_is_recomposed(world: World, tmp_path: Path) -> None:
    id = await observed(world, PHOTO, deviceSequence=1)
    await verified(world, tmp_path)
    content = {"id": id, "method": "PATROL", "category": "SLOW", "severity": "MINOR", "text": "更正后"}
    content["capturedAt"] = "2026-11-20T09:05:00.123456+08:00"
    revision = {"id": new_id("rev"), "reason": "更正 ", "content": content}
    answer = await world.ask("inspector", REVISE, input=revision)
    assert answer["reviseObservation"] == {"observation": {"revision": 2}}
    pack = await packed(world, "inspector", id, identities=True)
    assert "2 of 2 recomputed" in verify_pack(io.BytesIO(pack))
    sent = files_of(pack)[f"submissions/{id}-02.json"]
    assert json.loads(sent)["content"]["capturedAt"] == "2026-11-20T01:05:00.123Z"
    assert "更正后" in sent.decode()
    assert "更正理由：更正" in files_of(pack)["index.html"].decode()


def test_a_draft_with_every_field_is_recomposed() -> None:
    """This fails if drafts get a field that recomposed submissions lack."""
    now = clock()
    draft = ObservationDraft(
        id=new_id("obs"),
        method=Method.COMPLAINT,
        category=Category.SLOW,
        severity=Severity.MINOR,
        text="😀 " * 3,
        captured_at=now,
        position=GeoPointInput(
            latitude=25.1,
            longitude=114.0,
            datum=Datum.BD09,
            accuracy_metres=5.0,
            altitude_metres=100.25,
            source=PositionSource.FUSED,
            is_mock=True,
            fixed_at=now,
        ),
        unit="360703",
        monitoring_point="GZ-001",
        assignment_id=new_id("asg"),
        staff_seen="3号",
        device_sequence=9,
        complainant=None,
        media=[
            MediaDraft(
                id=new_id("med"),
                sha256="0" * 64,
                byte_size=ByteCount(5),
                content_type="image/jpeg",
                md5="0" * 32,
                captured_at=now,
            )
        ],
    )
    [medium] = draft.media
    stored: Media = media_from_draft(medium, observation_id=draft.id, uploader_id="", now=now, max_bytes=9, field="")
    given: list[Any] = [draft, draft.position, medium]
    assert {name for each in given for name, value in vars(each).items() if value is None} == {"complainant"}
    content = content_of(draft, frozenset({Role.OFFICER}), field="")
    placed = PlacementResult(None, None, None, Placement.UNPLACED)
    observation = new_observation(draft.id, content, digest_of(draft), _author(), placed, now)
    body = submission_of(observation, observation.revisions[0], {str(medium.id): stored})
    assert body is not None
    assert hashlib.sha256(body).hexdigest() == digest_of(draft)
    assert submission_of(observation, observation.revisions[0], {}) is None


def _author() -> Author:
    return Author("usr", None, frozenset({Role.OFFICER}), "unt", "p/")
