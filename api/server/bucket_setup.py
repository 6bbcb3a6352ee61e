"""Set the rules of the S3 bucket at start, and keep the findings for `/readyz`.

The service starts without waiting for the bucket.
"""

import anyio
import structlog

from api.settings import Settings
from schema.core.refusals import Refusal
from storage.s3.bucket_rules import BucketFinding, BucketSettings, apply_settings
from storage.s3.client import ObjectStore

RETRY_SECONDS = 5.0
log = structlog.get_logger(__name__)


class BucketSetup:
    """Set the rules of the bucket once.

    `findings` describe the bucket at that time. They are empty until the S3 store answers.
    """

    def __init__(self, objects: ObjectStore, settings: Settings) -> None:
        self.findings: list[BucketFinding] = []
        self._objects = objects
        self._settings = BucketSettings(
            origins=settings.cors_origins,
            abort_after_days=settings.store_abort_days,
            versioning=settings.s3_versioning,
            set_rules=settings.s3_set_rules,
        )

    async def run(self) -> None:
        """Set the rules. Try again every 5 seconds until the S3 store answers."""
        while not self.findings:
            try:
                self.findings = await apply_settings(self._objects, self._settings)
            except Refusal as refusal:
                log.warning("work failed", work="bucket", reason=type(refusal).__name__)
                await anyio.sleep(RETRY_SECONDS)
