"""Open HTTP clients that use the environment's proxies as far as they can be used.

Proxy programs set `all_proxy=socks5://...` for a whole machine. httpx refuses to open any client then, also for
addresses of this machine. Here a proxy of a kind that can't be used is left out, and `unusable_proxies` names it.
"""

import functools
import importlib.util
import ipaddress
import os
import re
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpx

SCHEMES = ("http", "https", "all")
LOOPBACK = ("all://127.0.0.1", "all://[::1]", "all://localhost")
_HOST_NAME = re.compile(r"\*?\.?[A-Za-z0-9][A-Za-z0-9.-]*")
_SOCKS = frozenset({"socks5", "socks5h"})


def open_client(**options: Any) -> httpx.AsyncClient:
    """Open a client with options of `httpx.AsyncClient`. Addresses of this machine never go through a proxy."""
    options = {"verify": _trusted(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))} | options
    shared = {name: options[name] for name in ("verify", "limits", "http2") if name in options}
    mounts: dict[str, httpx.AsyncBaseTransport | None] = {
        f"{scheme}://": httpx.AsyncHTTPTransport(proxy=url, **shared) for scheme, url in _usable_proxies()
    }
    mounts |= dict.fromkeys((*LOOPBACK, *_direct_patterns()))
    return httpx.AsyncClient(trust_env=False, mounts=mounts, **options)


@functools.cache
def _trusted(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    """Return the TLS context of all clients that trust the certificates that the environment names.

    Loading the certificates takes longer than most requests.
    """
    return httpx.create_ssl_context()


def unusable_proxies() -> list[str]:
    """Return the environment's proxies that can't be used, such as `all_proxy=socks5://...`, without their passwords."""
    return [f"{scheme}_proxy={_kind(url) or '?'}://..." for scheme, url in _proxies() if not _is_usable(url)]


def _proxies() -> Iterator[tuple[str, str]]:
    named = getproxies()
    for scheme in SCHEMES:
        if url := named.get(scheme, "").strip():
            yield scheme, url if "://" in url else f"http://{url}"


def _usable_proxies() -> Iterator[tuple[str, str]]:
    if "*" not in _exceptions():
        yield from ((scheme, url) for scheme, url in _proxies() if _is_usable(url))


def _kind(url: str) -> str:
    return url.partition("://")[0].lower()


def _is_usable(url: str) -> bool:
    kinds = {"http", "https"} | (_SOCKS if importlib.util.find_spec("socksio") else set())
    try:
        address = urlsplit(url)
        httpx.Proxy(url)
        return _kind(url) in kinds and bool(address.hostname) and address.port != 0
    except (ValueError, httpx.InvalidURL):
        return False


def _exceptions() -> list[str]:
    return [part.strip() for part in getproxies().get("no", "").split(",") if part.strip()]


def _direct_patterns() -> Iterator[str]:
    """Yield patterns of the hosts in `no_proxy`. Leave out what is neither an address nor a name."""
    for host in _exceptions():
        try:
            address = ipaddress.ip_address(host.strip("[]"))
        except ValueError:
            if _HOST_NAME.fullmatch(host):
                yield f"all://*{host.lstrip('*')}"
        else:
            yield f"all://[{address}]" if address.version == 6 else f"all://{address}"
