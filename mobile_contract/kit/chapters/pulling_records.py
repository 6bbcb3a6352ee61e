"""Check chapter 7, pulling: a record says the same in every operation, and a pull since a cursor misses none."""

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from mobile_contract.kit.accounts import Party
from mobile_contract.kit.case_setup import TITLE, AssignedCase, assign_case, assign_unit, finish_and_close
from mobile_contract.kit.chapters.outbox_answers import edit_notes
from mobile_contract.kit.chapters.pulling import PULLS
from mobile_contract.kit.chapters.uploads import confirm, new_photo, put_whole, wait_verified
from mobile_contract.kit.clauses import clause
from mobile_contract.kit.comparison import Comparison, instant, near, recent, some_text
from mobile_contract.kit.results import require

Record = dict[str, Any]
PATHS = {"Sync": "sync.changes.changes", "Changes": "changes.changes"}
ALIASES = {
    "catalogueKind": "kind",
    "assignmentKind": "kind",
    "assignmentState": "state",
    "caseCategory": "category",
    "caseState": "state",
}
"""The schema's names of fields that a pull renames, because records of all kinds share one list."""
LISTS = {
    "Units": "units",
    "MonitoringPoints": "monitoringPoints",
    "Catalogue": "catalogue",
    "MyAssignments": "assignments",
    "MyReports": "observations",
    "MyMedia": "observations",
}
SORTED = {
    "Units": ("code", False),
    "MonitoringPoints": ("code", False),
    "MyAssignments": ("offeredAt", True),
    "MyReports": ("receivedAt", True),
    "MyMedia": ("receivedAt", True),
}
"""The field by which a list is sorted, and whether the latest comes first."""
WHOLE = {
    "MonitoringPoints": "MONITORING_POINT",
    "MyAssignments": "ASSIGNMENT",
    "MyReports": "OBSERVATION",
    "MyMedia": "OBSERVATION",
}
"""The lists that have every record of a kind that a pull brings."""
SOME = 8
"""How many records of a list are fetched in small pages."""
MINUTE = timedelta(seconds=61)
"""Times of the server may be cut to the minute for another reader."""


@clause(
    "C9",
    "A record says the same in `Sync`, in `Changes` and in every list: what its author sent, what its officer decided, and"
    " of units, points and catalogue the same everywhere.",
    "officer",
)
async def check_same_records(party: Party) -> str:
    work = await _work_on_cases(party)
    compared = await _compare_everything(party, work)
    if compared.found and all("bservation" in text for text in compared.found):
        # What an earlier clause uploaded may have been verified during the comparison.
        compared = await _compare_everything(party, work)
    return f"{compared.report()} fields were the same in pulls and lists."


async def _compare_everything(party: Party, work: "_Work") -> Comparison:
    compared = Comparison()
    await party.wait_quiet(party.user)
    pulls = {by: {change["id"]: change for change in (await party.user.pull(by=by))[0]} for by in PULLS}
    for by, other in (PULLS, PULLS[::-1]):
        left = sorted(pulls[other].keys() - pulls[by].keys())
        compared.same(by, PATHS[by], f"the {len(pulls[other])} records of {other}", _without(left, pulls[other], other))
        for id, change in pulls[by].items():
            compared.same(by, PATHS[by], pulls[other].get(id), change)
        for id, expected in work.expected.items():
            record = (pulls[by].get(id) or {}).get("record") or {}
            path = f"{PATHS[by]}.record({record.get('__typename')})"
            compared.same(by, path, expected, {name: record.get(name) for name in expected})
    known = {id: _renamed(change["record"]) for id, change in pulls["Sync"].items()}
    for operation, root in LISTS.items():
        listed = await _compare_list(party, compared, operation, root, known)
        if operation in WHOLE:
            wanted = [id for id, change in pulls["Sync"].items() if change["kind"] == WHOLE[operation]]
            compared.same(operation, f"{root}.edges", sorted(wanted), sorted(listed))
    return compared


def _without(left: list[str], records: dict[str, Record], other: str) -> str:
    return f"without {left[:5]}" if left else f"the {len(records)} records of {other}"


@dataclass
class _Work:
    """What must be read of the records of a closed case, of an offered case, and of a place to inspect."""

    expected: dict[str, Record] = field(default_factory=dict)


async def _work_on_cases(party: Party) -> _Work:
    work, user, medium = _Work(), party.user, new_photo()
    units, points = await user.fetch_nodes("Units"), await user.fetch_nodes("MonitoringPoints")
    pulled = {change["id"] for change in (await user.pull(kinds=["UNIT"]))[0]}
    strange = [unit["id"] for unit in units if unit["id"] not in pulled]
    require(not strange, "Units units.edges.node.id", "records that Sync brings", strange[:5])
    place = {"unit": units[-1]["code"] if units else None}
    place |= {"monitoringPoint": points[-1]["code"] if points else None}
    sent = await user.submit_accepted(severity="MINOR", category="SLOW", media=[medium.announced], **place)
    await put_whole(party, user, medium)
    await confirm(user, medium)
    await wait_verified(party, sent["id"], medium)
    closed, offered = await assign_case(party, sent), await assign_case(party)
    await finish_and_close(party, closed)
    done = {"assignmentState": "FINISHED", "acceptedAt": recent(), "endedAt": recent(), "result": TITLE, "notes": []}
    notes = await edit_notes(party, user, offered.assignment_id)
    work.expected[closed.assignment_id] = _expect_assignment(closed.assignment) | done
    work.expected[offered.assignment_id] = _expect_assignment(offered.assignment) | {"notes": notes}
    if units:
        inspection = await assign_unit(party, units[-1]["id"])
        work.expected[inspection["id"]] = _expect_assignment(inspection)
    work.expected[closed.case_id], work.expected[offered.case_id] = _expect_case(closed), _expect_case(offered)
    work.expected[offered.case_id]["caseState"] = "ASSIGNED"
    follow_up = {"caseNumber": closed.case["number"], "closedAt": near(closed.case["closedAt"], MINUTE)}
    follow_up |= {name: closed.case[name] for name in ("state", "outcome", "reply")}
    media = {"id": medium.id, "kind": "PHOTO", "state": "READY", "rejection": None, "sha256": medium.sha256}
    content = {name: sent[name] for name in ("method", "category", "severity", "text")} | {"media": [media]}
    content |= {"capturedAt": instant(sent["capturedAt"]), "capturedOffsetMinutes": _offset(sent["capturedAt"])}
    work.expected[sent["id"]] = {
        "id": sent["id"],
        "receivedAt": near(sent["result"]["receipt"]["receivedAt"], MINUTE),
        "placement": "PLACED" if units else "UNPLACED",
        "revision": 1,
        "mediaExpected": 1,
        "mediaArrived": 1,
        "unit": {"id": units[-1]["id"]} if units else None,
        "monitoringPoint": {"id": points[-1]["id"]} if points else None,
        "receipt": sent["result"]["receipt"],
        "content": content,
        "followUps": [follow_up],
    }
    return work


def _expect_assignment(given: Record) -> Record:
    """Expect an assignment of a pull, as the officer was answered."""
    told = {"assignmentKind": given["kind"], "assignmentState": given["state"]}
    told |= {name: given[name] for name in ("id", "note", "dueOn", "acceptedAt", "endedAt", "result")}
    told |= {name: {"id": given[name]["id"]} if given[name] else None for name in ("case", "unit")}
    offered_by = {name: given["offeredBy"][name] for name in ("id", "displayName")}
    return told | {"offeredAt": near(given["offeredAt"], MINUTE), "offeredBy": offered_by}


def _expect_case(given: AssignedCase) -> Record:
    """Expect a case of a pull, as the officer was answered."""
    case = given.case
    told = {"caseCategory": case["category"], "caseState": case["state"], "openedAt": near(case["openedAt"], MINUTE)}
    told |= {name: case[name] for name in ("id", "number", "title", "summary", "outcome", "reply")}
    told |= {"closedAt": near(case["closedAt"], MINUTE) if case["closedAt"] else None}
    return told | {name: {"id": case[name]["id"]} if case[name] else None for name in ("unit", "monitoringPoint")}


async def _compare_list(
    party: Party, compared: Comparison, operation: str, root: str, known: dict[str, Record]
) -> list[str]:
    """Compare a list with the pulled records, and its small pages with its large ones. Return the ids that it lists."""
    nodes = await party.user.fetch_nodes(operation)
    small = await party.user.fetch_nodes(operation, most=SOME, first=2)
    compared.same(
        operation, f"{root}.edges", [node["id"] for node in nodes[: len(small)]], [node["id"] for node in small]
    )
    for node in nodes:
        if node["id"] in known:
            compared.same(operation, f"{root}.edges.node", _told(known, known[node["id"]], node), node)
        else:
            compared.same(operation, f"{root}.edges.node.id", "a record that a pull brings", node["id"])
    name, newest_first = SORTED.get(operation, ("", False))
    keys = [str(known.get(node["id"], {}).get(name)) for node in nodes]
    compared.same(operation, f"{root}.edges.node", sorted(keys, reverse=newest_first), keys)
    page = await party.user.ask(operation, {"first": 50})
    after = page["pageInfo"]["endCursor"]
    compared.same(operation, f"{root}.pageInfo.endCursor", some_text() if page["edges"] else None, after)
    if after and not page["pageInfo"]["hasNextPage"]:
        page = await party.user.ask(operation, {"first": 50, "after": after})
        rest = {"edges": [], "pageInfo": {"hasNextPage": False, "endCursor": page["pageInfo"]["endCursor"]}}
        compared.same(operation, root, rest, page)
    return [node["id"] for node in nodes]


def _told(known: dict[str, Record], record: Record, got: Record) -> Record:
    """Return what the pulled records say of the fields of `got`.

    A list names a neighbour with more fields than a pull does: they are those of the neighbour's own record.
    """
    told: Record = {}
    for name, value in got.items():
        own = record.get(name, value)
        if isinstance(value, dict) and isinstance(own, dict):
            told[name] = _told(known, known.get(own.get("id", ""), {}) | own, value)
        elif isinstance(value, list) and isinstance(own, list) and len(value) == len(own):
            told[name] = [
                _told(known, *pair) if isinstance(pair[0], dict) else pair[0] for pair in zip(own, value, strict=True)
            ]
        else:
            told[name] = own
    return told


def _renamed(record: Record | None) -> Record:
    """Return a pulled record with the schema's names."""
    return {ALIASES.get(name, name): value for name, value in (record or {}).items()}


def _offset(text: str) -> int:
    """Return the UTC offset of a time as a phone sends it, in minutes."""
    sign, hours, minutes = text[-6], int(text[-5:-3]), int(text[-2:])
    return (hours * 60 + minutes) * (-1 if sign == "-" else 1)


@clause(
    "C10",
    "A pull since a cursor brings every record that has changed since then, in pages of any size and in both operations,"
    " and says as of when.",
)
async def check_incremental_pulls(party: Party) -> str:
    user, compared = party.user, Comparison()
    since = await party.wait_quiet(user)
    sent = {(await user.submit_accepted())["id"] for _ in range(3)}
    written = (await user.ask("Sync", {"input": {"first": 1}}))["serverTime"]
    for by, size in (("Sync", 2), ("Sync", 100), ("Changes", 2), ("Changes", 100)):
        pull = _Pull(party, by, size, since)
        request = f"{by} since a cursor, in pages of {size}"
        await party.wait_until(partial(pull.reaches, written, compared), request, f"changes as of {written}")
        left = sorted(sent ^ set(pull.ids))
        require(compared.found or not left, request, f"the {len(sent)} new observations", f"differs in {left}")
    return f"{compared.report()} fields: new observations came in pages of 2 and 100, by Sync and by Changes."


@dataclass
class _Pull:
    """A pull in pages of one size. `ids` are the records that it has brought."""

    party: Party
    by: str
    size: int
    cursor: str
    ids: list[str] = field(default_factory=list)

    async def reaches(self, written: str, compared: Comparison) -> bool:
        """Pull a page. Return whether the pages cover the time when all was written, or differ."""
        page = await self.party.user.pull_page(self.cursor, self.size, by=self.by)
        compared.same(self.by, f"{PATHS[self.by].removesuffix('.changes')}.asOf", recent(), page["asOf"])
        for change in page["changes"]:
            expected = {"kind": "OBSERVATION", "id": (change["record"] or {}).get("id")}
            compared.same(self.by, PATHS[self.by], expected, {name: change[name] for name in expected})
        self.cursor = page["cursor"]
        self.ids += [change["id"] for change in page["changes"]]
        return bool(compared.found) or (not page["hasMore"] and page["asOf"] > written)
