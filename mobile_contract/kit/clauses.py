"""Register every check under the number of its clause."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mobile_contract.kit.accounts import Party

Check = Callable[[Party], Awaitable[str]]
CHAPTERS = {
    "W": "Wire 传输",
    "S": "Sessions 登录",
    "L": "Levels 版本",
    "O": "Outbox 待发箱",
    "U": "Uploads 上传",
    "R": "Receipts 回执",
    "C": "Pulling 同步",
    "K": "Clock 时钟",
    "P": "Push 推送",
    "V": "What nobody else may see 可见范围",
}


@dataclass(frozen=True)
class Clause:
    """A clause and its check. `words` is the clause's text in the protocol. `needs` names further required accounts."""

    id: str
    words: str
    needs: tuple[str, ...]
    check: Check

    @property
    def chapter(self) -> str:
        return CHAPTERS[self.id[0]]


CLAUSES: dict[str, Clause] = {}


def clause(id: str, words: str, *needs: str) -> Callable[[Check], Check]:
    """Register the check of a clause.

    The check returns one sentence about its findings, or raises `BrokenClauseError` or `NotTriedError`.
    """

    def enter(check: Check) -> Check:
        if id in CLAUSES:
            raise ValueError(f"{id} has a check already")
        CLAUSES[id] = Clause(id, words, needs, check)
        return check

    return enter
