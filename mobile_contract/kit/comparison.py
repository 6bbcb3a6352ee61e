"""Compare answers with what they must say, field by field, and report every difference by operation and path.

A path is made of the answer's keys, such as `sync.changes.changes.record(Unit).code`; positions in lists are left out.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from mobile_contract.kit.results import BrokenClauseError

MOST = 60
"""Characters of a value in a message."""
RECENT = timedelta(minutes=15)
"""How far a time that the server has just taken may be from the kit's clock."""


@dataclass(frozen=True)
class Rule:
    """What a value must be, in words, if it isn't known exactly."""

    words: str
    holds: Callable[[Any], object]

    def __repr__(self) -> str:
        return self.words


@dataclass
class Comparison:
    """Collects the differences of a clause, so that its report names all of them."""

    found: list[str] = field(default_factory=list)
    compared: int = 0

    def same(self, operation: str, path: str, expected: Any, got: Any) -> None:
        """Compare a value with the expected one. Objects must have exactly the expected keys."""
        for where, wanted, value in _pairs(expected, got, path):
            self.compared += 1
            if not _fits(wanted, value):
                self.found.append(f"{operation} {where}: expected {_short(wanted)}; got {_short(value)}")

    def report(self) -> int:
        """Return how many fields were compared. Raise `BrokenClauseError` if any differs."""
        if self.found:
            told = {text.split(": ")[0]: text for text in reversed(self.found)}
            texts = " | ".join(reversed(told.values()))
            raise BrokenClauseError(f"{len(told)} fields of {self.compared} values", "as told", texts, most=50_000)
        return self.compared


def shared(known: Mapping[str, Any], got: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `known` says of the keys of `got`, so that a larger record can be compared with a smaller one."""
    return {
        name: shared(known[name], value) if isinstance(value, dict) and isinstance(known[name], dict) else known[name]
        for name, value in got.items()
        if name in known
    } | {name: value for name, value in got.items() if name not in known}


def recent(*, optional: bool = False) -> Rule:
    """Expect a time that the server took a moment ago."""
    return Rule(
        "a time of just now", lambda text: (optional and text is None) or near(datetime.now().astimezone()).holds(text)
    )


def near(at: datetime | str, within: timedelta = RECENT) -> Rule:
    """Expect a time near this one. If `at` is no time, expect a text."""
    try:
        instant = at if isinstance(at, datetime) else datetime.fromisoformat(at)
    except (TypeError, ValueError):
        return some_text()

    def holds(text: Any) -> bool:
        try:
            return abs(datetime.fromisoformat(text) - instant) <= within
        except (TypeError, ValueError):
            return False

    return Rule(f"a time near {instant.isoformat(timespec='seconds')}", holds)


def instant(text: str) -> Rule:
    """Expect the same instant to the millisecond, in any offset."""
    return near(text, timedelta(milliseconds=1))


def some_text() -> Rule:
    return Rule("a text", lambda text: isinstance(text, str) and text.strip())


def close(number: float) -> Rule:
    return Rule(f"{number}", lambda got: isinstance(got, int | float) and abs(got - number) < 1e-6)


def refusal(code: str, next_step: str, field: str | None, texts: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Expect a refusal. `texts` are the messages of the same refusal in another answer."""
    said = {name: (texts or {}).get(name) or some_text() for name in TEXTS}
    return {"code": code, **said, "nextStep": next_step, "field": field}


TEXTS = ("message", "messageZh")


def same_texts(compared: Comparison, said: Mapping[tuple[str, str], Any]) -> None:
    """Compare the messages of the same refusal in several answers, by operation and path: each with all others."""
    for name in TEXTS:
        texts = {where: (refused or {}).get(name) for where, refused in said.items()}
        for (operation, path), text in texts.items():
            others = {other for where, other in texts.items() if where != (operation, path)}
            compared.same(operation, f"{path}.{name}", Rule(f"the text {others}", others.__contains__), text)


def _pairs(expected: Any, got: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield path, expected value and value of each field. An object of other keys is one field."""
    if isinstance(expected, dict) and isinstance(got, dict):
        own = {name: value for name, value in got.items() if name != "__typename"}
        wanted = {name: value for name, value in expected.items() if name != "__typename"}
        for name in own.keys() | wanted.keys():
            below = f"{path}.{name}{_typed(name, own.get(name))}"
            yield from _pairs(wanted.get(name, _ABSENT), own.get(name, _ABSENT), below)
    elif isinstance(expected, list) and isinstance(got, list):
        yield f"{path}, its length", len(expected), len(got)
        for wanted, value in zip(expected, got, strict=False):
            yield from _pairs(wanted, value, path)
    else:
        yield path, expected, got


def _typed(name: str, value: Any) -> str:
    """Return the type of a record whose type its field leaves open."""
    return f"({value['__typename']})" if name == "record" and isinstance(value, dict) else ""


_ABSENT: Any = Rule("no such field", lambda value: value is _ABSENT)


def _fits(expected: Any, got: Any) -> bool:
    if isinstance(expected, Rule):
        return bool(expected.holds(got))
    if isinstance(got, dict) and isinstance(expected, dict):
        return _without_types(got) == _without_types(expected)
    return bool(expected == got) and isinstance(expected, bool) == isinstance(got, bool)


def _without_types(value: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in value.items() if name != "__typename"}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MOST else f"{text[:MOST]}…"
