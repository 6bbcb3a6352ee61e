"""Check chapter 5, uploads: slots, parts, wrong bytes, and the state of a medium."""

import asyncio
import hashlib
import secrets
import struct
import zlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx

from mobile_contract.kit.accounts import Party, Person
from mobile_contract.kit.clauses import clause
from mobile_contract.kit.results import BrokenClauseError, NotTriedError, require
from mobile_contract.phone.ids import new_id

LARGE = 11 * 2**20 + 17


@dataclass(frozen=True)
class KitPhoto:
    """A medium of the kit. `body` holds the bytes of a PNG picture."""

    body: bytes
    id: str = field(default_factory=lambda: new_id("med"))

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()

    @property
    def announced(self) -> dict[str, Any]:
        kind = {"byteSize": len(self.body), "contentType": "image/png"}
        return {"id": self.id, "sha256": self.sha256, **kind}


def new_photo(size: int = 0, height: int = 8, exif: bytes = b"") -> KitPhoto:
    """Make a random PNG, 8 pixels wide. If `size` is larger, append random bytes up to `size` bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(b"".join(b"\0" + secrets.token_bytes(24) for _ in range(height)))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, height, 8, 2, 0, 0, 0))
    told = chunk(b"eXIf", exif) if exif else b""
    body = b"\x89PNG\r\n\x1a\n" + head + told + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return KitPhoto(body + secrets.token_bytes(max(0, size - len(body))))


async def announce(person: Person, *photos: KitPhoto) -> str:
    sent = await person.submit_accepted(media=[medium.announced for medium in photos])
    id: str = sent["id"]
    return id


async def request_slots(person: Person, *photos: KitPhoto) -> list[dict[str, Any]]:
    value = await person.ask("RequestUploads", {"input": {"media": [{"mediaId": medium.id} for medium in photos]}})
    results: list[dict[str, Any]] = value["results"]
    for result in results:
        require(result["slot"] or result["hasArrived"], "RequestUploads", "a slot", result)
    return results


async def put(party: Party, target: dict[str, Any], body: bytes) -> httpx.Response:
    headers = {header["name"]: header["value"] for header in target["headers"]}
    headers = {name: value for name, value in headers.items() if name.lower() != "content-length"}  # httpx sets it
    try:
        return await party.server.client.put(target["url"], content=body, headers=headers)
    except (TypeError, ValueError, httpx.InvalidURL, httpx.UnsupportedProtocol):
        raise BrokenClauseError("PUT to a slot", "an address and headers", target) from None


async def put_whole(party: Party, person: Person, medium: KitPhoto) -> list[int]:
    """Upload a medium, whole or in the parts that the store lacks. Return the numbers of all parts."""
    [result] = await request_slots(person, medium)
    slot = result["slot"]
    targets = slot["parts"] or [slot | {"number": 0, "offset": 0, "byteSize": len(medium.body)}]
    for target in targets:
        if not target.get("hasArrived"):
            stretch = medium.body[target["offset"] : target["offset"] + target["byteSize"]]
            response = await put(party, target, stretch)
            require(
                response.is_success,
                f"PUT of part {target['number']} of {medium.id}",
                "2xx",
                f"{response} {response.text}",
            )
    return [target["number"] for target in targets]


async def confirm(person: Person, medium: KitPhoto) -> dict[str, Any]:
    value = await person.ask("ConfirmMedia", {"input": {"mediaIds": [medium.id]}})
    [result] = value["results"]
    return dict(result)


async def fetch_medium(person: Person, observation_id: str, medium: KitPhoto) -> dict[str, Any]:
    for report in await person.find_reports(observation_id):
        for found in report["content"]["media"]:
            if found["id"] == medium.id:
                return dict(found)
    raise BrokenClauseError("MyReports", f"medium {medium.id} of {observation_id}", "none")


async def wait_verified(party: Party, observation_id: str, medium: KitPhoto) -> dict[str, Any]:
    """Wait until the medium is READY or REJECTED, and return it as the server shows it."""

    async def verified() -> dict[str, Any] | None:
        found = await fetch_medium(party.user, observation_id, medium)
        return found if found["state"] in {"READY", "REJECTED"} else None

    found: dict[str, Any] = await party.wait_until(
        verified, f"MyReports after ConfirmMedia of {medium.id}", "a verdict"
    )
    return found


@clause(
    "U1",
    "A slot takes the announced bytes, and once they are verified the medium is `READY`, with the announced digest.",
)
async def check_verified_upload(party: Party) -> str:
    medium = new_photo()
    id = await announce(party.user, medium)
    await put_whole(party, party.user, medium)
    result = await confirm(party.user, medium)
    require(not result["refusal"], "ConfirmMedia", "no refusal", result)
    found = await wait_verified(party, id, medium)
    got = (found["state"], found["sha256"])
    require(got == ("READY", medium.sha256), "MyReports", f"READY {medium.sha256}", str(found))
    return f"{len(medium.body)} bytes were uploaded, confirmed and verified: READY with the announced digest."


@clause(
    "U2",
    "Other bytes never become `READY`: the store refuses them, or the medium is `REJECTED` and a new slot mends it.",
)
async def check_other_bytes(party: Party) -> str:
    said = []
    for kind in ("other bytes", "another size"):
        medium = new_photo()
        wrong = medium.body[:-1] + bytes((medium.body[-1] ^ 1,)) if kind == "other bytes" else medium.body + b"more"
        id = await announce(party.user, medium)
        [result] = await request_slots(party.user, medium)
        response = await put(party, result["slot"], wrong)
        if response.is_success:
            await confirm(party.user, medium)
            found = await wait_verified(party, id, medium)
            require(found["state"] == "REJECTED", f"PUT of {kind}, then ConfirmMedia", "REJECTED", found)
        await put_whole(party, party.user, medium)
        await confirm(party.user, medium)
        found = await wait_verified(party, id, medium)
        require(found["state"] == "READY", f"PUT of the right bytes after {kind}", "READY", found)
        said.append(f"{kind}: {'REJECTED' if response.is_success else f'the store answered {response.status_code}'}")
    return f"{'; '.join(said)}. The right bytes then became READY."


@clause(
    "U3",
    "A slot is for one medium: asked for again it leads to the same place for the same bytes, and slots of two media never"
    " lead to one place.",
)
async def check_slot_places(party: Party) -> str:
    media = [new_photo(), new_photo()]
    id = await announce(party.user, *media)
    rounds = [await request_slots(party.user, *media) for _ in range(2)]
    first, again = (
        [str(httpx.URL(result["slot"]["url"]).copy_with(query=None)) for result in asked] for asked in rounds
    )
    require(first == again, "RequestUploads, asked twice", f"the same places {first}", str(again))
    require(len(set(first)) == 2, "RequestUploads of two media", "two places", first)
    for medium, result in zip(media, rounds[1], strict=True):
        told = (result["mediaId"], result["slot"]["mediaId"])
        require(told == (medium.id, medium.id), "RequestUploads of two media", f"the slot of {medium.id}", str(result))
        response = await put(party, result["slot"], medium.body)
        require(response.is_success, f"PUT of {medium.id} to its own slot", "2xx", f"{response} {response.text}")
        await confirm(party.user, medium)
    for medium in media:
        found = await wait_verified(party, id, medium)
        require(found["state"] == "READY", f"MyReports of {medium.id}, put to its own slot", "READY", found)
    return "Two media have two places, and the same ones in the second request; each place took its own bytes."


@clause(
    "U4",
    "After any break the server says which parts the store has (`hasArrived`), with their places and sizes; a phone"
    " never sends such a part again.",
)
async def check_parts_after_break(party: Party) -> str:
    medium = new_photo(LARGE)
    id = await announce(party.user, medium)
    [result] = await request_slots(party.user, medium)
    listed = result["slot"]["parts"] or []
    require(len(listed) >= 2, f"RequestUploads of {LARGE} bytes", "two parts or more", result["slot"]["kind"])
    covered = [(part["offset"], part["offset"] + part["byteSize"]) for part in listed]
    whole = [0, *(end for _, end in covered)] == [*(start for start, _ in covered), LARGE]
    require(whole, "RequestUploads", f"parts that make up {LARGE} bytes", covered)
    first = listed[0]
    response = await put(party, first, medium.body[: first["byteSize"]])
    require(response.is_success, "PUT of part 1", "2xx", f"{response} {response.text}")
    person = await party.user.sign_in_again()
    [result] = await request_slots(person, medium)
    told = [(part["offset"], part["byteSize"], part["hasArrived"]) for part in result["slot"]["parts"]]
    expected = [(part["offset"], part["byteSize"], part is first) for part in listed]
    require(told == expected, "RequestUploads after part 1 and a break", str(expected), str(told))
    await put_whole(party, person, medium)
    refused = await confirm(person, medium)
    require(not refused["refusal"], "ConfirmMedia", "no refusal", refused)
    found = await wait_verified(party, id, medium)
    require(found["state"] == "READY", "MyReports after all parts", "READY", found)
    return f"One of {len(listed)} parts was uploaded before the break and was listed as arrived after it. The rest made it READY."


@clause(
    "U5",
    "The state is true: `EXPECTED` until the bytes are confirmed, `UPLOADED` until they are verified, `READY` only"
    " then.",
)
async def check_media_states(party: Party) -> str:
    right, wrong = new_photo(), new_photo()
    id = await announce(party.user, right, wrong)
    await put_whole(party, party.user, right)
    before = [await fetch_medium(party.user, id, medium) for medium in (right, wrong)]
    require(
        all(medium["state"] == "EXPECTED" for medium in before), "MyReports before ConfirmMedia", "EXPECTED", before
    )
    result = await confirm(party.user, right)
    state = (result["media"] or {}).get("state")
    require(state == "UPLOADED", "ConfirmMedia", "UPLOADED: verified later", state)
    found = await wait_verified(party, id, right)
    require(found["state"] == "READY", "MyReports", "READY", found)
    other = await fetch_medium(party.user, id, wrong)
    require(other["state"] == "EXPECTED", "MyReports of a medium that was never put", "EXPECTED", other)
    return "EXPECTED after the PUT, UPLOADED after ConfirmMedia, READY when verified; EXPECTED without a PUT."


@clause("U6", "A phone renews an expired slot by asking again.")
async def check_slot_renewal(party: Party) -> str:
    medium = new_photo()
    await announce(party.user, medium)
    [first] = await request_slots(party.user, medium)
    lasts = datetime.fromisoformat(first["slot"]["expiresAt"]) - datetime.now().astimezone()
    if lasts > timedelta(seconds=party.seconds):
        raise NotTriedError(f"Slots last {lasts.total_seconds():.0f} s here, longer than the kit waits (--timeout).")
    await asyncio.sleep(max(lasts.total_seconds(), 0) + 2)  # signatures are dated to the second
    response = await put(party, first["slot"], medium.body)
    require(response.status_code == 403, "PUT to a slot that has run out", "403", f"{response} {response.text}")
    [again] = await request_slots(party.user, medium)
    response = await put(party, again["slot"], medium.body)
    require(response.is_success, "PUT to the renewed slot", "2xx", f"{response} {response.text}")
    return "The expired slot took nothing. The renewed slot took the bytes."


@clause(
    "U7",
    "Confirming without the bytes gets `NOT_ARRIVED` and changes nothing; confirming a medium that nobody announced"
    " gets `NOT_FOUND`: without an announcement there is no slot, and so no bytes.",
)
async def check_not_arrived(party: Party) -> str:
    medium = new_photo()
    id = await announce(party.user, medium)
    result = await confirm(party.user, medium)
    code = (result["refusal"] or {}).get("code")
    require(code == "NOT_ARRIVED", "ConfirmMedia without the bytes", "NOT_ARRIVED", result)
    found = await fetch_medium(party.user, id, medium)
    require(found["state"] == "EXPECTED", "MyReports", "EXPECTED", found)
    unknown = await confirm(party.user, new_photo())
    code = (unknown["refusal"] or {}).get("code")
    require(code == "NOT_FOUND", "ConfirmMedia of what nobody announced", "NOT_FOUND", unknown)
    return "NOT_ARRIVED, and the medium stays EXPECTED; NOT_FOUND for a medium that nobody announced."


@clause(
    "U10",
    "A person need not send confirmed bytes again: another medium with the same digest and size has arrived once"
    " `requestUploads` is asked for it, and is verified like any other. To other people the bytes are as if they were"
    " not there.",
    "other",
)
async def check_same_bytes(party: Party) -> str:
    first = new_photo()
    await announce(party.user, first)
    await put_whole(party, party.user, first)
    await confirm(party.user, first)
    twin, theirs = KitPhoto(first.body), KitPhoto(first.body)
    id = await announce(party.user, twin)
    [result] = await request_slots(party.user, twin)
    arrived = result["hasArrived"] and not result["slot"]
    require(arrived, "RequestUploads of bytes confirmed under another id", "hasArrived", result)
    found = await wait_verified(party, id, twin)
    require(found["state"] == "READY", "MyReports of the second medium", "READY", found)
    other = party.require_account("other")
    await announce(other, theirs)
    [result] = await request_slots(other, theirs)
    has_slot = result["slot"] and not result["hasArrived"]
    require(has_slot, "RequestUploads of the same bytes by another person", "a slot", result)
    return "The same bytes under another id had arrived without an upload, and became READY. Another person got a slot."
