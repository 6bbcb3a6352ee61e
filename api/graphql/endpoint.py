"""Serve GraphQL over HTTP. A request is a POST of JSON or the GET of a query, and has one operation."""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar

import strawberry
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType

from api.graphql import partial_batches, requests
from api.graphql.partial_batches import PartialBatch
from api.graphql.requests import MalformedRequestError, Payload
from api.graphql.trusted_documents import OPEN, TrustedDocuments
from api.http import errors, responses
from schema.core.refusals import Refusal
from schema.fieldwork.drafts import UnreadableDraft

QUERIES = frozenset({OperationType.QUERY})
QUERIES_AND_MUTATIONS = frozenset({OperationType.QUERY, OperationType.MUTATION})


class HoldsUnreadable(Protocol):
    """A context that can hold the drafts that were cut out of the variables."""

    unreadable: dict[str, list[UnreadableDraft]]


C = TypeVar("C", bound=HoldsUnreadable)


class Schema(strawberry.Schema):
    """A schema that logs no errors. Strawberry's own log lines would contain values that callers sent."""

    def process_errors(self, errors: list[Any], execution_context: Any = None) -> None:
        """Log nothing."""


class GraphQLEndpoint(Generic[C]):
    """An ASGI application that answers GraphQL requests at one path.

    `context_of` returns the context of a request. If it raises a `Refusal`, this refusal is the answer. `page` answers
    browsers that ask for HTML. `flat` hides validation messages, for servers with introspection off. `documents` are
    the trusted documents, which a request may name by id.
    """

    def __init__(
        self,
        schema: strawberry.Schema,
        context_of: Callable[[Request], Awaitable[C]],
        *,
        page: Callable[[Request], Awaitable[Response]] | None = None,
        flat: bool = False,
        documents: TrustedDocuments = OPEN,
    ) -> None:
        self.schema = schema
        self.context_of = context_of
        self.page = page
        self.flat = flat
        self.documents = documents
        self._core = schema._schema  # noqa: SLF001  Strawberry offers no public way to graphql-core's schema

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = await self._respond(request)
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        accept = request.headers.get("accept")
        if request.method == "GET" and self.page is not None and responses.prefers_html(accept):
            return await self.page(request)
        media_type = responses.negotiate_media_type(accept)
        try:
            payload = await self._read(request, media_type)
            partial = self._cut_unfit_text(payload) if payload.unfit else None
            context = await self.context_of(request)
            result = await self._execute(payload, partial, context, request.method)
        except MalformedRequestError as error:
            headers = {"Allow": error.allow} if error.allow else None
            return responses.error_response(
                [errors.caller_error(str(error))], media_type=media_type, status=error.status, headers=headers
            )
        except CannotGetOperationTypeError as error:
            reason = f"The document has no operation named {error.operation_name!r}."
            return responses.error_response([errors.caller_error(reason)], media_type=media_type)
        except Refusal as refusal:
            return responses.error_response([errors.refusal_error(refusal)], media_type=media_type)
        except Exception as error:  # noqa: BLE001  masked and logged: the caller gets a number to quote
            return responses.error_response([errors.mask_error(error)], media_type=media_type)
        return self._respond_with(result, media_type)

    async def _read(self, request: Request, media_type: str | None) -> Payload:
        """Read the request.

        Raise `MalformedRequestError` if it is no GraphQL request, `Refusal` if its document is too long or not allowed.
        """
        if request.method not in {"GET", "POST"}:
            raise MalformedRequestError("Send queries by GET or POST, mutations by POST.", 405, allow="GET, POST")
        if media_type is None:
            raise MalformedRequestError(f"Answers come as {responses.GRAPHQL_JSON} or {responses.JSON}.", 406)
        if request.method == "GET":
            return self.documents.resolve(requests.from_query_string(request.query_params))
        if not _is_json(request.headers.get("content-type")):
            raise MalformedRequestError("Send the request as application/json, in UTF-8.", 415)
        return self.documents.resolve(requests.from_body(await request.body()))

    def _cut_unfit_text(self, payload: Payload) -> PartialBatch:
        partial = partial_batches.cut_unreadable(self._core, payload)
        if partial is None:
            place = next(partial_batches.find_unfit_texts(payload)).field
            raise MalformedRequestError(f"{partial_batches.UNFIT} It stands at {place or 'the root of the variables'}.")
        return partial

    async def _execute(
        self, payload: Payload, partial: PartialBatch | None, context: C, method: str
    ) -> ExecutionResult:
        """Execute the operation. If the variables don't fit, execute it again without the drafts at fault.

        No resolver has run in the first execution, because variables are coerced before resolvers run.
        """
        allowed = QUERIES if method == "GET" else QUERIES_AND_MUTATIONS
        try:
            if partial is None:
                result = await self._execute_once(payload, payload.variables, context, allowed)
                partial = partial_batches.cut_unreadable(self._core, payload) if _is_coercion_failure(result) else None
                if partial is None:
                    return result
            context.unreadable = partial.unreadable
            return await self._execute_once(payload, partial.variables, context, allowed)
        except InvalidOperationTypeError as error:
            if error.operation_type is OperationType.SUBSCRIPTION:
                raise MalformedRequestError("Subscriptions are not answered over HTTP.") from error
            raise MalformedRequestError("Send mutations by POST.", 405, allow="POST") from error

    async def _execute_once(
        self, payload: Payload, variables: dict[str, Any], context: C, allowed: frozenset[OperationType]
    ) -> ExecutionResult:
        return await self.schema.execute(
            payload.query,
            variable_values=variables,
            context_value=context,
            operation_name=payload.operation_name,
            allowed_operation_types=allowed,
        )

    def _respond_with(self, result: ExecutionResult, media_type: str | None) -> Response:
        if not result.errors:
            return self._json_response({"data": result.data}, media_type)
        shown_errors = errors.format_errors(result.errors, flat=self.flat)
        if isinstance(result, PreExecutionError) or _is_coercion_failure(result):
            return responses.error_response(shown_errors, media_type=media_type)
        return self._json_response({"data": result.data, "errors": shown_errors}, media_type)

    def _json_response(self, body: dict[str, Any], media_type: str | None) -> Response:
        try:
            return responses.json_response(body, media_type=media_type)
        except TypeError as error:  # JSON can't hold a scalar: half of a surrogate pair, an integer above 64 bits
            return responses.error_response([errors.mask_error(error)], media_type=media_type)


def _is_coercion_failure(result: ExecutionResult) -> bool:
    """Whether graphql-core refused the variables. Unlike such an error, an error from a resolver always has a path."""
    return (
        result.data is None
        and bool(result.errors)
        and not isinstance(result, PreExecutionError)
        and all(error.path is None for error in result.errors or ())
    )


def _is_json(content_type: str | None) -> bool:
    media, *parameters = (part.strip().lower() for part in (content_type or "").split(";"))
    charset = next((text[8:].strip('"') for text in parameters if text.startswith("charset=")), "utf-8")
    return media == responses.JSON and charset in {"utf-8", "utf8"}
