"""One API process on a listening socket that its parent bound; which parent, and how many beside it, is left to `scripts.run`.

`python -m api.serve --fd N`
"""

import argparse
import socket

import uvicorn

from api.app import create_app
from api.settings import Settings

GRACE_SECONDS = 10


def main() -> None:
    parser = argparse.ArgumentParser(prog="api.serve", description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="descriptor of the listening socket")
    descriptor = parser.parse_args().fd
    settings = Settings.from_environment()
    config = uvicorn.Config(
        create_app(settings),
        loop="uvloop",
        http="httptools",
        # Whose word on the client's address is believed: nobody's, unless named.
        proxy_headers=settings.trusted_proxies is not None,
        forwarded_allow_ips=settings.trusted_proxies or "",
        server_header=False,
        access_log=False,  # the app logs its own requests, without identities
        log_config=None,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    main()
