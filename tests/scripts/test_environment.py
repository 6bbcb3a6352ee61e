"""Test that commands work whatever a machine has in its environment: proxies, locale, encoding, time zone and umask."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from storage.embedded.engines import Addresses
from tests.support.forked_commands import ROOT
from tests.support.phone_cli import PASSWORD, photo
from tests.support.running_product import RunningProduct

DEAD = "127.0.0.1:9"
HOSTILE = {
    "all_proxy": f"socks5://{DEAD}",
    "http_proxy": f"http://{DEAD}",
    "https_proxy": "nonsense://[",
    "no_proxy": "192.168.0.0/16,<local>,::1/128,*.example",
    "LANG": "C",
    "LC_ALL": "C",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONUTF8": "0",
    "PYTHONIOENCODING": "ascii",
    "TZ": "Nowhere/City",
}
LOCALE = ("LANG", "LC_ALL", "PYTHONCOERCECLOCALE", "PYTHONUTF8")
MACHINES = {
    "everything": {
        name: HOSTILE[name] for name in ("all_proxy", "http_proxy", "https_proxy", "no_proxy", "LANG", "LC_ALL", "TZ")
    },
    "gbk": {"PYTHONIOENCODING": "gbk", "PYTHONUTF8": "0"},
}
"""Python finds a way to UTF-8 from any locale, but not if it may only speak GBK."""


@pytest.fixture(scope="module")
def product(engines: Addresses, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProduct]:
    """Start `scripts/run` on a machine that has everything at once in its environment."""
    running = RunningProduct(engines, tmp_path_factory.mktemp("product"), **HOSTILE)
    yield running
    running.close()


def command(
    folder: Path, *arguments: str | Path, environment: Mapping[str, str] | None = None, umask: int = -1
) -> tuple[int, bytes]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("MINGCHA_")}
    known = {"MINGCHA_PHONE_FOLDER": str(folder), "MINGCHA_PHONE_PASSWORD": PASSWORD, "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-P", "-m", *map(str, arguments)],
        env={**own, "PYTHONPATH": str(ROOT), **known, **(environment or {})},
        cwd=folder.parent,
        capture_output=True,
        umask=umask,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("machine", MACHINES)
def test_a_phone_sends_from_any_machine(product: RunningProduct, machine: str, tmp_path: Path) -> None:
    user, folder, photos = product.person(), tmp_path / "phone", tmp_path / "photos"
    photo(photos, "脐橙🍊.jpg")
    umask = 0o277 if machine == "everything" else -1

    def phone(*arguments: str | Path) -> bytes:
        code, output = command(folder, "mobile_contract.phone", *arguments, umask=umask, environment=MACHINES[machine])
        assert code == 0, output.decode(errors="replace")
        return output

    phone("sign-in", product.address, "--user", user)
    phone("take", photos, "--unit", "360703-JT-1", "--text", "窗口🍊无人")
    phone("send", "--wait")
    assert b"jpg" in phone("status")
    kept = product.kept(user)
    assert [len(kept["observations"]), len(kept["media"])] == [1, 1]
    assert json.loads(phone("status", "--json"))


def test_the_start_names_proxies_that_cannot_be_used(product: RunningProduct) -> None:
    assert "all_proxy=socks5://... can't be used, and is left out." in re.sub("https_proxy=[^ ]*, ", "", product.output)


def test_letters_that_the_locale_cannot_read_are_told_in_a_sentence(product: RunningProduct, tmp_path: Path) -> None:
    """Python reads them as lone surrogates if it may not go over to UTF-8 by itself."""
    arguments = ("mobile_contract.phone", "sign-in", product.address, "--user", product.person())
    code, output = command(tmp_path / "phone", *arguments, environment={name: HOSTILE[name] for name in LOCALE})
    assert code == 2, output
    assert b"LC_ALL=C.UTF-8" in output
    assert b"Traceback" not in output


def test_an_unreachable_server_is_told_in_a_sentence_that_names_the_proxy(tmp_path: Path) -> None:
    code, output = command(
        tmp_path / "phone",
        "mobile_contract.phone",
        *("sign-in", "http://mingcha.invalid", "--user", "someone"),
        environment={"all_proxy": f"socks5://{DEAD}"},
    )
    text = " ".join(output.decode().split())
    assert code == 3, text
    assert "all_proxy=socks5://... can't be used, and was left out" in text
    assert "Traceback" not in text


@pytest.mark.parametrize("encoding", ["gbk", "ascii"])
def test_a_template_is_a_file_in_utf_8_on_every_terminal(encoding: str, tmp_path: Path) -> None:
    code, output = command(
        tmp_path / "phone", "scripts.load", "--template", "units", environment={"PYTHONIOENCODING": encoding}
    )
    assert code == 0, output
    assert output.decode("utf-8-sig").startswith("代码,名称,")
    assert output.startswith(b"\xef\xbb\xbf")


def test_every_command_prints_its_help_on_a_terminal_in_ascii(tmp_path: Path) -> None:
    modules = ["scripts.load", "scripts.run", "scripts.seed", "scripts.keys", "mobile_contract.kit"]
    code, output = command(
        tmp_path / "phone", "tests.support.help_printer", *modules, environment={"PYTHONIOENCODING": "ascii"}
    )
    assert code == 0, output
    assert output.isascii()
    assert output.count(b"--help") >= len(modules)
