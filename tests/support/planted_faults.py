"""Define faults to plant in front of the product, each with the clause that it breaks and what the kit must report."""

from typing import Any

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


def dropping_since(call: ProxiedCall) -> None:
    """Leave a row out of a pull that goes on from a cursor."""
    if call.sent["variables"].get("since"):
        del call.root.get("changes", [])[:1]


def pulled_page(call: ProxiedCall) -> dict[str, Any]:
    sync = (call.answer.get("data") or {}).get("sync") or {}
    page: dict[str, Any] = sync.get("changes") or {}
    return page


def no_tombstones_in_sync(call: ProxiedCall) -> None:
    page = pulled_page(call)
    page["changes"] = [each for each in page.get("changes", []) if each["record"]]


def no_row_in_sync(call: ProxiedCall) -> None:
    """Leave the catalogue's first row out of every pull by `Sync`."""
    page = pulled_page(call)
    rows = [each for each in page.get("changes", []) if each["kind"] == "CATALOGUE_ENTRY"]
    page["changes"] = [each for each in page.get("changes", []) if each not in rows[:1]]


def other_unit(call: ProxiedCall) -> None:
    """Show placed reports at one unit, whatever unit they named."""
    for edge in call.root.get("edges", []):
        if edge["node"]["unit"]:
            edge["node"]["unit"] |= {"id": new_id("unt"), "code": "OTHER"}


def renewed_again(call: ProxiedCall) -> None:
    """Renew a session with an old token, as if no token had followed it."""
    if call.root.get("code") == "SESSION_ENDED":
        user = {"__typename": "User", "id": new_id("usr"), "displayName": "", "roles": []}
        tokens = dict.fromkeys(("accessToken", "refreshToken", "accessExpiresAt", "refreshExpiresAt"), "x")
        renewed = {"__typename": "SignedIn", "deviceSecret": None, "user": user}
        call.answer["data"] = {"refreshSession": renewed | tokens}


def staff_lost(call: ProxiedCall) -> None:
    content = ((call.answer.get("data") or {}).get("observation") or {}).get("content") or {}
    content |= {"staffSeen": None} if "staffSeen" in content else {}


def receipts_shifted(call: ProxiedCall) -> None:
    with_receipts = [each for each in call.results if each["outcome"] == "ACCEPTED"]
    receipts = [each["receipt"] for each in with_receipts]
    for each, receipt in zip(with_receipts, receipts[1:] + receipts[:1], strict=True):
        each["receipt"] = receipt


def slots_exchanged(call: ProxiedCall) -> None:
    """Give each medium the address and headers of the other one's slot."""
    slots = [each["slot"] for each in call.results if each["slot"] and each["slot"]["url"]]
    taken = [(slot["url"], slot["headers"]) for slot in slots]
    for slot, (url, headers) in zip(slots, taken[1:] + taken[:1], strict=True):
        slot |= {"url": url, "headers": headers}


def taken_over(call: ProxiedCall) -> None:
    """After a CONFLICT, show the first report with the newcomer's unit."""
    for each, draft in zip(call.results, drafts_of(call.sent), strict=False):
        if (each["refusal"] or {}).get("code") == "CONFLICT" and draft.get("unit"):
            call.media[f"{draft['id']} {draft['unit']}"] = draft["unit"]
    for node in (edge["node"] for edge in call.root.get("edges", [])):
        for key, unit in call.media.items():
            if node["unit"] and key.startswith(f"{node['id']} ") and unit != node["content"]["claimedUnit"]:
                node["unit"]["code"] = unit


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
    PlantedFault(
        "cursor skipping one row", "C2", r"Changes in pages of 7: .* differs in", ("Changes",), None, skipping
    ),
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
    PlantedFault(
        "row dropped in an incremental pull", "C10", r"Changes since a cursor", ("Changes",), None, dropping_since
    ),
    PlantedFault("tombstone missing in Sync", "C4", r"^Sync after", ("Sync",), None, no_tombstones_in_sync),
    PlantedFault(
        "row missing in Sync",
        "C9",
        r"Sync sync\.changes\.changes: expected 'the \d+ records of Changes'",
        ("Sync",),
        None,
        no_row_in_sync,
    ),
    PlantedFault("wrong unit in a placed observation", "O14", r"unit\.code", ("MyReports",), None, other_unit),
    PlantedFault("old refresh token renews", "S2", r"its successor was used", ("RefreshSession",), None, renewed_again),
    PlantedFault("staffSeen lost", "O5", r"content\.staffSeen", (), None, staff_lost),
    PlantedFault("receipts shifted in a batch", "O13", r"results\.receipt", (SUBMIT,), None, receipts_shifted),
    PlantedFault("slots exchanged between media", "U11", r"results\.slot\.url", (SLOTS,), None, slots_exchanged),
    PlantedFault("conflict takes over the unit", "O2", r"node\.unit\.code", (SUBMIT, "MyReports"), None, taken_over),
    PlantedFault("event lost on resume", "P3", r"since the last cursor", event=lambda number: number != 2),
]
