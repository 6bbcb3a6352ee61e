"""List, rotate and prune the signing keys of an installation. The installation may be running."""

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
from mobile_contract.terminals import tolerate_missing_letters

ROOT = Path(__file__).resolve().parent.parent
K = TypeVar("K")
app = typer.Typer(
    help="Manage the keys that sign access tokens and evidence packs. The newest key signs; all keys verify.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
Data = Annotated[
    Path | None,
    typer.Option(help="Data folder of the installation; MINGCHA_KEYS names another folder for the keys alone."),
]


@app.command("list")
def list_keys(data: Data = None) -> None:
    """Show every key: its number, its id, when it was made, and whether it signs."""
    for key in _key_ring(data).newest_first():
        work = "signs" if key.replaced_at is None else f"verifies, replaced {key.replaced_at:%Y-%m-%d %H:%M:%S}Z"
        typer.echo(f"{key.number:>3}  {key.id}  made {key.made_at:%Y-%m-%d %H:%M:%S}Z  {work}")


@app.command()
def rotate(data: Data = None) -> None:
    """Make a new key. Running processes sign with the new key after a second. Nobody has to sign in again."""
    typer.echo(f"Key {_key_ring(data).rotate().number} signs from now on.")


@app.command()
def prune(
    data: Data = None,
    *,
    now: Annotated[
        bool,
        typer.Option(
            help="Remove also keys whose tokens are still valid, after a leak; phones then renew their tokens."
        ),
    ] = False,
) -> None:
    """Remove the replaced keys whose tokens have all expired."""
    grace = timedelta(0) if now else timedelta(seconds=Settings.from_environment().access_token_seconds)
    leeway = timedelta(0) if now else timedelta(seconds=2 * LEEWAY_SECONDS)
    removed = _key_ring(data).prune(replaced_before=datetime.now(UTC) - grace - leeway)
    typer.echo(
        f"Removed {len(removed)}: {', '.join(str(key.number) for key in removed)}." if removed else "Nothing to remove."
    )


@app.command()
def evidence(
    data: Data = None,
    *,
    rotate: Annotated[bool, typer.Option("--rotate", help="First make a new key, which signs from now on.")] = False,
) -> None:
    """Show the keys that sign evidence packs, with the fingerprints that outsiders compare. Keys are never removed."""
    keys = _open_keys(data, EvidenceKeys)
    if rotate:
        keys.rotate()
    for key in keys.newest_first():
        work = "signs" if key.replaced_at is None else f"verifies, replaced {key.replaced_at:%Y-%m-%d %H:%M:%S}Z"
        typer.echo(f"{key.number:>3}  {key.fingerprint}  made {key.made_at:%Y-%m-%d %H:%M:%S}Z  {work}")


def _key_ring(data: Path | None) -> KeyRing:
    return _open_keys(data, KeyRing)


def _open_keys(data: Path | None, kind: Callable[[Path], K]) -> K:
    data_folder = data or Path(os.environ.get("MINGCHA_DATA") or ROOT / "data")
    folder = Settings.from_environment().keys or data_folder / "keys"
    if not folder.is_dir():
        typer.echo(f"There are no keys at {folder}: the first start of Mingcha makes them.", err=True)
        raise typer.Exit(1)
    try:
        return kind(folder)
    except (OSError, BadKeyError) as error:
        typer.echo(f"The keys at {folder} can't be used: {error}", err=True)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    tolerate_missing_letters()
    app()
