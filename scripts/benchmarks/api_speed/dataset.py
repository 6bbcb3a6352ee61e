"""Load the records of the measurement into an empty database, by bulk inserts, and remove what workloads have added."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice

from schema.accounts.users import Device
from schema.sync.changes import ChangeKind
from scripts.benchmarks.api_speed.population import AS_OF, authors, device_of, plan_population, session_of, viewers
from scripts.benchmarks.api_speed.records import OBSERVATIONS_OF_A_CASE, CaseRecords, RecordFactory
from scripts.demo.loading import store_base_data
from storage.checks import queue
from storage.demo import Demos
from storage.fieldwork.observations import observation_document
from storage.indexes import ensure_indexes
from storage.mongodb.client import Document
from storage.mongodb.codecs import to_document
from storage.store import Store

OBSERVATIONS = 20_000
"""Observations at scale 1."""
BATCH = 100
SAMPLE = 200
"""How many cases workloads ask for. They are spread over all cases."""
MARK, VERSION = "benchmark", "records-1"
"""Collection and id of the document that says what is loaded. Another version of the records needs another id."""
NO_CHECK: Document = {queue.DUE: None, queue.ROUND: 1}
VERIFIED: Document = {"due_at": None, "is_likeness_taken": True, **NO_CHECK}
"""What the worker stores in a medium that it has verified, beside the fields of `Media`."""
HOLDER = "benchmark"


class OtherDataError(Exception):
    """The database holds other data than the measurement needs."""


@dataclass(frozen=True)
class Dataset:
    """What is loaded. `sequences` has the last sequence number of each author's device, by user name."""

    observations: int
    case_ids: list[str]
    sequences: dict[str, int]


async def load(store: Store, observations: int, say: Callable[[str], None]) -> Dataset:
    """Load that many observations with all that belongs to them, unless the database has them already.

    Raise `OtherDataError` if the database has other data.
    """
    marks = store.mongo.collection(MARK)
    known = await marks.find_one({"_id": VERSION})
    if known is None and await Demos(store.mongo).is_empty():
        say(f"loading {observations:,} observations ...")
        await marks.insert_one({"_id": VERSION, **asdict(await _load(store, observations))})
        known = await marks.find_one({"_id": VERSION})
    if known is None or known["observations"] != observations:
        raise OtherDataError("This folder holds other data, or a part of it. Name a new folder.")
    await store.observations.name_places()  # a version that stored no names of places may have loaded them
    return Dataset(known["observations"], known["case_ids"], known["sequences"])


async def _load(store: Store, observations: int) -> Dataset:
    await ensure_indexes(store.mongo)
    await store_base_data(store, plan_population())
    for user in [*viewers(), *authors()]:
        device = Device(id=device_of(user), name="华为 Mate 60", signed_in_at=AS_OF, seen_at=AS_OF)
        await store.users.add_device(str(user.id), device, session_of(user))
    cases = observations // OBSERVATIONS_OF_A_CASE
    factory, case_ids = RecordFactory(cases), list[str]()
    inserting = asyncio.ensure_future(asyncio.sleep(0))
    made = (factory.make(number) for number in range(cases))
    while batch := list(islice(made, BATCH)):
        case_ids += [str(records.case.id) for records in batch]
        documents = _documents(batch)
        await inserting
        # The database works on one batch while the next is made.
        inserting = asyncio.ensure_future(_insert(store, documents))
        await asyncio.sleep(0)
    await inserting
    await _begin_changes(store)
    return Dataset(observations, case_ids[:: max(cases // SAMPLE, 1)][:SAMPLE], dict(factory.sequences))


def _documents(batch: Sequence[CaseRecords]) -> dict[str, list[Document]]:
    """Return the documents to store, by collection. No check and no verification is due for them."""
    return {
        "cases": [to_document(records.case) for records in batch],
        "assignments": [to_document(one) for records in batch for one in records.assignments],
        "observations": [observation_document(one) | NO_CHECK for records in batch for one in records.observations],
        "media": [to_document(medium) | VERIFIED for records in batch for medium in records.media],
    }


async def _insert(store: Store, documents: dict[str, list[Document]]) -> None:
    await asyncio.gather(*(store.mongo.collection(name).insert_many(each) for name, each in documents.items()))


async def _begin_changes(store: Store) -> None:
    """Begin the sequence of changes with the monitoring points and the catalogue.

    Phones pull these in their first sync. Observations and cases are left out, because a pull reads only the entries
    after its cursor, however many are before.
    """
    plan = plan_population()
    await store.changes.claim(HOLDER, AS_OF, AS_OF)
    ids = {
        ChangeKind.MONITORING_POINT: [str(point.id) for point in plan.points],
        ChangeKind.CATALOGUE_ENTRY: [str(entry.id) for entry in plan.catalogue],
    }
    states = await store.change_sources.read_states(ids)
    await store.changes.enter(HOLDER, states, token=None, as_of=AS_OF, until=AS_OF)
    await store.changes.release(HOLDER)


async def remove_added(store: Store) -> None:
    """Remove all records that workloads have added, so that each run reads the same."""
    observations, media = store.mongo.collection("observations"), store.mongo.collection("media")
    added = await observations.find({"received_at": {"$gt": AS_OF}}, projection={"_id": 1})
    for ids in _pieces([document["_id"] for document in added]):
        await media.delete_many({"observation_id": {"$in": ids}})
        await observations.delete_many({"_id": {"$in": ids}})
    for name in ("clock_readings", "media_accesses"):
        await store.mongo.collection(name).delete_many({})


def _pieces(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + 1_000] for start in range(0, len(ids), 1_000))
