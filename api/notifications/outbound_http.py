"""Call URLs that users entered, but only if their IP addresses are allowed (protection against SSRF).

The host name is resolved once per call. All resulting addresses are checked against the rules, and the call goes to
the first of them that answers. So a host name that resolves differently a moment later (DNS rebinding) has no effect.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

import httpx

from schema.core.refusals import Refusal, RefusalCode
from schema.notifications.webhooks import check_url

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
CALL_SECONDS = 10.0
LOOKUP_SECONDS = 5.0
CONNECT_SECONDS = 2.5
MAX_ADDRESSES = 4
"""How many addresses of a host are tried, one after the other, and how long each of them has. A host with an AAAA record
may not be reachable by IPv6. All addresses together have `CALL_SECONDS`."""
NAT64 = IPv6Network("64:ff9b::/96")


class UnreachableAddressError(Exception):
    """Raised if a call is not allowed or not possible. The message tells the administrator why."""


@dataclass(frozen=True)
class Rules:
    """Which addresses may be called, besides public ones.

    `loopback` allows this machine, also by plain http. `private` allows private networks.
    """

    loopback: bool = False
    private: bool = False

    def allows(self, address: Address) -> bool:
        inner = _inner(address)
        if inner.is_loopback:
            return self.loopback
        if inner.is_multicast or inner.is_unspecified or inner.is_link_local or inner.is_reserved:
            return False  # link-local: clouds serve the credentials of their machines there
        return inner.is_global or (self.private and inner.is_private)


def ascii_url(url: str) -> str:
    """Return a URL with its host in IDNA and its path percent-encoded, as it goes over the wire.

    Raise `Refusal(BAD_INPUT)` if the host is no name. Whether the URL is allowed is for `OutboundHttp.check`.
    """
    if url.isascii():
        return url
    if any(letter.isspace() or not letter.isprintable() or letter == "\\" for letter in url):
        raise Refusal(RefusalCode.BAD_INPUT, "Write the URL without spaces and control characters.", field="url")
    try:
        return str(httpx.URL(url))
    except httpx.InvalidURL:
        raise Refusal(RefusalCode.BAD_INPUT, "The host of the URL is not a name.", field="url") from None


async def resolve_host(host: str, port: int) -> Sequence[str]:
    infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in infos]


class OutboundHttp:
    def __init__(self, rules: Rules, client: httpx.AsyncClient, *, resolve: Resolve = resolve_host) -> None:
        self._rules = rules
        self._client = client
        self._resolve = resolve

    async def check(self, url: str) -> list[Address]:
        """Resolve the host of `url` and return the addresses to call, in the order in which to try them.

        Raise `UnreachableAddressError` if the host is unknown or one of its addresses is not allowed. Raise `Refusal(BAD_INPUT)`
        if the URL is invalid.
        """
        host = check_url(url, plain=self._rules.loopback)
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                resolved = await self._resolve(host, port)
                addresses = [ip_address(address.partition("%")[0]) for address in resolved]
        except (OSError, ValueError, TimeoutError):
            raise UnreachableAddressError("The host can't be found.") from None
        if not addresses or not all(self._rules.allows(address) for address in addresses):
            raise UnreachableAddressError("The server must not call the address of this host.")
        if parts.scheme == "http" and not all(_inner(address).is_loopback for address in addresses):
            raise UnreachableAddressError("Plain http is allowed only for this machine.")
        return list(dict.fromkeys(addresses))[:MAX_ADDRESSES]

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Send a POST request and return the response's status. The body is not read and redirects are not followed.

        Raise `UnreachableAddressError` if the URL is invalid, the address is not allowed, or the call fails.
        """
        try:
            addresses = await self.check(url)
        except Refusal as refusal:
            raise UnreachableAddressError(refusal.message) from None
        try:
            async with asyncio.timeout(CALL_SECONDS):
                return await self._post_to_first(addresses, httpx.URL(url), body, headers)
        except TimeoutError:
            raise UnreachableAddressError("The receiver did not answer in time.") from None
        except httpx.HTTPError as error:
            raise UnreachableAddressError(f"The receiver could not be reached ({type(error).__name__}).") from None

    async def _post_to_first(
        self, addresses: Sequence[Address], target: httpx.URL, body: bytes, headers: Mapping[str, str]
    ) -> int:
        """Send the request to the first address that takes a connection. Nothing is sent to two addresses."""
        all_headers = {**headers, "Host": target.netloc.decode("ascii")}
        extensions = {"sni_hostname": target.raw_host.decode("ascii")}
        timeout = httpx.Timeout(CALL_SECONDS, connect=CONNECT_SECONDS)
        failure: httpx.HTTPError = httpx.ConnectError("no address")
        for address in addresses:
            pinned = target.copy_with(host=str(address))
            try:
                async with self._client.stream(
                    "POST", pinned, content=body, headers=all_headers, extensions=extensions, timeout=timeout
                ) as response:
                    return response.status_code
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
        raise failure


def outbound_client() -> httpx.AsyncClient:
    """Make a client that ignores the environment's proxies, because a proxy would resolve the host name itself."""
    limits = httpx.Limits(
        max_keepalive_connections=0
    )  # a connection for one name must not serve another at its address
    return httpx.AsyncClient(timeout=CALL_SECONDS, follow_redirects=False, trust_env=False, limits=limits)


def _inner(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address embeds (such as NAT64 or 6to4), otherwise the address itself."""
    if isinstance(address, IPv6Address):
        if address in NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)
    return address
