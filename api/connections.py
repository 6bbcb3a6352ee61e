"""Open the store (MongoDB and the S3 bucket) that the settings name. The API, the worker and the commands use this."""

from collections.abc import Sequence

import structlog

from api.settings import Settings
from storage.mongodb.client import CommandListener, Mongo
from storage.mongodb.database_clock import MAX_SECONDS, DatabaseClock
from storage.s3.client import ObjectStore
from storage.store import Store

log = structlog.get_logger(__name__)


def open_store(settings: Settings, *, listeners: Sequence[CommandListener] = ()) -> Store:
    """Return the store. The store connects to MongoDB and S3 when it is first used."""
    clock = DatabaseClock(tell=_log_clock)
    mongo = Mongo(
        settings.mongo_url, settings.mongo_database, driver=settings.mongo_driver, listeners=[*listeners, clock]
    )
    objects = ObjectStore(
        endpoint=settings.s3_endpoint,
        public_endpoint=settings.s3_public_endpoint or settings.s3_endpoint,
        bucket=settings.s3_bucket,
        access_key=settings.s3_access_key,
        secret_key=settings.s3_secret_key,
        region=settings.s3_region,
    )
    return Store(mongo, objects, clock)


def _log_clock(clock: DatabaseClock) -> None:
    """Log that this machine's clock has come near the database's, has left it, or is too wrong to be used."""
    if clock.is_near:
        log.info("clock agrees with the database's", ahead_seconds=clock.ahead)
    elif clock.is_right:
        log.warning("clock differs from the database's", ahead_seconds=clock.ahead)
    else:
        log.error("clock is wrong, nothing is signed or stored", ahead_seconds=clock.ahead, bound_seconds=MAX_SECONDS)
