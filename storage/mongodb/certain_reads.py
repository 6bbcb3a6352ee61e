"""Read what a majority read can miss just after a failover.

A new primary may not know yet which of its writes the majority has. A former primary may not know yet that it is one.
Both then show an older state, in which an acknowledged write is missing.
"""

from storage.mongodb.client import Document, Filter, Mongo

MAX_MILLISECONDS = 10_000
"""Without a majority, a linearizable read would wait for ever."""


async def find_one_for_certain(mongo: Mongo, collection: str, filter: Filter) -> Document | None:
    """Find a document by a linearizable read, which misses no acknowledged write.

    The primary writes to the majority for each such read, so it is for rare decisions only. Raise
    `Refusal(UNAVAILABLE)` if there is no majority.
    """
    reply = await mongo.command(
        "find",
        collection,
        filter=dict(filter),
        limit=1,
        readConcern={"level": "linearizable"},
        maxTimeMS=MAX_MILLISECONDS,
    )
    found: list[Document] = reply["cursor"]["firstBatch"]
    return found[0] if found else None
