"""Test the key ring: concurrent creation, and rotation and pruning under running processes."""

import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey
from typer.testing import CliRunner

from api.accounts.key_ring import RECHECK_SECONDS, BadKeyError, KeyRing
from api.evidence.evidence_keys import EvidenceKeys
from scripts.keys import app

ROOT = Path(__file__).parents[2]
OPEN = "import sys; from pathlib import Path; from api.accounts.key_ring import KeyRing; sys.stdin.read(1); \
ring = KeyRing(Path(sys.argv[1])); print(ring.signing.id, ring.cursor_secret.hex())"


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def aged(folder: Path, number: int, by: timedelta) -> None:
    then = (datetime.now(UTC) - by).timestamp()
    os.utime(folder / f"{number}.pem", (then, then))


def test_an_empty_folder_gets_a_key_and_a_secret_that_only_the_owner_can_read(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "new" / "keys")
    folder = tmp_path / "new" / "keys"
    assert sorted(path.name for path in folder.iterdir()) == ["1.pem", "secret"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len({ring.cursor_secret, ring.refresh_secret, ring.attempts_secret}) == 3
    again = KeyRing(folder)
    assert (again.signing.id, again.cursor_secret) == (ring.signing.id, ring.cursor_secret)


def test_processes_that_start_together_share_one_key(tmp_path: Path) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, str(tmp_path / "keys")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        for _ in range(4)
    ]
    for process in started:
        assert process.stdin
        process.stdin.write("!")
        process.stdin.flush()
    answers = {process.communicate(timeout=60)[0] for process in started}
    assert len(answers) == 1
    assert answers != {""}
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == ["1.pem", "secret"]


def test_running_processes_pick_up_the_newest_signing_key(tmp_path: Path) -> None:
    clock = Clock()
    running = KeyRing(tmp_path, clock=clock)
    first = running.signing
    made = KeyRing(tmp_path).rotate()
    assert running.find(made.id) is not None, "signed by another process a moment ago"
    other = KeyRing(tmp_path).rotate()
    clock.seconds += RECHECK_SECONDS + 0.1
    assert running.signing.id == other.id
    assert running.find(first.id) is not None
    assert running.find("unheard-of") is None
    assert [each["kid"] for each in running.jwks()["keys"]] == [other.id, made.id, first.id]
    assert all("d" not in each for each in running.jwks()["keys"])


def test_a_replaced_key_file_of_the_same_name_is_noticed(tmp_path: Path) -> None:
    clock = Clock()
    running = KeyRing(tmp_path, clock=clock)
    old = running.signing.id
    elsewhere = KeyRing(tmp_path.with_name("elsewhere"))
    (tmp_path.with_name("elsewhere") / "1.pem").replace(tmp_path / "1.pem")
    clock.seconds += RECHECK_SECONDS + 0.1
    assert running.signing.id == elsewhere.signing.id
    assert running.find(old) is None


def test_a_running_process_keeps_its_keys_when_the_folder_is_emptied(tmp_path: Path) -> None:
    clock = Clock()
    running = KeyRing(tmp_path / "keys", clock=clock)
    id = running.signing.id
    (tmp_path / "keys" / "1.pem").unlink()
    clock.seconds += RECHECK_SECONDS + 0.1
    assert running.signing.id == id
    (tmp_path / "keys").rename(tmp_path / "gone")
    clock.seconds += RECHECK_SECONDS + 0.1
    assert running.find(id) is not None


def test_pruning_keeps_the_signing_key_and_keys_of_valid_tokens(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path)
    first, second, third = ring.signing, ring.rotate(), ring.rotate()
    aged(tmp_path, 1, timedelta(hours=3))
    aged(tmp_path, 2, timedelta(hours=2))
    aged(tmp_path, 3, timedelta(minutes=5))
    ring = KeyRing(tmp_path)
    gone = ring.prune(replaced_before=datetime.now(UTC) - timedelta(minutes=11))
    assert [each.number for each in gone] == [1], "the second signed until five minutes ago"
    assert (ring.find(first.id), ring.signing.id) == (None, third.id)
    assert ring.find(second.id) is not None
    assert [each.number for each in ring.prune(replaced_before=datetime.now(UTC))] == [2]
    assert ring.prune(replaced_before=datetime.now(UTC)) == []
    assert ring.rotate().number == 4


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a key",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ECKey.generate_key("P-256").as_pem(),
        RSAKey.generate_key(2048).as_pem(),
        OKPKey.generate_key("Ed448").as_pem(),
        OKPKey.generate_key("Ed25519").as_pem(private=False),
    ],
    ids=["empty", "text", "cut", "EC", "RSA", "another curve", "public"],
)
def test_an_unusable_key_file_is_ignored_unless_it_is_the_only_one(tmp_path: Path, content: bytes) -> None:
    ring = KeyRing(tmp_path / "good")
    (tmp_path / "good" / "2.pem").write_bytes(content)
    assert KeyRing(tmp_path / "good").signing.id == ring.signing.id
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "1.pem").write_bytes(content)
    with pytest.raises(BadKeyError, match="holds no usable signing key"):
        KeyRing(tmp_path / "bad")


def test_the_keys_command_lists_rotates_and_prunes(tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, [*arguments, "--data", str(tmp_path)], env={"MINGCHA_KEYS": ""})
        assert done.exit_code == 0, done.output
        return done.output

    missing = CliRunner().invoke(app, ["list", "--data", str(tmp_path)], env={"MINGCHA_KEYS": ""})
    assert missing.exit_code == 1
    assert "the first start of Mingcha makes them" in missing.output
    ring = KeyRing(tmp_path / "keys")
    assert f"{ring.signing.id}" in run("list")
    assert "Key 2 signs" in run("rotate")
    assert [line.split()[0] for line in run("list").splitlines()] == ["2", "1"]
    assert "Nothing to remove" in run("prune")
    assert "Removed 1: 1." in run("prune", "--now")
    assert [line.split()[0] for line in run("list").splitlines()] == ["2"]


def test_evidence_keys_are_separate_and_never_removed(tmp_path: Path) -> None:
    """Rotating and pruning the token keys does not change the evidence keys."""
    ring, evidence = KeyRing(tmp_path / "keys"), EvidenceKeys(tmp_path / "keys")
    first = evidence.signing
    folder = tmp_path / "keys" / "evidence"
    assert [path.name for path in folder.iterdir()] == ["1.pem"]
    assert stat.S_IMODE((folder / "1.pem").stat().st_mode) == 0o600
    assert ring.jwks()["keys"][0]["x"] not in str(evidence.published())
    signature = evidence.sign(b"manifest", first)

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, [*arguments, "--data", str(tmp_path)], env={"MINGCHA_KEYS": ""})
        assert done.exit_code == 0, done.output
        return done.output

    assert f"{first.fingerprint}  made" in run("evidence")
    rotated = run("evidence", "--rotate").splitlines()
    assert [("signs" in line, first.fingerprint in line) for line in rotated] == [(True, False), (False, True)]
    run("rotate")
    run("prune", "--now")
    assert len(run("evidence").splitlines()) == 2
    assert evidence.newest_first()[1].fingerprint == first.fingerprint
    assert evidence.sign(b"manifest", first) == signature, "what was begun under a key is ended under it"
