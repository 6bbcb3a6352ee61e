"""Test how the documentation is written: one sentence a line, short paragraphs, and guides without code."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLInterfaceType, GraphQLObjectType, build_schema

from schema.access.viewers import Role
from schema.core.refusals import RefusalCode
from tests.support.doc_pages import GUIDES, ROOT, blocks_of, coded, name_of

PLAIN = ["*.md", "docs/*.md", "docs/clients/*.md"]
"""Pages that must have one sentence a line and short paragraphs."""
PAGES = [page for pattern in PLAIN for page in sorted(ROOT.glob(pattern))]
MAX_WORDS = 80
CHARACTERS_A_WORD = 2
"""A Chinese word has about two characters."""

_LIST = re.compile(r"^\s*(?:[-*]|\d+\.) ")
_LEAD = re.compile(r"^\*\*[^*]+\*\*\s+(?=\S)")
"""Bold text at the start of a paragraph is its title, not a sentence of its own."""
_SENTENCE = re.compile(r"""[.!?]["”’)*]*\s+["“‘(*]*[A-Z0-9一-鿿]|[。！？]["”’）)*]*\s*[^\s"”’）)*]""")
_LINE_END = re.compile(r"""[.!?:;。！？：；]["”’）)*]*$""")

CHINESE = ["你看得到什么", "你永远看不到什么", "日常怎么做", "出了问题怎么办"]
ENGLISH = ["What you see", "What you never see", "Day to day", "When something goes wrong"]
CONTRACT = build_schema((ROOT / "mobile_contract" / "schema.graphql").read_text("utf-8"))


def paragraphs(text: str) -> Iterator[list[str]]:
    """Yield the lines of each paragraph and list item; headings, tables and fenced blocks are not prose."""
    found: list[str] = []
    is_fenced = False
    for line in [*text.splitlines(), ""]:
        is_fence = line.startswith("```")
        is_prose = bool(line.strip()) and not is_fence and not is_fenced and not line.startswith(("#", "|"))
        if found and (not is_prose or _LIST.match(line)):
            yield found
            found = []
        if is_prose:
            found.append(line)
        is_fenced ^= is_fence


def plain(line: str) -> str:
    """Return a line without the marks that are not part of its sentence, and with code replaced by a word."""
    text = re.sub(r"`[^`]+`", "Code", _LIST.sub("", line).strip())
    return _LEAD.sub("", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text))


def words(lines: list[str]) -> float:
    text = " ".join(plain(line) for line in lines)
    return len(re.findall(r"[A-Za-z0-9][\w'’.-]*", text)) + len(re.findall(r"[一-鿿]", text)) / CHARACTERS_A_WORD


def faults(text: str) -> list[str]:
    found = []
    for lines in paragraphs(text):
        found += [f"two sentences: {line}" for line in lines if _SENTENCE.search(plain(line))]
        found += [f"goes on in the next line: {line}" for line in lines[:-1] if not _LINE_END.search(plain(line))]
        if words(lines) > MAX_WORDS:
            found.append(f"{words(lines)} words: {lines[0]}")
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_has_one_sentence_a_line_and_short_paragraphs(page: Path) -> None:
    assert faults(page.read_text("utf-8")) == []


def test_every_pattern_matches_a_page() -> None:
    assert [pattern for pattern in PLAIN if not list(ROOT.glob(pattern))] == []


@pytest.mark.parametrize(
    "text",
    [
        "One is here. Another is there.",
        'It says "no." Then it stops.',
        "- One is `here`. `There` is another.",
        "It costs 3. 4 are left.",
        "一句话。又一句话。",
        "- **标题。** 一句话。又一句话。",
        "One sentence that goes on\nin the next line.",
        "一句话写到\n下一行。",
        " ".join(["word"] * 81),
        "字" * 161,
    ],
)
def test_a_style_fault_is_found(text: str) -> None:
    assert len(faults(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "One is here.\nAnother is there.",
        "- **Title.** One sentence, on version 1.5 of `a. B`, is here.\n- Another",
        "一句话。\n又一句话。",
        "| One. Two. | Three. |",
        "```text\nOne. Two.\n```",
        " ".join(["word"] * 80),
    ],
)
def test_plain_style_passes(text: str) -> None:
    assert faults(text) == []


@pytest.mark.parametrize("role", Role)
def test_a_guide_has_the_same_headings_in_chinese_and_english(role: Role) -> None:
    headings = re.findall(r"^##+ (.+)$", GUIDES[role].read_text("utf-8"), re.MULTILINE)
    wanted = ["中文", *CHINESE, "English", *ENGLISH]
    assert [heading for heading in headings if heading in wanted] == wanted


@pytest.mark.parametrize("role", Role)
def test_a_guide_contains_no_code(role: Role) -> None:
    """Commands that the person types are allowed. Names of the contract are not."""
    page = GUIDES[role]
    assert {block.language for block in blocks_of(page)} <= {"sh"}
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert [code for code in coded(text) if not code.startswith(("scripts/", "--"))] == []
    said = set(re.findall(r"\w+", re.sub(r"`[^`]+`|\]\([^)]*\)", "", text)))
    assert said.isdisjoint({"GraphQL", "JSON", *contract_names()})


def contract_names() -> set[str]:
    """Return names that only developers use: fields in camel case, values and codes in capitals."""
    names = {str(code.value) for code in RefusalCode}
    for type_ in CONTRACT.type_map.values():
        if isinstance(type_, GraphQLEnumType):
            names |= set(type_.values)
        elif isinstance(type_, GraphQLObjectType | GraphQLInputObjectType | GraphQLInterfaceType):
            names |= {name for name in type_.fields if name != name.lower()}
    return names
