"""Share one object store's connections between tests, because making connections takes longer than most tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy

from anyio import CapacityLimiter

from storage.s3.client import ObjectStore


def for_this_loop(objects: ObjectStore) -> ObjectStore:
    """Return a copy that uses the same connections in the running event loop."""
    made = copy(objects)
    made._threads = CapacityLimiter(16)  # belongs to one event loop
    return made


@contextmanager
def record_operations(objects: ObjectStore) -> Iterator[list[str]]:
    """Yield the names of the operations that are asked during the block, with or without a time budget."""
    asked: list[str] = []
    events = [client.meta.events for client in (objects._client, objects._hurried)]
    for each in events:
        each.register("before-call.s3", lambda model, **_: asked.append(model.name), unique_id="test")
    yield asked
    for each in events:
        each.unregister("before-call.s3", unique_id="test")
