"""Define standing (办理资格): what a person must be to a record in order to act on it. Seeing a record is not enough."""

import enum


class Standing(enum.Enum):
    """A reason why a person may act on a case.

    IN_SCOPE: the case's office is in the person's scope. HOLDER: the person has accepted an assignment of the case, and
    the assignment has not ended. An offer, and an assignment that was finished, handed on or withdrawn, give no
    standing.
    """

    IN_SCOPE = "IN_SCOPE"
    HOLDER = "HOLDER"
