"""The signing keys of an installation: listed, rotated, and those of tokens pruned, while it runs.

What a key ring is, and how running processes learn of a new key, is left to `api.accounts.key_ring`.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from api.accounts.access_tokens import LEEWAY_SECONDS
from api.accounts.key_ring import BadKeyError, KeyRing
from api.evidence.evidence_keys import EvidenceKeys
from api.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
K = TypeVar("K")
app = typer.Typer(
    help="The keys that sign access tokens, and those that sign evidence packs: the newest signs, all verify.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
Data = Annotated[
    Path | None,
    typer.Option(help="Data folder whose keys these are; MINGCHA_KEYS names another folder for the keys alone."),
]


@app.command("list")
def list_keys(data: Data = None) -> None:
    """Show every key: number, id, when it was made, what it does."""
    for each in _ring(data).newest_first():
        work = "signs" if each.replaced_at is None else f"verifies, replaced {each.replaced_at:%Y-%m-%d %H:%M:%S}Z"
        typer.echo(f"{each.number:>3}  {each.id}  made {each.made_at:%Y-%m-%d %H:%M:%S}Z  {work}")


@app.command()
def rotate(data: Data = None) -> None:
    """Make a new key, which running processes sign with from the next second on; nobody has to sign in again."""
    typer.echo(f"Key {_ring(data).rotate().number} signs from now on.")


@app.command()
def prune(
    data: Data = None,
    *,
    now: Annotated[
        bool, typer.Option(help="Also keys whose tokens are still good, as when one has leaked; phones then renew.")
    ] = False,
) -> None:
    """Remove the keys that no token in use was signed with."""
    grace = timedelta(0) if now else timedelta(seconds=Settings.from_environment().access_token_seconds)
    leeway = timedelta(0) if now else timedelta(seconds=2 * LEEWAY_SECONDS)
    gone = _ring(data).prune(replaced_before=datetime.now(UTC) - grace - leeway)
    typer.echo(
        f"Removed {len(gone)}: {', '.join(str(each.number) for each in gone)}." if gone else "Nothing to remove."
    )


@app.command()
def evidence(
    data: Data = None,
    *,
    rotate: Annotated[bool, typer.Option("--rotate", help="Make a new key first, which signs from now on.")] = False,
) -> None:
    """Show the keys that sign evidence packs, by the fingerprints that outsiders compare; none of them is ever removed."""
    keys = _opened(data, EvidenceKeys)
    if rotate:
        keys.rotate()
    for each in keys.newest_first():
        work = "signs" if each.replaced_at is None else f"verifies, replaced {each.replaced_at:%Y-%m-%d %H:%M:%S}Z"
        typer.echo(f"{each.number:>3}  {each.fingerprint}  made {each.made_at:%Y-%m-%d %H:%M:%S}Z  {work}")


def _ring(data: Path | None) -> KeyRing:
    return _opened(data, KeyRing)


def _opened(data: Path | None, kind: Callable[[Path], K]) -> K:
    chosen = data or Path(os.environ.get("MINGCHA_DATA") or ROOT / "data")
    folder = Settings.from_environment().keys or chosen / "keys"
    if not folder.is_dir():
        typer.echo(f"There are no keys at {folder}: the first start of Mingcha makes them.", err=True)
        raise typer.Exit(1)
    try:
        return kind(folder)
    except (OSError, BadKeyError) as error:
        typer.echo(f"The keys at {folder} can't be used: {error}", err=True)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    app()
