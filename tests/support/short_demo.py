"""Load a part of the demo: the first case scripts, the observations that they name, and some more.

`python -m tests.support.short_demo NOW` loads it into the installation that the environment names.
"""

import asyncio
import sys
from dataclasses import replace
from datetime import datetime

from scripts.demo import loading
from scripts.demo.case_steps import CaseScript
from scripts.installation import open_installation

MAKE_DEMO_PLAN = loading.make_demo_plan
SCRIPTS, OTHER_OBSERVATIONS, RATING_BATCHES = 3, 2, 1


def make_short_plan(seed: int, now: datetime, password_hash: str) -> loading.DemoPlan:
    plan = MAKE_DEMO_PLAN(seed, now, password_hash)
    scripts = plan.case_scripts[:SCRIPTS]
    named = {id for script in scripts for id in _observations_of(script)}
    others = [each.draft.id for each in plan.observations if each.draft.id not in named][:OTHER_OBSERVATIONS]
    return replace(
        plan,
        observations=[each for each in plan.observations if each.draft.id in named.union(others)],
        case_scripts=scripts,
        rating_batches=plan.rating_batches[:RATING_BATCHES],
    )


def _observations_of(script: CaseScript) -> list[str]:
    return [str(id) for step in script.steps for id in getattr(step.input, "observation_ids", ())]


async def load(now: datetime) -> None:
    async with open_installation(None, print) as (settings, store):
        await loading.seed(store, settings, now=now)


def main() -> None:
    loading.make_demo_plan = make_short_plan
    asyncio.run(load(datetime.fromisoformat(sys.argv[1])))


if __name__ == "__main__":
    main()
