"""Choose the proxies through which the object store is called."""

from urllib.parse import urlsplit
from urllib.request import getproxies


def proxies_to(url: str) -> dict[str, str] | None:
    """Return no proxies for a store on this machine, and instead of a proxy of a kind that the client can't use.

    None lets the client ask the environment.
    """
    address = urlsplit(url)
    proxy = getproxies().get(address.scheme, "")
    kind = proxy.partition("://")[0].lower() if "://" in proxy else "http"
    is_here = address.hostname in {"127.0.0.1", "::1", "localhost"}
    return {} if is_here or kind not in {"http", "https"} else None
