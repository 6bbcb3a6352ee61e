"""Read the documentation's pages: fenced blocks, tables, and the roles that a section names."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from schema.access.viewers import Role

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
GUIDES = {role: ROOT / "docs" / f"{str(role.value).lower()}.md" for role in Role}
"""The guide for the people of each role."""


@dataclass(frozen=True)
class Block:
    """A fenced block; `follows` is true if only blank lines separate it from the block before."""

    page: Path
    line: int
    language: str
    text: str
    follows: bool
    roles: frozenset[Role] | None
    """The roles in the line `Roles:` of the block's section. None if the section has no such line."""

    @property
    def path(self) -> str:
        return name_of(self.page)

    @property
    def is_recipe(self) -> bool:
        return self.path.startswith("docs/clients/")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks_of(page: Path) -> Iterator[Block]:
    lines = page.read_text("utf-8").splitlines()
    start, end, roles = None, -1, None
    for number, line in enumerate(lines):
        if not line.startswith("```"):
            if start is None and line.startswith("#"):
                roles = None
            elif start is None and line.startswith("Roles:"):
                roles = roles_in(line)
            continue
        if start is None:
            start = number
            continue
        follows = end >= 0 and not any(between.strip() for between in lines[end + 1 : start])
        text = "\n".join(lines[start + 1 : number]) + "\n"
        yield Block(page, start + 1, lines[start][3:], text, follows, roles)
        start, end = None, number
    assert start is None, f"{page}: a block is not closed"


def roles_in(line: str) -> frozenset[Role]:
    """Parse a line such as "Roles: `INSPECTOR` `OFFICER`" or "Roles: all"."""
    return frozenset(Role) if line == "Roles: all" else frozenset(Role(name) for name in coded(line))


def rows(page: str, *titles: str) -> list[list[str]]:
    """Return the cells of the page's table whose header begins with these titles."""
    lines = iter((ROOT / page).read_text("utf-8").splitlines())
    for line in lines:
        if cells(line)[: len(titles)] == list(titles):
            next(lines)
            found: list[list[str]] = []
            for row in lines:
                if not row.startswith("|"):
                    return found
                found.append(cells(row))
            return found
    raise AssertionError(f"{page} has no table {titles}")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []


def coded(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
