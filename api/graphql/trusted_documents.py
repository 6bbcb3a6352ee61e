"""Look up trusted documents: a request may send the SHA-256 of a document instead of its text."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from api.graphql.requests import Payload
from schema.core.refusals import Refusal, RefusalCode

NOT_FOUND = "PersistedQueryNotFound"
"""By this message Apollo's clients recognise an unknown id, and send the text."""


@dataclass(frozen=True)
class TrustedDocuments:
    """Texts by id; with `only`, the strict profile, no other document is executed."""

    texts: Mapping[str, str]
    only: bool = False

    def resolve(self, payload: Payload) -> Payload:
        """Return the payload with its document's text.

        Raise `Refusal(UNKNOWN_DOCUMENT)` for an unknown id and, in the strict profile, for an unknown text.
        """
        if payload.query:
            sent_id = hashlib.sha256(payload.query.encode(errors="surrogatepass")).hexdigest()
            if payload.document_id not in {None, sent_id}:
                raise Refusal(RefusalCode.BAD_INPUT, "The id is not the SHA-256 of the document in `query`.")
            if self.only and sent_id not in self.texts:
                raise Refusal(RefusalCode.UNKNOWN_DOCUMENT)
            return payload
        text = self.texts.get(payload.document_id or "")
        if text is None:
            raise Refusal(RefusalCode.UNKNOWN_DOCUMENT, NOT_FOUND)
        return replace(payload, query=text)


OPEN = TrustedDocuments({})
"""Every document is executed; no id is known."""
