"""Call every query and mutation as every role, with generated input. No answer may be an error of our own.

Each query is executed by a plan and by graphql-core alone. Both answers are the same bytes.

The draws depend on the seed alone, but for the ids. Without options, two of those who may call an operation do so.
`--operations N` and `--documents-seed SEED` search longer, or elsewhere.
"""

import copy
import random
import re
from dataclasses import replace
from typing import Any

import orjson
import pytest
import structlog.testing
from strawberry.types import ExecutionResult

from api.graphql.execution.executor import PlanExecutor, planned_by
from api.graphql.work_limit import bounded_by
from api.http.errors import format_errors
from api.server.areas import REGISTRY
from api.settings import Settings
from tests.support.document_generator import DocumentGenerator
from tests.support.sdl import roots
from tests.support.value_generator import ValueGenerator
from tests.support.ways_of_seeing import see
from tests.support.world import SCHEMA, World

ROLES = ("inspector", "monitor", "supervisor", "officer", "liaison", "admin", None)
"""One person of each role, and a stranger."""


OTHER_SCHEMA = copy.copy(SCHEMA)
"""The schema, executed in the way that the setting does not choose."""
OTHER_SCHEMA.execution_context_class = (
    bounded_by if issubclass(SCHEMA.execution_context_class, PlanExecutor) else planned_by
)(Settings().max_work)
SIGNATURE = re.compile(rb"X-Amz-[^\"]*|eyJ[\w-]+\.[\w-]+\.[\w-]+")
"""Signatures, which differ in each answer."""


def body(result: ExecutionResult, shown: list[dict[str, Any]]) -> bytes:
    return SIGNATURE.sub(b"", orjson.dumps([result.data, shown]))


async def ids_of(world: World) -> dict[str, list[str]]:
    """Fill the world, and return ids by their prefix."""
    cases = [await see(world, way) for way in ("scope", "accepted")]
    own = await world.open_case("officer")
    return {
        "obs": [id for seen in cases for id in (*seen.evidence, seen.spare, seen.own)],
        "med": [seen.photo for seen in cases],
        "cas": [own["id"], *(seen.case for seen in cases)],
        "asg": [id for seen in cases for id in (seen.assignment, seen.offer)],
        "red": [seen.redaction for seen in cases],
        "flg": [seen.flag for seen in cases],
        "pnt": [str(world.point.id)] if world.point else [],
        "unt": [str(unit.id) for unit in world.units.values()],
        "usr": [str(user.id) for user in world.people.values()],
    }


async def test_no_operation_answers_any_role_with_an_error_of_our_own(
    world: World, request: pytest.FixtureRequest
) -> None:
    count, seed = request.config.getoption("--operations"), request.config.getoption("--documents-seed")
    draw = random.Random(seed)  # noqa: S311
    ids = await ids_of(world)
    documents, values = DocumentGenerator(SCHEMA._schema, ids, draw), ValueGenerator(ids, draw)
    answered = 0
    for keyword in ("query", "mutation"):
        for name in roots(keyword.capitalize()):
            permit = REGISTRY.permits[f"{keyword.capitalize()}.{name}"]
            admitted = [role for role in ROLES if permit.admits(world.viewer(role) if role else None)]
            for role in ROLES * count if count else draw.choices(admitted, k=2):
                text, variables = documents.operation(keyword, name, values)
                context = world.context(role)
                other_context = replace(context)
                with structlog.testing.capture_logs() as logs:
                    result = await SCHEMA.execute(text, variables, context_value=context)
                    shown = format_errors(result.errors or [])
                faults = [entry for entry in logs if entry["event"] == "fault"]
                assert not faults, f"seed {seed}, {role}: {text} {variables}: {faults[0]}"
                answered += not shown
                if keyword == "query":
                    other = await OTHER_SCHEMA.execute(text, variables, context_value=other_context)
                    assert body(other, format_errors(other.errors or [])) == body(result, shown), text
    assert answered > 0
