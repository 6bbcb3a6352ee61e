"""Send the contract's example requests to a served product, in the order in which they depend on each other.

An example's texts may hold placeholders, `<kind>` or `<kind:name>`, for values that vary from run to run. In an answer,
a placeholder matches any value of its kind, and the value is stored under the placeholder's name. In variables, a
placeholder is replaced by the stored value. `--record-examples` writes the examples again.
"""

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from mobile_contract import documents
from schema.core.times import BEIJING
from tests.support.phone_sessions import PASSWORD
from tests.support.subscription_clients import signed_in
from tests.support.world import World, new_id

FOLDER = documents.FOLDER / "examples"
BYTES = b"picture"
ID = r"[a-z]{3}_[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
KINDS = {
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
    "month": r"\d{4}-\d\d-01",
    "id": ID,
    "token": r"[\w.=-]{20,}",
    "cursor": r"[\w.=-]{8,}",
    "url": r"http://\S+",
    "signed": r"[\w.=-]{40,}",
    "digest": r"[0-9a-f]{64}",
    "number": r"-?\d+(\.\d+)?(e-?\d+)?",
}
PLACEHOLDER = re.compile(r"<(\w+)(?::([^<>]+))?>")
OWN = "_01a2008d-7400-7000-8000-"
"""Every id that an example makes contains this text. `Stage.masked` doesn't replace such an id."""
VARYING = {
    "accessToken": "token",
    "refreshToken": "token:refresh",
    "cursor": "cursor",
    "endCursor": "cursor",
    "url": "url",
    "signed": "signed",
    "deviceSecret": "signed",
    "skewSeconds": "number",
    "uncertaintySeconds": "number",
}
"""The placeholders of fields whose values vary, keyed by field."""


def files() -> dict[str, dict[str, Any]]:
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(FOLDER.glob("*.json"))}


def ordered(all_: dict[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Return pairs of operation name and example, sorted by `order`. An example comes after those it depends on."""
    flat = [(name, example) for name, file in all_.items() for example in file["examples"]]
    return sorted(flat, key=lambda pair: pair[1]["order"])


@dataclass
class Stage:
    """A served world. `tokens` are its people's access tokens, keyed by name. `kept` are the values of placeholders."""

    world: World
    address: str
    kept: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    async def set(self) -> "Stage":
        hashed = await self.world.passwords.hash(PASSWORD)
        now = self.world.context(None).now
        await self.world.store.users.set_password(self.world.people["inspector2"].id, hashed, now)
        self.kept |= {f"id:{code}": unit.id for code, unit in self.world.units.items()}
        self.kept |= {f"id:{name}": user.id for name, user in self.world.people.items()}
        assert self.world.point
        month = now.astimezone(BEIJING).strftime("%Y-%m-01")
        first = datetime.fromisoformat(month).replace(tzinfo=UTC)
        self.kept |= {"id:GZ-001": self.world.point.id, "month:this": month, "id:rating": new_id("rat", first)}
        return self

    async def ask(self, name: str, example: dict[str, Any]) -> Any:
        """Return the product's whole GraphQL answer. The answer to a subscription is its first event."""
        id = documents.digest(documents.text_of(name))
        body = {"documentId": f"sha256:{id}", "variables": self.filled(example["variables"])}
        headers = {"Accept": "application/graphql-response+json"}
        if example["as"]:
            headers["Authorization"] = f"Bearer {await self._token(example['as'])}"
        async with httpx.AsyncClient(base_url=self.address, timeout=20) as client:
            if documents.text_of(name).split("\n")[1].startswith("subscription"):
                return await _first(client, body, headers)
            answer: dict[str, Any] = (await client.post("/graphql", json=body, headers=headers)).json()
        data = answer.get("data") or {}
        if token := (data.get("signIn") or data.get("refreshSession") or {}).get("accessToken"):
            self.tokens["inspector2"] = token
        return answer

    async def upload(self, answer: Any) -> None:
        """Upload `BYTES` to the first upload slot of the answer."""
        slot = next(slot for result in answer["data"]["submitObservations"]["results"] for slot in result["uploads"])
        headers = {each["name"]: each["value"] for each in slot["headers"]}
        async with httpx.AsyncClient() as client:
            put = await client.put(slot["url"], content=BYTES, headers=headers)
        assert put.is_success, put.text

    async def _token(self, name: str) -> str:
        if name not in self.tokens:
            self.tokens[name] = (await signed_in(self.world, name)).token
        return self.tokens[name]

    def filled(self, value: Any) -> Any:
        """Return variables with their placeholders replaced by values."""
        if isinstance(value, dict):
            return {name: self.filled(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self.filled(each) for each in value]
        found = PLACEHOLDER.fullmatch(value) if isinstance(value, str) else None
        return self.kept[f"{found[1]}:{found[2]}"] if found else value

    def differences(self, expected: Any, actual: Any, path: str = "") -> list[str]:
        """Return the differences between an answer and its example, and store the values of placeholders."""
        if isinstance(expected, dict) and isinstance(actual, dict) and expected.keys() == actual.keys():
            below = ((expected[name], actual[name], f"{path}.{name}") for name in expected)
            return [each for one in below for each in self.differences(*one)]
        if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
            below = ((expected[index], actual[index], f"{path}.{index}") for index in range(len(expected)))
            return [each for one in below for each in self.differences(*one)]
        found = PLACEHOLDER.fullmatch(expected) if isinstance(expected, str) else None
        if found and actual is not None and re.fullmatch(KINDS[found[1]], str(actual)):
            name = f"{found[1]}:{found[2]}"
            if found[1] == "token":  # each renewal returns another one
                self.kept[name] = actual
            known = self.kept.setdefault(name, str(actual)) if found[2] else actual
            return [] if str(known) == str(actual) else [f"{path}: {expected} was {known}, and is {actual}"]
        return [] if expected == actual else [f"{path}: {expected!r} is {actual!r}"]

    def masked(self, value: Any, variables: str, field: str = "") -> Any:
        """Return an answer as an example shows it.

        Values that vary become placeholders. Values that the request contained stay.
        """
        if isinstance(value, dict):
            return {name: self.masked(each, variables, name) for name, each in value.items()}
        if isinstance(value, list):
            return [self.masked(each, variables, field) for each in value]
        if value is None or isinstance(value, bool):
            return value
        return self._stands_for(value, variables, field) or value

    def _stands_for(self, value: Any, variables: str, field: str) -> str | None:
        """Return the placeholder of a value that varies. Return None for a value that stays."""
        named = {each: f"<{name}>" for name, each in self.kept.items()}
        if field in VARYING:
            return f"<{VARYING[field]}>"
        if field == "contentSha256" and "<" in variables:
            return "<digest>"
        if not isinstance(value, str) or value in named:
            return named.get(value)
        if value in variables or OWN in value:
            return None
        return next((f"<{kind}>" for kind in ("time", "id") if re.fullmatch(KINDS[kind], value)), None)


async def _first(client: httpx.AsyncClient, body: dict[str, Any], headers: dict[str, str]) -> Any:
    accept = headers | {"Accept": "text/event-stream"}
    async with client.stream("POST", "/graphql/stream", json=body, headers=accept) as answer:
        if "text/event-stream" not in answer.headers["content-type"]:
            return json.loads(await answer.aread())
        async for line in answer.aiter_lines():
            if line.startswith("data:") and line != "data:":
                return json.loads(line.removeprefix("data:"))
    return None
