"""Test `scripts/setup`: concurrent and killed runs do no harm, and an unusable machine is refused in clear words."""

import hashlib
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pip
import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
TOOLS = ("sh", "cmp", "dirname", "readlink")
PATIENCE_SECONDS = 300
"""pip takes over a minute on a busy machine. The limit only ends a run that hangs."""


class Clone:
    """A copy of the setup scripts, with a PATH and a package index that the test controls."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "clone"
        self.path, self.index = folder / "bin", folder / "index"
        for made in (self.root / "scripts", self.path, self.index):
            made.mkdir(parents=True)
        for name in ("setup", "provision.py"):
            shutil.copy(SCRIPTS / name, self.root / "scripts")
        for tool in TOOLS:
            (self.path / tool).symlink_to(shutil.which(tool) or f"/bin/{tool}")
        self.environment = {
            "PATH": str(self.path),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.index),
        }

    def real_python(self) -> None:
        self.fake_python("python3", f'exec {sys.executable} "$@"')

    def fake_python(self, name: str, shell: str) -> None:
        (self.path / name).write_text(f"#!/bin/sh\n{shell}\n")
        (self.path / name).chmod(0o755)

    def lock(self, version: str) -> None:
        """Publish this version of a package in the index, and write it into the lock."""
        wheel = self.index / f"tiny-{version}-py3-none-any.whl"
        info = f"tiny-{version}.dist-info"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("tiny.py", f"version = '{version}'\n")
            named = f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\nRequires-Dist: not-in-the-lock\n"
            archive.writestr(f"{info}/METADATA", named)
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/RECORD", f"tiny.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        for name in ("requirements.txt", "requirements-dev.txt"):
            (self.root / "scripts" / name).write_text(f"tiny=={version} --hash=sha256:{digest}\n")

    def made_before(self) -> None:
        """Make .venv without packages of the lock. It gets a copy of this Python's pip, because installing takes long."""
        made = self.root / ".venv"
        venv.create(made, symlinks=True)
        [packages] = made.glob("lib/python*/site-packages")
        for found in Path(pip.__file__).parents[1].glob("pip*"):
            shutil.copytree(found, packages / found.name)

    def setup(self, *arguments: str) -> subprocess.Popen[str]:
        command = ["sh", str(self.root / "scripts" / "setup"), *arguments]
        return subprocess.Popen(
            command, cwd="/", env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def refused(self) -> str:
        process = self.setup()
        said, _ = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 1, said
        return said

    def done(self, *arguments: str) -> str:
        process = self.setup(*arguments)
        said, _ = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, said
        return said

    def installed(self) -> str:
        python = self.root / ".venv" / "bin" / "python"
        return subprocess.run(
            [python, "-c", "import tiny; print(tiny.version)"], check=True, capture_output=True, text=True
        ).stdout.strip()


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_setup_survives_concurrent_runs_updates_and_kills(clone: Clone) -> None:
    clone.real_python()
    clone.lock("1.0")
    both = [clone.setup(), clone.setup("dev")]
    for process in both:
        said, _ = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, said
    assert clone.installed() == "1.0"
    (clone.path / "python3").unlink()
    assert clone.done() == ""  # nothing to do, so no Python is needed

    clone.real_python()
    clone.lock("1.1")
    assert "Installing the packages of scripts/requirements.txt" in clone.done()
    assert clone.installed() == "1.1"

    stray = clone.root / ".venv" / "half"
    stray.touch()
    (clone.root / ".venv" / "begun").touch()
    for stamp in (clone.root / ".venv").glob("requirements*.txt"):
        stamp.unlink()
    clone.done()
    assert clone.installed() == "1.1"
    assert not stray.exists()


def test_an_old_python_is_refused_with_its_version(clone: Clone) -> None:
    clone.fake_python("python3", "echo 3.9 False")
    said = clone.refused()
    assert said.startswith(f"Mingcha needs Python 3.11 or newer, and found only {clone.path}/python3 (3.9): install")
    assert not (clone.root / ".venv").exists()


def test_a_missing_python_is_reported(clone: Clone) -> None:
    clone.fake_python("python3", "echo 'python3: command not found' >&2; exit 127")  # like a version manager's shim
    assert clone.refused().startswith("Mingcha needs Python 3.11 or newer, and found none: install it")


def test_a_python_without_venv_is_reported(clone: Clone) -> None:
    clone.fake_python("python3.12", 'case $2 in *ensurepip*) exit 1;; *) echo "3.12 True";; esac')
    said = clone.refused()
    assert said.startswith(f"{clone.path}/python3.12 (3.12) has no venv module: install it")
    assert not (clone.root / ".venv").exists()


def test_an_unreachable_index_is_reported_and_the_next_run_succeeds(clone: Clone) -> None:
    clone.real_python()
    clone.made_before()
    clone.lock("1.0")
    reachable = dict(clone.environment)
    del clone.environment["PIP_NO_INDEX"], clone.environment["PIP_FIND_LINKS"]
    clone.environment["PIP_RETRIES"] = "0"
    clone.environment["PIP_INDEX_URL"] = "http://127.0.0.1:9/simple"  # the discard port: nobody listens
    said = clone.refused()
    assert said.splitlines()[-1] == (
        "The package index can't be reached: check the network, or set PIP_INDEX_URL or HTTPS_PROXY, then run this again."
    )
    clone.environment = reachable
    clone.done()
    assert clone.installed() == "1.0"


def test_a_package_with_another_hash_than_the_lock_is_refused(clone: Clone) -> None:
    clone.real_python()
    clone.made_before()
    clone.lock("1.0")
    (clone.index / "tiny-1.0-py3-none-any.whl").write_bytes(b"something else")
    assert "is not the one that was locked" in clone.refused()
    assert not list((clone.root / ".venv").glob("requirements*.txt"))


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_locks_hold_versions_and_hashes_and_no_addresses(name: str) -> None:
    lock = (SCRIPTS / name).read_text()
    assert "://" not in lock
    assert "--index-url" not in lock
    entries = [line for line in lock.splitlines() if not line.startswith((" ", "#"))]
    assert len(entries) > 30
    assert all("==" in entry for entry in entries)
    assert lock.count("--hash=sha256:") > len(entries)


def test_both_locks_pin_the_same_versions() -> None:
    run, development = (
        (SCRIPTS / name).read_text().split("\n") for name in ("requirements.txt", "requirements-dev.txt")
    )
    pinned = {line for line in run if "==" in line}
    assert {line.split(" ")[0] for line in pinned} <= {line.split(" ")[0] for line in development if "==" in line}


def test_run_works_from_any_folder_and_through_a_link(tmp_path: Path) -> None:
    link = tmp_path / "mingcha"
    link.symlink_to(SCRIPTS / "run")
    (tmp_path / "schema.py").write_text("raise SystemExit('the wrong schema')\n")
    done = subprocess.run([link, "--help"], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--data" in done.stdout
