"""Define the kit's command: sign in, run the checks, and print or write the report."""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console

from mobile_contract.kit import report
from mobile_contract.kit.accounts import Party, Person, SignInFailedError
from mobile_contract.kit.clauses import Clause
from mobile_contract.kit.http_client import HttpClient
from mobile_contract.kit.results import BrokenClauseError, ClauseResult
from mobile_contract.kit.runner import exit_code, run_clauses, select_clauses
from mobile_contract.proxies import open_client

VARIABLE = "MINGCHA_KIT_PASSWORD"
app = typer.Typer(
    add_completion=False, pretty_exceptions_show_locals=False, context_settings={"help_option_names": ["-h", "--help"]}
)


@app.command()
def main(
    url: Annotated[str, typer.Argument(help="The server, such as http://127.0.0.1:8000.")],
    user: Annotated[str, typer.Option(help="User name of an inspector (巡查员).")],
    other: Annotated[str | None, typer.Option(help="Another inspector of the same office.")] = None,
    officer: Annotated[str | None, typer.Option(help="An officer of the office, who assigns and withdraws.")] = None,
    monitor: Annotated[str | None, typer.Option(help="A monitor (监测员) of a monitoring point, who rates.")] = None,
    password_file: Annotated[
        Path | None, typer.Option(help=f"A file with one password a line. Default: {VARIABLE}, or a prompt.")
    ] = None,
    only: Annotated[str, typer.Option(help="Only these clauses or chapters, such as C,O1.")] = "",
    junit: Annotated[Path | None, typer.Option(help="Also write a JUnit XML report to this file.")] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Maximum seconds to wait for each slow step.")] = 20.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check every clause of the offline protocol against a server (一致性检查).

    The kit creates its own records: observations whose text begins with "[conformance kit", photos, and, with
    --officer, cases and assignments of that name; with --monitor, a rating of this month. It changes and deletes
    nothing else. Do not run it against a production server.

    One password can serve all accounts. Several lines are for --user, --other, --officer and --monitor, in this order.

    Exit codes: 0 all clauses hold; 1 a clause is broken; 2 invalid input, or the server doesn't answer; 3 some clauses
    were not run; 4 the kit itself failed.
    """
    names = [name for name in (user, other, officer, monitor) if name]
    try:
        clauses = select_clauses([name for name in only.replace(" ", "").split(",") if name])
        passwords = _read_passwords(password_file, names)
        findings = asyncio.run(examine(url, user, other, officer, monitor, passwords, clauses, timeout))
    except (ValueError, OSError, SignInFailedError, httpx.HTTPError, httpx.InvalidURL, BrokenClauseError) as error:
        typer.echo(f"{error or type(error).__name__}\n没有进行检查。", err=True)
        raise typer.Exit(2) from None
    if junit:
        junit.write_bytes(report.junit(findings, url))
    if as_json:
        typer.echo(report.as_json(findings))
    else:
        report.table(Console(), findings)
    raise typer.Exit(exit_code(findings))


async def examine(
    url: str,
    user: str,
    other: str | None,
    officer: str | None,
    monitor: str | None,
    passwords: dict[str, str],
    clauses: Sequence[Clause],
    seconds: float = 20.0,
) -> list[ClauseResult]:
    """Sign in the accounts, and run the clauses. Raise `SignInFailedError` or an httpx error if a sign-in fails."""
    limits = httpx.Limits(max_connections=20, max_keepalive_connections=20)
    async with open_client(timeout=httpx.Timeout(max(seconds, 5)), limits=limits) as client:
        server = HttpClient(url, client)

        async def person(name: str | None) -> Person | None:
            return await Person(server, name, passwords[name]).sign_in() if name else None

        first = await person(user)
        assert first  # noqa: S101
        party = Party(server, first, await person(other), await person(officer), await person(monitor), seconds)
        return [finding async for finding in run_clauses(party, clauses)]


def _read_passwords(file: Path | None, names: Sequence[str]) -> dict[str, str]:
    """Return the passwords, keyed by user name.

    Raise `ValueError` unless there is one password for all accounts, or one for each account.
    """
    if file:
        passwords = file.read_text(encoding="utf-8").split("\n")
        passwords = [line for line in passwords if line]
    elif os.environ.get(VARIABLE):
        passwords = os.environ[VARIABLE].split("\n")
    elif sys.stdin.isatty():
        passwords = [typer.prompt(f"Password of {name} 密码", hide_input=True) for name in names]
    else:
        raise ValueError(f"No password: give --password-file or {VARIABLE}.")
    if len(passwords) == 1:
        passwords *= len(names)
    if len(passwords) != len(names):
        raise ValueError(f"{len(passwords)} passwords for {len(names)} accounts.")
    return dict(zip(names, passwords, strict=True))
