"""The bucket at start: its rules are set as the settings wish, and what was found is kept for `/readyz`.

What can be set and how is `storage/s3/bucket_rules.py`'s; service waits for none of it.
"""

import anyio
import structlog

from api.settings import Settings
from schema.core.refusals import Refusal
from storage.s3.bucket_rules import BucketFinding, Wishes, prepare
from storage.s3.client import ObjectStore

AGAIN_SECONDS = 5.0
log = structlog.get_logger(__name__)


class BucketSetup:
    """`findings` is empty until the store was reached once; they say how it stood then."""

    def __init__(self, objects: ObjectStore, settings: Settings) -> None:
        self.findings: list[BucketFinding] = []
        self._objects = objects
        self._wishes = Wishes(
            origins=settings.cors_origins,
            abort_after_days=settings.store_abort_days,
            versioning=settings.s3_versioning,
            set_rules=settings.s3_set_rules,
        )

    async def take(self) -> None:
        """Try until the store answers."""
        while not self.findings:
            try:
                self.findings = await prepare(self._objects, self._wishes)
            except Refusal as refusal:
                log.warning("work failed", work="bucket", reason=type(refusal).__name__)
                await anyio.sleep(AGAIN_SECONDS)
