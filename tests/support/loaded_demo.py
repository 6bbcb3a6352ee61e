"""Load the demo once for a whole test session, and make empty installations for tests that change data."""

import fcntl
import json
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from api.settings import Settings
from schema.accounts.users import User
from schema.appraisal.ratings import Rating
from schema.casework.assignments import Assignment
from schema.casework.cases import Case
from schema.catalogue.entries import CatalogueEntry
from schema.core.times import to_millis
from schema.fieldwork.observations import Observation
from schema.media.media import Media
from schema.organisation.monitoring_points import MonitoringPoint
from schema.organisation.units import Unit
from scripts.demo.loading import seed
from storage.embedded.engines import Addresses
from storage.indexes import ensure_indexes
from storage.mongodb.client import Mongo
from storage.mongodb.codecs import from_document
from storage.store import Store

KINDS: dict[str, type] = {
    "units": Unit,
    "users": User,
    "monitoring_points": MonitoringPoint,
    "observations": Observation,
    "media": Media,
    "cases": Case,
    "assignments": Assignment,
    "catalogue": CatalogueEntry,
    "ratings": Rating,
}


@dataclass
class LoadedDemo:
    """An installation, and the time at which its demo was loaded."""

    store: Store
    settings: Settings
    environment: dict[str, str]
    now: datetime

    async def documents(self, name: str) -> list[dict[str, Any]]:
        return await self.store.mongo.collection(name).find({}, sort=[("_id", 1)])

    async def all(self, name: str) -> list[Any]:
        return [from_document(KINDS[name], document) for document in await self.documents(name)]

    async def snapshot(self) -> dict[str, list[dict[str, Any]]]:
        """Return the documents. Password hashes are left out, because they differ between installations."""
        kept = {name: await self.documents(name) for name in (*KINDS, "counters", "set_aside")}
        for user in kept["users"]:
            del user["password_hash"]
        return kept


@asynccontextmanager
async def installation(engines: Addresses, folder: Path) -> AsyncIterator[LoadedDemo]:
    """Make an installation that has only its indexes, and delete it afterwards."""
    made = await _opened(engines, folder, uuid.uuid4().hex)
    await made.store.objects.make_bucket()
    await ensure_indexes(made.store.mongo)
    yield made
    await made.store.mongo.drop()
    await made.store.objects.drop_bucket()
    await made.store.close()


@asynccontextmanager
async def whole(engines: Addresses) -> AsyncIterator[LoadedDemo]:
    """Open the session's demo. The first process that needs the demo loads it. Tests must not change the demo."""
    folder = Path(os.environ["MINGCHA_TEST_FOLDER"]) / "demo"
    folder.mkdir(exist_ok=True)
    told = folder / "demo.json"
    with (folder / "loading").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not told.exists():
            name, now = uuid.uuid4().hex, to_millis(datetime.now(UTC))
            made = await _opened(engines, folder, name, now)
            await made.store.objects.make_bucket()
            await ensure_indexes(made.store.mongo)
            await seed(made.store, made.settings, now=now)
            await made.store.close()
            told.write_text(json.dumps([name, now.isoformat()]))
    name, at = json.loads(told.read_text())
    found = await _opened(engines, folder, name, datetime.fromisoformat(at))
    yield found
    await found.store.close()


async def _opened(engines: Addresses, folder: Path, name: str, now: datetime | None = None) -> LoadedDemo:
    own = replace(engines, s3_bucket=f"test-{name}")
    store = Store(Mongo(engines.mongo_url, f"test_{name}"), own.store())
    environment = {**os.environ, **own.environment(), "MINGCHA_MONGO_DATABASE": f"test_{name}", "PYTHONPATH": "."}
    return LoadedDemo(store, Settings(data=folder), environment, now or to_millis(datetime.now(UTC)))
