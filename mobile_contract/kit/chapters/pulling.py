"""Check chapter 7, pulling: first all records, in pages of any size, then only changes and removals."""

from dataclasses import dataclass
from typing import Any

from mobile_contract.kit.accounts import Party, Person
from mobile_contract.kit.case_setup import assign_case, withdraw_assignment
from mobile_contract.kit.chapters.uploads import announce, confirm, new_photo, put_whole
from mobile_contract.kit.clauses import clause
from mobile_contract.kit.comparison import Comparison, refusal, same_texts
from mobile_contract.kit.results import require

MAX_EMPTY_PULL_BYTES = 2000
MAX_ONE_BY_ONE = 300
PULLS = ("Sync", "Changes")
"""The operations that pull. Phones pull by `Sync`; every clause of this chapter tries both."""


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
    for by in PULLS:
        pulled = await _pull_everything(party, lists, by)
    return f"{len(pulled)} records came, including all of {', '.join(lists)}. The next pull brought nothing."


async def _pull_everything(party: Party, lists: dict[str, set[str]], by: str) -> set[str]:
    """Pull everything, then nothing, and return the ids of the records."""
    user = party.user
    changes, cursor = await user.pull(by=by)
    pulled = {change["id"] for change in changes if change["record"]}
    for name, ids in lists.items():
        left = sorted(ids - pulled)
        require(not left, f"{by} without a cursor", f"all {len(ids)} of {name}", f"without {left[:5]}")
    state: dict[str, Any] = {"cursor": cursor, "known": {change["id"]: change["record"] for change in changes}}

    async def still() -> bool:
        """Pull again. A record may come again only if it has changed, for example because its photo was verified."""
        again, state["cursor"] = await user.pull(state["cursor"], by=by)
        same = [change for change in again if change["record"] == state["known"].get(change["id"])]
        require(not same, f"{by} with the cursor", "nothing", same)
        state["known"] |= {change["id"]: change["record"] for change in again}
        return not again

    await party.wait_until(still, f"{by} with the cursor", "nothing more, once all has been pulled")
    return pulled


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
    sizes: dict[tuple[str, int], set[str]] = {}
    for by, size in (("Sync", 100), ("Changes", 7), ("Sync", 7), ("Sync", 1)):
        changes, _ = await user.pull(None, size, few, by)
        sizes[by, size] = {change["id"] for change in changes if change["record"]}
    whole = set().union(*sizes.values())
    for (by, size), ids in sizes.items():
        left = sorted(whole ^ ids)
        require(not left, f"{by} in pages of {size}", f"the {len(whole)} records of all pages", f"differs in {left}")
    return f"Pages of 1, 7 and 100 brought the same {len(whole)} records."


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

    await party.wait_until(ready, f"Sync after a photo of {own} was verified", "the observation with its photo READY")
    require(still not in seen["ids"], "Sync", f"nothing of {still}, which has not changed", sorted(seen["ids"]))
    return "An observation came again once its photo was READY. An unchanged one did not."


@clause("C4", "A record that is no longer the viewer's comes without content, once.", "officer")
async def check_tombstones(party: Party) -> str:
    user = party.user
    given = await assign_case(party)
    pulls = {by: _Presence(user, by, given.case_id) for by in PULLS}
    for by, pull in pulls.items():
        await party.wait_until(pull.has_come, f"{by} after a case was assigned", f"the case {given.case_id}")
    await withdraw_assignment(party, given)
    for by, pull in pulls.items():
        await party.wait_until(pull.has_gone, f"{by} after it was withdrawn", f"{given.case_id} without content")
        await pull.has_gone()
        require(pull.gone == 1, by, "the tombstone once", f"{pull.gone} times")
    return "A case came when it was assigned. It came once without content when it was withdrawn."


@dataclass
class _Presence:
    """Whether a record has come or gone, pull after pull. `gone` counts how often it came without content."""

    person: Person
    by: str
    id: str
    cursor: str | None = None
    gone: int = 0

    async def has_come(self) -> bool:
        return True in await self._pulled()

    async def has_gone(self) -> bool:
        return False in await self._pulled()

    async def _pulled(self) -> list[bool]:
        changes, self.cursor = await self.person.pull(self.cursor, by=self.by)
        found = [bool(change["record"]) for change in changes if change["id"] == self.id]
        self.gone += found.count(False)
        return found


@clause(
    "C5",
    "A cursor that the server can't go on from gets `CURSOR_EXPIRED`, and a pull without it brings everything.",
)
async def check_expired_cursor(party: Party) -> str:
    cursor = await party.wait_quiet(party.user)
    compared = Comparison()
    said: dict[tuple[str, str], Any] = {}
    for wrong in ("expired", cursor[: len(cursor) // 2], cursor[:-3] + "AAA"):
        for by, path in (("Changes", "changes"), ("Sync", "sync.changes")):
            page = (await party.user.send_pull(wrong, by=by)).pulled
            compared.same(by, path, refusal("CURSOR_EXPIRED", "FIX_AND_RESEND", "since"), page)
            said[by, path] = page
    same_texts(compared, said)
    compared.report()
    own = {edge["node"]["id"] for edge in (await party.user.ask("MyReports", {"first": 20}))["edges"]}
    for by in PULLS:
        pulled = {change["id"] for change in (await party.user.pull(by=by))[0]}
        require(own <= pulled, f"{by} without a cursor", "everything", f"without {sorted(own - pulled)[:5]}")
    return "Three invalid cursors got CURSOR_EXPIRED, and a pull without a cursor brought everything."


@clause("C6", "A cursor works for its owner only.", "other")
async def check_cursor_owner(party: Party) -> str:
    cursor = await party.wait_quiet(party.user)
    for by in PULLS:
        answer = await party.require_account("other").send_pull(cursor, by=by)
        code = answer.pulled.get("code")
        require(
            code == "CURSOR_EXPIRED", f"{by} by another person since the user's cursor", "CURSOR_EXPIRED", answer.body
        )
    return "Another person's cursor got CURSOR_EXPIRED."


@clause("C7", "A pull without news is small, however much the phone keeps.")
async def check_small_pull(party: Party) -> str:
    cursor = await party.wait_quiet(party.user)
    for by in PULLS:
        size = len((await party.user.send_pull(cursor, by=by)).response.content)
        most = f"at most {MAX_EMPTY_PULL_BYTES} bytes"
        require(size <= MAX_EMPTY_PULL_BYTES, f"{by} without news", most, f"{size} bytes")
    return f"A pull without news took {size} bytes."
