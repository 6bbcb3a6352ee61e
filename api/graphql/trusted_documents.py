"""Look up trusted documents: a request may send the SHA-256 of a document instead of its text."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from api.graphql.requests import Payload
from schema.core.refusals import Refusal, RefusalCode

NOT_FOUND = "PersistedQueryNotFound"
"""The message by which Apollo's clients recognise an unknown id. They then send the text of the document."""


@dataclass(frozen=True)
class TrustedDocuments:
    """The texts of the trusted documents, by id.

    With `only`, no other document is executed. This is the strict profile.
    """

    texts: Mapping[str, str]
    only: bool = False

    def resolve(self, payload: Payload) -> Payload:
        """Return the payload with the text of its document.

        Raise `Refusal(UNKNOWN_DOCUMENT)` for an unknown id and, with `only`, for an unknown text. Raise
        `Refusal(BAD_INPUT)` if id and text don't belong together.
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
"""No document has an id, and every document may be executed."""
