"""Share one object store's connections between tests, because making connections takes longer than most tests."""

from copy import copy

from anyio import CapacityLimiter

from storage.s3.client import ObjectStore


def for_this_loop(objects: ObjectStore) -> ObjectStore:
    """Return a copy that uses the same connections in the running event loop."""
    made = copy(objects)
    made._threads = CapacityLimiter(16)  # belongs to one event loop
    return made
