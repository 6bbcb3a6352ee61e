"""Decide who sees metrics and the details of readiness.

With a metrics token set, only its bearer, from any address. Without one, only callers on this machine.
"""

import ipaddress
import secrets

from starlette.requests import Request

PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-real-ip")


def is_operator(request: Request, token: str | None) -> bool:
    """Whether the caller may see operational details.

    A request from a proxy counts as a stranger's: behind a proxy on this machine every caller looks local.
    """
    if token:
        scheme, _, sent = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and secrets.compare_digest(sent.encode(), token.encode())
    if request.client is None or any(name in request.headers for name in PROXY_HEADERS):
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
