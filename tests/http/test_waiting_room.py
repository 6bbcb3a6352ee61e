"""Test the bound on waiting strangers, by address and in sum. An address that holds many places loses places first."""

import pytest

from api.http.waiting_room import WaitingRoom, address_group


def filled(room: WaitingRoom, *addresses: str) -> list[int]:
    """Let a stranger in from each address, and return the list to which evicted ones are added by number."""
    evicted: list[int] = []
    for number, address in enumerate(addresses):
        room.enter(number, address, lambda number=number: evicted.append(number))  # type: ignore[misc]
    return evicted


def test_the_oldest_of_a_full_address_has_to_go() -> None:
    room = WaitingRoom(10, 2)
    assert filled(room, "192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.1") == [0]
    assert len(room) == 3


def test_the_oldest_of_the_most_crowded_address_has_to_go_if_all_places_are_taken() -> None:
    room = WaitingRoom(4, 3)
    assert filled(room, "192.0.2.2", "192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.3", "192.0.2.4") == [1, 2]
    assert len(room) == 4


def test_a_place_is_free_again_when_a_stranger_leaves() -> None:
    room = WaitingRoom(2, 2)
    evicted = filled(room, "192.0.2.1", "192.0.2.1")
    room.leave(0)
    room.leave(0)
    room.enter("new", "192.0.2.1", lambda: evicted.append(-1))
    assert (evicted, len(room)) == ([], 2)


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::9", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_addresses_of_one_ipv6_network_count_together(address: str, group: str) -> None:
    assert address_group(address) == group
