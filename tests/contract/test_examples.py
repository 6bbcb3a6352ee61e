"""Test example payloads: every operation has accepted and refused ones, and the product answers as they say."""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from graphql import GraphQLResolveInfo, OperationDefinitionNode, build_schema, execute, parse
from graphql.execution.values import get_variable_values

from mobile_contract import documents
from mobile_contract.levels import SDL
from schema.core.refusals import CATALOGUE, RefusalCode
from tests.support.contract_examples import FOLDER, Stage, files, ordered
from tests.support.pulling import followed, settled
from tests.support.subscription_clients import serving
from tests.support.world import ASSIGN, World

ALL = files()
CASES = [pytest.param(name, example, id=f"{name} {example['name']}") for name, example in ordered(ALL)]
ASSIGNMENT = "asg_01a2008d-7400-7000-8000-000000000001"


def refusals(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every refusal in an answer. A refusal is an object with `nextStep`."""
    if isinstance(value, dict):
        if "nextStep" in value:
            yield value
        for each in value.values():
            yield from refusals(each)
    elif isinstance(value, list):
        for each in value:
            yield from refusals(each)


@pytest.mark.parametrize("name", documents.operation_names())
def test_every_operation_has_an_accepted_and_a_refused_example(name: str) -> None:
    assert ALL[name]["operation"] == name
    named = [example["name"] for example in ALL[name]["examples"]]
    assert any(each.startswith("accepted") for each in named)
    assert any(each.startswith("refused") for each in named)
    assert set(ALL) == set(documents.operation_names())


@pytest.mark.parametrize(("name", "example"), CASES)
def test_a_refusal_in_an_example_matches_the_catalogue(name: str, example: dict[str, Any]) -> None:
    found = list(refusals(example["answer"]))
    assert bool(found) == ("refused" in example["name"]), name
    for each in found:
        entry = CATALOGUE[RefusalCode(each["code"])]
        assert (each["messageZh"], each["nextStep"]) == (entry.message_zh, entry.next_step.value)


@pytest.mark.parametrize(("name", "example"), CASES)
def test_the_variables_and_the_answer_of_an_example_fit_the_sdl(name: str, example: dict[str, Any]) -> None:
    """The answer is resolved again under the SDL and must stay the same.

    So no field is extra, missing or of a wrong type.
    """
    schema, document = build_schema(SDL.read_text(encoding="utf-8")), parse(documents.text_of(name))
    [operation] = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    assert not isinstance(get_variable_values(schema, operation.variable_definitions or (), example["variables"]), list)
    if not example["answer"].get("data"):
        return

    def resolve(source: Any, info: GraphQLResolveInfo[Any], **_: Any) -> Any:
        value = source[info.path.key]
        return 0.5 if value == "<number>" else value

    root = schema.get_root_type(operation.operation)
    result = execute(
        build_schema(SDL.read_text(encoding="utf-8") + f"\nschema {{ query: {root} }}"),
        parse(re.sub(r"^(mutation|subscription)\b", "query", documents.text_of(name), flags=re.MULTILINE)),
        example["answer"]["data"],
        variable_values=example["variables"],
        field_resolver=resolve,
    )
    assert not asyncio.iscoroutine(result)
    assert not result.errors, result.errors  # type: ignore[union-attr]
    shown = json.loads(json.dumps(example["answer"]["data"]).replace('"<number>"', "0.5"))
    assert result.data == shown  # type: ignore[union-attr]


async def test_the_product_answers_as_the_examples_say(world: World, request: pytest.FixtureRequest) -> None:
    record = request.config.getoption("--record-examples")
    wrong: list[str] = []
    given = {"id": ASSIGNMENT, "assigneeId": world.people["inspector"].id, "unitId": world.units["360703-JT-1"].id}
    await world.ask("officer", ASSIGN, input={**given, "note": "请复查", "dueOn": "2026-12-01"})
    async with followed(world.store), serving(world) as address:
        stage = await Stage(world, f"http://{address}").set()
        for name, example in ordered(ALL):
            if name in {"Changes", "Sync"}:
                await settled(world.store)
            answer = await stage.ask(name, example)
            if example.get("upload"):
                await stage.upload(answer)
            if record:
                example["answer"] = stage.masked(answer, json.dumps(example["variables"], ensure_ascii=False))
            wrong += [f"{name}, {example['name']}: {each}" for each in stage.differences(example["answer"], answer)]
    if record:
        for name, file in ALL.items():
            text = json.dumps(file, ensure_ascii=False, indent=2)
            (FOLDER / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")
    assert wrong == []
