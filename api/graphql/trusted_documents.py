"""Trusted documents: a request may name a document by the SHA-256 of its text instead of sending it.

Which documents there are is the contract's (`mobile_contract/documents.py`); in the strict profile no other is executed.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from api.graphql.requests import Payload
from schema.core.refusals import Refusal, RefusalCode

NOT_FOUND = "PersistedQueryNotFound"
"""What Apollo's clients know an unknown id by; they send the text then."""


@dataclass(frozen=True)
class TrustedDocuments:
    """Texts by id; with `only`, the strict profile, nothing else is executed, whatever form it is sent in."""

    texts: Mapping[str, str]
    only: bool = False

    def resolved(self, payload: Payload) -> Payload:
        """The payload with its document's text.

        Raise `Refusal(UNKNOWN_DOCUMENT)` for an id that names none, or, in the strict profile, for a text that is none.
        """
        if payload.query:
            sent = hashlib.sha256(payload.query.encode(errors="surrogatepass")).hexdigest()
            if payload.document_id not in {None, sent}:
                raise Refusal(RefusalCode.BAD_INPUT, "The id is not the SHA-256 of the document beside it.")
            if self.only and sent not in self.texts:
                raise Refusal(RefusalCode.UNKNOWN_DOCUMENT)
            return payload
        text = self.texts.get(payload.document_id or "")
        if text is None:
            raise Refusal(RefusalCode.UNKNOWN_DOCUMENT, NOT_FOUND)
        return replace(payload, query=text)


OPEN = TrustedDocuments({})
"""Any document, and none by id."""
