"""Who may see what is meant for operators: metrics, and the details of readiness.

With a token set, its bearer and nobody else, from wherever; without one, callers from this machine.
"""

import ipaddress
import secrets

from starlette.requests import Request

FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


def is_operator(request: Request, token: str | None) -> bool:
    """Whether the caller may see operational details.

    A request that a proxy passed on counts as a stranger's: on this machine every proxied caller looks local.
    """
    if token:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and secrets.compare_digest(given.encode(), token.encode())
    if request.client is None or any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
