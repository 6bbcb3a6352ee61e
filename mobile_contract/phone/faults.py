"""Faults: everything that ends a command or sets one item aside, each with its sentences and its exit code.

    Fault
      Mistake          2  what was typed does not fit
      Unreachable      3  the server or the store doesn't answer; nothing is lost, try later
      SignInAgain      4  no session, or it has ended; the outbox stays
      InUse            5  another process has the phone's folder
      Refused          1  the server said no: `next_step` says what the queue does (3 where that is: try later)

What the queue then does is left to the file of each step.
"""

from typing import Any

RETRY_LATER = "RETRY_LATER"
SIGN_IN_AGAIN = "SIGN_IN_AGAIN"
FOR_PEOPLE = frozenset({"FIX_AND_RESEND", "DISCARD"})
"""Next steps that set an item aside until somebody has looked at it; one that is unknown here means: try later."""


class Fault(Exception):  # noqa: N818
    """Ends a command: a sentence in English, one in Chinese, and the process' exit code."""

    exit_code = 1

    def __init__(self, message: str, message_zh: str) -> None:
        super().__init__(message)
        self.message = message
        self.message_zh = message_zh


class Mistake(Fault):
    exit_code = 2


class Unreachable(Fault):
    """`seconds` is how long the other side asked to be left alone, where it did."""

    exit_code = 3

    def __init__(self, message: str, message_zh: str, *, seconds: float | None = None) -> None:
        super().__init__(message, message_zh)
        self.seconds = seconds


class SignInAgain(Fault):
    exit_code = 4

    def __init__(self) -> None:
        super().__init__(
            "You are not signed in (any more). Run `scripts/phone sign-in`; what is on the phone stays there.",
            "尚未登录或登录已失效，请重新登录；手机上的内容不会丢失。",
        )


class InUse(Fault):
    exit_code = 5


class Refused(Fault):
    """The server's own word: code, sentences, what the queue does next, and the value at fault."""

    def __init__(self, code: str, message: str, message_zh: str, next_step: str, field: str | None = None) -> None:
        super().__init__(message, message_zh)
        self.code = code
        self.next_step = next_step
        self.field = field
        self.exit_code = 3 if next_step == RETRY_LATER else 1

    @classmethod
    def read(cls, value: dict[str, Any]) -> "Refused":
        """From the `Refused` member of a union, or from a GraphQL error's extensions with its message."""
        code = str(value.get("code") or "INTERNAL")
        return cls(
            code,
            str(value.get("message") or code),
            str(value.get("messageZh") or ""),
            str(value.get("nextStep") or RETRY_LATER),
            value.get("field"),
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "message": self.message,
            "messageZh": self.message_zh,
            "nextStep": self.next_step,
            "field": self.field,
        }


def unreachable(what: str, what_zh: str, reason: str, *, seconds: float | None = None) -> Unreachable:
    return Unreachable(
        f"{what} can't be reached ({reason}). Nothing is lost: everything stays on the phone, try again later.",
        f"{what_zh}连接不上，内容都保留在手机里，请稍后再试。",
        seconds=seconds,
    )
