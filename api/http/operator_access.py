"""Decide who may see the metrics and the details of readiness.

If a metrics token is set, callers that send the token may see them, from any address. Otherwise, only callers on this
machine may see them.
"""

import ipaddress
import secrets

from starlette.requests import Request

PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-real-ip")


def is_operator(request: Request, token: str | None) -> bool:
    """Whether the caller may see operational details.

    Without a token, a request from a proxy is refused, because behind a proxy on this machine, every caller looks
    local.
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
