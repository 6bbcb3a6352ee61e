"""Follow MongoDB's change stream and append the changes to the sequence that phones pull. One worker does so at a time.

The change stream has all majority-committed writes in one order. So the sequence has no gaps that are filled later.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import anyio
import structlog

from schema.sync.changes import ChangeKind
from storage.mongodb.change_stream import ChangeStream, follow
from storage.mongodb.client import Document
from storage.mongodb.errors import HistoryLostError
from storage.store import Store
from storage.sync.change_sources import PIPELINE
from storage.sync.changes import ChangeSequence, LeaseLostError

LEASE = timedelta(seconds=15)
SAVE_INTERVAL = timedelta(seconds=2)
MAX_BATCH = 500
TOMBSTONES_KEPT_FOR = timedelta(days=400)
log = structlog.get_logger(__name__)


@dataclass
class ChangeFeedWorker:
    """Follows the change stream while it has the lease.

    `holder` is the name under which this process takes the lease. `now` is the clock. `save_interval` is how often the
    position in the stream is saved while there are no changes.
    """

    store: Store
    holder: str
    now: Callable[[], datetime]
    save_interval: timedelta = SAVE_INTERVAL

    async def follow(self) -> None:
        """Follow the stream until it breaks or the lease is lost. Do nothing if another worker has the lease."""
        claimed = await self._claim()
        if claimed is None:
            return
        try:
            await self._follow(claimed)
        except HistoryLostError:
            # Either MongoDB's log is too short, or the database was restored to an earlier state. We can't tell which.
            log.warning("the change stream no longer has this position: all phones pull everything again")
            await self.store.changes.restart(self.holder)
        except LeaseLostError:
            log.info("another worker has taken over the change sequence")
        finally:
            with anyio.CancelScope(shield=True):
                await self.store.changes.release(self.holder)

    async def delete_tombstones(self) -> None:
        """Delete tombstones that are older than `TOMBSTONES_KEPT_FOR`."""
        while await self.store.changes.delete_tombstones(self.now() - TOMBSTONES_KEPT_FOR):
            pass

    async def _claim(self) -> ChangeSequence | None:
        return await self.store.changes.claim(self.holder, self.now(), self.now() + LEASE)

    async def _follow(self, sequence: ChangeSequence) -> None:
        async with follow(self.store.mongo, PIPELINE, sequence.token) as following:
            if sequence.token is None:
                await self._enter_everything(following)
            noted, before = self.now(), following.token
            while True:
                began = self.now()
                changed = await following.batch(MAX_BATCH)
                if changed.events or began - noted >= self.save_interval:
                    as_of = began if changed.is_all else changed.at
                    await self._enter_affected(changed.events, before, following.token, as_of)
                    noted, before = began, following.token

    async def _enter_affected(
        self, events: list[Document], before: Document | None, after: Document | None, as_of: datetime | None
    ) -> None:
        """Enter the records that these writes affect into the sequence.

        This is done in pieces, because a write to one case may affect hundreds of records. The saved position in the
        stream stays `before` until the last piece is entered. If the worker restarts in between, it reads all pieces
        again, but records that were already entered are not entered twice.
        """
        ids_by_kind = await self.store.change_sources.affected_records(events) if events else {}
        affected = [(kind, id) for kind, ids in ids_by_kind.items() for id in ids]
        *first, last = [affected[start : start + MAX_BATCH] for start in range(0, len(affected), MAX_BATCH)] or [[]]
        for some in first:
            await self._enter(some, token=before)
        await self._enter(last, token=after, as_of=as_of)

    async def _enter(
        self, wanted: Iterable[tuple[ChangeKind, str]], *, token: Document | None, as_of: datetime | None = None
    ) -> None:
        ids: dict[ChangeKind, list[str]] = {}
        for kind, id in wanted:
            ids.setdefault(kind, []).append(id)
        records = await self.store.change_sources.read_states(ids)
        await self.store.changes.enter(self.holder, records, token=token, as_of=as_of, until=self.now() + LEASE)

    async def _enter_everything(self, following: ChangeStream) -> None:
        """Enter every record, and a tombstone for every record in the sequence that no longer exists.

        The change stream must be open already. It later delivers the changes that are written while this method runs.
        """
        token, began = following.token, self.now()
        for kind in ChangeKind:
            for ids in (self.store.change_sources.ids, self.store.changes.head_ids):
                after = ""
                while found := await ids(kind, after, MAX_BATCH):
                    await self._enter([(kind, id) for id in found], token=None)
                    after = found[-1]
        await self._enter([], token=token, as_of=began)
