"""Run the tests that a change touches, in under a minute. The tests nearest to the change run first.

A change touches a test module that imports the changed module, directly or through other modules. A change also
touches the test modules in the folder of the changed module's area.
"""

import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import grimp
import typer

ROOT = Path(__file__).parents[1]
PACKAGES = ("api", "schema", "storage", "mobile_contract", "scripts", "tests")
SECONDS = 40
"""Time limit for collecting and running. A test that has begun by then may still finish."""
COMPOSITION = frozenset(
    {
        "api.connections",
        "api.server.app",
        "api.server.areas",
        "api.server.graphql_schema",
        "api.server.serve",
        "api.server.worker",
        "storage.indexes",
        "storage.store",
    }
)
"""These modules assemble the product, and so does each `api/<area>/area.py`.

The search for importers ends at these modules, because through them every file would reach every test.
"""


class ImportGraph:
    """The imports between the modules of the repository, test modules included."""

    def __init__(self) -> None:
        self._graph = grimp.build_graph(*PACKAGES, cache_dir=None, exclude_type_checking_imports=True)
        self.names = {name for name in self._graph.modules if name.rpartition(".")[2].startswith("test_")}

    def distances_from(self, file: str) -> dict[str, int]:
        """Map each test module that this file touches to its distance.

        The test of the same name as the file has distance 0.
        """
        path = Path(file)
        if file in {"pyproject.toml", "tests/conftest.py", "scripts/requirements-dev.txt"}:
            return dict.fromkeys(self.names, 1)
        if path.suffix == ".md":
            return {name: 1 for name in self.names if name.startswith("tests.contract.test_docs")}
        module = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
        if module in self.names:
            return {module: 0}
        importers = self._importers_of(module) if module in self._graph.modules else {}
        return importers | self._tests_of_area(path)

    def _tests_of_area(self, path: Path) -> dict[str, int]:
        """Map the test modules of the file's area to 1, and the test module of the same name as the file to 0."""
        room, *folders = path.parts[:-1] or ("",)
        area = "scripts" if room == "scripts" else "".join(folders[:1])
        if room == "mobile_contract" and area not in {"kit", "phone"}:
            area = "contract"
        own = f"tests.{area}.test_{path.stem}"
        return {name: int(name != own) for name in self.names if name.startswith(f"tests.{area}.")}

    def _importers_of(self, module: str) -> dict[str, int]:
        """Map each test module that imports `module`, directly or indirectly, to the length of the import chain."""
        distances = {module: 0}
        queue = deque([module])
        while queue:
            current = queue.popleft()
            if current != module and (current in COMPOSITION or current.endswith(".area")):
                continue
            for importer in self._graph.find_modules_that_directly_import(current) - distances.keys():
                distances[importer] = distances[current] + 1
                queue.append(importer)
        return {name: distance for name, distance in distances.items() if name in self.names}

    def imported_by_others(self) -> set[str]:
        """Return the test modules that another module imports."""
        return {name for name in self.names if self._graph.find_modules_that_directly_import(name)}

    def touched_by(self, files: Iterable[str]) -> list[str]:
        """Return the test modules that these files touch, nearest first."""
        distances: dict[str, int] = {}
        for file in files:
            for name, distance in self.distances_from(file).items():
                distances[name] = min(distance, distances.get(name, distance))
        return sorted(distances, key=lambda name: (distances[name], name))


def changed_files(base: str, root: Path = ROOT) -> list[str]:
    """Return the files that differ from the commit `base`. New and deleted files are included."""
    commands = (
        ("diff", "--name-only", "--no-renames", base),
        ("ls-files", "--others", "--exclude-standard"),
    )
    return sorted({file for command in commands for file in _git(root, *command)})


def _git(root: Path, *arguments: str) -> list[str]:
    command = [shutil.which("git") or "git", *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise typer.BadParameter(done.stderr.strip())
    return done.stdout.splitlines()


def main(
    base: Annotated[str, typer.Argument(help="The commit to compare with.")] = "HEAD",
    arguments: Annotated[list[str] | None, typer.Argument(help="Go to pytest.")] = None,
) -> None:
    """Run the tests that a change touches, nearest first, in under a minute. Print the tests that were not run."""
    begun = time.time()
    files = changed_files(base)
    names = ImportGraph().touched_by(files)
    print(f"{len(files)} changed files touch {len(names)} test modules.", flush=True)
    if not names:
        raise typer.Exit
    modules = [f"{name.replace('.', '/')}.py" for name in names]
    budget = ["-p", "tests.support.time_budget", f"--begin-until={begun + SECONDS}"]
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "load", "--maxschedchunk", "4", *budget]
    raise typer.Exit(subprocess.run([*command, *(arguments or ()), *modules], cwd=ROOT, check=False).returncode)


if __name__ == "__main__":
    typer.run(main)
