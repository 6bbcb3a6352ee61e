"""Make, submit and read ratings at a time that the test chooses."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from schema.access.viewers import Role
from tests.support.world import REFUSED, SCHEMA, World, new_id

IN_NOVEMBER = datetime(2026, 11, 20, 2, tzinfo=UTC)
NOVEMBER = date(2026, 11, 1)
DECEMBER_BEGINS = datetime(2026, 11, 30, 16, tzinfo=UTC)
CLOSED = DECEMBER_BEGINS + timedelta(days=10)
RATING = """
id month score grade reason isLate revision counts receivedAt
unit { code } monitoringPoint { code } rater { id } receipt { ratingId contentSha256 receivedAt }
"""
SUBMIT = f"""
mutation Submit($input: SubmitRatingsInput!) {{
  submitRatings(input: $input) {{
    ... on SubmitRatingsPayload {{
      results {{
        id outcome receipt {{ ratingId contentSha256 receivedAt }} rating {{ {RATING} }}
        refusal {{ code message nextStep field }}
      }}
    }}
    {REFUSED}
  }}
}}"""
LIST = f"""
query List($filter: RatingFilter, $first: Int! = 20, $after: String) {{
  ratings(filter: $filter, first: $first, after: $after) {{
    edges {{ node {{ {RATING} }} }} pageInfo {{ hasNextPage endCursor }}
  }}
}}"""
NODE = "query One($id: ID!) { node(id: $id) { id ... on Rating { score } } }"
SCORE = "query Score($unit: ID!, $month: Date!) { unit(id: $unit) { monthlyScore(month: $month) } }"


def rating_id(month: date = NOVEMBER) -> str:
    return new_id("rat", datetime(month.year, month.month, month.day, tzinfo=UTC))


def rating(month: date = NOVEMBER, **fields: Any) -> dict[str, Any]:
    """Return the draft of a rating, as a phone sends it."""
    return {
        "id": rating_id(month),
        "monitoringPoint": "GZ-001",
        "unit": "360703-JT",
        "month": month.isoformat(),
        "score": 80,
    } | fields


async def ask(world: World, name: str, operation: str, at: datetime = IN_NOVEMBER, **variables: Any) -> Any:
    """Ask an operation as that person at the time `at`, and return the root field's value."""
    context = replace(world.context(name), now=at)
    result = await SCHEMA.execute(operation, variable_values=variables, context_value=context)
    assert not result.errors, result.errors
    assert result.data
    return next(iter(result.data.values()))


async def hand_in(
    world: World, *drafts: Mapping[str, Any], name: str = "monitor", at: datetime = IN_NOVEMBER
) -> list[dict[str, Any]]:
    answer = await ask(world, name, SUBMIT, at, input={"drafts": list(drafts)})
    results: list[dict[str, Any]] = answer["results"]
    return results


async def listed(world: World, name: str, at: datetime = IN_NOVEMBER, **filter: Any) -> list[dict[str, Any]]:
    return [edge["node"] for edge in (await ask(world, name, LIST, at, filter=filter))["edges"]]


async def score_of(world: World, name: str = "officer", at: datetime = CLOSED, code: str = "360703-JT") -> float | None:
    found = await ask(world, name, SCORE, at, unit=world.units[code].id, month=NOVEMBER.isoformat())
    score: float | None = found["monthlyScore"]
    return score


async def another_point(world: World, code: str, *monitors: str) -> None:
    assert world.point
    ids = tuple(world.people[name].id for name in monitors or ("monitor",))
    made = replace(world.point, id=new_id("pnt"), code=code, monitor_ids=ids)
    await world.store.monitoring_points.put_all([made])


async def rate_by_monitor(world: World, number: int, score: int) -> None:
    """Rate the unit by monitor number `number`, who is new except for number 1, from a new point of this number."""
    name = "monitor" if number == 1 else f"monitor{number}"
    if number > 1:
        await a_colleague(world, name)
    await another_point(world, f"GZ-10{number}", name)
    await hand_in(world, rating(monitoringPoint=f"GZ-10{number}", score=score), name=name)


async def rate_by_different_monitors(world: World, *scores: int) -> None:
    """Rate the unit with each score, by a different monitor and point each. The first is `monitor` at GZ-101."""
    for number, score in enumerate(scores, start=1):
        await rate_by_monitor(world, number, score)


async def a_colleague(world: World, name: str = "monitor2") -> None:
    """Add a second monitor of the county, who has no monitoring point yet."""
    world._person(name, Role.MONITOR, "360703", ())
    await world.store.users.put_all([world.people[name]])
