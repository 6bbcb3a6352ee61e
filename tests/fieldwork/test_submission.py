"""Test submission: an internal error on one draft does not affect the others, and the draft is accepted when resent."""

from typing import Any

import pytest

from api.fieldwork import submission
from schema.fieldwork.drafts import new_observation
from tests.support.world import World, draft


async def test_an_internal_error_on_one_draft_leaves_the_others_accepted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = new_observation
    drafts = [draft(), draft(), draft()]

    def trips(id: str, *more: Any) -> Any:
        if id == drafts[1]["id"]:
            raise ZeroDivisionError
        return really(id, *more)

    monkeypatch.setattr(submission, "new_observation", trips)
    results = await world.submit("inspector", *drafts)
    assert [each["outcome"] for each in results] == ["ACCEPTED", "REFUSED", "ACCEPTED"]
    assert results[1]["refusal"]["code"] == "INTERNAL"
    assert results[1]["refusal"]["nextStep"] == "RETRY_LATER"
    monkeypatch.undo()
    assert [each["outcome"] for each in await world.submit("inspector", *drafts)] == [
        "DUPLICATE",
        "ACCEPTED",
        "DUPLICATE",
    ]
