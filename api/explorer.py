"""The explorer: a page of our own for browsers at /graphql, with worked examples for each role; needs no other server.

What the page does is written in `explorer/`; the examples, one folder a role, are `explorer/examples/`.
"""

import json
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from api import answers

FOLDER = Path(__file__).parent / "explorer"
PATH = "/graphql/explorer"


class Explorer:
    """The page, read once; its files are served below `PATH`."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder
        self._page = (folder / "index.html").read_bytes()
        self._examples = manifest(folder / "examples")

    async def page(self, _: Request) -> Response:
        """Answer a browser's GET of /graphql."""
        return Response(self._page, media_type="text/html", headers={"Cache-Control": "no-cache", "Vary": "Accept"})

    async def examples(self, _: Request) -> Response:
        return answers.answer(self._examples)

    def routes(self) -> list[BaseRoute]:
        return [
            Route(f"{PATH}/examples.json", self.examples),
            Mount(PATH, _Files(directory=self.folder / "page")),
        ]


class _Files(StaticFiles):
    def file_response(self, *arguments: Any, **more: Any) -> Response:
        """After an upgrade, the next load of the page must get the new files."""
        response = super().file_response(*arguments, **more)
        response.headers["Cache-Control"] = "no-cache"
        return response


def manifest(folder: Path) -> dict[str, Any]:
    """Read the roles, the sign-in operation and every worked example. Raise `ValueError` for a file that misfits.

    An example is `<role>/<number>-<name>.graphql` with variables in the `.json` of the same name, if it has any. It
    begins with comments: the title in English, the title in Chinese, then what it shows.
    """
    roles = json.loads((folder / "roles.json").read_text())
    for role in roles:
        role["examples"] = [example(path) for path in sorted((folder / role["name"]).glob("*.graphql"))]
    sign_in = folder / "sign-in.graphql"
    return {
        "roles": roles,
        "signIn": {"operation": sign_in.read_text(), "variables": sign_in.with_suffix(".json").read_text()},
    }


def example(path: Path) -> dict[str, str]:
    """Read one worked example."""
    comments: list[str] = []
    lines = path.read_text().splitlines()
    while lines and lines[0].startswith("#"):
        comments.append(lines.pop(0).lstrip("# "))
    if len(comments) < 2:
        raise ValueError(f"{path} must begin with two comments: its title in English and in Chinese.")
    variables = path.with_suffix(".json")
    return {
        "name": path.stem,
        "title": comments[0],
        "titleZh": comments[1],
        "about": " ".join(comments[2:]),
        "operation": "\n".join(lines).strip() + "\n",
        "variables": variables.read_text().strip() + "\n" if variables.exists() else "",
    }
