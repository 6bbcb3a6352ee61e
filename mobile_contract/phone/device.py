"""Combine one user's outbox, photo copies and session, with or without a connection to the server."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx

from mobile_contract.phone.errors import SignInNeededError, UsageError, WipeOrderedError
from mobile_contract.phone.ids import new_id
from mobile_contract.phone.network.backoff import Backoff
from mobile_contract.phone.outbox.drafts import Content, Method, compose
from mobile_contract.phone.outbox.items import OutboxObservation
from mobile_contract.phone.outbox.outbox import Outbox
from mobile_contract.phone.outbox.receipts import Receipts
from mobile_contract.phone.storage.folder import Folder
from mobile_contract.phone.storage.key_wrapping import StoreKey
from mobile_contract.phone.storage.photo_copies import Original, Originals, PhotoNotTakenError
from mobile_contract.phone.sync.assignment_notes import Notebook, NoteSubmission
from mobile_contract.phone.sync.assignment_responses import AnswerQueue, AnswerSubmission
from mobile_contract.phone.sync.delivery import Delivery
from mobile_contract.phone.sync.local_records import Records
from mobile_contract.phone.sync.pulling import ChangePuller
from mobile_contract.phone.sync.queued_operations import OperationQueue
from mobile_contract.phone.sync.ratings import RatingQueue, RatingSubmission
from mobile_contract.phone.sync.submission import Submission
from mobile_contract.phone.sync.sync_request import SyncRequest
from mobile_contract.phone.upload.concurrency import UploadConcurrency
from mobile_contract.phone.upload.signed_put import ObjectStoreClient
from mobile_contract.phone.upload.uploader import Meter, SilentMeter, Uploader
from mobile_contract.phone.users.legacy_import import LegacyImport
from mobile_contract.phone.users.remote_wipe import secret_of
from mobile_contract.phone.users.session import Account, Session
from mobile_contract.phone.users.unlocking import ask_password, ask_password_of, unlock
from mobile_contract.phone.users.user_stores import StoreLocation, UserStores
from mobile_contract.proxies import open_client

MAX_TOGETHER = 100
"""The contract's maximum number of media in one observation."""
_METHOD_OF = {"MONITOR": Method.MONITOR_REPORT, "OFFICER": Method.SPECIAL_CHECK}


@dataclass(frozen=True)
class TakenFiles:
    """The result of taking files. `originals` are the new copies.

    `known` are the names of files that were taken before. `left` are the names of rejected files, each with the reason.
    """

    originals: list[Original]
    known: list[str]
    left: list[tuple[str, str]]


class PhoneDevice:
    """One user's open store. While it is open, no other process can change it."""

    def __init__(self, place: StoreLocation, key: StoreKey) -> None:
        self.place, self.key = place, key
        self.outbox = Outbox(place.outbox, key.database)
        self.ratings = RatingQueue(self.outbox)
        self.answers = AnswerQueue(self.outbox)
        self.records = Records(self.outbox)
        self.notebook = Notebook(self.outbox, self.records)
        self.queues: tuple[OperationQueue, ...] = (self.ratings, self.answers, self.notebook.queue)
        self.receipts = Receipts(self.outbox)
        self.originals = Originals(place.originals, key.originals)

    @classmethod
    @contextmanager
    def open(cls, path: Path, *, makes: bool = False) -> Iterator["PhoneDevice"]:
        """Open the store of the selected user (`--as`), otherwise of the current user.

        If the phone has no store at all and `makes` is true, make a store without an owner.
        Raise a `PhoneError`. If the `with` block raises `WipeOrderedError`, erase the store.
        """
        folder = Folder.open(path)
        with folder.lock():
            stores = prepare_stores(folder)
            unlocked = unlock(stores)
            if unlocked is None and (stores.all() or not makes):
                raise SignInNeededError
            if unlocked is None:
                unlocked = stores.make(ask_password(new=True), is_nobodys=True)
                stores.use(unlocked[0].id)
            device = cls(*unlocked)
            try:
                yield device
                device.lock_by_secret(stores)
            except WipeOrderedError:
                device.outbox.close()
                stores.erase(device.place)
                raise
            finally:
                device.outbox.close()

    @classmethod
    @contextmanager
    def open_outbox(cls, path: Path) -> Iterator[Outbox | None]:
        """Open the outbox for reading, even while another process uses the phone's folder.

        Yield None if there is no store. Raise a `PhoneError`.
        """
        folder = Folder(path.absolute())
        stores = UserStores(folder)
        if LegacyImport(folder, stores).is_due:
            with folder.lock():
                prepare_stores(folder)
        unlocked = unlock(stores)
        if unlocked is None:
            yield None
            return
        with closing(Outbox(unlocked[0].outbox, unlocked[1].database)) as outbox:
            yield outbox

    def lock_by_secret(self, stores: UserStores) -> None:
        """Let the device secret open the store too, if the session has a secret that the lock doesn't use yet.

        That is so for an imported store, and for a store whose server gave no secret at the first sign-in.
        """
        session, lock = Session.read(self.outbox), self.place.lock
        if lock.by_device is None and session and session.device_secret:
            stores.relock(self.place, lock.with_device(self.key, secret_of(session.device_secret)))

    def take(self, files: Sequence[Path], content: Content, *, together: bool, again: bool) -> TakenFiles:
        """Copy files, and save one observation for each file.

        If `together` is true, save one observation for all files.

        Save all or none. Skip files whose bytes were taken before, unless `again` is true. If the process is killed, a
        second call with the same files takes the missing ones. Raise `UsageError`, or `OSError` if the disk is full.
        """
        self._sweep()
        taken = TakenFiles([], [], [])
        for file in files:
            self._adopt(file, taken, again=again)
        originals = taken.originals
        if together and len(originals) > MAX_TOGETHER:
            raise UsageError(
                f"One observation holds at most {MAX_TOGETHER} media, but there are {len(originals)}.",
                f"一条记录最多包含 {MAX_TOGETHER} 个影像。",
            )
        groups = [[original] for original in originals] if originals and not together else [originals]
        if originals or not files:
            now = datetime.now().astimezone().isoformat(timespec="milliseconds")
            method = self._default_method()
            self.outbox.take(
                groups,
                lambda sequence, media: compose(new_id("obs"), sequence, content, media, method=method, now=now),
            )
        return taken

    def _adopt(self, file: Path, taken: TakenFiles, *, again: bool) -> None:
        try:
            original = self.originals.adopt(file)
        except PhotoNotTakenError as reason:
            taken.left.append((file.name, str(reason)))
            return
        digests = {copy.sha256 for copy in taken.originals}
        if not again and (original.sha256 in digests or self.outbox.holds(original.sha256)):
            self.originals.path(original.file).unlink()
            taken.known.append(file.name)
        else:
            taken.originals.append(original)

    def forget(self) -> list[OutboxObservation]:
        """Delete the photos and texts of fully verified observations. Keep observations whose receipt is invalid.

        Receipts stay.
        """
        deleted = self.outbox.forget(
            but={receipt.observation_id for receipt in self.receipts.all() if receipt.is_wrong}
        )
        self._sweep()
        return deleted

    def discard(self, id: str) -> None:
        self.outbox.discard(id)
        self._sweep()

    def _sweep(self) -> None:
        self.originals.sweep({medium.file for medium in self.outbox.media()})

    def _default_method(self) -> Method:
        """Return the usual recording method of this user's role."""
        session = Session.read(self.outbox)
        roles = session.roles if session else ()
        return next((method for role, method in _METHOD_OF.items() if role in roles), Method.PATROL)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator["ServerConnection"]:
        """Open HTTP clients for the server and the object store until the `with` block ends. Send nothing yet."""
        limits = httpx.Limits(max_connections=10, keepalive_expiry=30)
        async with open_client(limits=limits) as server, open_client(limits=limits) as store:
            yield ServerConnection(self, Account(self.outbox, server, Backoff()), server, store)


def prepare_stores(folder: Folder, ask_new: Callable[[Session | None], str] = ask_password_of) -> UserStores:
    """Clean up a locked folder, import the data of an earlier phone version, and return the stores.

    `ask_new` returns the password that will lock the imported data. Its argument is the session of the data's owner, or
    None if nobody had signed in. Raise a `PhoneError`.
    """
    stores = UserStores(folder)
    legacy_import = LegacyImport(folder, stores)
    if legacy_import.is_due:
        legacy_import.run(ask_new)
    stores.sweep()
    return stores


@dataclass(frozen=True)
class ServerConnection:
    """A device with its HTTP clients: `server` for the server, `store` for the object store."""

    device: PhoneDevice
    account: Account
    server: httpx.AsyncClient
    store: httpx.AsyncClient

    def delivery(self, meter: Meter, *, at_once: int) -> Delivery:
        device, account, uploads = self.device, self.account, self._uploads(meter, at_once)
        answers = AnswerSubmission(device.answers, account)
        return Delivery(
            device.outbox, device.queues, account, self._sync_request(uploads), answers, uploads, meter, Backoff()
        )

    async def pull(self) -> None:
        """Pull changes and send nothing. Raise a `PhoneError`."""
        await self._sync_request(self._uploads(SilentMeter(), 1)).pull()
        await self.fetch_keys()

    async def fetch_keys(self) -> None:
        """Fetch the public keys that verify receipts, if some are missing. Ignore a failed request."""
        await self.device.receipts.fetch_keys(self.server, self.account.require().endpoint)

    def _uploads(self, meter: Meter, at_once: int) -> Uploader:
        outbox, concurrency = self.device.outbox, UploadConcurrency(self.device.outbox, at_once)
        store = ObjectStoreClient(self.store, Backoff(), concurrency)
        return Uploader(outbox, self.device.originals, self.account, store, concurrency, meter, at_once=at_once)

    def _sync_request(self, uploads: Uploader) -> SyncRequest:
        device, account = self.device, self.account
        submissions = {
            "submitRatings": RatingSubmission(device.ratings, account),
            "answerAssignments": AnswerSubmission(device.answers, account),
            "editAssignmentNotes": NoteSubmission(device.notebook.queue, device.records, account),
        }
        submission = Submission(device.outbox, account)
        return SyncRequest(
            device.outbox, account, submission, submissions, uploads, ChangePuller(device.records, account)
        )
