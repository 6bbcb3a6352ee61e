"""Find out by trying what a confined process can still do on this machine, and say it to the operator."""

import contextlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import anyio

from storage.processes.confinement import Confinement

SECONDS = 30.0
_ROOT = Path(__file__).resolve().parents[2]
_WHO = "processes that read media or print packs"


@dataclass(frozen=True)
class Probed:
    """What confines a process, and what it could do all the same."""

    confinement: Confinement
    opens_files: bool
    reaches_network: bool
    starts_programs: bool

    def sentence(self) -> str:
        """Say it in one sentence or two."""
        found = self.confinement
        rows = (
            (self.opens_files, "open no other files", "open files of this account", found.files),
            (self.reaches_network, "reach no network", "reach the network", found.network),
            (self.starts_programs, "start no programs", "start programs", found.programs),
        )
        kept = [f"{never} ({means})" for happened, never, _, means in rows if not happened]
        left = [can for happened, _, can, _ in rows if happened]
        said = [f"{_WHO} {_listed(kept)}."] if kept else []
        if left:
            said.append(f'on this machine {_WHO} can {_listed(left)}: see "Child processes" in docs/security.md.')
        return " ".join(sentence[0].upper() + sentence[1:] for sentence in said)


async def probe(folder: Path) -> Probed | None:
    """Let a confined process try to list `folder`, which this process can list. Return None if the process failed."""
    command = [sys.executable, "-P", "-S", "-m", "storage.processes.confinement_trial", str(folder)]
    environment = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(_ROOT)}
    with anyio.move_on_after(SECONDS), contextlib.suppress(ValueError, KeyError, TypeError):
        done = await anyio.run_process(command, cwd=_ROOT, env=environment, check=False, stderr=None)
        found = json.loads(done.stdout)
        return Probed(Confinement(**found.pop("confinement")), **found)
    return None


def _listed(parts: list[str]) -> str:
    return ", ".join(parts[:-1]) + (" and " if parts[1:] else "") + parts[-1]
