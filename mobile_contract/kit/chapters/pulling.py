"""Check chapter 7, pulling: first all records, in pages of any size, then only changes and removals."""

from typing import Any

from mobile_contract.kit.accounts import Party, Person
from mobile_contract.kit.case_setup import assign_case, withdraw_assignment
from mobile_contract.kit.chapters.uploads import announce, confirm, new_photo, put_whole
from mobile_contract.kit.clauses import clause
from mobile_contract.kit.results import require

MAX_EMPTY_PULL_BYTES = 2000
MAX_ONE_BY_ONE = 300


@clause(
    "C1",
    "Without a cursor, `changes` brings everything of the viewer's that it covers; with the cursor of that answer, it"
    " brings nothing.",
)
async def check_full_pull(party: Party) -> str:
    user = party.user
    await user.submit_accepted()
    await party.wait_quiet(user)
    lists = {
        name: {node["id"] for node in await user.fetch_nodes(name)} for name in ("Units", "MyReports", "MyAssignments")
    }
    changes, cursor = await user.pull()
    pulled = {change["id"] for change in changes if change["record"]}
    for name, ids in lists.items():
        require(
            ids <= pulled,
            "Changes without a cursor",
            f"all {len(ids)} of {name}",
            f"without {sorted(ids - pulled)[:5]}",
        )
    state: dict[str, Any] = {"cursor": cursor, "known": {change["id"]: change["record"] for change in changes}}

    async def still() -> bool:
        """Pull again. A record may come again only if it has changed, for example because its photo was verified."""
        again, state["cursor"] = await user.pull(state["cursor"])
        same = [change for change in again if change["record"] == state["known"].get(change["id"])]
        require(not same, "Changes with the cursor", "nothing", same)
        state["known"] |= {change["id"]: change["record"] for change in again}
        return not again

    await party.wait_until(still, "Changes with the cursor", "nothing more, once all has been pulled")
    return f"{len(pulled)} records came, including all of {', '.join(lists)}. The next pull brought nothing."


@clause("C2", "Pages of any size bring the same: no record is left out between two of them.")
async def check_page_sizes(party: Party) -> str:
    user = party.user
    for _ in range(3):
        await user.submit_accepted()
    await party.wait_quiet(user)
    by_kind: dict[str, int] = {}
    for change in (await user.pull())[0]:
        by_kind[change["kind"]] = by_kind.get(change["kind"], 0) + 1
    few = [kind for kind, count in by_kind.items() if count <= MAX_ONE_BY_ONE]
    sizes: dict[int, set[str]] = {}
    for size in (100, 7, 2, 1):
        changes, _ = await user.pull(None, size, few)
        sizes[size] = {change["id"] for change in changes if change["record"]}
    for size, ids in sizes.items():
        left = sorted(sizes[100] ^ ids)
        require(
            not left,
            f"Changes in pages of {size}",
            f"the {len(sizes[100])} records of pages of 100",
            f"differs in {left}",
        )
    return f"Pages of 1, 2, 7 and 100 brought the same {len(sizes[100])} records."


@clause("C3", "A changed record comes, as it is now, within seconds of the change; an unchanged record does not come.")
async def check_changed_record(party: Party) -> str:
    user, medium = party.user, new_photo()
    still = (await user.submit_accepted())["id"]
    own = await announce(user, medium)
    cursor = await party.wait_quiet(user)
    await put_whole(party, user, medium)
    await confirm(user, medium)
    seen: dict[str, Any] = {"cursor": cursor, "ids": set()}

    async def ready() -> bool:
        changes, seen["cursor"] = await user.pull(seen["cursor"])
        seen["ids"] |= {change["id"] for change in changes}
        return any(
            media["state"] == "READY" and media["id"] == medium.id
            for change in changes
            if change["id"] == own and change["record"]
            for media in change["record"]["content"]["media"]
        )

    await party.wait_until(
        ready, f"Changes after a photo of {own} was verified", "the observation with its photo READY"
    )
    require(still not in seen["ids"], "Changes", f"nothing of {still}, which has not changed", sorted(seen["ids"]))
    return "An observation came again once its photo was READY. An unchanged one did not."


@clause("C4", "A record that is no longer the viewer's comes without content, once.", "officer")
async def check_tombstones(party: Party) -> str:
    user = party.user
    given = await assign_case(party)
    held: dict[str, Any] = {"cursor": None, "times": 0}

    async def pulled(present: bool) -> bool:
        changes, held["cursor"] = await user.pull(held["cursor"])
        found = [bool(change["record"]) for change in changes if change["id"] == given.case_id]
        held["times"] += found.count(False)
        return present in found

    async def has_come() -> bool:
        return await pulled(present=True)

    async def has_gone() -> bool:
        return await pulled(present=False)

    await party.wait_until(has_come, "Changes after a case was assigned", f"the case {given.case_id}")
    await withdraw_assignment(party, given)
    await party.wait_until(has_gone, "Changes after it was withdrawn", f"{given.case_id} without content")
    await pulled(present=False)
    require(held["times"] == 1, "Changes", "the tombstone once", f"{held['times']} times")
    return "A case came when it was assigned. It came once without content when it was withdrawn."


@clause(
    "C5",
    "A cursor that the server can't go on from gets `CURSOR_EXPIRED`, and a pull without it brings everything.",
)
async def check_expired_cursor(party: Party) -> str:
    cursor = await party.wait_quiet(party.user)
    for wrong in ("expired", cursor[: len(cursor) // 2], cursor[:-3] + "AAA"):
        answer = await party.user.send("Changes", {"since": wrong})
        require(answer.code == "CURSOR_EXPIRED", f"Changes since {wrong!r}", "CURSOR_EXPIRED", answer.body)
    own = {
        report["id"]
        for report in (await party.user.ask("MyReports", {"first": 20}))["edges"]
        for report in (report["node"],)
    }
    pulled = {change["id"] for change in (await party.user.pull())[0]}
    require(own <= pulled, "Changes without a cursor", "everything", f"without {sorted(own - pulled)[:5]}")
    return "Three invalid cursors got CURSOR_EXPIRED, and a pull without a cursor brought everything."


@clause("C6", "A cursor works for its owner only.", "other")
async def check_cursor_owner(party: Party) -> str:
    cursor = await party.wait_quiet(party.user)
    answer = await party.require_account("other").send("Changes", {"since": cursor})
    require(
        answer.code == "CURSOR_EXPIRED",
        "Changes by another person since the user's cursor",
        "CURSOR_EXPIRED",
        answer.body,
    )
    return "Another person's cursor got CURSOR_EXPIRED."


@clause("C7", "A pull without news is small, however much the phone keeps.")
async def check_small_pull(party: Party) -> str:
    cursor = await party.wait_quiet(party.user)
    size = await _answer_size(party.user, cursor)
    require(
        size <= MAX_EMPTY_PULL_BYTES, "Changes without news", f"at most {MAX_EMPTY_PULL_BYTES} bytes", f"{size} bytes"
    )
    return f"A pull without news took {size} bytes."


async def _answer_size(person: Person, cursor: str) -> int:
    return len((await person.send("Changes", {"since": cursor})).response.content)
