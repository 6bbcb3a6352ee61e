"""Check chapter 1, the wire: HTTP, trusted documents, compression, and the form of refusals."""

import gzip
import json
import zlib
from collections.abc import Mapping
from typing import Any

from mobile_contract.documents import digest, manifest, text_of
from mobile_contract.kit.accounts import Party, new_draft
from mobile_contract.kit.clauses import clause
from mobile_contract.kit.http_client import GRAPHQL
from mobile_contract.kit.results import require
from mobile_contract.phone.ids import new_id

ZSTD_BLOCK = 128 * 1024
FIELDS = ("code", "message", "messageZh", "nextStep")


@clause(
    "W1",
    "Requests are POSTed as JSON and answered as `application/graphql-response+json`; an executed request is HTTP"
    " 200, a request that could not be executed is 4xx without `data`.",
)
async def check_http(party: Party) -> str:
    good = await party.user.send("MyReports", {"first": 1})
    kind = good.response.headers.get("content-type", "").split(";")[0]
    require(
        (good.response.status_code, kind) == (200, GRAPHQL), good.request, f"200 {GRAPHQL}", f"{good.response} {kind}"
    )
    wrong = [
        await party.server.post(b"{", "of an incomplete JSON text", token=party.user.access),
        await party.user.send("MyReports", {"first": "many"}),
    ]
    for answer in wrong:
        status = answer.response.status_code
        require(
            400 <= status < 500 and "data" not in answer.body,
            answer.request,
            "4xx without data",
            f"{status} {answer.body}",
        )
    return "200 for an executed request; 4xx without data for an incomplete JSON text and a variable of another type."


@clause("W2", "Every operation of the contract can be named by the SHA-256 of its text alone.")
async def check_documents(party: Party) -> str:
    person = await party.user.sign_in_again()
    operations = manifest()["operations"]
    for operation in operations:
        body = {"documentId": f"sha256:{operation['id']}", "variables": {}}
        answer = await party.server.post(
            json.dumps(body).encode(), f"of {operation['name']} by its id", token=person.access
        )
        require(answer.code != "UNKNOWN_DOCUMENT", answer.request, "the document to be known", answer.body)
    body = {"documentId": f"sha256:{digest('no document')}"}
    stranger = await party.server.post(json.dumps(body).encode(), "of an id of no document", token=party.user.access)
    require(stranger.code == "UNKNOWN_DOCUMENT", stranger.request, "UNKNOWN_DOCUMENT", stranger.body)
    return f"The server knew all {len(operations)} operations by their ids, and did not know another id."


@clause(
    "W3",
    "Requests can come with `Content-Encoding: gzip` or `zstd`, and answers come compressed if `Accept-Encoding` asks"
    " for it.",
)
async def check_encodings(party: Party) -> str:
    for coding, coded in (("gzip", gzip.compress), ("zstd", zstd_frame)):
        sent = new_draft(text="[conformance kit] " + "一致性检查 " * 400)
        body = _submission(sent)
        how = {"Content-Encoding": coding, "Accept-Encoding": coding}
        await party.user.find_reports()  # renews a token that has run out
        answer = await party.server.post(
            coded(body), f"SubmitObservations as {coding}", token=party.user.access, headers=how
        )
        results = answer.root.get("results") or [{}]
        require(results[0].get("outcome") == "ACCEPTED", answer.request, "ACCEPTED", answer.body)
        read = await party.user.send("MyReports", {"first": 20}, headers={"Accept-Encoding": coding})
        got = read.response.headers.get("content-encoding")
        require(got == coding, f"MyReports, Accept-Encoding: {coding}", f"Content-Encoding: {coding}", f"{got}")
        require("data" in read.body, read.request, "an answer that unpacks", read.response.text[:100])
    return "The server read both encodings, and used them in answers on request."


@clause("W4", "A body that unpacks beyond the size limit, or does not unpack, is refused by code, and nothing is done.")
async def check_bombs(party: Party) -> str:
    sent = new_draft()
    body, spaces = _submission(sent), 64 * 2**20
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = packer.compress(body) + b"".join(packer.compress(b" " * 2**20) for _ in range(64)) + packer.flush()
    bodies = {
        "64 MiB as gzip": ("gzip", bomb),
        "64 MiB as zstd": ("zstd", zstd_frame(body, spaces)),
        "half a gzip body": ("gzip", gzip.compress(body)[:-20]),
        "an invalid zstd body": ("zstd", body),
    }
    await party.user.find_reports()
    for name, (coding, content) in bodies.items():
        answer = await party.server.post(
            content, f"SubmitObservations, {name}", token=party.user.access, headers={"Content-Encoding": coding}
        )
        status, code = answer.response.status_code, answer.code
        require(400 <= status < 500 and code, answer.request, "4xx with a code", f"HTTP {status} {answer.body}")
    found = await party.user.find_reports(sent["id"])
    require(not found, "MyReports after bodies that were refused", "nothing done", found)
    return "Bombs of 64 MiB in gzip and zstd and damaged bodies were refused by code, and nothing was done."


@clause("W5", "A connection stays open from request to request (HTTP/1.1 keep-alive).")
async def check_keep_alive(party: Party) -> str:
    ends = []
    for _ in range(3):
        response = (await party.user.send("MyReports", {"first": 1})).response
        ends.append(response.extensions["network_stream"].get_extra_info("client_addr"))
        require(
            response.headers.get("connection") != "close", "MyReports", "no Connection: close", dict(response.headers)
        )
    require(len(set(ends)) == 1, "MyReports, three times", "one connection", f"{len(set(ends))} connections")
    return "Three requests used one connection."


@clause(
    "W6",
    "Every refusal has `code`, `message`, `messageZh` and `nextStep`; a fault of the server has a code and a number"
    " to quote, and nothing else.",
)
async def check_refusals(party: Party) -> str:
    wrong = {"userName": "nobody", "password": "wrong", "deviceId": new_id("dev"), "deviceName": "kit"}
    signed = (await party.server.ask("SignIn", {"input": wrong})).root
    [item] = await party.user.submit(new_draft(id="obs_wrong"))
    stranger = await party.server.ask("MyReports", {})
    expired = (await party.user.send("Changes", {"since": "none"})).root
    errors: Mapping[str, Any] = next(iter(stranger.errors), {})
    said = {
        "SignIn with a wrong password": signed,
        "SubmitObservations of a malformed id": item["refusal"] or {},
        "MyReports without a token": dict(errors.get("extensions") or {}) | {"message": errors.get("message")},
        "Changes with an invalid cursor": expired,
    }
    for request, refusal in said.items():
        lacks = [name for name in FIELDS if not refusal.get(name)]
        require(not lacks, request, f"a refusal with {', '.join(FIELDS)}", f"without {', '.join(lacks)}: {refusal}")
    return f"{len(said)} refusals of requests and items had all four. The kit can't provoke a fault of the server."


def zstd_frame(content: bytes, spaces: int = 0) -> bytes:
    """Build a Zstandard frame (RFC 8878): `content` in raw blocks, then `spaces` spaces in run-length blocks."""
    blocks = [(0, len(part), part) for part in _split_blocks(content)]
    blocks += [(1, ZSTD_BLOCK, b" ")] * (spaces // ZSTD_BLOCK)
    frame = b"\x28\xb5\x2f\xfd" + bytes((0b0000_0000, 0x38))  # no checksum, a window of 128 KiB
    for number, (kind, size, part) in enumerate(blocks, 1):
        frame += (size << 3 | kind << 1 | (number == len(blocks))).to_bytes(3, "little") + part
    return frame


def _split_blocks(content: bytes) -> list[bytes]:
    return [content[at : at + ZSTD_BLOCK] for at in range(0, len(content), ZSTD_BLOCK)]


def _submission(sent: dict[str, Any]) -> bytes:
    body = {"query": text_of("SubmitObservations"), "variables": {"input": {"drafts": [sent]}}}
    return json.dumps(body).encode()
