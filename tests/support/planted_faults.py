"""Define faults to plant in front of the product, each with the clause that it breaks and what the kit must report."""

from mobile_contract.phone.ids import new_id
from tests.support.fault_proxy import PlantedFault, ProxiedCall, drafts_of


def unwritten(call: ProxiedCall) -> None:
    """Write an observation under another id than the acknowledged one."""
    for each in drafts_of(call.passed):
        each["id"] = new_id("obs")


def acknowledged(call: ProxiedCall) -> None:
    for result, draft in zip(call.results, drafts_of(call.sent), strict=False):
        result["id"] = draft["id"]


def dropped(call: ProxiedCall) -> None:
    if len(call.results) > 2:
        call.results.pop(1)


def same_place(call: ProxiedCall) -> None:
    slots = [each["slot"] for each in call.results if each["slot"]]
    for each in slots[1:]:
        each["url"] = slots[0]["url"]


def asked_again(call: ProxiedCall) -> None:
    for each in call.results:
        if each["hasArrived"]:
            each |= {"hasArrived": False, "slot": {"kind": "SINGLE", "url": "", "headers": [], "parts": []}}


def found_with_others(call: ProxiedCall) -> None:
    """Pretend that bytes have arrived if they are announced twice, even by two different people."""
    for each in call.results:
        if list(call.media.values()).count(call.media[each["mediaId"]]) > 1:
            each |= {"hasArrived": True, "slot": None}


def skipping(call: ProxiedCall) -> None:
    if call.sent["variables"].get("first") == 7:
        del call.root.get("changes", [])[:1]


def no_tombstones(call: ProxiedCall) -> None:
    call.root["changes"] = [each for each in call.root.get("changes", []) if each["record"]]


def new_receipt(call: ProxiedCall) -> None:
    for each in call.results:
        if each["outcome"] == "DUPLICATE":
            each["receipt"]["receivedAt"] = "2026-01-01T00:00:00.000Z"


def conflict_as_duplicate(call: ProxiedCall) -> None:
    for each in call.results:
        if (each["refusal"] or {}).get("code") == "CONFLICT":
            each |= {"outcome": "DUPLICATE", "refusal": None}


def poisoned(call: ProxiedCall) -> None:
    if any(each["outcome"] == "REFUSED" for each in call.results):
        call.answer["data"] = None


def other_digest(call: ProxiedCall) -> None:
    for each in call.results:
        if each["receipt"]:
            each["receipt"]["contentSha256"] = "0" * 64


def too_old(call: ProxiedCall) -> None:
    if call.level == "0":
        [root] = call.answer["data"]
        call.answer["data"][root] = {"__typename": "Refused", "code": "LEVEL_TOO_OLD", "message": "", "results": None}


def ready_early(call: ProxiedCall) -> None:
    for each in call.results:
        if each["media"]:
            each["media"]["state"] = "READY"


def wrong_sign(call: ProxiedCall) -> None:
    clock = call.answer["data"]["sync"].get("clock")
    if clock:
        clock["skewSeconds"] *= -1


def untold(call: ProxiedCall) -> None:
    call.answer["data"]["sync"]["gaps"] = []


def told_apart(call: ProxiedCall) -> None:
    """Refuse another person's medium with a different message than a medium that doesn't exist."""
    for each, id in zip(call.results, call.sent["variables"]["input"]["mediaIds"], strict=True):
        if each["refusal"] and id in call.media:
            each["refusal"]["message"] += " It is another's."


def no_next_step(call: ProxiedCall) -> None:
    for each in call.refusals:
        del each["nextStep"]


def other_keys(call: ProxiedCall) -> None:
    if "keys" in call.answer:
        call.answer["keys"] = []


def unpacked(call: ProxiedCall) -> None:
    """Answer that a body over the limit was accepted."""
    if call.coding and call.status >= 400:
        call.status, call.answer = 200, {"data": {"submitObservations": {"results": []}}}


def answer_lost(call: ProxiedCall) -> None:
    """Store a held answer under another assignment, so that the answer is never applied."""
    for each in call.passed["variables"]["input"]["answers"]:
        each["assignmentId"] = new_id("asg")


def edit_overtaken(call: ProxiedCall) -> None:
    """Let the edit that arrives last win, whatever its time."""
    for each in call.results:
        for note in (each["assignment"] or {}).get("notes", ()):
            sent = call.sent["variables"]["input"]["edits"][0]
            if note["field"] == sent["field"]:
                note |= {"value": sent["value"], "lostEdits": []}


def unproven(call: ProxiedCall) -> None:
    if call.root.get("proof"):
        call.root["proof"] = "0" * 64


def all_wiped(call: ProxiedCall) -> None:
    if call.root.get("code") == "SESSION_ENDED":
        call.root["code"] = "DEVICE_WIPED"


SUBMIT, SLOTS, CONFIRM, SIGN_IN = "SubmitObservations", "RequestUploads", "ConfirmMedia", "SignIn"
FAULTS = [
    PlantedFault(
        "acknowledge before write", "O5", r"was accepted: expected the observation", (SUBMIT,), unwritten, acknowledged
    ),
    PlantedFault("drop an item from the results", "O4", r"SubmitObservations of 6 drafts", (SUBMIT,), None, dropped),
    PlantedFault(
        "reissue a slot for another medium", "U3", r"two media: expected two places", (SLOTS,), None, same_place
    ),
    PlantedFault("same bytes asked for again", "U10", r"another id: expected hasArrived", (SLOTS,), None, asked_again),
    PlantedFault(
        "bytes found with others", "U10", r"another person: expected a slot", (SLOTS,), None, found_with_others
    ),
    PlantedFault("cursor skipping one row", "C2", r"pages of 7: .* differs in", ("Changes",), None, skipping),
    PlantedFault(
        "tombstone missing",
        "C4",
        r"after it was withdrawn: expected .* without content",
        ("Changes",),
        None,
        no_tombstones,
    ),
    PlantedFault("duplicate given a new receipt", "O1", r"DUPLICATE with the receipt", (SUBMIT,), None, new_receipt),
    PlantedFault("conflict answered as duplicate", "O2", r"CONFLICT", (SUBMIT,), None, conflict_as_duplicate),
    PlantedFault(
        "poison draft blocks the batch", "O3", r"SubmitObservations: expected data", (SUBMIT,), None, poisoned
    ),
    PlantedFault("receipt signed by an unpublished key", "R1", r"evidence-keys", (), None, other_keys),
    PlantedFault("receipt over another digest", "R2", r"0{64}", (SUBMIT,), None, other_digest),
    *(
        PlantedFault(f"too old a level refused {name}", "L3", rf"{name} at level 0", (name,), None, too_old)
        for name in (SIGN_IN, "RefreshSession", SUBMIT, SLOTS, CONFIRM, "AnswerAssignments", "EditAssignmentNotes")
    ),
    PlantedFault(
        "READY before verification", "U5", r"UPLOADED: verified later; got READY", (CONFIRM,), None, ready_early
    ),
    PlantedFault("skew with the wrong sign", "K1", r"skewSeconds near", ("Sync",), None, wrong_sign),
    PlantedFault("gaps untold", "K2", r"gaps 3 to 4", ("Sync",), None, untold),
    PlantedFault("refusal without nextStep", "W6", r"without nextStep", (SUBMIT,), None, no_next_step),
    PlantedFault("invisible told apart from absent", "V1", r"It is another's", (CONFIRM,), None, told_apart),
    PlantedFault("compressed bomb taken", "W4", r"4xx with a code", (), None, unpacked),
    PlantedFault("held answer dropped", "O8", r"ACCEPTED by the held answer", ("AnswerAssignments",), answer_lost),
    PlantedFault("last edit to arrive wins", "O11", r"in both orders", ("EditAssignmentNotes",), None, edit_overtaken),
    PlantedFault(
        "order to erase without its proof", "S6", r"proof: expected [0-9a-f]{64}", ("RefreshSession",), None, unproven
    ),
    PlantedFault("order to erase to whom it isn't for", "S6", r"was not wiped", ("RefreshSession",), None, all_wiped),
    PlantedFault("event lost on resume", "P3", r"since the last cursor", event=lambda number: number != 2),
]
