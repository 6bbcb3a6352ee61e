"""Check chapters 2 and 3: sessions end and are renewed, and phones of old levels can only empty their outbox."""

from typing import Any

from mobile_contract.kit.accounts import Party, new_answer, new_draft, new_note_edit
from mobile_contract.kit.clauses import clause
from mobile_contract.kit.results import require
from mobile_contract.levels import Levels
from mobile_contract.phone.ids import new_id
from mobile_contract.phone.users.remote_wipe import proof_of


@clause(
    "S1",
    "A sign-in gives an access token and a refresh token; a wrong password gets `BAD_CREDENTIALS`, and the answer is"
    " the same for a name that exists and a name that does not.",
)
async def check_sign_in(party: Party) -> str:
    person = await party.user.sign_in_again()
    require(person.access and person.refresh, "SignIn", "both tokens", "one is empty")
    said = []
    for name in (party.user.name, new_id("nobody")):
        given = {"userName": name, "password": "wrong, by the kit", "deviceId": new_id("dev"), "deviceName": "kit"}
        said.append((await party.server.ask("SignIn", {"input": given})).root)
    require(said[0].get("code") == "BAD_CREDENTIALS", "SignIn with a wrong password", "BAD_CREDENTIALS", said[0])
    require(said[0] == said[1], "SignIn with a name that does not exist", str(said[0]), said[1])
    return "Both tokens came. A wrong password got the same answer for a known and an unknown name."


@clause(
    "S2",
    "A renewal whose answer was lost can be asked for again with the same token, and both answers work until one is used.",
)
async def check_renewal(party: Party) -> str:
    person = await party.user.sign_in_again()
    given = {"input": {"refreshToken": person.refresh, "deviceId": person.device_id}}
    answers = [(await party.server.ask("RefreshSession", given)).root for _ in range(2)]
    for signed_in in answers:
        require(
            signed_in.get("accessToken"), "RefreshSession twice with the same token", "SignedIn both times", signed_in
        )
    for signed_in in answers:
        read = await party.server.ask("MyReports", {"first": 1}, token=signed_in["accessToken"])
        require("edges" in read.root, "MyReports with either access token", "an answer", read.body)
    given = {"input": {"refreshToken": answers[1]["refreshToken"], "deviceId": person.device_id}}
    last = (await party.server.ask("RefreshSession", given)).root
    require(last.get("accessToken"), "RefreshSession with the second answer's token", "SignedIn", last)
    for old in (answers[0]["refreshToken"], person.refresh):
        given = {"input": {"refreshToken": old, "deviceId": person.device_id}}
        said = (await party.server.ask("RefreshSession", given)).root
        request = "RefreshSession with an older token, after its successor was used"
        require(said.get("nextStep") == "SIGN_IN_AGAIN" and not said.get("accessToken"), request, "SIGN_IN_AGAIN", said)
    return (
        "The same token renewed twice. Both answers worked until one was used. The older tokens then renewed nothing."
    )


@clause("S3", "An expired token, or a session that has ended, gets `SIGN_IN_AGAIN`, and the answer blames no item.")
async def check_ended_session(party: Party) -> str:
    person = await party.user.sign_in_again()
    access = person.access
    await person.ask("SignOut")
    for token in (access, access[:-4] + "AAAA"):
        answer = await party.server.ask("SubmitObservations", {"input": {"drafts": [new_draft()]}}, token=token)
        error: dict[str, Any] = next(iter(answer.errors), {})
        value: Any = next(iter((answer.body.get("data") or {}).values()), None)
        said = error.get("extensions") or value
        request = "SubmitObservations with the token of an ended session, and with a forged one"
        require((said or {}).get("nextStep") == "SIGN_IN_AGAIN", request, "SIGN_IN_AGAIN", answer.body)
    given = {"input": {"refreshToken": person.refresh, "deviceId": person.device_id}}
    renewed = (await party.server.ask("RefreshSession", given)).root
    require(renewed.get("nextStep") == "SIGN_IN_AGAIN", "RefreshSession of an ended session", "SIGN_IN_AGAIN", renewed)
    return "The tokens of an ended session and a forged token got SIGN_IN_AGAIN."


@clause(
    "S6",
    "If a device must erase what it keeps of a person, renewing that session is refused with `DEVICE_WIPED` and a"
    " `proof` that is made with its `deviceSecret`; a device that was only signed out gets another code.",
)
async def check_wipe_order(party: Party) -> str:
    lost, left, other = [await party.user.sign_in_again() for _ in range(3)]
    for person, wipe in ((lost, True), (left, False)):
        await other.ask("RevokeDevice", {"input": {"deviceId": person.device_id, "wipe": wipe}})
    said = []
    for person in (lost, left, other):
        given = {"input": {"refreshToken": person.refresh, "deviceId": person.device_id}}
        said.append((await party.server.ask("RefreshSession", given)).root)
    require(said[0].get("code") == "DEVICE_WIPED", "RefreshSession of a wiped device", "DEVICE_WIPED", said[0])
    require(said[0].get("nextStep") == "SIGN_IN_AGAIN", "RefreshSession of a wiped device", "SIGN_IN_AGAIN", said[0])
    proof = proof_of(lost.secret, lost.refresh)
    require(said[0].get("proof") == proof, "RefreshSession of a wiped device: proof", proof, said[0].get("proof"))
    for answer in said[1:]:
        is_wiped = answer.get("code") == "DEVICE_WIPED" or answer.get("proof")
        require(not is_wiped, "RefreshSession of a device that was not wiped", "no order to erase", answer)
    require(
        said[2].get("deviceSecret") == other.secret, "RefreshSession: deviceSecret", "the one of the sign-in", said[2]
    )
    return "Of three devices, one was wiped and got its proof, one was signed out, and one still works."


@clause("L1", "Every answer carries the server's level (`Mingcha-Level`).")
async def check_level_header(party: Party) -> str:
    answers = [
        await party.user.send("MyReports", {"first": 1}),
        await party.server.ask("MyReports", {}),
        await party.server.post(b"{", "of an incomplete JSON text"),
    ]
    for answer in answers:
        told = answer.response.headers.get("Mingcha-Level", "")
        require(told.isdigit() and int(told) >= 1, f"{answer.request}: header Mingcha-Level", "a level", repr(told))
    return f"Three answers, including refusals, carried level {answers[0].response.headers['Mingcha-Level']}."


@clause("L2", "A phone of a level that has ended is refused with `LEVEL_TOO_OLD`, and the refusal says since when.")
async def check_old_level(party: Party) -> str:
    answer = await party.user.send("MyReports", {"first": 1}, level=0)
    require(answer.code == "LEVEL_TOO_OLD", "MyReports at level 0", "LEVEL_TOO_OLD", answer.body)
    message = str(answer.errors[0].get("message")) if answer.errors else str(answer.root.get("message"))
    told = any(sign.isdigit() and sign != "0" for sign in message)
    require(told, "MyReports at level 0", "the oldest level that works, or the day on which it ended", message)
    return f"Level 0 was refused: {message}"


@clause(
    "L3",
    "A phone of any level can empty its outbox: `signIn`, `refreshSession`, `submitObservations`, `submitRatings`,"
    " `answerAssignments`, `editAssignmentNotes`, `requestUploads`, `confirmMedia`.",
)
async def check_outbox_of_old_level(party: Party) -> str:
    medium = {"id": new_id("med"), "sha256": "0" * 64, "byteSize": 5, "contentType": "image/jpeg"}
    device = {"deviceId": new_id("dev")}
    named = {"userName": party.user.name, "password": party.user.password, "deviceName": "old phone of the kit"}
    signed = await party.server.ask("SignIn", {"input": named | device}, level=0)
    require(signed.root.get("accessToken"), "SignIn at level 0", "SignedIn", signed.body)
    renewal = {"input": {"refreshToken": signed.root["refreshToken"], **device}}
    renewed = await party.server.ask("RefreshSession", renewal, level=0)
    require(renewed.root.get("accessToken"), "RefreshSession at level 0", "SignedIn", renewed.body)
    token = renewed.root["accessToken"]
    for name, given in (
        ("SubmitObservations", {"drafts": [new_draft(media=[medium])]}),
        ("RequestUploads", {"media": [{"mediaId": medium["id"]}]}),
        ("ConfirmMedia", {"mediaIds": [medium["id"]]}),
        ("AnswerAssignments", {"answers": [new_answer(new_id("asg"))]}),
        ("EditAssignmentNotes", {"edits": [new_note_edit(new_id("asg"))]}),
    ):
        answer = await party.server.ask(name, {"input": given}, token=token, level=0)
        require(answer.root.get("results"), f"{name} at level 0", "results", answer.body)
    # Only monitors rate: an inspector's rating is refused for the role, and must not be refused for the level.
    rated = await party.server.ask("SubmitRatings", {"input": {"drafts": []}}, token=token, level=0)
    require(rated.code != "LEVEL_TOO_OLD", "SubmitRatings at level 0", "anything but LEVEL_TOO_OLD", rated.body)
    return f"A phone of level 0 submitted, got a slot and confirmed. The contract's level is {Levels.read().current}."
