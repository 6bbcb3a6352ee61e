"""Test that each sentence of docs/security.md names the tests that hold it, or says that no test does.

`security_sentences/` has one table for each part of the page, with a row for each line of that part:
the line as it stands in the page, a tab, and what holds it:

- `tests/area/test_x.py::test_name`, one or more, separated by spaces;
- `untested: words`, if a line of the page has these words and "no test";
- `limit`, if the line says where the protection ends;
- `heading`, if the line promises nothing.
"""

import ast
import re
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest

from api.accounts import oidc
from api.accounts.fair_queue import MAX_WAIT_SECONDS, MAX_WAITING
from api.accounts.passwords import THREADS, HashCost
from api.settings import Settings
from mobile_contract.phone.storage.file_encryption import CHUNK
from schema.access.guards import FRESH_SIGN_IN
from schema.accounts.login_attempts import PER_ADDRESS, PER_DEVICE, PER_NAME, WINDOW
from schema.checks.thresholds import DEFAULTS, ThresholdKind
from storage.accounts.users import MAX_DEVICES

ROOT = Path(__file__).parents[2]
TABLES = Path(__file__).with_name("security_sentences")
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")

_UNTESTED = "untested: "
_PROMISES_NOTHING = ("heading", "limit")


def parts_of(page: str) -> dict[str, list[str]]:
    """Return the lines of each part of the page; headings, heads of tables and fenced blocks are left out."""
    parts: dict[str, list[str]] = {"00-introduction": []}
    found = parts["00-introduction"]
    is_fenced = False
    for line in (line.strip() for line in page.splitlines()):
        if line.startswith("```"):
            is_fenced = not is_fenced
        elif line.startswith("## ") and not is_fenced:
            slug = re.sub(r"[^a-z0-9]+", "-", line.lower()).strip("-")
            found = parts.setdefault(f"{len(parts):02}-{slug}", [])
        elif line.startswith("| ---"):
            found.pop()
        elif line and not is_fenced and not line.startswith("#"):
            found.append(line)
    return parts


@cache
def names_in(path: str) -> frozenset[str]:
    """Return the names of the test functions of a file, without importing it."""
    file = ROOT / path
    tree = ast.parse(file.read_text("utf-8")) if file.is_file() else ast.Module([], [])
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(function.name for function in functions if function.name.startswith("test_"))


def faults_of(page: str, lines: list[str], table: str) -> list[str]:
    """Return what is wrong with the table of a part that has these lines."""
    rows = [row.partition("\t") for row in table.splitlines()]
    named = [sentence for sentence, _, _ in rows]
    faults = [f"has no row: {line}" for line in lines if line not in named]
    faults += [f"is not in this part: {sentence}" for sentence in named if sentence not in lines]
    if not faults and named != lines:
        faults.append("the rows are not in the order of the page, or a row comes twice")
    return faults + [f"{fault}: {sentence}" for sentence, _, holder in rows for fault in holder_faults(page, holder)]


def holder_faults(page: str, holder: str) -> list[str]:
    if holder in _PROMISES_NOTHING:
        return []
    if holder.startswith(_UNTESTED):
        reason = holder.removeprefix(_UNTESTED)
        is_said = any(reason in line and "no test" in line.lower() for line in page.splitlines())
        return [] if reason and is_said else [f"the page does not say that it is untested, with {reason!r}"]
    tests = [test.partition("::") for test in holder.split()] or [("", "", "")]
    return [f"no such test as {path}::{name}" for path, _, name in tests if name not in names_in(path)]


def test_every_part_has_its_table() -> None:
    assert sorted(path.name for path in TABLES.iterdir()) == [f"{part}.tsv" for part in sorted(parts_of(PAGE))]


@pytest.mark.parametrize(("part", "lines"), parts_of(PAGE).items(), ids=list(parts_of(PAGE)))
def test_each_sentence_of_a_part_has_its_tests(part: str, lines: list[str]) -> None:
    assert faults_of(PAGE, lines, (TABLES / f"{part}.tsv").read_text("utf-8")) == []


HERE = "tests/contract/test_security_sentences.py::test_a_complete_table_passes"
SMALL_PAGE = """# Title

It is safe.

## Names 名

| who | sees |
| --- | --- |
| nobody | names |

- Names are hidden; no test shows it at night.

```js
find()
```
"""
SMALL_TABLE = f"| nobody | names |\t{HERE} {HERE}\n- Names are hidden; no test shows it at night.\tuntested: at night\n"


def test_a_page_is_split_into_parts() -> None:
    names = ["| nobody | names |", "- Names are hidden; no test shows it at night."]
    assert parts_of(SMALL_PAGE) == {"00-introduction": ["It is safe."], "01-names": names}


def test_a_complete_table_passes() -> None:
    assert faults_of(SMALL_PAGE, parts_of(SMALL_PAGE)["01-names"], SMALL_TABLE) == []


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        (SMALL_TABLE.splitlines()[0], "has no row"),
        (SMALL_TABLE + "Names are kept.\theading\n", "is not in this part"),
        (SMALL_TABLE * 2, "the rows are not in the order"),
        (SMALL_TABLE.replace("passes", "is_gone"), "no such test"),
        (SMALL_TABLE.replace(f"{HERE} {HERE}", ""), "no such test"),
        (SMALL_TABLE.replace("contract/", "gone/"), "no such test"),
        (SMALL_TABLE.replace(": at night", ": by day"), "the page does not say"),
        (SMALL_TABLE.replace(": at night", ": names"), "the page does not say"),
    ],
)
def test_a_fault_of_a_table_is_found(table: str, fault: str) -> None:
    assert any(found.startswith(fault) for found in faults_of(SMALL_PAGE, parts_of(SMALL_PAGE)["01-names"], table))


SETTINGS = Settings()
MINUTE = timedelta(minutes=1)
[RATING_MINIMUM] = [each.value for each in DEFAULTS if each.kind is ThresholdKind.RATING_MINIMUM]


@pytest.mark.parametrize(
    "words",
    [
        f"argon2id ({HashCost().passes} passes, {HashCost().memory_kib // 1024} MiB), at most {THREADS} at once",
        f"Up to {MAX_WAITING} sign-ins wait there, each for at most {MAX_WAIT_SECONDS:.0f} seconds",
        f"Failures are counted for {WINDOW // MINUTE} minutes",
        f"a bucket of its own ({PER_DEVICE} failures)",
        f"for the name at that address ({PER_NAME}) and a bucket for the address ({PER_ADDRESS}; ",
        f"good for {SETTINGS.access_token_seconds // 60} minutes",
        f"for {SETTINGS.refresh_token_days} days after the last use",
        f"within {SETTINGS.refresh_grace_seconds} seconds of its first use",
        f"`me.devices` lists up to {MAX_DEVICES}.",
        f"within {FRESH_SIGN_IN // MINUTE} minutes; a renewal does not count",
        f"every {oidc.FRESH // MINUTE} minutes, and used for at most a day",
        f"in chunks of {CHUNK // 1024} KiB",
        f"links signed for {SETTINGS.link_seconds // 60} minutes",
        f"(`RATING_MINIMUM`, {RATING_MINIMUM:.0f} unless set otherwise",
    ],
)
def test_the_page_has_the_numbers_of_the_code(words: str) -> None:
    assert words in PAGE
