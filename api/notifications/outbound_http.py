"""OutboundHttp calls to addresses that people typed in: only to where such a call may go, and to nowhere else on the way.

An address is resolved once for a call, held against the rules, and then called by that number: a name that answers
otherwise a moment later leads nowhere. What is sent is left to `webhook_work.py`.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

import httpx

from schema.core.refusals import Refusal
from schema.notifications.webhooks import check_url

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
CALL_SECONDS = 10.0
LOOKUP_SECONDS = 5.0
NAT64 = IPv6Network("64:ff9b::/96")


class UnreachableAddressError(Exception):
    """The call may not, or can't, be made; the text says why to whoever set the address."""


@dataclass(frozen=True)
class Rules:
    """`loopback` admits this machine, also by plain http; `private` admits private networks."""

    loopback: bool = False
    private: bool = False

    def admit(self, address: Address) -> bool:
        inner = _inner(address)
        if inner.is_loopback:
            return self.loopback
        if inner.is_multicast or inner.is_unspecified or inner.is_link_local or inner.is_reserved:
            return False  # link-local: clouds keep the keys of their machines there
        return inner.is_global or (self.private and inner.is_private)


async def look_up(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(each[4][0]) for each in found]


class OutboundHttp:
    def __init__(self, rules: Rules, client: httpx.AsyncClient, *, resolve: Resolve = look_up) -> None:
        self._rules = rules
        self._client = client
        self._resolve = resolve

    async def check(self, url: str) -> Address:
        """Where a call to `url` would go now.

        Raise `UnreachableAddressError`, or `Refusal(BAD_INPUT)` for what is no such address.
        """
        host = check_url(url, plain=self._rules.loopback)
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                found = [ip_address(each.partition("%")[0]) for each in await self._resolve(host, port)]
        except (OSError, ValueError, TimeoutError):
            raise UnreachableAddressError("The host can't be found.") from None
        if not found or not all(self._rules.admit(each) for each in found):
            raise UnreachableAddressError("The host lies where calls from here may not go.")
        if parts.scheme == "http" and not all(_inner(each).is_loopback for each in found):
            raise UnreachableAddressError("Plain http is for this machine alone.")
        return found[0]

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """The status of the answer, whose body is not read and whose redirects are not followed.

        Raise `UnreachableAddressError`.
        """
        try:
            address = await self.check(url)
        except Refusal as refusal:
            raise UnreachableAddressError(refusal.message) from None
        target = httpx.URL(url)
        pinned = target.copy_with(host=str(address))
        own = {**headers, "Host": target.netloc.decode("ascii")}
        extensions = {"sni_hostname": target.host}
        try:
            async with (
                asyncio.timeout(CALL_SECONDS),
                self._client.stream("POST", pinned, content=body, headers=own, extensions=extensions) as answer,
            ):
                return answer.status_code
        except TimeoutError:
            raise UnreachableAddressError("It did not answer in time.") from None
        except httpx.HTTPError as error:
            raise UnreachableAddressError(f"It could not be reached ({type(error).__name__}).") from None


def caller() -> httpx.AsyncClient:
    """A client that takes no proxy from the environment: it would resolve the name itself."""
    limits = httpx.Limits(max_keepalive_connections=0)  # a line to one name at a number is none to another name there
    return httpx.AsyncClient(timeout=CALL_SECONDS, follow_redirects=False, trust_env=False, limits=limits)


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(address, IPv6Address):
        if address in NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)
    return address
