"""Check chapter 2, sessions: whose session a sign-in says it is, and which device an ended session had."""

from datetime import datetime, timedelta
from typing import Any

from mobile_contract.kit.accounts import DEVICE_NAME, Party, Person
from mobile_contract.kit.clauses import clause
from mobile_contract.kit.comparison import Comparison, Rule, near, recent, some_text

BRIEFLY = timedelta(minutes=2)


@clause(
    "S7",
    "A sign-in says whose session it is, of which office, and until when its tokens last; a renewal says the same, and"
    " gives the same `deviceSecret`.",
)
async def check_signed_in(party: Party) -> str:
    compared = Comparison()
    device = (await party.user.sign_in_again()).device_id
    credentials = {"userName": party.user.name, "password": party.user.password, "deviceName": DEVICE_NAME}
    signed = (await party.server.ask("SignIn", {"input": credentials | {"deviceId": device}})).root
    renewed = await _renew(party, signed, device)
    again = await _renew(party, renewed, device)
    compared.same("SignIn", "signIn.refreshToken", "a renewal", _kind_of(renewed))
    compared.same("RefreshSession", "refreshSession.refreshToken", "a renewal", _kind_of(again))
    for operation, root, answer, other in (
        ("SignIn", "signIn", signed, renewed),
        ("RefreshSession", "refreshSession", renewed, signed),
    ):
        read = await party.server.ask("MyReports", {"first": 1}, token=answer.get("accessToken"))
        compared.same(operation, f"{root}.accessToken", "a token that reads", _reads(read.errors))
        for name in ("accessExpiresAt", "refreshExpiresAt"):
            compared.same(operation, f"{root}.{name}", _lasts_like(other.get(name)), answer.get(name))
        compared.same(operation, f"{root}.deviceSecret", other.get("deviceSecret"), answer.get("deviceSecret"))
        compared.same(
            operation, f"{root}.user.id", (other.get("user") or {}).get("id"), (answer.get("user") or {}).get("id")
        )
    user, first = (dict(answer.get("user") or {}) for answer in (renewed, signed))
    known = {name: first.get(name) for name in user if name != "__typename"}
    compared.same("RefreshSession", "refreshSession.user", known, user)
    compared.same("SignIn", "signIn.user", user, known)
    if not compared.found:
        await _compare_office(party, compared, signed, renewed)
    return f"{compared.report()} fields of a sign-in and of its renewal said the same, and the tokens worked."


async def _compare_office(party: Party, compared: Comparison, signed: dict[str, Any], renewed: dict[str, Any]) -> None:
    """Compare the user with the renewal's, and the office with the list of units."""
    user = dict(renewed.get("user") or {})
    units = {unit["id"]: unit for unit in await party.user.fetch_nodes("Units")}
    office = (signed.get("user") or {}).get("office") or {}
    same_code = (unit for unit in units.values() if unit["code"] == office.get("code"))
    known = units.get(office.get("id", "")) or next(same_code, None)
    told = {name: known[name] for name in ("id", "code", "name")} if known else _office_of_nobody(office)
    compared.same("SignIn", "signIn.user", user | {"office": told}, signed.get("user"))


async def _renew(party: Party, signed: dict[str, Any], device: str) -> dict[str, Any]:
    given = {"refreshToken": str(signed.get("refreshToken")), "deviceId": device}
    return (await party.server.ask("RefreshSession", {"input": given})).root


def _kind_of(answer: dict[str, Any]) -> str:
    return "a renewal" if answer.get("refreshToken") else f"refused: {answer.get('code')}"


def _reads(errors: list[dict[str, Any]]) -> str:
    return "a token that reads" if not errors else f"refused: {errors[0].get('message')}"


def _lasts_like(other: Any) -> Rule:
    """Expect a time in the future, near the one that the other answer gave."""
    return Rule(
        f"a time to come, near {other}",
        lambda at: near(other, BRIEFLY).holds(at) and datetime.fromisoformat(at) > datetime.now().astimezone(),
    )


def _office_of_nobody(office: dict[str, Any]) -> dict[str, Any]:
    """Expect an office that the user's units do not list."""
    return {"id": office.get("id"), "code": some_text(), "name": some_text()}


@clause("S8", "The answer that ends a session names the device that it ended, and when.")
async def check_ended_devices(party: Party) -> str:
    compared = Comparison()
    left, lost, wiped = [await party.user.sign_in_again() for _ in range(3)]
    other = await party.user.sign_in_again()
    answer = await left.ask("SignOut")
    compared.same("SignOut", "signOut", {"deviceId": left.device_id}, answer)
    for person, wipe in ((lost, False), (wiped, True)):
        given = {"deviceId": person.device_id, "wipe": wipe}
        device = (await other.ask("RevokeDevice", {"input": given}))["device"]
        compared.same("RevokeDevice", "revokeDevice.device", _device(person, wipe=wipe), device)
    return f"{compared.report()} fields named the devices whose sessions had ended."


def _device(person: Person, *, wipe: bool) -> dict[str, Any]:
    times = {"seenAt": recent(), "revokedAt": recent(), "wipeOrderedAt": recent() if wipe else None}
    return {"id": person.device_id, "name": DEVICE_NAME} | times
