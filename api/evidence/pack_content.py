"""The content of an evidence pack: the record as GraphQL shows it to its viewer, and the stored records behind it.

The document is made from the schema itself, so that what is added to the vocabulary is in the pack, and what a viewer
may not see is not. Writing it into a pack is left to `packs.py`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from schema.access.viewers import COVERT_ROLES
from schema.casework.cases import Case
from schema.core.refusals import Refusal, RefusalCode
from schema.evidence.packs import MAX_ENTRIES
from schema.fieldwork.observations import Observation
from schema.media.media import Media

ADDRESSES = frozenset({"Link", "PackLink"})
"""Types of short-lived addresses, which are nothing to keep."""
WHOLE = frozenset(
    {("Case", "observations"), ("Case", "assignments"), ("Observation", "flags"), ("ObservationContent", "media")}
)
"""Relations whose records are part of the pack; records of other relations are named only."""
NAMED = frozenset({"Unit", "MonitoringPoint", "User"})
"""Records that are named by all that they say of themselves; others by their id."""
LEFT_OUT = frozenset(
    {
        ("Case", "relatedCases"),
        ("Observation", "cases"),
        ("Observation", "followUps"),
        ("Flag", "otherObservation"),
        ("Flag", "otherMedium"),
    }
)
"""Other cases, and other cases' observations, than the one that the pack is of."""
_COVERT = frozenset(str(role.value) for role in COVERT_ROLES)


@dataclass(frozen=True)
class PackContent:
    """`data` is the record as GraphQL names it; `media` are those of all revisions, by id."""

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
    """What the viewer may see of a record that the viewer was shown; without `identities`, nobody covert is in it.

    Raises `Refusal(LIMIT_EXCEEDED)` for what is too much for one pack.
    """
    is_case = isinstance(record, Case)
    observations = await context.load.related(Observation, case=record.id) if is_case else [_observation(record)]
    ids = [id for each in observations for revision in each.revisions for id in revision.content.media_ids]
    entries = len(ids) + sum(each.revision for each in observations)
    if entries > MAX_ENTRIES:
        reason = f"Too many media and revisions for one pack: {entries}; at most {MAX_ENTRIES}."
        raise Refusal(RefusalCode.LIMIT_EXCEEDED, f"{reason} Ask for packs of its observations.")
    media = {str(each.id): each for each in await context.load.many(Media, list(dict.fromkeys(ids)))}
    name = "case" if is_case else "observation"
    result = execute(
        core,
        document(core, name, frozenset() if identities else identifying(context.permits)),
        context_value=context,
        variable_values={"id": record.id},
    )
    result = await result if isawaitable(result) else result
    if result.errors:
        raise result.errors[0].original_error or result.errors[0]
    data: dict[str, Any] = (result.data or {})[name]
    hidden = frozenset(each.author_id for each in observations if each.author_is_covert)
    return PackContent(record, data if identities else without_covert(data, hidden), observations, media)


def _observation(record: Case | Observation) -> Observation:
    assert isinstance(record, Observation)  # noqa: S101
    return record


def without_covert(value: Any, hidden: Collection[str]) -> Any:
    """The same without people who hold a covert role: the viewer, who knows oneself, may be one of them.

    `hidden` are the ids of those who held one when they recorded what the pack is of.
    """
    if isinstance(value, dict):
        if "displayName" in value and (value["id"] in hidden or not _COVERT.isdisjoint(value["roles"])):
            return None
        return {name: without_covert(each, hidden) for name, each in value.items()}
    if isinstance(value, list):
        kept = (without_covert(each, hidden) for each in value)
        return [each for each in kept if each is not None]
    return value


def identifying(permits: Mapping[str, Permit]) -> frozenset[str]:
    """Return the `Type.field`s that tell who is behind a record; a complainant's own are reached through such a field."""
    cleared = (field for field, permit in permits.items() if permit is CLEARED)
    return frozenset(field for field in cleared if not field.startswith("Complainant."))


@lru_cache(maxsize=4)
def document(core: GraphQLSchema, name: str, left_out: frozenset[str]) -> DocumentNode:
    """Return the query of one record, `case` or `observation`, with all that belongs to it but the `Type.field`s left out."""
    assert core.query_type  # noqa: S101  ours has one
    record = get_named_type(core.query_type.fields[name].type)
    assert isinstance(record, GraphQLObjectType)  # noqa: S101
    selected = " ".join(_selected(record, left_out))
    return parse(f"query($id: ID!) {{ {name}(id: $id) {{ {selected} }} }}")


def _selected(type_: GraphQLObjectType, left_out: frozenset[str], *, whole: bool = True) -> Iterator[str]:
    for name, field in type_.fields.items():
        place = type_.name, name
        if place in LEFT_OUT or _needs_arguments(field):
            continue
        if f"{type_.name}.{name}" in left_out:
            continue
        kind = get_named_type(field.type)
        if is_leaf_type(kind):
            yield name
        elif isinstance(kind, GraphQLObjectType) and kind.name not in ADDRESSES:
            inner = _of_record(kind, place, left_out, whole=whole)
            if inner:
                yield f"{name} {{ {inner} }}"


def _of_record(kind: GraphQLObjectType, place: tuple[str, str], left_out: frozenset[str], *, whole: bool) -> str:
    if not kind.interfaces:
        return " ".join(_selected(kind, left_out, whole=whole))
    if not whole:
        return ""
    if place in WHOLE:
        return " ".join(_selected(kind, left_out))
    if place in {("Case", "unit"), ("Observation", "unit")}:
        return " ".join([*_selected(kind, left_out, whole=False), "ancestors { id code name level }"])
    return " ".join(_selected(kind, left_out, whole=False)) if kind.name in NAMED else "id"


def _needs_arguments(field: GraphQLField) -> bool:
    return any(
        isinstance(each.type, GraphQLNonNull) and each.default_value is Undefined for each in field.args.values()
    )
