"""Answer a request with a refusal, from a middleware that runs before the GraphQL endpoint."""

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from api.http import errors, responses
from schema.core.refusals import Refusal


async def send_refusal(
    refusal: Refusal,
    status: int,
    scope: Scope,
    receive: Receive,
    send: Send,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Send the refusal in the format of a GraphQL error, in the media type that the caller accepts."""
    media_type = responses.negotiate_media_type(Headers(scope=scope).get("accept"))
    response = responses.error_response(
        [errors.refusal_error(refusal)], media_type=media_type, status=status, headers=headers
    )
    await response(scope, receive, send)
