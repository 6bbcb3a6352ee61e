"""Test that a confined process really can't do what it tries, on kernels that have or lack the means."""

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.processes import landlock
from storage.processes.confinement import Confinement
from storage.processes.confinement_probe import Probed, probe
from storage.processes.privileges import NOBODY
from tests.support.doc_pages import ROOT
from tests.support.prowler import FILES, NETWORK, PROGRAMS, Targets

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux confines processes")
USERS = [None, NOBODY] if os.geteuid() == 0 else [None]


def is_readable_to_nobody(path: str) -> bool:
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in Path(path).resolve().parents)


PYTHON = next(filter(is_readable_to_nobody, (sys.executable, "/usr/bin/python3")), sys.executable)
"""The interpreter of the tests, or the system's if `nobody` can't read ours."""


@pytest.fixture(scope="module")
def targets() -> Iterator[Targets]:
    """Yield a private file, a private folder, and sockets that listen."""
    folder = Path(tempfile.mkdtemp(prefix="mingcha-confined-"))
    (folder / "secret").write_text("secret")
    (folder / "secret").chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(folder / "socket"))
        unix.listen()
        yield Targets(
            file=str(folder / "secret"),
            folder=str(folder),
            port=server.getsockname()[1],
            socket=str(folder / "socket"),
            parent=os.getpid(),
        )
    shutil.rmtree(folder)


def confined(targets: Targets, user: int | None, *lacking: str, python: str = sys.executable) -> dict[str, Any]:
    """Run a confined process. It may do everything before it is confined, as far as this depends on its account."""
    owner = os.geteuid() if user is None else user
    for path in (targets["folder"], targets["file"], targets["socket"]):
        os.chown(path, owner, -1)
    job = {"lacking": lacking, "user": user, "targets": targets}
    with Path(targets["file"]).open("rb") as file:
        done = subprocess.run(
            [python, "-m", "tests.support.confined_child", json.dumps(job)],
            cwd=ROOT,
            stdin=file,
            stdout=subprocess.PIPE,
            check=True,
        )
    found: dict[str, Any] = json.loads(done.stdout)
    foreign = set() if user is None else {"read its parent's environment", "signal its parent"}
    assert set(found["before"]) == (FILES | NETWORK | PROGRAMS) - foreign
    assert found["read"] == ["secret"], "an inherited file stays readable, and threads still start"
    return found


@pytest.mark.parametrize("user", USERS)
def test_a_confined_process_can_do_nothing(targets: Targets, user: int | None) -> None:
    found = confined(targets, user)
    assert found["after"] == []
    assert found["confinement"]["programs"] == "seccomp"
    assert "seccomp" in found["confinement"]["network"]
    if landlock.version():
        assert found["confinement"]["files"] == f"Landlock {landlock.version()}"


@pytest.mark.parametrize("user", USERS)
def test_without_landlock_a_mount_namespace_hides_the_files(targets: Targets, user: int | None) -> None:
    as_others = [] if user is None and os.geteuid() == 0 else ["--user"]
    unshare = [shutil.which("unshare") or "unshare", *as_others, "--mount", "true"]
    if subprocess.run(unshare, check=False, user=user, cwd="/").returncode:
        pytest.skip("this machine permits no mount namespaces")
    found = confined(targets, user, "landlock")
    assert found["confinement"]["files"] == "mount namespace"
    assert found["after"] == []


@pytest.mark.parametrize("user", USERS)
def test_without_namespaces_root_becomes_another_user(targets: Targets, user: int | None) -> None:
    """Root may become `nobody`, who must be able to read the interpreter."""
    may_change = user is None and os.geteuid() == 0 and is_readable_to_nobody(PYTHON)
    found = confined(targets, user, "landlock", "unshare", python=PYTHON)
    assert found["confinement"] == {
        "files": "another user" if may_change else None,
        "network": "seccomp",
        "programs": "seccomp",
    }
    assert set(found["after"]) <= (set() if may_change else FILES)


def test_without_seccomp_files_and_network_stay_closed(targets: Targets) -> None:
    found = confined(targets, None, "seccomp")
    assert found["confinement"]["programs"] is None
    if landlock.version():
        assert not set(found["after"]) & FILES
    if found["confinement"]["network"]:
        assert not set(found["after"]) & NETWORK


async def test_the_start_says_what_holds_on_this_machine(tmp_path: Path) -> None:
    found = await probe(tmp_path)
    assert found
    assert not found.starts_programs
    assert found.sentence().startswith("Processes that read media or print packs ")
    assert (f"open no other files (Landlock {landlock.version()})" in found.sentence()) == bool(landlock.version())


def test_the_start_says_what_does_not_hold() -> None:
    found = Probed(
        Confinement(None, "network namespace"), opens_files=True, reaches_network=False, starts_programs=True
    )
    assert found.sentence() == (
        "Processes that read media or print packs reach no network (network namespace). On this machine processes that "
        'read media or print packs can open files of this account and start programs: see "Child processes" in '
        "docs/security.md."
    )
