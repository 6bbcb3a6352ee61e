"""Errors as callers see them: refusals with code and next step, caller faults labelled, everything else masked.

The catalogue of refusals is `schema.core.refusals`; statuses and media types are left to `answers`.
"""

import re
from collections.abc import Sequence
from typing import Any

import structlog
from graphql import FieldNode, GraphQLError, Node, VariableDefinitionNode

from api.telemetry import tracing
from api.telemetry.tracing import BAD_USER_INPUT, INTERNAL
from schema.core.refusals import CATALOGUE, NextStep, Refusal, RefusalCode

MAX_ERRORS = 20
"""An answer never carries more errors than this: a flood of them is the caller's to mend one by one."""
MAX_MESSAGE_LENGTH = 500
FLAT = "This document does not fit the schema."

_FOUND = re.compile(r",? [Ff]ound: .*|(cannot represent [^:]*value): .*|(found (?:Block)?String) .*", re.DOTALL)

log = structlog.get_logger(__name__)


def extensions_of(refusal: Refusal) -> dict[str, Any]:
    """Return what a GraphQL error carries of a refusal: `code`, `nextStep`, `messageZh`, `field`."""
    return {
        "code": refusal.code.value,
        "nextStep": refusal.next_step.value,
        "messageZh": refusal.message_zh,
        "field": refusal.field,
    }


def refused(refusal: Refusal) -> dict[str, Any]:
    """Return the GraphQL error of a request that was refused before execution, and note its code."""
    tracing.current().codes.append(refusal.code.value)
    return {"message": refusal.message, "extensions": extensions_of(refusal)}


def fault(message: str) -> dict[str, Any]:
    """Return the GraphQL error of a request that is malformed by the caller's fault, and note its code."""
    tracing.current().codes.append(BAD_USER_INPUT)
    return {"message": message[:MAX_MESSAGE_LENGTH], "extensions": _fault_extensions()}


def masked(error: BaseException, *, field: str | None = None) -> dict[str, Any]:
    """Log an unexpected error with its traceback, and return what a caller may know of it: a number to quote."""
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


def formatted(errors: Sequence[GraphQLError], *, flat: bool = False) -> list[dict[str, Any]]:
    """Return the errors of an execution as a caller sees them, at most `MAX_ERRORS` of them.

    `flat` withholds what a validation message tells about the schema: with introspection off, such messages (and
    their suggestions) would let a stranger rebuild it piece by piece.
    """
    return [_formatted(error, flat=flat) for error in errors[:MAX_ERRORS]]


def _formatted(error: GraphQLError, *, flat: bool) -> dict[str, Any]:
    cause = _cause(error)
    if isinstance(cause, Refusal):
        shown = refused(cause)
    elif _is_callers(error, cause):
        shown = fault(FLAT if flat and error.path is None and not _is_coercion(error) else _plain(error, flat=flat))
    else:
        shown = masked(cause, field=_field_name(error))
    if error.locations:
        shown["locations"] = [location.formatted for location in error.locations]
    if error.path is not None:
        shown["path"] = error.path
    return shown


def _cause(error: GraphQLError) -> BaseException:
    """The innermost error: graphql-core wraps what a resolver raised, at times more than once."""
    cause: BaseException = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _is_callers(error: GraphQLError, cause: BaseException) -> bool:
    """Whether graphql-core itself objects to the request: the document, a variable, an argument.

    An error with a path arose in execution; there, only those that point at something other than the field (an
    argument, a value) speak of the request: what points at the field is a result that does not fit its type.
    """
    if not isinstance(cause, GraphQLError):
        return False
    return error.path is None or not isinstance(_node(error), FieldNode)


def _is_coercion(error: GraphQLError) -> bool:
    return isinstance(_node(error), VariableDefinitionNode)


def _plain(error: GraphQLError, *, flat: bool) -> str:
    """graphql-core's sentence without the value it found, which may be a password: answers end up in phones' logs."""
    message = _FOUND.sub(r"\1\2.", error.message)
    return message.partition(" Did you mean")[0] if flat else message


def _field_name(error: GraphQLError) -> str | None:
    """The schema's name of the field: a path would put the caller's own words (aliases) into the log."""
    node = _node(error)
    return node.name.value if isinstance(node, FieldNode) else None


def _node(error: GraphQLError) -> Node | None:
    return error.nodes[0] if error.nodes else None


def _fault_extensions() -> dict[str, Any]:
    return {
        "code": BAD_USER_INPUT,
        "nextStep": NextStep.FIX_AND_RESEND.value,
        "messageZh": CATALOGUE[RefusalCode.BAD_INPUT].message_zh,
        "field": None,
    }
