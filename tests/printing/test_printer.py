"""Test the process that prints documents: it is confined, gets no secrets, and fails with one error."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from storage.printing.printer import PrintingError, print_pdf
from storage.printing.printer_child import MEMORY_BYTES
from tests.support.doc_pages import ROOT
from tests.support.process_states import wait_until_async

JOB = ("pack_report", {"title": "甲", "running": "甲", "blocks": []}, "2026-11-22T10:03:04.000Z")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux confines processes")
async def test_the_printer_is_confined_before_it_reads_the_document() -> None:
    command = (sys.executable, "-P", "-m", "storage.printing.printer_child", str(os.getpid()))
    environment = {"PYTHONPATH": str(ROOT)}
    printer = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, env=environment)
    status, limits = (Path(f"/proc/{printer.pid}/{name}") for name in ("status", "limits"))
    try:
        await wait_until_async(
            lambda: {"Seccomp:\t2", "CapEff:\t" + "0" * 16} <= set(status.read_text().splitlines()), 30
        )
        limit = f"Max address space {MEMORY_BYTES} {MEMORY_BYTES}"
        await wait_until_async(lambda: limit in " ".join(limits.read_text().split()), 30)
        assert "Max core file size 0 0" in " ".join(limits.read_text().split())
    finally:
        printer.kill()
        await printer.wait()


async def test_a_printer_that_takes_too_long_raises_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    replace_program(monkeypatch, tmp_path, "import time\ntime.sleep(600)\n")
    monkeypatch.setattr("storage.printing.printer.SECONDS", 0.5)
    with pytest.raises(PrintingError):
        await print_pdf(*JOB)


async def test_a_failing_printer_raises_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("storage.printing.printer._ROOT", tmp_path)
    with pytest.raises(PrintingError):
        await print_pdf(*JOB)


async def test_the_printer_does_not_inherit_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    replace_program(monkeypatch, tmp_path, "import os\nprint('%PDF-', *os.environ)\n")
    monkeypatch.setenv("MINGCHA_S3_SECRET_KEY", "secret")
    names = set((await print_pdf(*JOB)).decode().split()[1:])
    assert names >= {"PATH", "PYTHONPATH", "RAYON_NUM_THREADS"}
    assert not [name for name in names if "MINGCHA" in name]


def replace_program(monkeypatch: pytest.MonkeyPatch, folder: Path, code: str) -> None:
    """Let the process run another program."""
    program = folder / "storage" / "printing" / "printer_child.py"
    program.parent.mkdir(parents=True)
    program.write_text(code)
    monkeypatch.setattr("storage.printing.printer._ROOT", folder)
