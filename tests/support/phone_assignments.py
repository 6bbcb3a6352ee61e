"""Assign work to the user of a phone."""

from tests.support.phone_cli import Terminal
from tests.support.process_states import wait_until
from tests.support.running_product import RunningProduct
from tests.support.world import ASSIGN, World


async def know_officer(world: World) -> None:
    """Add the officer to the world's people, so that tests can give and withdraw assignments."""
    officer = await world.store.users.by_user_name("officer")
    assert officer
    world.people["officer"] = officer


def assign_window(served: RunningProduct, user: str, id: str) -> None:
    """Assign the inspection of a service window to the user. The assignment gets this id."""

    async def assign(world: World) -> None:
        person = await world.store.users.by_user_name(user)
        [window] = await world.store.units.named(["360703-JT-1"])
        assert person
        await know_officer(world)
        given = {"id": id, "assigneeId": person.id, "unitId": window.id}
        answer = await world.ask("officer", ASSIGN, input=given)
        assert "assignment" in answer["assign"], answer

    served.within(assign)


def pull_assignment(terminal: Terminal, id: str) -> None:
    """Pull until the phone has the assignment: the server announces a change a moment after the write."""
    wait_until(lambda: id in terminal.do("assignments", "--now"), 30)
