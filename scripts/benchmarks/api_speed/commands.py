"""Read from MongoDB's profiler which commands a request costs, and how much each of them examines."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from storage.mongodb.client import Document, Mongo

PROFILE = "system.profile"
PROFILE_BYTES = 256 * 2**20
BACKGROUND = frozenset({"profile", "hello", "ping", "endSessions", "killCursors", "listCollections"})


@dataclass
class CommandCost:
    """The mean cost of one kind of command, per request. `plans` are the indexes that it used."""

    name: str
    collection: str
    commands: float
    keys: float
    documents: float
    returned: float
    reply_bytes: float
    plans: list[str] = field(default_factory=list)

    def line(self) -> str:
        counts = f"keys {self.keys:.0f} docs {self.documents:.0f} returned {self.returned:.1f}"
        plans = ", ".join(self.plans)
        return f"  {self.commands:.2f} {self.name} {self.collection}: {counts} bytes {self.reply_bytes:.0f} [{plans}]"


async def profile(mongo: Mongo, requests: int, work: Callable[[], Awaitable[None]]) -> list[CommandCost]:
    """Run `work`, which makes that many requests, and return what they cost, the most frequent command first."""
    await mongo.command("profile", 0)
    if await _has_profile(mongo):
        await mongo.command("drop", PROFILE)
    await mongo.command("create", PROFILE, capped=True, size=PROFILE_BYTES)
    await mongo.command("profile", 2)
    try:
        await work()
    finally:
        await mongo.command("profile", 0)
    entries = await mongo.collection(PROFILE).find({"ns": {"$ne": f"{mongo.name}.{PROFILE}"}})
    return _summarize([entry for entry in entries if not _is_background(entry)], requests)


async def _has_profile(mongo: Mongo) -> bool:
    listed = await mongo.command("listCollections", filter={"name": PROFILE}, nameOnly=True)
    return bool(listed["cursor"]["firstBatch"])


def _is_background(entry: Document) -> bool:
    """Whether no request has asked for the command: change streams look for news all the time."""
    origin = entry.get("originatingCommand") or entry.get("command") or {}
    first: Document = next(iter(origin.get("pipeline") or ()), {})
    return _name(entry) in BACKGROUND or "$changeStream" in first


def _name(entry: Document) -> str:
    return str(next(iter(entry.get("command") or {}), entry["op"]))


def _summarize(entries: Sequence[Document], requests: int) -> list[CommandCost]:
    groups: dict[tuple[str, str], list[Document]] = defaultdict(list)
    for entry in entries:
        groups[_name(entry), entry["ns"].partition(".")[2]].append(entry)

    def mean(group: Sequence[Document], field: str) -> float:
        return sum(entry.get(field) or 0 for entry in group) / requests

    costs = [
        CommandCost(
            name,
            collection,
            len(group) / requests,
            mean(group, "keysExamined"),
            mean(group, "docsExamined"),
            mean(group, "nreturned"),
            mean(group, "responseLength"),
            sorted({entry["planSummary"] for entry in group if entry.get("planSummary")}),
        )
        for (name, collection), group in groups.items()
    ]
    return sorted(costs, key=lambda cost: (-cost.commands, cost.name, cost.collection))
