"""Faults that are planted in front of the real product: a proxy edits requests on their way there, or answers on their way back.

Which clause each breaks is `test_kit_faults.py`'s to hold.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mobile_contract.phone.ids import new_id
from tests.serving import serving

Json = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """`breaks` is the clause that it is about, `along` others that may break with it; `only`, what is tried."""

    name: str
    breaks: str
    edit: Callable[[Json, Json], None] | None = None
    answer: Callable[[Json, Json], None] | None = None
    along: frozenset[str] = frozenset()


def _root(answer: Json) -> Json:
    value = next(iter((answer.get("data") or {}).values()), None)
    return value if isinstance(value, dict) else {}


def _results(answer: Json) -> list[Json]:
    found = _root(answer).get("results")
    return found if isinstance(found, list) else []


def _of(name: str, work: Callable[[Json, Json], None]) -> Callable[[Json, Json], None]:
    return lambda sent, answer: work(sent, answer) if sent.get("operationName") == name else None


def _drafts(sent: Json) -> list[Json]:
    given = sent.get("variables", {}).get("input")
    drafts = given.get("drafts", []) if isinstance(given, dict) else []
    return list(drafts)


def unwritten(sent: Json, kept: Json) -> None:
    """Another id is written than is acknowledged."""
    for each in _drafts(sent):
        kept[each["id"]] = each["id"]
        each["id"] = new_id("obs")


def acknowledged(sent: Json, answer: Json) -> None:
    for each, id in zip(_results(answer), sent["kept"], strict=False):
        each["id"] = id


def dropped(sent: Json, answer: Json) -> None:
    if len(_results(answer)) > 2:
        _results(answer).pop(1)


def same_place(sent: Json, answer: Json) -> None:
    slots = [each["slot"] for each in _results(answer) if each["slot"]]
    for each in slots[1:]:
        each["url"] = slots[0]["url"]


def skipping(sent: Json, answer: Json) -> None:
    if sent["variables"].get("first") == 7:
        del _root(answer).get("changes", [])[:1]


def no_tombstones(sent: Json, answer: Json) -> None:
    page = _root(answer)
    page["changes"] = [each for each in page.get("changes", []) if each["record"]]


def new_receipt(sent: Json, answer: Json) -> None:
    for each in _results(answer):
        if each["outcome"] == "DUPLICATE":
            each["receipt"]["receivedAt"] = "2026-01-01T00:00:00.000Z"


def conflict_as_duplicate(sent: Json, answer: Json) -> None:
    for each in _results(answer):
        if (each["refusal"] or {}).get("code") == "CONFLICT":
            each |= {"outcome": "DUPLICATE", "refusal": None}


def poisoned(sent: Json, answer: Json) -> None:
    if any(each["outcome"] == "REFUSED" for each in _results(answer)):
        answer["data"] = None


def other_digest(sent: Json, answer: Json) -> None:
    for each in _results(answer):
        if each["receipt"]:
            each["receipt"]["contentSha256"] = "0" * 64


def too_old(sent: Json, answer: Json) -> None:
    if sent["level"] == "0":
        answer["data"] = {"signIn": {"__typename": "Refused", "code": "LEVEL_TOO_OLD"}}


def ready_early(sent: Json, answer: Json) -> None:
    for each in _results(answer):
        if each["media"]:
            each["media"]["state"] = "READY"


def wrong_sign(sent: Json, answer: Json) -> None:
    clock = answer["data"]["sync"].get("clock")
    if clock:
        clock["skewSeconds"] *= -1


def untold(sent: Json, answer: Json) -> None:
    answer["data"]["sync"]["gaps"] = []


def told_apart(sent: Json, answer: Json) -> None:
    for each in _results(answer):
        if each["refusal"] and sent["variables"]["input"]["mediaIds"][0].startswith("med_"):
            each["refusal"]["message"] += sent["variables"]["input"]["mediaIds"][0][-1] + str(id(each))


def no_next_step(sent: Json, answer: Json) -> None:
    for each in _results(answer):
        if each["refusal"]:
            del each["refusal"]["nextStep"]


def other_keys(sent: Json, answer: Json) -> None:
    answer["keys"] = []


SUBMIT, SLOTS, CONFIRM = "SubmitObservations", "RequestUploads", "ConfirmMedia"
FAULTS = [
    Fault("acknowledge before write", "O5", unwritten, _of(SUBMIT, acknowledged)),
    Fault("drop an item from the results", "O4", None, _of(SUBMIT, dropped)),
    Fault("reissue a slot for another medium", "U3", None, _of(SLOTS, same_place)),
    Fault("cursor skipping one row", "C2", None, _of("Changes", skipping)),
    Fault("tombstone missing", "C4", None, _of("Changes", no_tombstones)),
    Fault("duplicate given a new receipt", "O1", None, _of(SUBMIT, new_receipt)),
    Fault("conflict answered as duplicate", "O2", None, _of(SUBMIT, conflict_as_duplicate)),
    Fault("poison draft blocks the batch", "O3", None, _of(SUBMIT, poisoned)),
    Fault("receipt signed by an unpublished key", "R1", None, other_keys),
    Fault("receipt over another digest", "R2", None, _of(SUBMIT, other_digest)),
    Fault("too old a level refused its outbox", "L3", None, _of("SignIn", too_old)),
    Fault("READY before verification", "U5", None, _of(CONFIRM, ready_early)),
    Fault("skew with the wrong sign", "K1", None, _of("Sync", wrong_sign)),
    Fault("gaps untold", "K2", None, _of("Sync", untold)),
    Fault("refusal without nextStep", "W6", None, _of(SUBMIT, no_next_step)),
    Fault("invisible told apart from absent", "V1", None, _of(CONFIRM, told_apart)),
]


@contextmanager
def faulty(address: str, fault: Fault) -> Iterator[str]:
    """The product behind the fault; its address."""

    async def pass_on(request: Request) -> Response:
        content = await request.body()
        try:
            sent = json.loads(content) if content else {}
        except ValueError:
            sent = {}
        kept: Json = {}
        given = deepcopy(sent)
        if fault.edit and sent.get("operationName") == SUBMIT:
            fault.edit(given, kept)
        headers = {name: value for name, value in request.headers.items() if name not in {"host", "content-length"}}
        body = json.dumps(given).encode() if kept else content
        async with httpx.AsyncClient(timeout=30) as client:
            got = await client.request(request.method, f"{address}{request.url.path}", content=body, headers=headers)
        answer = got.json()
        context = {**sent, "kept": list(kept), "level": request.headers.get("mingcha-level")}
        if fault.answer:
            fault.answer(context, answer)
        told = {name: got.headers[name] for name in ("content-type", "mingcha-level") if name in got.headers}
        return Response(json.dumps(answer), got.status_code, told)

    app = Starlette(routes=[Route("/{path:path}", pass_on, methods=["GET", "POST"])])
    with serving(app) as own:
        yield own
