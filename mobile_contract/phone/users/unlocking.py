"""Find and open the store of the selected user (`--as`), otherwise of the current user.

The key or password comes from the environment or the terminal.
"""

import os
import sys
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

import typer

from mobile_contract.phone.errors import LockedError, UsageError
from mobile_contract.phone.storage.key_wrapping import Lock, StoreKey
from mobile_contract.phone.users.session import Session
from mobile_contract.phone.users.user_stores import StoreLocation, UserStores

KEY, PASSWORD = "MINGCHA_PHONE_KEY", "MINGCHA_PHONE_PASSWORD"


@dataclass(frozen=True)
class UserSelector:
    """The values of `--as` and `--at`. `url` tells servers apart if several know the same user name.

    `user_name` is None if the command selects no user.
    """

    user_name: str | None = None
    url: str | None = None

    def is_of(self, session: Session | None) -> bool:
        return session is not None and self.user_name is not None and session.is_of(self.user_name, self.url)


SELECTED_USER: ContextVar[UserSelector | None] = ContextVar("whose", default=None)


def key_from_environment() -> StoreKey | None:
    """Read MINGCHA_PHONE_KEY. Return None if it is not set. Raise `LockedError` if it is not a valid key."""
    text = os.environ.get(KEY)
    return StoreKey.read(text) if text else None


def ask_password(*, new: bool = False, of: str | None = None) -> str:
    """Read the password from the environment, otherwise ask for it on the terminal, twice if it is `new`.

    Raise `LockedError` if there is no terminal.
    """
    if password := os.environ.get(PASSWORD):
        return password
    if not sys.stdin.isatty():
        raise LockedError(
            f'This phone is encrypted: set {PASSWORD}, or set {KEY} with `eval "$(scripts/phone unlock)"`.',
            f"手机上的内容已加密：请设置 {PASSWORD}，或先执行 unlock 解锁。",
        )
    whose = f"Password of {of} 密码" if of else "Password 密码"
    return str(typer.prompt(whose, hide_input=True, err=True, confirmation_prompt=new))


def ask_password_of(session: Session | None) -> str:
    """Ask for the password that will lock a person's imported data. Raise `LockedError`."""
    return ask_password(new=True, of=session.user_name if session else None)


def unlock(stores: UserStores, ask: Callable[[], str] = ask_password) -> tuple[StoreLocation, StoreKey] | None:
    """Open the store of the selected user, otherwise of the current user.

    Return None if no user is selected and there is no current store. Raise a `PhoneError`.
    """
    whose, key = SELECTED_USER.get() or UserSelector(), key_from_environment()
    if whose.user_name is None:
        return _unlock_current(stores, key, ask)
    if key and (unlocked := _find_store(stores, whose, lambda lock: key)):
        return unlocked
    password = ask()
    if unlocked := _find_store(stores, whose, lambda lock: lock.unwrap_with_password(password)):
        return unlocked
    raise LockedError(
        f"This password opens nothing of {whose.user_name} on this phone.",
        "手机上没有可用此密码打开的该用户的内容。",
    )


def _unlock_current(
    stores: UserStores, key: StoreKey | None, ask: Callable[[], str]
) -> tuple[StoreLocation, StoreKey] | None:
    place = stores.current()
    if place is None:
        return None
    lock = place.lock
    if key:
        if not lock.admits(key):
            raise LockedError(
                f"{KEY} does not open the current user's store: unset it, set it again with "
                '`eval "$(scripts/phone unlock)"`, or name its user with --as.',
                f"{KEY} 与当前用户的内容不符：请取消设置、重新解锁，或用 --as 指定用户。",
            )
        return place, key
    opened = lock.unwrap_with_password(ask())
    if opened is None or not lock.admits(opened):
        raise LockedError(
            "This password does not open the current user's store. Nothing was changed. Name another user with --as. If "
            "your password was reset on the server, run `sign-in` with the new one.",
            "密码不正确，未做任何更改。其他用户请用 --as 指定；密码在服务器上重置后，请用新密码重新登录。",
        )
    return place, opened


def _find_store(
    stores: UserStores, whose: UserSelector, by: Callable[[Lock], StoreKey | None]
) -> tuple[StoreLocation, StoreKey] | None:
    unlocked = [opened for opened in stores.unlock_each(by) if whose.is_of(stores.session_in(*opened))]
    if len(unlocked) > 1:
        raise UsageError(
            f"{whose.user_name} exists at {len(unlocked)} servers here: name one with --at.",
            "该用户名在多个服务器上使用，请用 --at 指定服务器。",
        )
    return unlocked[0] if unlocked else None
