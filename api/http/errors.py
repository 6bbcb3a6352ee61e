"""Show errors to callers. A refusal has a code and a next step, a caller's mistake is described, the rest is masked."""

import re
from collections.abc import Sequence
from typing import Any

import structlog
from graphql import FieldNode, GraphQLError, Node, VariableDefinitionNode

from api.telemetry import tracing
from api.telemetry.tracing import BAD_USER_INPUT, INTERNAL
from schema.core.refusals import CATALOGUE, NextStep, Refusal, RefusalCode

MAX_ERRORS = 20
"""Largest number of errors in an answer. A caller with more errors can correct them step by step."""
MAX_MESSAGE_LENGTH = 500
FLAT_MESSAGE = "This document does not fit the schema."

_QUOTED_VALUE = re.compile(r",? [Ff]ound: .*|(cannot represent [^:]*value): .*|(found (?:Block)?String) .*", re.DOTALL)

log = structlog.get_logger(__name__)


def extensions_of(refusal: Refusal) -> dict[str, Any]:
    """Return the `extensions` of a refusal's GraphQL error.

    They are `code`, `nextStep`, `messageZh`, `field` and, if the time is known, `retryAfterSeconds`.
    """
    seconds = refusal.retry_after_seconds
    return {
        "code": refusal.code.value,
        "nextStep": refusal.next_step.value,
        "messageZh": refusal.message_zh,
        "field": refusal.field,
    } | ({} if seconds is None else {"retryAfterSeconds": seconds})


def refusal_error(refusal: Refusal) -> dict[str, Any]:
    """Return a refusal as a GraphQL error, and add its code to the trace."""
    tracing.current().codes.append(refusal.code.value)
    return {"message": refusal.message, "extensions": extensions_of(refusal)}


def caller_error(message: str) -> dict[str, Any]:
    """Return the GraphQL error of a malformed request, and add its code to the trace."""
    tracing.current().codes.append(BAD_USER_INPUT)
    return {"message": message[:MAX_MESSAGE_LENGTH], "extensions": _caller_error_extensions()}


def mask_error(error: BaseException, *, field: str | None = None) -> dict[str, Any]:
    """Log an unexpected error with its traceback.

    Return a GraphQL error that shows only a reference number, which the user can report.
    """
    trace = tracing.current()
    trace.codes.append(INTERNAL)
    log.error("fault", field=field, exc_info=error)
    return {
        "message": f"Something went wrong on our side. Quote this number: {trace.correlation_id}",
        "extensions": {
            "code": INTERNAL,
            "nextStep": NextStep.RETRY_LATER.value,
            "messageZh": f"系统内部出错，请提供编号：{trace.correlation_id}",
            "field": None,
        },
    }


def format_errors(errors: Sequence[GraphQLError], *, flat: bool = False) -> list[dict[str, Any]]:
    """Return the errors of an execution as a caller sees them, at most `MAX_ERRORS`.

    `flat` hides validation messages, for servers with introspection off. From these messages and their suggestions, a
    stranger could learn the whole schema bit by bit.
    """
    return [_format_error(error, flat=flat) for error in errors[:MAX_ERRORS]]


def _format_error(error: GraphQLError, *, flat: bool) -> dict[str, Any]:
    cause = _innermost_error(error)
    if isinstance(cause, Refusal):
        shown = refusal_error(cause)
    elif _is_caller_error(error, cause):
        shown = caller_error(
            FLAT_MESSAGE
            if flat and error.path is None and not _is_coercion(error)
            else _message_without_value(error, flat=flat)
        )
    else:
        shown = mask_error(cause, field=_field_name(error))
    if error.locations:
        shown["locations"] = [location.formatted for location in error.locations]
    if error.path is not None:
        shown["path"] = error.path
    return shown


def _innermost_error(error: GraphQLError) -> BaseException:
    """Return the error that a resolver raised. graphql-core wraps this error, at times more than once."""
    cause: BaseException = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _is_caller_error(error: GraphQLError, cause: BaseException) -> bool:
    """Whether graphql-core objects to the request: to the document, a variable or an argument.

    An error with a path arose in execution. If such an error points at an argument or a value, the request is wrong. If
    it points at the field, our result does not fit its type.
    """
    if not isinstance(cause, GraphQLError):
        return False
    return error.path is None or not isinstance(_node(error), FieldNode)


def _is_coercion(error: GraphQLError) -> bool:
    return isinstance(_node(error), VariableDefinitionNode)


def _message_without_value(error: GraphQLError, *, flat: bool) -> str:
    """Remove the caller's value from graphql-core's message, because it may be a password, and phones log answers."""
    message = _QUOTED_VALUE.sub(r"\1\2.", error.message)
    return message.partition(" Did you mean")[0] if flat else message


def _field_name(error: GraphQLError) -> str | None:
    """Return the field's name in the schema, for the log. An error's path would add the caller's aliases to the log."""
    node = _node(error)
    return node.name.value if isinstance(node, FieldNode) else None


def _node(error: GraphQLError) -> Node | None:
    return error.nodes[0] if error.nodes else None


def _caller_error_extensions() -> dict[str, Any]:
    return {
        "code": BAD_USER_INPUT,
        "nextStep": NextStep.FIX_AND_RESEND.value,
        "messageZh": CATALOGUE[RefusalCode.BAD_INPUT].message_zh,
        "field": None,
    }
