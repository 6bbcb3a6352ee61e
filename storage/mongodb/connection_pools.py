"""Replace pooled connections that take no sessions.

The driver asks a member once for each connection whether it takes sessions. A member that starts, recovers or rolls back
takes none, and a connection that is made then takes none for as long as it lasts. The driver would use it again and
again, because it takes the connection that was used last.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from storage.mongodb.driver_calls import await_if_needed
from storage.mongodb.errors import NoSessionsError

T = TypeVar("T")


async def run_with_sessions(client: Any, call: Callable[[], Awaitable[T]]) -> T:
    """Run a call. If its connection takes no sessions, discard all connections, and run the call once more.

    The driver sends nothing over such a connection, so the call has no effect that could be doubled.
    """
    try:
        return await call()
    except NoSessionsError:
        await _discard_connections(client)
    return await call()


async def _discard_connections(client: Any) -> None:
    """Close the connections that are idle, and each of the others after its present call. The next calls make new ones.

    Neither driver offers this to its callers. Both keep a pool for each server, and Motor wraps PyMongo's client.
    """
    pymongo_client = vars(client).get("delegate", client)  # PyMongo takes any other attribute for a database
    topology = pymongo_client._topology  # noqa: SLF001  see above
    for server in list(topology._servers.values()):  # noqa: SLF001
        await await_if_needed(server.pool.reset_without_pause())
