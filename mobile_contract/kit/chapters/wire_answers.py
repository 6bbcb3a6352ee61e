"""Check chapter 1, the wire: answers have the shape that the contract says, and every operation refuses alike."""

from collections import Counter
from typing import Any

from mobile_contract.documents import manifest
from mobile_contract.kit.accounts import DEVICE_NAME, Party, new_draft
from mobile_contract.kit.clauses import clause
from mobile_contract.kit.comparison import Comparison, refusal
from mobile_contract.kit.results import require
from mobile_contract.phone.ids import new_id


@clause(
    "W8",
    "Every answer has the fields that its operation names, with values of the types in the contract's schema; the kit"
    " looks at every answer of every clause.",
)
async def check_shapes(party: Party) -> str:
    queries = [each["name"] for each in manifest()["operations"] if each["type"] == "query"]
    for name in queries:
        answer = await party.user.send(name, {})
        is_answered = isinstance(answer.data_or_none, dict) or answer.code == "FORBIDDEN"
        require(is_answered, name, "data, or FORBIDDEN to this role", answer.body)
    return f"The answers of {len(queries)} queries had the contract's shape."


def bare_inputs() -> dict[str, dict[str, Any]]:
    """Return variables with which each mutation is executed, but does nothing without a token."""
    device, assignment = {"deviceId": new_id("dev")}, {"id": new_id("asg")}
    lists = {"SubmitObservations": "drafts", "SubmitRatings": "drafts", "AnswerAssignments": "answers"}
    lists |= {"EditAssignmentNotes": "edits", "ConfirmMedia": "mediaIds", "AbortUploads": "mediaIds"}
    inputs: dict[str, dict[str, Any]] = {
        name: {field: []} for name, field in (lists | {"RequestUploads": "media"}).items()
    }
    inputs |= {"AcceptAssignment": assignment, "FinishAssignment": assignment | {"result": "-"}}
    inputs |= {"RevokeDevice": device, "RegisterPushToken": {"service": "FCM", "token": "none"}}
    inputs |= {"SignIn": device | {"userName": new_id("nobody"), "password": "wrong", "deviceName": DEVICE_NAME}}
    inputs |= {"RefreshSession": device | {"refreshToken": "none"}}
    named = {name: {"input": given} for name, given in inputs.items()} | {"SignOut": {}, "ForgetPushToken": {}}
    switches = dict.fromkeys(("submits", "rates", "replies", "notes", "confirms"), True)
    return named | {"Sync": switches | {"input": {"first": 1}, "drafts": {"drafts": [new_draft()]}}}


@clause("W9", "Without a token, every mutation is refused in the same words, and `SIGN_IN_AGAIN` is the next step.")
async def check_refused_alike(party: Party) -> str:
    said: dict[tuple[str, str], Any] = {}
    inputs = bare_inputs()
    for operation, variables in inputs.items():
        for root, value in (await party.server.ask(operation, variables)).data.items():
            said[operation, root] = value
    texts = {
        name: Counter(str((value or {}).get(name)) for value in said.values()).most_common(1)[0][0]
        for name in ("message", "messageZh")
    }
    compared = Comparison()
    for (operation, root), value in said.items():
        expected: dict[str, Any] = refusal("UNAUTHENTICATED", "SIGN_IN_AGAIN", None, texts)
        if operation == "SignIn":
            texts_of_wrong = await _texts_of(party, root, inputs[operation])
            expected = refusal("BAD_CREDENTIALS", "FIX_AND_RESEND", None, texts_of_wrong) | {"retryAfterSeconds": None}
        if operation == "RefreshSession":
            texts_of_ended = await _texts_of(party, root, inputs[operation])
            expected = refusal("SESSION_ENDED", "SIGN_IN_AGAIN", None, texts_of_ended) | {"proof": None}
        compared.same(operation, root, expected, value)
    return f"{len(said)} fields of mutations were refused in the same words ({compared.report()} values)."


async def _texts_of(party: Party, root: str, variables: dict[str, Any]) -> dict[str, str]:
    """Return the messages of the same refusal, asked for by another operation than the contract's."""
    type_ = f"{root[0].upper()}{root[1:]}Input"
    text = f"mutation Other($input: {type_}!) {{ {root}(input: $input) {{ __typename ... on Refused {{ {TEXTS} }} }} }}"
    answer = await party.server.ask(text, variables)
    return answer.root if isinstance(answer.data_or_none, dict) else {}


TEXTS = "message messageZh"
