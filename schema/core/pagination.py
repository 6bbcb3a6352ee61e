"""Pages: Relay connections over signed keyset cursors, bound to the list's filter and its viewer.

Turning a keyset into a database range is left to `storage`.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import strawberry

from schema.core.refusals import Refusal, RefusalCode

T = TypeVar("T")
MAX_PAGE = 100
DEFAULT_PAGE = 20


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="More follow after `endCursor`.")
    has_previous_page: bool = strawberry.field(description="This page began after a cursor.")
    start_cursor: str | None = strawberry.field(description="Cursor of the first item.")
    end_cursor: str | None = strawberry.field(description="Cursor of the last item; pass it as `after`.")


@strawberry.type(description="One item of a page.")
class Edge(Generic[T]):
    cursor: str = strawberry.field(description="Opaque; valid for this list and this viewer.")
    node: T = strawberry.field(description="The item.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[T]):
    edges: list[Edge[T]] = strawberry.field(description="The items with their cursors.")
    page_info: PageInfo = strawberry.field(description="Where this page stands.")


@dataclass(frozen=True)
class Page:
    """At most `first` items after `keyset` (the sort values of the last item seen), or from the start."""

    first: int
    keyset: tuple[Any, ...] | None


class CursorSeal:
    """Signs and opens cursors: `secret` is the server's, `binding` names the list, its filter and its viewer."""

    def __init__(self, secret: bytes, binding: Sequence[Any]) -> None:
        bound = json.dumps(binding, default=str, ensure_ascii=False, sort_keys=True).encode()
        self._key = hmac.digest(secret, hashlib.sha256(bound).digest(), "sha256")

    def close(self, keyset: Sequence[Any]) -> str:
        body = json.dumps(list(keyset), separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._tag(body) + body).decode().rstrip("=")

    def open(self, cursor: str) -> tuple[Any, ...]:
        """Raises `Refusal(BAD_CURSOR)` for a cursor of another list, filter or viewer, or none at all."""
        try:
            raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        except ValueError as error:
            raise Refusal(RefusalCode.BAD_CURSOR, field="after") from error
        tag, body = raw[:12], raw[12:]
        if not hmac.compare_digest(tag, self._tag(body)):
            raise Refusal(RefusalCode.BAD_CURSOR, field="after")
        return tuple(json.loads(body))

    def _tag(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, "sha256")[:12]

    def page(self, first: int, after: str | None) -> Page:
        """Raises `Refusal(LIMIT_EXCEEDED)` for a page size outside 1 to 100."""
        if not 1 <= first <= MAX_PAGE:
            raise Refusal(RefusalCode.LIMIT_EXCEEDED, f"`first` lies between 1 and {MAX_PAGE}.", field="first")
        return Page(first, self.open(after) if after is not None else None)

    def connection(self, found: Sequence[T], page: Page, keyset_of: Callable[[T], Sequence[Any]]) -> Connection[T]:
        """The connection of `found`, which holds one item more than the page when more follow."""
        edges = [Edge(cursor=self.close(keyset_of(item)), node=item) for item in found[: page.first]]
        return Connection(
            edges=edges,
            page_info=PageInfo(
                has_next_page=len(found) > page.first,
                has_previous_page=page.keyset is not None,
                start_cursor=edges[0].cursor if edges else None,
                end_cursor=edges[-1].cursor if edges else None,
            ),
        )
