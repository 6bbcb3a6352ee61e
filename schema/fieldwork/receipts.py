"""Define receipts (回执): proofs that the server received an observation."""

from datetime import datetime

import strawberry

from schema.access.permissions import SEEN, Row
from schema.core.context import Info
from schema.core.times import print_instant

RECEIPT_TYPE = "mingcha-receipt+jws"
"""The `typ` header of a signed receipt."""


@strawberry.type(description="Proof that the server received an observation. Every retry gets the same receipt (回执).")
class Receipt:
    observation_id: strawberry.ID = strawberry.field(description="Id of the observation.")
    content_sha256: str = strawberry.field(description="SHA-256 of the draft as sent, as canonical JSON (RFC 8785).")
    received_at: datetime = strawberry.field(description="When the server first received the observation.")

    def claims(self) -> dict[str, str]:
        return {
            "observationId": str(self.observation_id),
            "contentSha256": self.content_sha256,
            "receivedAt": print_instant(self.received_at),
        }

    @strawberry.field(
        description="Receipt as a compact JWS (RFC 7515), signed with the server's evidence key. Keep it as proof (签名回执)."
    )
    def signed(self, info: Info) -> str:
        return info.context.sign(RECEIPT_TYPE, self.claims())


PERMITS: tuple[Row, ...] = (("Receipt", SEEN, "observationId contentSha256 receivedAt signed"),)
