"""Collect the content of an evidence pack: the GraphQL data of a record, and its stored observations and media.

The GraphQL query is generated from the schema. So a new field is in the pack without further code, and a field that the
viewer must not see is left out.
"""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from inspect import isawaitable
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLField,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    Undefined,
    execute,
    get_named_type,
    is_leaf_type,
    parse,
)

from api.graphql.context import Context
from schema.access.permissions import CLEARED, Permit
from schema.access.viewers import COVERT_ROLES, UNKNOWN_COVERT
from schema.casework.assignments import Assignment
from schema.casework.cases import Case
from schema.checks.flags import Flag
from schema.core.refusals import Refusal, RefusalCode
from schema.evidence.packs import MAX_ENTRIES
from schema.fieldwork.observations import Observation, ObservationRevision
from schema.media.media import Media

ADDRESSES = frozenset({"Link", "PackLink"})
"""Types of short-lived links. They are left out, because a link is useless in a pack."""
WHOLE = frozenset(
    {
        ("Case", "observations"),
        ("Case", "assignments"),
        ("Case", "notices"),
        ("Observation", "flags"),
        ("ObservationContent", "media"),
    }
)
"""Relations whose records the pack shows with all their fields. Other related records appear only with their own simple
fields or their id."""
NAMED = frozenset({"Unit", "MonitoringPoint", "User"})
"""Types of related records that the pack shows with their own fields, such as the name. Related records of other types
appear only with their id."""
LEFT_OUT = frozenset(
    {
        ("Case", "relatedCases"),
        ("Observation", "cases"),
        ("Observation", "followUps"),
        ("Flag", "otherObservation"),
        ("Flag", "otherMedium"),
    }
)
"""Relations that are left out of the pack, because they lead to other cases and other observations."""
_COVERT = frozenset(str(role.value) for role in COVERT_ROLES)


@dataclass(frozen=True)
class PackContent:
    """The content of one pack.

    `data` is the record as GraphQL shows it to the viewer. `media` holds the media of all revisions, by media id.
    """

    record: Case | Observation
    data: dict[str, Any]
    observations: Sequence[Observation]
    media: Mapping[str, Media]

    @property
    def number(self) -> str | None:
        return self.record.number if isinstance(self.record, Case) else None


async def content_of(
    core: GraphQLSchema, context: Context, record: Case | Observation, *, identities: bool
) -> PackContent:
    """Collect what the viewer may see of a record. Without `identities`, leave out people in covert roles.

    Raise `Refusal(LIMIT_EXCEEDED)` if a case has too many media and revisions for one pack. An observation always has a
    pack, since no evidence may be beyond packs.
    """
    is_case = isinstance(record, Case)
    cut = await context.load.related(Observation, case=record.id) if is_case else [_observation(record)]
    # The last revision has the media of the earlier ones.
    ids = {id for observation in cut for id in observation.content.media_ids}
    entries = len(ids) + sum(observation.revision for observation in cut)
    if is_case and entries > MAX_ENTRIES:
        reason = f"Too many media and revisions for one pack: {entries}; at most {MAX_ENTRIES}."
        raise Refusal(RefusalCode.LIMIT_EXCEEDED, f"{reason} Get one pack for each observation.")
    revisions = await asyncio.gather(*(context.load.related(ObservationRevision, observation=each) for each in cut))
    observations = [replace(each, revisions=list(whole)) for each, whole in zip(cut, revisions, strict=True)]
    media = {str(medium.id): medium for medium in await context.load.many(Media, sorted(ids))}
    name = "case" if is_case else "observation"
    result = execute(
        core,
        query_of(core, name, frozenset() if identities else identifying_fields(context.permits)),
        context_value=context,
        variable_values={"id": record.id},
    )
    result = await result if isawaitable(result) else result
    if result.errors:
        raise result.errors[0].original_error or result.errors[0]
    data: dict[str, Any] = (result.data or {})[name]
    hidden = {observation.author_id for observation in observations if observation.author_is_covert}
    flags = await asyncio.gather(*(context.load.related(Flag, observation=each.id) for each in observations))
    reviews = [review for group in flags for flag in group for review in flag.reviews]
    hidden |= {review.by_id for review in reviews if review.capacity.is_covert}
    if isinstance(record, Case):
        assignments = await context.load.related(Assignment, case=record.id)
        hidden |= {event.by_id for event in record.history if event.capacity.is_covert}
        hidden |= {one.assignee_id for one in assignments if (one.assignee_capacity or UNKNOWN_COVERT).is_covert}
    return PackContent(record, data if identities else without_covert(data, hidden), observations, media)


def _observation(record: Case | Observation) -> Observation:
    assert isinstance(record, Observation)  # noqa: S101
    return record


def without_covert(value: Any, hidden: Collection[str]) -> Any:
    """Return GraphQL data without people in covert roles.

    The viewer is left out, too, if the viewer has a covert role: GraphQL shows viewers their own name. `hidden` holds
    the ids of people who had a covert role when they recorded an observation, reviewed a flag or acted in the case.
    """
    if isinstance(value, dict):
        if "displayName" in value and (value["id"] in hidden or not _COVERT.isdisjoint(value["roles"])):
            return None
        return {name: without_covert(item, hidden) for name, item in value.items()}
    if isinstance(value, list):
        items = (without_covert(item, hidden) for item in value)
        return [item for item in items if item is not None]
    return value


def identifying_fields(permits: Mapping[str, Permit]) -> frozenset[str]:
    """Return the `Type.field`s that reveal the people behind a record.

    Fields of `Complainant` are not listed, because a query reaches them only through a listed field.
    """
    cleared = (field for field, permit in permits.items() if permit is CLEARED)
    return frozenset(field for field in cleared if not field.startswith("Complainant."))


@lru_cache(maxsize=4)
def query_of(core: GraphQLSchema, name: str, left_out: frozenset[str]) -> DocumentNode:
    """Return the query for one record. `name` is the root field, `case` or `observation`.

    The query selects all fields that belong in a pack, except the `Type.field`s in `left_out`.
    """
    assert core.query_type  # noqa: S101  ours has one
    record = get_named_type(core.query_type.fields[name].type)
    assert isinstance(record, GraphQLObjectType)  # noqa: S101
    selection = " ".join(_select_fields(record, left_out))
    return parse(f"query($id: ID!) {{ {name}(id: $id) {{ {selection} }} }}")


def _select_fields(type_: GraphQLObjectType, left_out: frozenset[str], *, whole: bool = True) -> Iterator[str]:
    for name, field in type_.fields.items():
        path = type_.name, name
        if path in LEFT_OUT or _needs_arguments(field):
            continue
        if f"{type_.name}.{name}" in left_out:
            continue
        kind = get_named_type(field.type)
        if is_leaf_type(kind):
            yield name
        elif isinstance(kind, GraphQLObjectType) and kind.name not in ADDRESSES:
            selection = _select_object(kind, path, left_out, whole=whole)
            if selection:
                yield f"{name} {{ {selection} }}"


def _select_object(kind: GraphQLObjectType, path: tuple[str, str], left_out: frozenset[str], *, whole: bool) -> str:
    if not kind.interfaces:
        return " ".join(_select_fields(kind, left_out, whole=whole))
    if not whole:
        return ""
    if path in WHOLE:
        return " ".join(_select_fields(kind, left_out))
    if path in {("Case", "unit"), ("Observation", "unit")}:
        return " ".join([*_select_fields(kind, left_out, whole=False), "ancestors { id code name level }"])
    return " ".join(_select_fields(kind, left_out, whole=False)) if kind.name in NAMED else "id"


def _needs_arguments(field: GraphQLField) -> bool:
    arguments = field.args.values()
    return any(isinstance(arg.type, GraphQLNonNull) and arg.default_value is Undefined for arg in arguments)
