"""Define the phone's errors, each with its messages and exit code. An error ends a command, or stops one item.

PhoneError
  UsageError            2  the input is invalid
  DamagedStoreError     2  a file in the phone's folder is damaged
  UnreachableError      3  the server or the object store doesn't answer; nothing is lost, try later
  SignInNeededError     4  there is no session, or the session has ended; the outbox stays
  LockedError           4  no given key or password opens the encrypted store
  WipeOrderedError      4  the server ordered this phone to erase this person's data
  InUseError            5  another process uses the phone's folder
  ServerRefusedError    1  the server refused; `next_step` says what to do (exit code 3 for RETRY_LATER)
"""

from pathlib import Path
from typing import Any

RETRY_LATER = "RETRY_LATER"
SIGN_IN_AGAIN = "SIGN_IN_AGAIN"
FOR_PEOPLE = frozenset({"FIX_AND_RESEND", "DISCARD"})
"""Next steps that only a person can take. The phone no longer sends the item.

After any other next step, the phone tries again later.
"""


class PhoneError(Exception):
    """Ends a command with an English message, a Chinese message, and the exit code of the process."""

    exit_code = 1

    def __init__(self, message: str, message_zh: str) -> None:
        super().__init__(message)
        self.message = message
        self.message_zh = message_zh


class UsageError(PhoneError):
    exit_code = 2


class DamagedStoreError(PhoneError):
    """A file is damaged. Nothing is changed or removed, because a copy of the file may exist elsewhere."""

    exit_code = 2

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is damaged, and nothing was changed. Restore a backup of it, or name another --folder.",
            f"{path} 已损坏，未做任何更改。请恢复该文件的备份，或用 --folder 指定其他目录。",
        )


class UnreachableError(PhoneError):
    """The server or the object store does not answer.

    `seconds` is the pause that the server or store asked for. It is None if neither asked for a pause.
    """

    exit_code = 3

    def __init__(self, message: str, message_zh: str, *, seconds: float | None = None) -> None:
        super().__init__(message, message_zh)
        self.seconds = seconds


class SignInNeededError(PhoneError):
    exit_code = 4

    def __init__(self) -> None:
        super().__init__(
            "You are not signed in, or your session has ended. Run `scripts/phone sign-in`. Everything on the phone stays there.",
            "尚未登录或登录已失效，请重新登录；手机上的内容不会丢失。",
        )


class LockedError(PhoneError):
    exit_code = 4


class WipeOrderedError(PhoneError):
    """The server has ordered the erasure of this person's data, with a valid proof. The open store is then erased."""

    exit_code = 4

    def __init__(self) -> None:
        super().__init__(
            "This phone was signed out for good, and everything that it kept for this account was erased.",
            "本机已被注销，该账户保存在手机上的内容已全部清除。",
        )


class InUseError(PhoneError):
    exit_code = 5


class ServerRefusedError(PhoneError):
    """A refusal by the server. `field` is the refused input field, or None.

    `proof` is set only on an order to erase this person's data, and shows that the order is genuine.
    """

    def __init__(
        self,
        code: str,
        message: str,
        message_zh: str,
        next_step: str,
        field: str | None = None,
        proof: str | None = None,
    ) -> None:
        super().__init__(message, message_zh)
        self.proof = proof
        self.code = code
        self.next_step = next_step
        self.field = field
        self.exit_code = 3 if next_step == RETRY_LATER else 1

    @classmethod
    def read(cls, value: dict[str, Any]) -> "ServerRefusedError":
        """Read a `Refused` object, or the extensions of a GraphQL error together with the error's message."""
        code = str(value.get("code") or "INTERNAL")
        return cls(
            code,
            str(value.get("message") or code),
            str(value.get("messageZh") or ""),
            str(value.get("nextStep") or RETRY_LATER),
            value.get("field"),
            value.get("proof"),
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "message": self.message,
            "messageZh": self.message_zh,
            "nextStep": self.next_step,
            "field": self.field,
        }


def unreachable(what: str, what_zh: str, reason: str, *, seconds: float | None = None) -> UnreachableError:
    return UnreachableError(
        f"{what} can't be reached ({reason}). Nothing is lost: everything stays on the phone. Try again later.",
        f"{what_zh}连接不上，内容都保留在手机里，请稍后再试。",
        seconds=seconds,
    )
