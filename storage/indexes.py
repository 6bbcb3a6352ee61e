"""Create the indexes of all collections and the data of a new installation. A repeated call changes nothing."""

import asyncio

from storage.accounts import device_clocks, login_attempts, sessions, users
from storage.appraisal import ratings
from storage.casework import assignment_answers, assignments, cases, limits, notices, working_years
from storage.casework.limits import Limits
from storage.casework.working_years import WorkingYears
from storage.catalogue import entries
from storage.catalogue.entries import Catalogue
from storage.checks import flags, similar_pictures, thresholds
from storage.checks.thresholds import Thresholds
from storage.fieldwork import observations
from storage.media import media
from storage.mongodb.client import Mongo
from storage.mongodb.errors import INDEX_MISSING, StoreError
from storage.notifications import push_tokens, webhooks
from storage.organisation import monitoring_points, units
from storage.publication import redactions
from storage.sync import changes

INDEXES = {
    "assignment_answers": assignment_answers.INDEXES,
    "assignments": assignments.INDEXES,
    "attempts": login_attempts.INDEXES,
    "cases": cases.INDEXES,
    "change_heads": changes.HEAD_INDEXES,
    "change_state": [],
    "changes": changes.INDEXES,
    "catalogue": entries.INDEXES,
    "clock_readings": device_clocks.INDEXES,
    "flags": flags.INDEXES,
    "likeness_marks": similar_pictures.MARK_INDEXES,
    "likenesses": similar_pictures.INDEXES,
    "limits": limits.INDEXES,
    "media": media.INDEXES,
    "media_accesses": media.ACCESS_INDEXES,
    "monitoring_points": monitoring_points.INDEXES,
    "notices": notices.INDEXES,
    "observations": observations.INDEXES,
    "ratings": ratings.INDEXES,
    "push_tokens": push_tokens.INDEXES,
    "redactions": redactions.INDEXES,
    "set_aside": observations.SET_ASIDE_INDEXES,
    "sessions": sessions.INDEXES,
    "thresholds": thresholds.INDEXES,
    "units": units.INDEXES,
    "users": users.INDEXES,
    "webhooks": webhooks.INDEXES,
    "webhook_deliveries": webhooks.DELIVERY_INDEXES,
    "working_years": working_years.INDEXES,
}

RETIRED = {
    "media": ("check_due_at_1", "sha256_1", "state_1_due_at_1"),
    "observations": ("check_due_at_1", "placement_1__id_1", "unit_path_1_received_at_-1__id_-1"),
    "ratings": ("unit_id_1_month_1_published_at_1_superseded_from_1_score_1",),
    "webhook_deliveries": ("state_1_due_at_1",),
}
"""Names of indexes that earlier versions made and no query uses any more, by collection.

Each would cost time at every write, and room. A version that still uses them makes them again when it starts.
"""


async def ensure_indexes(mongo: Mongo) -> None:
    """Create all indexes and the data of a new installation, and drop retired indexes.

    The collections are handled concurrently, because creating an index on an empty collection costs little more than a
    round trip. Raise `Refusal(UNAVAILABLE)` at once if the database can't be reached. Creating the indexes may take
    hours.
    """
    await mongo.command("ping")

    async def ensure(name: str) -> None:
        for keys, options in INDEXES[name]:
            await mongo.collection(name).create_index(keys, **options)
        for retired in RETIRED.get(name, ()):
            await _drop_index(mongo, name, retired)

    begun = (Thresholds(mongo).begin(), Catalogue(mongo).begin(), WorkingYears(mongo).begin(), Limits(mongo).begin())
    await asyncio.gather(*map(ensure, INDEXES), *begun)


async def _drop_index(mongo: Mongo, collection: str, name: str) -> None:
    """Drop the index if it exists. Another process may drop it at the same time."""
    try:
        await mongo.command("dropIndexes", collection, index=name)
    except StoreError as error:
        if error.code not in INDEX_MISSING:
            raise
