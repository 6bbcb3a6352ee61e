"""Queue ratings of units (满意度测评), each for one month. This works offline."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from mobile_contract.phone.errors import ServerRefusedError, UsageError
from mobile_contract.phone.ids import new_id
from mobile_contract.phone.sync.queued_operations import OperationAnswer, OperationQueue, OperationSubmission

BEIJING = timezone(timedelta(hours=8))


class RatingQueue(OperationQueue):
    table, letter = "ratings", "R"


def _read_result(id: str, result: dict[str, Any]) -> OperationAnswer:
    receipt: dict[str, Any] = result.get("receipt") or {}
    if result.get("outcome") in {"ACCEPTED", "DUPLICATE"} and receipt.get("ratingId") == id:
        return receipt
    return ServerRefusedError.read(result.get("refusal") or {})


class RatingSubmission(OperationSubmission):
    operation, items, read_result = "SubmitRatings", "drafts", staticmethod(_read_result)


def compose(
    unit: str, point: str, month: str | None, *, score: int | None, grade: str | None, reason: str | None
) -> dict[str, Any]:
    """Compose the draft of a rating. Without `month`, use the current month in Beijing.

    The timestamp in the rating's id is the start of the month, so that the id doesn't reveal when the rating was made.
    Raise `UsageError` unless exactly one of `score` and `grade` is given, or if `month` has another form.
    """
    if (score is None) == (grade is None):
        raise UsageError("Give either --score or --grade.", "请填写分值或等级，二者选一。")
    try:
        chosen = datetime.strptime(month, "%Y-%m") if month else datetime.now(BEIJING)  # noqa: DTZ007  a month has no zone
    except ValueError:
        raise UsageError(f"{month!r} is not a month such as 2026-11.", "月份应写成 2026-11。") from None
    first = datetime(chosen.year, chosen.month, 1, tzinfo=UTC)
    draft = {
        "id": new_id("rat", first),
        "monitoringPoint": point,
        "unit": unit,
        "month": f"{first:%Y-%m-%d}",
        "score": score,
        "grade": grade,
        "reason": reason,
    }
    return {name: value for name, value in draft.items() if value is not None}
