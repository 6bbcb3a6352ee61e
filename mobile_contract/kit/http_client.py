"""Send requests as a phone does, and read the answers. Nothing is retried, so that checks judge the first answer."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx

from mobile_contract.documents import text_of
from mobile_contract.kit.results import BrokenClauseError
from mobile_contract.kit.shapes import find_misshapen
from mobile_contract.levels import Levels

GRAPHQL = "application/graphql-response+json"


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; `request` describes the request in a few words."""

    request: str
    response: httpx.Response

    @property
    def body(self) -> dict[str, Any]:
        try:
            body = self.response.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise BrokenClauseError(
                self.request, "a JSON object", f"HTTP {self.response.status_code} {self.response.text[:200]!r}"
            )
        return body

    @property
    def data_or_none(self) -> Any:
        """Return the answer's `data`, or None if the answer isn't such an object."""
        try:
            return self.response.json().get("data")
        except (ValueError, AttributeError):
            return None

    @property
    def errors(self) -> list[dict[str, Any]]:
        return list(self.body.get("errors") or [])

    @property
    def data(self) -> dict[str, Any]:
        """Return the answer's `data`. Raise `BrokenClauseError` if there is none."""
        data = self.body.get("data")
        if not isinstance(data, dict):
            raise BrokenClauseError(self.request, "data", f"HTTP {self.response.status_code} {self.errors}")
        return data

    @property
    def root(self) -> dict[str, Any]:
        """Return the first root field's value. Raise `BrokenClauseError` if it is null."""
        value = next(iter(self.data.values()), None)
        if not isinstance(value, dict):
            raise BrokenClauseError(self.request, "a value", f"HTTP {self.response.status_code} {self.errors or value}")
        return value

    @property
    def pulled(self) -> dict[str, Any]:
        """Return the page of changes, or its refusal, that `Sync` or `Changes` has brought."""
        page = self.root.get("changes") if self.root.get("__typename") == "SyncPayload" else self.root
        return page if isinstance(page, dict) else {"__typename": "nothing", "code": None}

    @property
    def code(self) -> str | None:
        """Return the code of the first error, or of a refusal in the first root field."""
        errors = self.errors
        if errors:
            return (errors[0].get("extensions") or {}).get("code")
        first = next(iter((self.body.get("data") or {}).values()), None)
        return first.get("code") if isinstance(first, dict) and first.get("__typename") == "Refused" else None


class HttpClient:
    """One server's endpoint. `client` also sends bytes to the object store.

    `misshapen` says which answers were not as the contract's schema says.
    """

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        self.origin = urlunsplit((parts.scheme, parts.netloc, "", "", ""))
        self.endpoint = f"{self.origin}{parts.path.rstrip('/') or '/graphql'}"
        self.client = client
        self.misshapen: list[str] = []

    async def ask(
        self,
        operation: str,
        variables: dict[str, Any],
        *,
        token: str | None = None,
        level: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send an operation: the name of an operation of the contract, or the text of any other operation."""
        named = " " not in operation
        body = {"query": text_of(operation) if named else operation, "variables": variables}
        # Escaped, so that half an emoji can be sent, as a broken phone would send it.
        content = json.dumps(body | ({"operationName": operation} if named else {})).encode()
        request = operation if named else " ".join(operation.split())[:80]
        answer = await self.post(content, request, token=token, level=level, headers=headers)
        if named:
            self.check_shape(operation, answer.data_or_none, variables)
        return answer

    def check_shape(self, operation: str, data: Any, variables: dict[str, Any]) -> None:
        """Note in `misshapen` what the contract does not say of an answer's data (W8)."""
        found = find_misshapen(operation, data, variables) if isinstance(data, dict) else []
        self.misshapen += [f"{operation} {each}" for each in found]

    async def post(
        self,
        content: bytes,
        request: str,
        *,
        token: str | None = None,
        level: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        own = {
            "Content-Type": "application/json",
            "Accept": GRAPHQL,
            "Mingcha-Level": str(Levels.read().current if level is None else level),
        }
        if token:
            own["Authorization"] = f"Bearer {token}"
        response = await self.client.post(self.endpoint, content=content, headers=own | (headers or {}))
        return Answer(f"POST {request}", response)

    async def get_json(self, path: str) -> dict[str, Any]:
        """Fetch a JSON document from this path of the server."""
        return Answer(f"GET {path}", await self.client.get(f"{self.origin}{path}")).body
