"""Bound how many strangers wait at once, by address and in sum.

A stranger is a connection that has not yet said who it is: half of a request's head, a body that has not arrived, or a
WebSocket before its first message. If too many wait, the address that has most of them loses the one that has waited
longest. So a newcomer is always let in, and an address that holds many places loses places first.
"""

from collections.abc import Callable, Hashable
from ipaddress import IPv6Address, ip_address

Evict = Callable[[], None]


class WaitingRoom:
    """At most `limit` strangers, and at most `per_address` of one address."""

    def __init__(self, limit: int, per_address: int) -> None:
        self.limit = limit
        self.per_address = per_address
        self._places: dict[str, dict[Hashable, Evict]] = {}
        self._addresses: dict[Hashable, str] = {}

    def __len__(self) -> int:
        return len(self._addresses)

    def enter(self, stranger: Hashable, address: str, evict: Evict) -> None:
        """Let a stranger in. `evict` is called if the stranger has to go before it leaves by itself."""
        group = address_group(address)
        if len(self._places.get(group, ())) >= self.per_address:
            self._evict_from(group)
        elif len(self._addresses) >= self.limit:
            self._evict_from(max(self._places, key=lambda each: len(self._places[each])))
        self._places.setdefault(group, {})[stranger] = evict
        self._addresses[stranger] = group

    def leave(self, stranger: Hashable) -> None:
        """Let a stranger go. It may have left already."""
        group = self._addresses.pop(stranger, None)
        if group is not None:
            del self._places[group][stranger]
            if not self._places[group]:
                del self._places[group]

    def _evict_from(self, group: str) -> None:
        oldest, evict = next(iter(self._places[group].items()))
        self.leave(oldest)
        evict()


def address_group(address: str) -> str:
    """Return the address, or the network of an IPv6 address: one customer of a provider has 2^64 of them."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or IPv6Address(int(parsed) >> 64 << 64))
