"""Fixtures of the golden tests."""

import pytest

from storage.mongodb.client import Mongo
from storage.s3.client import ObjectStore
from storage.store import Store
from tests.stored.golden_documents import Goldens


@pytest.fixture
def goldens(mongo: Mongo, request: pytest.FixtureRequest) -> Goldens:
    return Goldens(mongo, is_recording=request.config.getoption("--record-goldens"))


@pytest.fixture
def records(mongo: Mongo, objects: ObjectStore) -> Store:
    """Return a store without a bucket, because the golden tests write to MongoDB alone."""
    return Store(mongo, objects)
