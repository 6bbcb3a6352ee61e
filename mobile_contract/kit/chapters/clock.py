"""Check chapter 8, the clock: a phone learns its clock error, and the running numbers that the server lacks."""

from datetime import datetime, timedelta

from mobile_contract.kit.accounts import Party, new_draft
from mobile_contract.kit.clauses import clause
from mobile_contract.kit.results import BrokenClauseError, require


@clause("K1", "A phone that says its clock learns how far it is ahead of the server's.")
async def check_skew(party: Party) -> str:
    told = []
    for ahead in (3600, -7200):
        at = datetime.now().astimezone() + timedelta(seconds=ahead)
        clock = {"at": at.isoformat(timespec="milliseconds"), "roundTripMilliseconds": 20}
        value = await party.user.ask("Sync", {"input": {"deviceClock": clock, "first": 1}})
        got = (value.get("clock") or {}).get("skewSeconds")
        request = f"Sync by a clock {ahead} s ahead"
        if not isinstance(got, int | float) or abs(got - ahead) > 120:
            raise BrokenClauseError(request, f"skewSeconds near {ahead}", got)
        error = value["clock"]["uncertaintySeconds"]
        require(error == 0.02, f"{request}: uncertaintySeconds", "the 20 ms of the round trip", error)
        server = datetime.fromisoformat(value["serverTime"]) + timedelta(seconds=got)
        is_same = abs((server - at).total_seconds()) <= 5
        require(is_same, f"{request}: serverTime", "the device's time less skewSeconds", value["serverTime"])
        told.append(str(got))
    return f"Clocks 3600 s ahead and 7200 s behind got {' and '.join(told)}."


@clause("K2", "A phone that says its last running number learns which numbers up to it the server lacks.")
async def check_gaps(party: Party) -> str:
    person = await party.user.sign_in_again()
    await person.submit(*(new_draft(deviceSequence=number) for number in (1, 2, 5)))
    value = await person.ask("Sync", {"input": {"lastSequence": 7, "first": 1}})
    got = [(gap["first"], gap["last"]) for gap in value["gaps"]]
    require(got == [(3, 4), (6, 7)], "Sync with lastSequence 7 after 1, 2 and 5", "gaps 3 to 4 and 6 to 7", str(got))
    return "After numbers 1, 2 and 5 of 7, the server reported the gaps 3 to 4 and 6 to 7."
