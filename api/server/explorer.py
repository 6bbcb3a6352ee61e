"""Serve the GraphQL explorer, which is our own page for browsers at /graphql, with worked examples for each role.

The page loads nothing from other servers. Its files and the examples are in `api/web/explorer`.
"""

import json
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from api.http import responses

FOLDER = Path(__file__).parents[1] / "web" / "explorer"
PATH = "/graphql/explorer"


class Explorer:
    """The page and its files. The page is read once, the files are served below `PATH`."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder
        self._page = (folder / "index.html").read_bytes()
        self._manifest = read_manifest(folder)

    async def page(self, _: Request) -> Response:
        """Answer a browser's GET of /graphql."""
        return Response(self._page, media_type="text/html", headers={"Cache-Control": "no-cache", "Vary": "Accept"})

    async def examples(self, _: Request) -> Response:
        return responses.json_response(self._manifest)

    def routes(self) -> list[BaseRoute]:
        return [
            Route(f"{PATH}/examples.json", self.examples),
            Mount(PATH, _Files(directory=self.folder / "page")),
        ]


class _Files(StaticFiles):
    def file_response(self, *arguments: Any, **keywords: Any) -> Response:
        """Make browsers revalidate cached files, so that a page that is loaded after an upgrade gets the new files."""
        response = super().file_response(*arguments, **keywords)
        response.headers["Cache-Control"] = "no-cache"
        return response


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the roles with their worked examples, and the session operations that the page runs by itself.

    An example is `examples/<role>/<number>-<name>.graphql`, with its variables in the `.json` of the same name. The
    `.graphql` file begins with comments: the title in English and in Chinese, then optionally a description in both.

    The page fills blanks in variables. `{{new:obs}}` becomes a new id. `{{last:cas}}` becomes the last id with this
    prefix that an answer contained. `{{now}}` becomes the current time. Blanks with the same mark, as in
    `{{new:obs#1}}`, get the same value.

    Raise `ValueError` for a malformed file.
    """
    roles = json.loads((folder / "examples" / "roles.json").read_text("utf-8"))
    for role in roles:
        role["examples"] = [
            read_example(path) for path in sorted((folder / "examples" / role["name"]).glob("*.graphql"))
        ]
    names = {"signIn": "sign-in", "refresh": "refresh", "signOut": "sign-out"}
    operations = {key: _read_operation(folder / "session" / f"{name}.graphql") for key, name in names.items()}
    return {"roles": roles, "operations": operations}


def _read_operation(path: Path) -> dict[str, str]:
    variables = path.with_suffix(".json")
    return {
        "query": path.read_text("utf-8"),
        "variables": variables.read_text("utf-8") if variables.exists() else "{}",
    }


def read_example(path: Path) -> dict[str, str]:
    """Read one worked example."""
    comments: list[str] = []
    lines = path.read_text("utf-8").splitlines()
    while lines and lines[0].startswith("#"):
        comments.append(lines.pop(0).lstrip("# "))
    if len(comments) not in {2, 4}:
        raise ValueError(f"{path} must begin with its title, and optionally a description, in English and in Chinese.")
    variables = path.with_suffix(".json")
    return {
        "name": path.stem,
        "title": comments[0],
        "titleZh": comments[1],
        "about": "".join(comments[2:3]),
        "aboutZh": "".join(comments[3:4]),
        "operation": "\n".join(lines).strip() + "\n",
        "variables": variables.read_text("utf-8").strip() + "\n" if variables.exists() else "",
    }
