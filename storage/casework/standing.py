"""Hold the condition under which a person may act on a case. It is part of the write that takes the step."""

from dataclasses import dataclass

from storage.mongodb.client import Filter


@dataclass(frozen=True)
class Acting:
    """A person's standing for one step.

    `office` matches the cases (or assignments) whose office is in the person's scope. A holder's `office` matches
    everything. `holder_id` is then the person's id, and the step is taken only if this person holds the case at that
    moment.
    """

    office: Filter
    holder_id: str | None = None


class StandingLostError(Exception):
    """The person may not take this step, or not any more. Nothing was written."""
