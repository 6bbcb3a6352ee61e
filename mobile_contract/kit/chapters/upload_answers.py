"""Check chapter 5, uploads: what answers say of slots, parts and arrived bytes, and what a verified picture shows."""

import base64
import hashlib
import re
import struct
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mobile_contract.kit.accounts import Party
from mobile_contract.kit.chapters.uploads import (
    KitPhoto,
    announce,
    confirm,
    fetch_medium,
    new_photo,
    put,
    put_whole,
    wait_verified,
)
from mobile_contract.kit.clauses import clause
from mobile_contract.kit.comparison import Comparison, Rule, close, near, refusal, same_texts, some_text
from mobile_contract.kit.results import BrokenClauseError, require

PART = 5 * 2**20
"""The smallest part that S3 takes, other than the last one."""
SLOT = "requestUploads.results"


def expect_slot(medium: KitPhoto, got: Any) -> dict[str, Any]:
    """Expect a slot for the whole medium. Whether its signature is right, the store says."""
    url = got.get("url") if isinstance(got, dict) else None
    return {
        "mediaId": medium.id,
        "kind": "SINGLE",
        "url": Rule(
            f"a signed address of {medium.id}", lambda url: isinstance(url, str) and _is_signed(url, medium.id)
        ),
        "headers": expect_headers(medium.body, got, {"content-type": "image/png"}),
        "parts": [],
        "expiresAt": expect_expiry(url),
    }


async def try_put(party: Party, slot: dict[str, Any], body: bytes) -> tuple[str, str]:
    """PUT the bytes, and return the expected and the actual answer of the object store."""
    expected = "a PUT there to succeed"
    try:
        response = await put(party, slot, body)
    except BrokenClauseError as broken:
        return expected, str(broken)
    return expected, expected if response.is_success else f"{response} {response.text}"


def expect_expiry(url: Any) -> Rule:
    """Expect the time when the address stops working, as the address itself says."""
    try:
        signed = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        began = datetime.strptime(signed["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return near(began + timedelta(seconds=int(signed["X-Amz-Expires"])), timedelta(seconds=2))
    except (KeyError, TypeError, ValueError, AttributeError):
        return some_text()


def _is_signed(url: str, id: str) -> bool:
    return url.startswith("http") and id in urlsplit(url).path


def expect_headers(body: bytes, got: Any, more: dict[str, str]) -> list[dict[str, Any]]:
    """Expect headers that fit these bytes: their length at least, and no name that no store asks for."""
    digests = {"x-amz-checksum-sha256": hashlib.sha256(body), "content-md5": hashlib.md5(body, usedforsecurity=False)}
    known = {name: base64.b64encode(digest.digest()).decode() for name, digest in digests.items()}
    known |= {"content-length": str(len(body)), "if-none-match": "*"} | more
    given = got.get("headers") if isinstance(got, dict) else None
    names = [header["name"] for header in given or () if header["name"] in known]
    names += ["content-length"] if "content-length" not in names else []
    missing = [name for name in known if name not in names]
    names += missing[: len(given or names) - len(names)]
    return [{"name": name, "value": known[name]} for name in names]


@clause(
    "U11",
    "Each answer about a medium is about that medium: its slot, its parts, its state or its refusal; in `Sync` as in"
    " `ConfirmMedia`.",
)
async def check_upload_answers(party: Party) -> str:
    compared, user = Comparison(), party.user
    small, large, spare, stranger = [new_photo() for _ in range(4)], new_photo(2 * PART + 17), new_photo(), new_photo()
    await announce(user, *small, large, spare)
    asked: list[dict[str, Any]] = [{"mediaId": each.id} for each in small]
    asked += [{"mediaId": large.id, "partBytes": PART}, {"mediaId": stranger.id}]
    first = (await user.ask("RequestUploads", {"input": {"media": asked}}))["results"]
    require(len(first) == len(asked), "RequestUploads", f"{len(asked)} results", first)
    missing = refusal("NOT_FOUND", "DISCARD", None)
    parts = _slot_of(first[len(small)]).get("parts") or []
    whole: dict[str, Any] = {"mediaId": large.id, "kind": "MULTIPART", "url": None, "headers": []}
    whole["expiresAt"] = expect_expiry(parts[0].get("url")) if parts else some_text()
    expected = [_slot_result(each, expect_slot(each, got["slot"])) for each, got in zip(small, first, strict=False)]
    expected += [_slot_result(large, whole | {"parts": _expect_parts(large, None)})]
    expected += [_slot_result(stranger, None, missing)]
    compared.same("RequestUploads", SLOT, expected, first)
    for each, result in zip(small, first, strict=False):
        compared.same("RequestUploads", f"{SLOT}.slot.url", *await try_put(party, _slot_of(result), each.body))
    if parts:
        last = parts[-1]
        compared.same("RequestUploads", f"{SLOT}.slot.parts.url", *await try_put(party, last, large.body[2 * PART :]))
        await _check_arrived(party, compared, large)
    said = await _check_confirmations(party, compared, small, stranger, missing)
    aborted = (await user.ask("AbortUploads", {"input": {"mediaIds": [large.id, spare.id, stranger.id]}}))["results"]
    told = [_confirmed(large, "EXPECTED"), _confirmed(spare, "EXPECTED"), _confirmed(stranger, None, missing)]
    compared.same("AbortUploads", "abortUploads.results", told, aborted)
    said |= {("AbortUploads", "abortUploads.results.refusal"): aborted[-1]["refusal"]}
    same_texts(compared, said | {("RequestUploads", f"{SLOT}.refusal"): first[-1]["refusal"]})
    return f"{compared.report()} fields of slots, parts and states were those of their media."


async def _check_arrived(party: Party, compared: Comparison, large: KitPhoto) -> None:
    """Ask again after the last part was put: this part alone has arrived."""
    asked = {"media": [{"mediaId": large.id, "partBytes": PART}]}
    [again] = (await party.user.ask("RequestUploads", {"input": asked}))["results"]
    compared.same("RequestUploads", f"{SLOT}.slot.parts", _expect_parts(large, 3), _slot_of(again).get("parts"))


async def _check_confirmations(
    party: Party, compared: Comparison, small: list[KitPhoto], stranger: KitPhoto, missing: dict[str, Any]
) -> dict[tuple[str, str], Any]:
    """Confirm in an operation of its own and in `Sync`. Return the refusals of the medium that nobody announced."""
    told: dict[str, list[dict[str, Any]]] = {}
    for operation, media in (("ConfirmMedia", small[:2]), ("Sync", small[2:])):
        ids: dict[str, Any] = {"mediaIds": [each.id for each in (*media, stranger)]}
        given = {"confirms": True, "media": ids, "input": {"first": 1}} if operation == "Sync" else {"input": ids}
        told[operation] = (await party.user.send(operation, given)).data["confirmMedia"].get("results") or []
        expected = [*(_confirmed(each, "UPLOADED") for each in media), _confirmed(stranger, None, missing)]
        compared.same(operation, "confirmMedia.results", expected, told[operation])
    path = "confirmMedia.results.refusal"
    return {(operation, path): results[-1]["refusal"] for operation, results in told.items() if results}


def _slot_of(result: dict[str, Any]) -> dict[str, Any]:
    empty: dict[str, Any] = {"url": "", "headers": []}
    return result["slot"] or empty


def _slot_result(medium: KitPhoto, slot: Any, refused: Any = None) -> dict[str, Any]:
    return {"mediaId": medium.id, "hasArrived": False, "slot": slot, "refusal": refused}


def _confirmed(medium: KitPhoto, state: Any, refused: Any = None) -> dict[str, Any]:
    media = None if refused else {"id": medium.id, "state": state}
    return {"mediaId": medium.id, "media": media, "refusal": refused}


def _address_of_part(medium: KitPhoto, number: int) -> Rule:
    named = f"partNumber={number}"
    return Rule(f"a signed address of part {number}", lambda url: _is_signed(url, medium.id) and named in url)


def _expect_parts(medium: KitPhoto, arrived: int | None) -> list[dict[str, Any]]:
    sizes = [PART, PART, len(medium.body) - 2 * PART]
    return [
        {
            "number": number,
            "offset": sum(sizes[: number - 1]),
            "byteSize": size,
            "url": _address_of_part(medium, number),
            "headers": [{"name": "content-length", "value": str(size)}],
            "hasArrived": number == arrived,
        }
        for number, size in enumerate(sizes, 1)
    ]


@clause(
    "U12",
    "A verified picture shows what its bytes say: size, orientation, local time and place; every other list says the"
    " same of its state.",
)
async def check_facts(party: Party) -> str:
    compared, medium, plain = Comparison(), photo_with_metadata(), new_photo()
    id = await announce(party.user, medium, plain)
    for each in (medium, plain):
        await put_whole(party, party.user, each)
        await confirm(party.user, each)
    for each in (medium, plain):
        await wait_verified(party, id, each)
    found = await fetch_medium(party.user, id, medium)
    without = (await fetch_medium(party.user, id, plain))["facts"] or {}
    path = "observations.edges.node.content.media.facts.positionAbsent"
    compared.same("MyReports", path, some_text(), without.get("positionAbsent"))
    empty = "createdAt rotation durationMs pageCount isEncrypted motionVideo positionAbsent damage"
    facts: dict[str, Any] = dict.fromkeys([*empty.split(), "statedLatitude", "statedLongitude"])
    facts |= {"contentType": "image/png", "width": 8, "height": 6, "orientation": 6}
    facts |= {
        "displayWidth": 6,
        "displayHeight": 8,
        "takenAtLocal": Rule(TAKEN, lambda text: re.fullmatch(rf"{TAKEN}(\.0+)?", str(text))),
    }
    facts |= {"takenOffsetMinutes": 480, "takenAt": near(f"{TAKEN}+08:00", timedelta(seconds=1))}
    position = {"latitude": close(25.5), "longitude": close(114.25), "altitudeMetres": close(100)}
    facts["position"] = position | {"accuracyMetres": None, "source": "EXIF", "problem": None}
    told = {"id": medium.id, "kind": "PHOTO", "state": "READY", "rejection": None, "sha256": medium.sha256}
    expected = told | {"byteSize": len(medium.body), "contentType": "image/png", "facts": facts}
    compared.same("MyReports", "observations.edges.node.content.media", expected, found)
    listed = {node["id"]: node["content"]["media"] for node in await party.user.fetch_nodes("MyMedia", 50)}
    state = [{"id": each.id, "state": "READY", "rejection": None} for each in (medium, plain)]
    compared.same("MyMedia", "observations.edges.node.content.media", state, listed.get(id))
    return f"{compared.report()} facts of a PNG with orientation, time and place were those of its bytes."


TAKEN = "2026-11-20T09:05:00"


def photo_with_metadata() -> KitPhoto:
    """Make a PNG of 8 x 6 pixels that lies on its side, taken at a known time and place (EXIF 2.32, in `eXIf`)."""
    exif = [(0x9003, 2, TAKEN.replace("-", ":").replace("T", " ").encode() + b"\0"), (0x9011, 2, b"+08:00\0")]
    place = [
        (1, 2, b"N\0"),
        (2, 5, struct.pack(">6I", 25, 1, 30, 1, 0, 1)),
        (3, 2, b"E\0"),
        (4, 5, struct.pack(">6I", 114, 1, 15, 1, 0, 1)),
        (5, 1, b"\0"),
        (6, 5, struct.pack(">2I", 100, 1)),
    ]
    first = _directory([(0x0112, 3, struct.pack(">H", 6)), (0x8769, 4, b"\0" * 4), (0x8825, 4, b"\0" * 4)], 8)
    own = _directory(exif, 8 + len(first))
    after = 8 + len(first) + len(own)
    pointers = [(0x8769, 4, struct.pack(">I", 8 + len(first))), (0x8825, 4, struct.pack(">I", after))]
    first = _directory([(0x0112, 3, struct.pack(">H", 6)), *pointers], 8)
    return new_photo(height=6, exif=b"MM\0*\0\0\0\x08" + first + own + _directory(place, after))


def _directory(entries: list[tuple[int, int, bytes]], offset: int) -> bytes:
    """Build a TIFF directory, big-endian, that begins at this offset: its entries, then their longer values."""
    sizes = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8}
    head, values = struct.pack(">H", len(entries)), b""
    after = offset + 2 + 12 * len(entries) + 4
    for tag, kind, value in entries:
        head += struct.pack(">HHI", tag, kind, len(value) // sizes[kind])
        head += value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(">I", after + len(values))
        values += value if len(value) > 4 else b""
    return head + b"\0" * 4 + values
