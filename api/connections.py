"""Open the store (MongoDB and the S3 bucket) that the settings name. The API, the worker and the commands use this."""

from collections.abc import Sequence

from api.settings import Settings
from storage.mongodb.client import CommandListener, Mongo
from storage.s3.client import ObjectStore
from storage.store import Store


def open_store(settings: Settings, *, listeners: Sequence[CommandListener] = ()) -> Store:
    """Return the store. The store connects to MongoDB and S3 when it is first used."""
    mongo = Mongo(settings.mongo_url, settings.mongo_database, driver=settings.mongo_driver, listeners=listeners)
    objects = ObjectStore(
        endpoint=settings.s3_endpoint,
        public_endpoint=settings.s3_public_endpoint or settings.s3_endpoint,
        bucket=settings.s3_bucket,
        access_key=settings.s3_access_key,
        secret_key=settings.s3_secret_key,
        region=settings.s3_region,
    )
    return Store(mongo, objects)
