"""Test the compiled codecs: for any stored document, they do the same as a converter that only follows the annotations."""

import enum
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import bson
import pytest
from bson.codec_options import CodecOptions
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.accounts.device_clocks import ClockReading
from schema.accounts.users import User
from schema.appraisal.ratings import Rating
from schema.casework.assignment_answers import StoredAnswer
from schema.casework.assignments import Assignment
from schema.casework.cases import Case
from schema.catalogue.entries import CatalogueEntry
from schema.checks.flags import Flag
from schema.checks.thresholds import Threshold
from schema.core.nodes import Node
from schema.fieldwork.observations import Observation
from schema.media.media import Media
from schema.notifications.webhooks import Webhook, WebhookDelivery
from schema.organisation.monitoring_points import MonitoringPoint
from schema.organisation.units import Unit
from schema.publication.redactions import Redaction
from storage.mongodb.codecs import from_document, naive_reader, stored_day, to_document
from storage.mongodb.compiled_conversions import COPIED, Readers, Writers
from tests.stored.fixed import NOW
from tests.stored.fixed_records import whole_observation, whole_unit

RECORDS = (
    *(Assignment, Case, CatalogueEntry, ClockReading, Flag, Media, MonitoringPoint, Observation, Rating, Redaction),
    *(StoredAnswer, Threshold, Unit, User, Webhook, WebhookDelivery),
)
AWARE: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True)
INSTANTS = st.integers(-(10**12), 10**14).map(lambda count: NOW + timedelta(milliseconds=count))
STORED: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(st.characters(codec="utf-8"), max_size=3),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.one_of(st.floats(allow_nan=False), st.integers(-(2**31), 2**31)),
    bool: st.booleans(),
    datetime: INSTANTS,
    date: st.dates(date(1900, 1, 1), date(9998, 1, 1)).map(stored_day),
}


def stored_fields(kind: type) -> list[tuple[str, str, Any, Any]]:
    """Return the name, the key, the type and the default (or MISSING) of each stored field."""
    hints = get_type_hints(kind)
    return [
        (
            each.name,
            "_id" if each.name == "id" and issubclass(kind, Node) else each.name,
            hints[each.name],
            each.default if each.default_factory is MISSING else each.default_factory(),
        )
        for each in fields(kind)
        if each.init
    ]


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Generate stored values of a field."""
    hint, arguments = getattr(hint, "__supertype__", hint), get_args(hint)
    if hint in STORED:
        return STORED[hint]
    if NoneType in arguments:
        return st.none() | values(arguments[0])
    if arguments:
        return st.lists(values(arguments[0]), max_size=2)
    if issubclass(hint, enum.Enum):
        return st.sampled_from([member.value for member in hint])
    return documents(hint)


def documents(kind: type) -> st.SearchStrategy[dict[str, Any]]:
    """Generate documents of a record class, also older ones without the fields that have a default."""
    named = {key: (values(hint), default) for _, key, hint, default in stored_fields(kind)}
    required = {key: value for key, (value, default) in named.items() if default is MISSING}
    optional = {key: value for key, (value, default) in named.items() if default is not MISSING}
    return st.fixed_dictionaries(required, optional=optional | {"lease_until": INSTANTS, "location": st.none()})


def read(hint: Any, value: Any) -> Any:
    """Convert a stored value as its annotation says."""
    hint, arguments = getattr(hint, "__supertype__", hint), get_args(hint)
    if NoneType in arguments:
        return None if value is None else read(arguments[0], value)
    if arguments:
        return get_origin(hint)(read(arguments[0], item) for item in value)
    if isinstance(hint, type) and is_dataclass(hint):
        made = {
            name: read(kind, value[key]) if default is MISSING or key in value else default
            for name, key, kind, default in stored_fields(hint)
        }
        return hint(**made)
    return value if hint is datetime else value.date() if hint is date else hint(value)


def written(value: Any) -> Any:
    """Convert a record, or a value of a record, to what is stored."""
    if is_dataclass(value):
        return {key: written(getattr(value, name)) for name, key, _, _ in stored_fields(type(value))}
    if isinstance(value, list | tuple):
        return [written(item) for item in value]
    if isinstance(value, enum.Enum):
        return value.value
    return stored_day(value) if type(value) is date else value


def outline(value: Any) -> Any:
    """Return a value with the types of all its parts, and the fields in their order, so that `==` compares these too."""
    if is_dataclass(value) and not isinstance(value, type):
        return type(value), [(name, outline(part)) for name, part in vars(value).items()]
    if isinstance(value, dict):
        return dict, [(key, outline(part)) for key, part in value.items()]
    return type(value), [outline(item) for item in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
@settings(max_examples=12)
@given(data=st.data())
def test_any_document_is_read_and_written_as_its_annotations_say(kind: type, data: st.DataObject) -> None:
    body = bson.encode(data.draw(documents(kind)))
    record: Any = from_document(kind, bson.decode(body, AWARE))
    assert outline(record) == outline(read(kind, bson.decode(body, AWARE)))
    assert outline(naive_reader(kind)(bson.decode(body))) == outline(record)
    assert outline(to_document(record)) == outline(written(record))


def test_naive_times_become_aware_ones() -> None:
    body = bson.encode(to_document(whole_observation(1)))
    found = naive_reader(Observation)(bson.decode(body))
    assert found == whole_observation(1)
    assert found.received_at.tzinfo is UTC
    assert found.content.position is not None
    assert found.content.position.fixed_at is not None
    assert found.content.position.fixed_at.tzinfo is UTC


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"code": MISSING}, KeyError),
        ({"level": "PARISH"}, ValueError),
        ({"level": []}, TypeError),
        ({"former_names": None}, TypeError),
        ({"former_names": [{"name": "x"}]}, KeyError),
        ({"former_names": [{"name": "x", "code": "y", "until": "z"}]}, ValueError),
        ({"position": 5}, TypeError),
    ],
    ids=["code missing", "enum", "list for enum", "none for list", "part missing", "text for time", "number for part"],
)
def test_a_malformed_document_raises(change: dict[str, Any], error: type[Exception]) -> None:
    document = {key: value for key, value in (to_document(whole_unit()) | change).items() if value is not MISSING}
    with pytest.raises(error):
        from_document(Unit, document)


def test_each_record_gets_its_own_default_list() -> None:
    document = to_document(whole_unit())
    del document["former_names"]
    one, other = from_document(Unit, document), from_document(Unit, document)
    assert one.former_names == []
    assert one.former_names is not other.former_names


@dataclass
class Checked:
    """A class whose constructor does more than to set the given fields."""

    pair: tuple[int, str]
    seen: list[str] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.seen.append(f"{self.pair[0]}")


@dataclass(frozen=True, slots=True)
class Slotted:
    checked: Checked | None
    at: datetime | None = NOW


@dataclass
class Unreadable:
    mixed: int | str


def test_a_class_with_its_own_constructor_is_made_by_it() -> None:
    readers = Readers({**COPIED, datetime: "datetime.fromisoformat({})"}, {"datetime": datetime})
    made = readers.function(Slotted)({"checked": {"pair": ["1", 2]}, "at": "2026-11-20T01:05:00+00:00"})
    assert made == Slotted(Checked((1, "2")), datetime(2026, 11, 20, 1, 5, tzinfo=UTC))
    assert made.checked.seen == ["1"]
    assert readers.function(Slotted)({"checked": None}) == Slotted(None, NOW)
    with pytest.raises(TypeError):
        readers.function(Checked)({"pair": [1, "2", 3]})


@pytest.mark.parametrize("compiler", [Readers, Writers])
def test_a_type_without_conversion_is_refused(compiler: type[Readers | Writers]) -> None:
    with pytest.raises(TypeError, match=r"no conversion for int \| str"):
        compiler(COPIED, {}).function(Unreadable)
