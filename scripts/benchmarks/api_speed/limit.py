"""Answer the workloads as fast as Python can read the same data: the limit of the product's speed on this machine.

It reads only what the replies contain, in as few commands as possible, by the same driver, and prints with orjson over
bare Starlette. Nobody signs in, and nothing is hidden, checked, counted or logged. The replies to W2, W3 and W4 equal the
product's. W1 only inserts.
Start it by `python -m scripts.benchmarks.api_speed.limit --fd N`, with the product's settings.
"""

import argparse
import socket
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.connections import open_store
from api.settings import Settings
from storage.fieldwork import places
from storage.mongodb.client import DESCENDING, Document, Filter, Mongo
from storage.mongodb.driver_calls import await_if_needed

UNIT = {"code": 1, "name": 1, "level": 1}
POINT = {"code": 1, "enterprise": 1}
PERSON = {"display_name": 1}
CASE = dict.fromkeys(("number", "year", "sequence", "title", "summary", "category", "state", "outcome", "reply"), 1)
CASE |= dict.fromkeys(("opened_at", "closed_at", "history", "office_id", "unit_id"), 1)
CASE |= {"first_responder_id": 1, "responsible_id": 1}
ASSIGNMENT = dict.fromkeys(("kind", "state", "note", "due_on", "offered_at", "accepted_at"), 1)
ASSIGNMENT |= {"assignee_id": 1, "offered_by_id": 1}
CONTENT = ("method", "category", "severity", "text", "captured_at", "captured_offset_minutes", "media_ids")
OBSERVATION = {f"content.{name}": 1 for name in CONTENT}
OBSERVATION |= dict.fromkeys(("received_at", "placement", "revision", "unit_id", "monitoring_point_id"), 1)
POSITION = {f"content.position.{name}": 1 for name in ("latitude", "longitude", "accuracy_metres", "datum")}
MEDIUM = dict.fromkeys(("kind", "state", "sha256", "byte_size", "content_type", "captured_at"), 1)
SHORT_MEDIUM = {"kind": 1, "state": 1}
UNIT_FIELDS, SHORT_UNIT = (("code", "code"), ("name", "name"), ("level", "level")), (("code", "code"), ("name", "name"))
NEWEST = [("received_at", DESCENDING), ("_id", DESCENDING)]


class Reads:
    """The reads of the workloads, by the driver itself, without what storage adds to it."""

    def __init__(self, mongo: Mongo) -> None:
        self._raw = {name: _raw(mongo, name) for name in ("cases", "observations", "media", "units")}

    async def _aggregate(self, name: str, pipeline: Sequence[Document]) -> list[Document]:
        cursor = await await_if_needed(self._raw[name].aggregate(list(pipeline), batchSize=10_000))
        return list(await cursor.to_list(None))

    async def _find(self, name: str, filter: Filter, projection: Document, limit: int) -> list[Document]:
        cursor = self._raw[name].find(filter, projection, sort=NEWEST, limit=limit, batch_size=10_000)
        return list(await cursor.to_list(None))

    async def _parts(self, media: Sequence[str], others: dict[str, tuple[set[Any], Document]], medium: Document) -> Any:
        """Return media and the documents of other collections by id, in one command."""
        pipeline: list[Document] = [{"$match": {"_id": {"$in": list(media)}}}, {"$project": medium}]
        for name, (ids, projection) in others.items():
            wanted = [{"$match": {"_id": {"$in": list(ids - {None})}}}, {"$project": projection}]
            pipeline.append({"$unionWith": {"coll": name, "pipeline": wanted}})
        return {document["_id"]: document for document in await self._aggregate("media", pipeline)}

    async def case_graph(self, id: str) -> Any:
        """W2 in two commands: the case with its observations and assignments, then all that they name."""
        observations = [{"$match": {"case_ids": id}}, {"$project": OBSERVATION | POSITION}]
        assignments = [{"$match": {"case_id": id}}, {"$project": ASSIGNMENT}]
        documents = await self._aggregate(
            "cases",
            [
                {"$match": {"_id": id}},
                {"$project": CASE},
                {"$unionWith": {"coll": "observations", "pipeline": observations}},
                {"$unionWith": {"coll": "assignments", "pipeline": assignments}},
            ],
        )
        case, seen = documents[0], [one for one in documents if one["_id"].startswith("obs")]
        given = [one for one in documents if one["_id"].startswith("asg")]
        seen.sort(key=lambda one: one["received_at"])
        given.sort(key=lambda one: one["offered_at"])
        people = {case["first_responder_id"], case["responsible_id"], *(event["by_id"] for event in case["history"])}
        people |= {one[name] for one in given for name in ("assignee_id", "offered_by_id")}
        units = {case["office_id"], case["unit_id"], *(one.get("unit_id") for one in seen)}
        points = {one.get("monitoring_point_id") for one in seen}
        others = {"units": (units, UNIT), "monitoring_points": (points, POINT), "users": (people, PERSON)}
        parts = await self._parts([id for one in seen for id in one["content"]["media_ids"]], others, MEDIUM)
        return {"data": {"case": _case(case, seen, given, parts)}}

    async def unit_list(self, unit: str) -> Any:
        """W3 in three commands: the unit's path, the observations, and their units and media."""
        path = (await self._raw["units"].find_one({"_id": unit}, {"path": 1}))["path"]
        found = await self._find("observations", places.within_unit(path), OBSERVATION, 51)
        seen = found[:50]
        media = [id for one in seen for id in one["content"]["media_ids"]]
        parts = await self._parts(media, {"units": ({one["unit_id"] for one in seen}, UNIT)}, SHORT_MEDIUM)
        nodes = [
            _observation(one)
            | {
                "revision": one["revision"],
                "content": _content(one, ("method", "category", "severity", "text"))
                | {"media": [_short_medium(parts[id]) for id in one["content"]["media_ids"]]},
                "unit": _named(parts[one["unit_id"]], SHORT_UNIT),
            }
            for one in seen
        ]
        return _connection(nodes, is_longer=len(found) > 50)

    async def nearby(self, near: dict[str, float]) -> Any:
        """W4 in one command."""
        filter = places.near(near["latitude"], near["longitude"], near["radiusMetres"])
        found = await self._find("observations", filter, OBSERVATION | POSITION, 21)
        nodes = [
            _observation(one)
            | {"content": _content(one, ("category", "severity", "text")) | {"position": _position(one)}}
            for one in found[:20]
        ]
        return _connection(nodes, is_longer=len(found) > 20)

    async def submit(self, draft: dict[str, Any]) -> Any:
        """W1 in two inserts, without a check of what was sent."""
        now = datetime.now(UTC)
        media = [medium | {"_id": medium["id"], "observation_id": draft["id"]} for medium in draft["media"]]
        await self._raw["media"].insert_many(media, ordered=False)
        observation = draft | {"_id": draft["id"], "received_at": now, "revisions": [draft]}
        await self._raw["observations"].insert_one(observation)
        return {"data": {"submitObservations": {"results": [{"id": draft["id"], "outcome": "ACCEPTED"}]}}}


def _raw(mongo: Mongo, name: str) -> Any:
    """Return the driver's own collection, which decodes times without a time zone."""
    raw = mongo.collection(name)._raw  # noqa: SLF001  the limit leaves out what storage does beside the driver's call
    return raw.with_options(codec_options=raw.codec_options.with_options(tz_aware=False))


def _instant(at: datetime | None) -> str | None:
    return at.isoformat(timespec="milliseconds") + "Z" if at else None


def _named(document: Document, fields: Sequence[tuple[str, str]]) -> Document:
    return {"id": document["_id"]} | {shown: document[stored] for shown, stored in fields}


def _person(id: str, parts: Any) -> Document:
    return {"id": id, "displayName": parts[id]["display_name"]}


def _observation(one: Document) -> Document:
    received_at = one["received_at"].replace(second=0, microsecond=0)
    return {"id": one["_id"], "receivedAt": _instant(received_at), "placement": one["placement"]}


def _content(one: Document, names: Sequence[str]) -> Document:
    content = one["content"]
    return {name: content[name] for name in names} | {"capturedAt": _instant(content["captured_at"])}


def _position(one: Document) -> Document:
    at = one["content"]["position"]
    return {"latitude": at["latitude"], "longitude": at["longitude"], "accuracyMetres": at["accuracy_metres"]}


def _short_medium(one: Document) -> Document:
    return {"id": one["_id"], "kind": one["kind"], "state": one["state"]}


def _medium(one: Document) -> Document:
    size = {"sha256": one["sha256"], "byteSize": one["byte_size"], "contentType": one["content_type"]}
    return _short_medium(one) | size | {"capturedAt": _instant(one["captured_at"])}


def _case(case: Document, seen: list[Document], given: list[Document], parts: Any) -> Document:
    shown = {name: case[name] for name in ("number", "year", "sequence", "title", "summary", "category", "state")}
    return {
        "id": case["_id"],
        **shown,
        "openedAt": _instant(case["opened_at"]),
        "closedAt": _instant(case["closed_at"]),
        "outcome": case["outcome"],
        "reply": case["reply"],
        "office": _named(parts[case["office_id"]], UNIT_FIELDS),
        "unit": _named(parts[case["unit_id"]], UNIT_FIELDS),
        "firstResponder": _person(case["first_responder_id"], parts),
        "responsible": _person(case["responsible_id"], parts),
        "history": [
            {name: event[name] for name in ("id", "kind", "state", "note")}
            | {"at": _instant(event["at"]), "by": _person(event["by_id"], parts)}
            for event in case["history"]
        ],
        "assignments": [
            {"id": one["_id"], "kind": one["kind"], "state": one["state"], "note": one["note"]}
            | {"dueOn": one["due_on"].date().isoformat(), "offeredAt": _instant(one["offered_at"])}
            | {"acceptedAt": _instant(one["accepted_at"]), "assignee": _person(one["assignee_id"], parts)}
            | {"offeredBy": _person(one["offered_by_id"], parts)}
            for one in given
        ],
        "observations": [_of_case(one, parts) for one in seen],
    }


def _of_case(one: Document, parts: Any) -> Document:
    content, point = one["content"], parts.get(one.get("monitoring_point_id"))
    return _observation(one) | {
        "revision": one["revision"],
        "mediaExpected": len(content["media_ids"]),
        "content": _content(one, ("method", "category", "severity", "text"))
        | {"capturedOffsetMinutes": content["captured_offset_minutes"]}
        | {"position": _position(one) | {"datum": content["position"]["datum"]}}
        | {"media": [_medium(parts[id]) for id in content["media_ids"]]},
        "unit": _named(parts[one["unit_id"]], UNIT_FIELDS),
        "monitoringPoint": _named(point, (("code", "code"), ("enterprise", "enterprise"))) if point else None,
        "author": None,
    }


def _connection(nodes: list[Document], *, is_longer: bool) -> Document:
    edges = [{"node": node} for node in nodes]
    return {"data": {"observations": {"edges": edges, "pageInfo": {"hasNextPage": is_longer}}}}


def limit_app(mongo: Mongo) -> Starlette:
    """Return the application, with one path for each workload that it answers: `/W1` to `/W4`."""
    reads = Reads(mongo)

    def answer(ask: Callable[[dict[str, Any]], Awaitable[Any]]) -> Callable[[Request], Awaitable[Response]]:
        async def respond(request: Request) -> Response:
            variables = orjson.loads(await request.body())["variables"]
            return Response(orjson.dumps(await ask(variables)), media_type="application/json")

        return respond

    asks: dict[str, Callable[[dict[str, Any]], Awaitable[Any]]] = {
        "W1": lambda given: reads.submit(given["input"]["drafts"][0]),
        "W2": lambda given: reads.case_graph(given["id"]),
        "W3": lambda given: reads.unit_list(given["unit"]),
        "W4": lambda given: reads.nearby(given["near"]),
    }
    return Starlette(routes=[Route(f"/{name}", answer(ask), methods=["POST"]) for name, ask in asks.items()])


def main() -> None:
    parser = argparse.ArgumentParser(description="Answer the workloads at the limit.")
    parser.add_argument("--fd", type=int, required=True, help="descriptor of the listening socket")
    listener = socket.socket(fileno=parser.parse_args().fd)
    app = limit_app(open_store(Settings.from_environment()).mongo)
    config = uvicorn.Config(app, loop="uvloop", http="httptools", access_log=False, log_config=None, lifespan="off")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
