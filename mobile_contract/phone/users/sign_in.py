"""Sign a person in: find or make the person's store, and update the store's lock if the password has changed.

Without a connection, only unlock the store.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace

import httpx

from mobile_contract.phone.errors import LockedError, UnreachableError
from mobile_contract.phone.network.backoff import Backoff
from mobile_contract.phone.network.client import GraphqlClient, endpoint_of
from mobile_contract.phone.outbox.outbox import Outbox
from mobile_contract.phone.storage.key_wrapping import Lock, StoreKey
from mobile_contract.phone.users.remote_wipe import secret_of
from mobile_contract.phone.users.session import Session, ask_to_sign_in
from mobile_contract.phone.users.user_stores import StoreLocation, UserStores


def password_for_import(url: str, user_name: str, password: str) -> Callable[[Session | None], str]:
    """Return a function that gives the password for data imported from an earlier phone version.

    The function raises `LockedError` if the data belongs to another person.
    """

    def password_of(session: Session | None) -> str:
        if session and not session.is_of(user_name, url):
            raise LockedError(
                f"This phone still holds unencrypted data of {session.user_name} from an earlier version. First, "
                f"{session.user_name} must run `scripts/phone status` and type their own password.",
                f"手机上还有 {session.user_name} 未加密的内容，请先由其本人执行 status 并输入自己的密码。",
            )
        return password

    return password_of


@dataclass(frozen=True)
class PhoneSignIn:
    """The result of signing in. `is_offline` means that the store is unlocked, but the server was not reached."""

    place: StoreLocation
    key: StoreKey
    session: Session
    is_offline: bool


class SignInAttempt:
    """One attempt to sign a person in at a server. `given` is the store key from the environment, or None."""

    def __init__(
        self,
        stores: UserStores,
        client: httpx.AsyncClient,
        url: str,
        user_name: str,
        password: str,
        given: StoreKey | None,
    ) -> None:
        self._stores = stores
        self._graphql = GraphqlClient(client, endpoint_of(url), Backoff())
        self._user_name = user_name
        self._password = password
        self._given = given

    async def run(self, device_name: str) -> PhoneSignIn:
        """Sign in. If the server can't be reached, unlock the person's store with the password.

        Nothing changes if the server refuses, or if it can't be reached and the password opens no store of this person.
        Raise `ServerRefusedError`, `UnreachableError`, `LockedError` or `DamagedStoreError`.
        """
        own, unowned = self._find_own(), self._open_unowned()
        try:
            answer = await ask_to_sign_in(
                self._graphql, self._user_name, self._password, self._stores.device_id, device_name
            )
        except UnreachableError as fault:
            session = self._stores.session_in(*own) if own else None
            if own and session:
                self._stores.use(own[0].id)
                return PhoneSignIn(*own, session, is_offline=True)
            if self._stores.all():
                raise UnreachableError(
                    f"{fault.message} This password opens no store of that user on this phone.",
                    f"{fault.message_zh}此密码也不能打开手机上该用户的内容。",
                    seconds=fault.seconds,
                ) from fault
            raise
        secret = secret_of(answer["deviceSecret"]) if answer.get("deviceSecret") else None
        if own is None and secret:
            own = next(self._stores.unlock_each(lambda lock: lock.unwrap_with_device(secret)), None)
        place, key = own or unowned or self._stores.make(self._password)
        self._update_lock(place, key, secret)
        with closing(Outbox(place.outbox, key.database)) as outbox:
            blank = Session(self._graphql.endpoint, self._user_name, "", (), None, None, None)
            session = replace(Session.read(outbox) or blank, user_name=self._user_name).renewed(answer)
            outbox.set_fact("device_id", self._stores.device_id)
            session.save(outbox)
        if place.lock.is_nobodys:  # a kill before this leaves it for the next sign-in
            self._stores.relock(place, replace(place.lock, is_nobodys=False))
        self._stores.use(place.id)
        return PhoneSignIn(place, key, session, is_offline=False)

    def _find_own(self) -> tuple[StoreLocation, StoreKey] | None:
        """Find this person's store among those that the key or password opens."""
        for unlocked in self._stores.unlock_each(self._key_of):
            session = self._stores.session_in(*unlocked)
            if session and session.is_of(self._user_name, self._graphql.endpoint):
                return unlocked
        return None

    def _open_unowned(self) -> tuple[StoreLocation, StoreKey] | None:
        """Open the store of items that were taken before the first sign-in. Return None if there is no such store.

        Raise `LockedError` if neither the key nor the password opens the store.
        """
        place = self._stores.unowned()
        if place is None:
            return None
        key = self._key_of(place.lock)
        if key is None:
            raise LockedError(
                "Another password locks the items that were taken on this phone before the first sign-in. Run "
                '`eval "$(scripts/phone unlock)"` with that password, then sign in: they become yours.',
                "首次登录前登记的内容由另一密码锁定：请先用该密码解锁，再登录，内容即归您所有。",
            )
        return place, key

    def _key_of(self, lock: Lock) -> StoreKey | None:
        if self._given and lock.admits(self._given):
            return self._given
        return lock.unwrap_with_password(self._password)

    def _update_lock(self, place: StoreLocation, key: StoreKey, secret: bytes | None) -> None:
        """Let the password that the server accepted, and the device secret, open the store. Lock out old passwords."""
        before = lock = place.lock
        if lock.unwrap_with_password(self._password) is None:
            lock = lock.with_password(key, self._password)
        if secret and lock.unwrap_with_device(secret) is None:
            lock = lock.with_device(key, secret)
        if lock != before:
            self._stores.relock(place, lock)
