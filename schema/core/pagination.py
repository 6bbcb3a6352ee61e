"""Page through lists with Relay connections and sealed keyset cursors.

A cursor is valid only for the list, the filter and the viewer that it was made for. A cursor is encrypted, because sort
values and positions may be more than the viewer may see, such as the exact time of receipt.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import strawberry

from schema.core.refusals import Refusal, RefusalCode
from schema.core.sealing import Seal, decode

T = TypeVar("T")
MAX_PAGE = 100
DEFAULT_PAGE = 20


@strawberry.type(description="The position of a page in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether more items follow after `endCursor`.")
    has_previous_page: bool = strawberry.field(
        description="Whether this page starts after a cursor. False if it starts at the first item of the list."
    )
    start_cursor: str | None = strawberry.field(
        description="Cursor of the first item of this page. Null if the page is empty."
    )
    end_cursor: str | None = strawberry.field(
        description="Cursor of the last item of this page, or null. Pass it as `after` to get the next page."
    )


@strawberry.type(description="One item of a page.")
class Edge(Generic[T]):
    cursor: str = strawberry.field(
        description="Opaque cursor of the item. It is valid only for this list, its filter and this viewer."
    )
    node: T = strawberry.field(description="The item.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[T]):
    edges: list[Edge[T]] = strawberry.field(description="The items with their cursors.")
    page_info: PageInfo = strawberry.field(description="The position of this page in the list.")


@dataclass(frozen=True)
class Page:
    """The request for a page: at most `first` items after `keyset`.

    `keyset` holds the sort values of the last item of the previous page. None requests the first page.
    """

    first: int
    keyset: tuple[Any, ...] | None


class CursorSeal:
    """Seal and open cursors with the server's `secret`.

    `binding` holds what a cursor is valid for: the list, its filter and its viewer.
    """

    def __init__(self, secret: bytes, binding: Sequence[Any]) -> None:
        bound = json.dumps(binding, default=str, ensure_ascii=False, sort_keys=True).encode()
        self._key = hmac.digest(secret, hashlib.sha256(bound).digest(), "sha256")
        self._seal = Seal(self._key, b"cursor")

    def close(self, keyset: Sequence[Any]) -> str:
        return self._seal.close(json.dumps(list(keyset), separators=(",", ":")).encode())

    def open(self, cursor: str) -> tuple[Any, ...]:
        """Return the keyset in a cursor.

        Raise `Refusal(BAD_CURSOR)` if the cursor is malformed, or was made for another list, filter or viewer.
        """
        body = self._seal.open(cursor) or self._open_signed(cursor)
        if body is None:
            raise Refusal(RefusalCode.BAD_CURSOR, field="after")
        return tuple(json.loads(body))

    def _open_signed(self, cursor: str) -> bytes | None:
        """Return the content of a cursor from before cursors were encrypted. Phones keep such cursors for months."""
        try:
            raw = decode(cursor)
        except ValueError:
            return None
        tag, body = raw[:12], raw[12:]
        return body if hmac.compare_digest(tag, hmac.digest(self._key, body, "sha256")[:12]) else None

    def page(self, first: int, after: str | None) -> Page:
        """Return the request for a page.

        Raise `Refusal(LIMIT_EXCEEDED)` if `first` is not 1 to 100, `Refusal(BAD_CURSOR)` if `after` is not valid.
        """
        if not 1 <= first <= MAX_PAGE:
            raise Refusal(RefusalCode.LIMIT_EXCEEDED, f"`first` must be between 1 and {MAX_PAGE}.", field="first")
        return Page(first, self.open(after) if after is not None else None)

    def connection(self, items: Sequence[T], page: Page, keyset_of: Callable[[T], Sequence[Any]]) -> Connection[T]:
        """Return a page of `items` as a connection.

        Callers fetch one item more than the page holds. If that item exists, `has_next_page` is true, and the item
        itself is left out.
        """
        edges = [Edge(cursor=self.close(keyset_of(item)), node=item) for item in items[: page.first]]
        return Connection(
            edges=edges,
            page_info=PageInfo(
                has_next_page=len(items) > page.first,
                has_previous_page=page.keyset is not None,
                start_cursor=edges[0].cursor if edges else None,
                end_cursor=edges[-1].cursor if edges else None,
            ),
        )
