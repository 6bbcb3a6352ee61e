"""Run one API process on a listening socket that its parent has bound: `python -m api.server.serve --fd N`."""

import argparse
import socket
from collections.abc import Awaitable, Callable

import uvicorn

from api.notifications.websocket import MAX_MESSAGE_BYTES
from api.server.app import create_app
from api.server.http_protocol import bounded_protocol
from api.settings import Settings

GRACE_SECONDS = 10


class ApiServer(uvicorn.Server):
    """A server that ends all subscription streams at shutdown, and then waits for the other requests.

    The streams must be ended, because they never end by themselves.
    """

    def __init__(self, config: uvicorn.Config, stop_streams: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._stop_streams = stop_streams

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._stop_streams()
        await super().shutdown(sockets)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="api.server.serve", description="Run one API process on a listening socket that its parent has bound."
    )
    parser.add_argument("--fd", type=int, required=True, help="descriptor of the listening socket")
    descriptor = parser.parse_args().fd
    settings = Settings.from_environment()
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=bounded_protocol(settings.trusted_proxies),
        # Only named proxies may state the client's address.
        proxy_headers=settings.trusted_proxies is not None,
        forwarded_allow_ips=settings.trusted_proxies or "",
        server_header=False,
        access_log=False,  # the app logs its own requests, without identities
        log_config=None,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ws="websockets-sansio",
        ws_max_size=MAX_MESSAGE_BYTES,
    )
    ApiServer(config, app.state.stop_streams).run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    main()
