"""Pull changes page by page into the phone's records, and start over if the server can't continue from the cursor."""

from typing import Any

from mobile_contract.phone.errors import RETRY_LATER, ServerRefusedError
from mobile_contract.phone.sync.local_records import Records
from mobile_contract.phone.users.session import Account

PAGE = 100
EXPIRED = "CURSOR_EXPIRED"


class ChangePuller:
    def __init__(self, records: Records, account: Account) -> None:
        self.records = records
        self._account = account

    async def store_pages(self, answer: dict[str, Any], since: str | None) -> None:
        """Store the `ChangesResult` that was requested with `since`, then request the next pages.

        Raise `ServerRefusedError` or `UnreachableError`.
        """
        begun_anew = False
        while True:
            if answer["__typename"] == "Refused":
                refusal = ServerRefusedError.read(answer)
                if refusal.code != EXPIRED or begun_anew:
                    raise refusal
                begun_anew, since = True, None
                self.records.start_over()
            else:
                self.records.store(answer, since)
                if not answer["hasMore"]:
                    return
                if answer["cursor"] == since:
                    raise ServerRefusedError(
                        "INTERNAL", "The server's pages lead nowhere.", "服务器返回的分页无法继续。", RETRY_LATER
                    )
                since = answer["cursor"]
            answer = await self._page(since)

    async def _page(self, since: str | None) -> dict[str, Any]:
        try:
            reply = await self._account.ask("Changes", {"since": since, "first": PAGE})
        except ServerRefusedError as refusal:
            return {"__typename": "Refused"} | refusal.as_json()
        return reply.value
