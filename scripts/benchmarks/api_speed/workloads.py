"""Define the workloads W1 to W5: what each asks, and the requests that its phones and browsers send.

A workload has many requests, which are sent in turn, so that no reply is asked for twice in a row.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from api.accounts.access_tokens import AccessTokens, Bearer
from api.accounts.key_ring import KeyRing
from api.graphql.context import clock
from mobile_contract.documents import digest, text_of
from schema.accounts.users import User
from schema.core.ids import compose
from scripts.benchmarks.api_speed.dataset import Dataset
from scripts.benchmarks.api_speed.population import authors, device_of, place_of, plan_population, session_of, viewers

CASE_GRAPH = """
query CaseGraph($id: ID!) {
  case(id: $id) {
    id number year sequence title summary category state openedAt closedAt outcome reply
    office { id code name level }
    unit { id code name level }
    firstResponder { id displayName }
    responsible { id displayName }
    history { id kind at state note by { id displayName } }
    assignments {
      id kind state note dueOn offeredAt acceptedAt assignee { id displayName } offeredBy { id displayName }
    }
    observations {
      id receivedAt placement revision mediaExpected
      content {
        method category severity text capturedAt capturedOffsetMinutes
        position { latitude longitude accuracyMetres datum }
        media { id kind state sha256 byteSize contentType capturedAt %s }
      }
      unit { id code name level }
      monitoringPoint { id code enterprise }
      author { id displayName }
    }
  }
}"""
"""The case graph: 450 scalars for a case with 10 observations of 2 media each."""
UNIT_LIST = """
query UnitList($unit: ID!) {
  observations(filter: { unitId: $unit }, first: 50) {
    edges {
      node {
        id receivedAt placement revision
        content { method category severity text capturedAt media { id kind state } }
        unit { id code name }
      }
    }
    pageInfo { hasNextPage }
  }
}"""
NEARBY = """
query Nearby($near: NearInput!) {
  observations(filter: { near: $near }, first: 20) {
    edges {
      node {
        id receivedAt placement
        content { category severity text capturedAt position { latitude longitude accuracyMetres } }
      }
    }
    pageInfo { hasNextPage }
  }
}"""
RADIUS_METRES = 2_000
TOKENS_LAST = timedelta(days=1)
COUNTER = "c0ffee000000"
"""Twelve hexadecimal digits that the generator replaces by another number in each request, for ids and digests."""
CLOCKS = 3_000
"""How many requests of W5 differ in the device's clock. The server keeps one reading for each minute of that clock."""


@dataclass(frozen=True)
class Call:
    """One request: who sends it, and what. `payload` is the JSON body of a GraphQL request."""

    user: User
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class Workload:
    """A workload. Every right reply contains `proof`. `collection` names the records that it lists by one read."""

    name: str
    title: str
    calls: Sequence[Call]
    proof: str
    collection: str | None = None


def build_workloads(dataset: Dataset, cursors: Mapping[str, str]) -> list[Workload]:
    """Return the workloads. `cursors` has the cursor of each author's first sync, by user name."""
    with_link = CASE_GRAPH % "link(rendition: SMALL) { url expiresAt }"
    return [
        Workload("W1", "submit 1 observation with 2 media", _submissions(dataset), '"outcome":"ACCEPTED"'),
        Workload("W2", "case graph", _graphs(dataset, CASE_GRAPH % ""), '{"data":{"case":{"id"'),
        Workload("W2link", "case graph with thumbnails' links", _graphs(dataset, with_link), '"link":{"url"'),
        Workload("W3", "newest 50 of a unit's subtree", _unit_lists(), '"unit":{"id"', "observations"),
        Workload("W4", "newest 20 within 2 km", _circles(), '"position":{"latitude"', "observations"),
        Workload("W5", "sync with nothing new", _syncs(dataset, cursors), '"changes":[],"cursor"'),
    ]


def _submissions(dataset: Dataset) -> list[Call]:
    plan, now = plan_population(), clock()
    calls = []
    for number, author in enumerate(authors()):
        county = next(code for code in plan.region.counties if plan.region.units[code].path == author.scope_paths[0])
        windows = plan.region.windows(county)
        point = next(point for point in plan.points if point.unit_id == plan.region.units[county].id)
        latitude, longitude = place_of(county)
        at = now.isoformat(timespec="milliseconds")
        draft = {
            "id": _counted_id("obs", now, 0),
            "method": "PATROL",
            "category": "SLOW",
            "severity": "MINOR",
            "text": "上午巡查政务服务窗口，叫号系统显示等候十二人，三个窗口只开一个，工作人员离岗二十分钟，已拍照。",
            "capturedAt": at,
            "unit": windows[number % len(windows)].code,
            "monitoringPoint": point.code,
            "deviceSequence": dataset.sequences.get(author.user_name, 0) + 1,
            "position": {"latitude": latitude, "longitude": longitude, "accuracyMetres": 8.5, "fixedAt": at},
            "media": [
                {
                    "id": _counted_id("med", now, place),
                    "sha256": f"{place:04d}{COUNTER}".ljust(64, "0"),
                    "byteSize": 3_000_000,
                    "contentType": "image/jpeg",
                    "capturedAt": at,
                }
                for place in (1, 2)
            ],
        }
        calls.append(Call(author, _trusted("SubmitObservations", input={"drafts": [draft]})))
    return calls


def _counted_id(prefix: str, at: datetime, place: int) -> str:
    """Return an id that ends with the counter. `place` makes ids differ that share a counter."""
    return compose(prefix, at, place.to_bytes(2, "big") + bytes(8))[:-12] + COUNTER


def _graphs(dataset: Dataset, document: str) -> list[Call]:
    return [_query(number, document, id=id) for number, id in enumerate(dataset.case_ids)]


def _unit_lists() -> list[Call]:
    region = plan_population().region
    return [_query(number, UNIT_LIST, unit=region.units[code].id) for number, code in enumerate(region.counties)]


def _circles() -> list[Call]:
    calls = []
    for number, code in enumerate(plan_population().region.counties):
        latitude, longitude = place_of(code)
        near = {"latitude": latitude, "longitude": longitude, "radiusMetres": RADIUS_METRES}
        calls.append(_query(number, NEARBY, near=near))
    return calls


def _syncs(dataset: Dataset, cursors: Mapping[str, str]) -> list[Call]:
    people, calls = [author for author in authors() if author.user_name in cursors], []
    for number in range(CLOCKS if people else 0):
        author = people[number % len(people)]
        at = (clock() - timedelta(minutes=number)).isoformat(timespec="milliseconds")
        given = {
            "deviceClock": {"at": at},
            "lastSequence": dataset.sequences.get(author.user_name, 0),
            "since": cursors[author.user_name],
        }
        calls.append(Call(author, _trusted("Sync", input=given)))
    return calls


def first_syncs() -> list[Call]:
    """Return the first sync of each author."""
    return [Call(author, _trusted("Sync", input={})) for author in authors()]


def _trusted(operation: str, **variables: Any) -> dict[str, Any]:
    """Return the payload of an operation of the contract, as phones send it."""
    return {"documentId": f"sha256:{digest(text_of(operation))}", "variables": variables}


def _query(number: int, document: str, **variables: Any) -> Call:
    readers = viewers()
    return Call(readers[number % len(readers)], {"query": document, "variables": variables})


@dataclass(frozen=True)
class Tokens:
    """Issues the access tokens of people who are signed in, by the product's own keys."""

    keys: KeyRing

    def of(self, user: User) -> str:
        tokens = AccessTokens(self.keys, int(TOKENS_LAST.total_seconds()))
        bearer = Bearer(str(user.id), session_of(user), str(device_of(user)))
        return tokens.issue(bearer, datetime.now(UTC))[0]


def encode(calls: Sequence[Call], token_of: Callable[[User], str]) -> list[bytes]:
    """Return each request as HTTP, without the request line."""
    bearers = {user.user_name: token_of(user) for user in {call.user.user_name: call.user for call in calls}.values()}
    return [_encode(call, bearers[call.user.user_name]) for call in calls]


def _encode(call: Call, token: str) -> bytes:
    body = json.dumps(call.payload, ensure_ascii=False, separators=(",", ":")).encode()
    head = (
        f"Host: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        f"Accept: application/graphql-response+json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
