"""Draw values for the inputs of GraphQL operations: mostly sensible ones, some at the edge, a few that fit nothing."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLList, get_nullable_type

from tests.support.world import new_id

TEXTS = (
    *(
        "窗口无人在岗",
        "a",
        "",
        " ",
        "\t\n",
        "x" * 79,
        "x" * 501,
        "长" * 5_000,
        "0",
        "null",
        "true",
        "$where",
        "{'$gt': ''}",
    ),
    *(
        "a\x00b",
        "\u202e反",
        "e\u0301",
        "🚦" * 20,
        "\ufffd",
        "../../etc/passwd",
        "360703-JT-1",
        "GZ-001",
        "correct-horse-密码",
    ),
    *("2026-10-01", "image/jpeg", "application/pdf", "0" * 64, "inspector", "https://127.0.0.1/x", "FCM", "APNS"),
)
TIMES = (
    *("2026-11-20T09:05:00+08:00", "2026-11-20T01:05:00.123Z", "2027-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"),
    *("2026-11-20", "2026-02-30T00:00:00Z", "2016-12-31T23:59:60Z", "yesterday"),
)
DAYS = ("2026-11-01", "2026-11-20", "0001-01-01", "9999-12-31", "2026-02-30", "2026-11-20T00:00:00Z")
WHOLE = (0, 1, 2, 5, 100, 101, -1, 2**31 - 1, -(2**31), 2**31)
REAL = (0.0, 1.5, -0.0, 25.65, 114.75, 90.0, -180.0, 1e308, 5e-324, -1e308, 100, 2**53)
BYTES = (1, 64, 10_000_000, 0, -1, 2**31, 2**53 - 1, 2**63)
POOLS: dict[str, Sequence[Any]] = {
    "String": TEXTS,
    "DateTime": TIMES,
    "Date": DAYS,
    "Int": WHOLE,
    "Float": REAL,
    "ByteCount": BYTES,
    "Boolean": (True, False),
}
SENSIBLE = 4
"""How many values at the start of each pool are sensible. They are drawn most often."""
PREFIXES = (
    "obs",
    "med",
    "rev",
    "cas",
    "asg",
    "red",
    "evt",
    "ans",
    "dev",
    "thr",
    "rat",
    "usr",
    "unt",
    "pnt",
    "flg",
    "whk",
)
KINDS = {
    "observation": "obs",
    "media": "med",
    "case": "cas",
    "assignment": "asg",
    "assignee": "usr",
    "user": "usr",
    "redaction": "red",
    "flag": "flg",
    "unit": "unt",
    "monitoringPoint": "pnt",
    "point": "pnt",
    "device": "dev",
}
"""The kind of record that a name starts with."""


class ValueGenerator:
    """Draws values. `ids` are ids of existing records by their prefix, and `draw` decides everything."""

    def __init__(self, ids: Mapping[str, Sequence[str]], draw: random.Random) -> None:
        self._ids = ids
        self._draw = draw

    def value(self, type_: Any, name: str) -> Any:
        """Return a value for an input of this type. `name` is the name of the argument or field."""
        inner = get_nullable_type(type_)
        if inner is type_ and self._draw.random() < 0.4:
            return None
        if isinstance(inner, GraphQLList):
            return [self.value(inner.of_type, name) for _ in range(self._draw.choice((1, 1, 1, 2, 3, 0, 60)))]
        if isinstance(inner, GraphQLEnumType):
            return self._draw.choice(sorted(inner.values))
        if isinstance(inner, GraphQLInputObjectType):
            return {key: self.value(field.type, key) for key, field in inner.fields.items()}
        if inner.name == "ID":
            return self._id(name)
        pool = POOLS[inner.name]
        return self._draw.choice(pool[:SENSIBLE] if self._draw.random() < 0.7 else pool)

    def _id(self, name: str) -> str:
        """Return an id of the kind that the name suggests, if it suggests one: existing, new or of no record."""
        kind = next((prefix for word, prefix in KINDS.items() if name.startswith(word)), None)
        chance = self._draw.random()
        if chance < 0.05:
            return self._draw.choice(TEXTS)
        if chance < 0.45 or name == "id":
            return new_id(kind or self._draw.choice(PREFIXES))
        kind = kind if kind in self._ids else None
        return self._draw.choice(self._ids[kind or self._draw.choice(sorted(self._ids))])
