"""Make typed drafts of observations."""

from datetime import UTC, datetime, timedelta, timezone

from schema.core.ids import compose
from schema.core.times import ByteCount
from schema.fieldwork.drafts import ObservationDraft
from schema.fieldwork.observations import Category, Method, Severity
from schema.media.media_drafts import MediaDraft


def typed_draft() -> ObservationDraft:
    return ObservationDraft(
        id=compose("obs", datetime(2026, 11, 22, tzinfo=UTC), bytes(10)),
        method=Method.PATROL,
        category=Category.SLOW,
        severity=Severity.MINOR,
        text="排队两小时",
        captured_at=datetime(2026, 11, 20, 9, 5, tzinfo=timezone(timedelta(hours=8))),
        media=[
            MediaDraft(
                id=compose("med", datetime(2026, 11, 22, tzinfo=UTC), bytes(10)),
                sha256="0" * 64,
                byte_size=ByteCount(5),
                content_type="image/jpeg",
            )
        ],
    )
