"""Define the commands for a shared phone: list its users, and print a key that replaces the password."""

import os
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.text import Text

from mobile_contract.phone.cli import output
from mobile_contract.phone.cli.options import DEFAULT_FOLDER, AsJson, Where, report_errors
from mobile_contract.phone.device import PhoneDevice
from mobile_contract.phone.storage.folder import Folder
from mobile_contract.phone.storage.key_wrapping import Lock, StoreKey
from mobile_contract.phone.users.unlocking import KEY, ask_password, key_from_environment
from mobile_contract.phone.users.user_stores import UserStores

app = typer.Typer()


@app.command()
def unlock(folder: Where = DEFAULT_FOLDER) -> None:
    """Print a key that replaces the password (解锁). Use `eval "$(scripts/phone unlock)"`.

    Closing the terminal locks the store again.
    """
    os.environ.pop(KEY, None)  # an outdated key must not block the new one
    with report_errors(), PhoneDevice.open(folder) as device:
        typer.echo(f"export {KEY}={device.key.text}")


@app.command()
def users(
    try_password: Annotated[
        bool, typer.Option("--try", help="Ask for a password, and show the users whose stores it opens.")
    ] = False,
    as_json: AsJson = False,
    folder: Where = DEFAULT_FOLDER,
) -> None:
    """List the users' outboxes on this phone (用户). The owner of a locked outbox is unknown."""
    with report_errors():
        stores = UserStores(Folder(folder.absolute()))
        key = key_from_environment()
        password = ask_password() if try_password else None

        def by(lock: Lock) -> StoreKey | None:
            if key and lock.admits(key):
                return key
            return lock.unwrap_with_password(password) if password is not None else None

        sessions = {place.id: stores.session_in(place, opened) for place, opened in stores.unlock_each(by)}
        current = stores.current()
        rows = [
            {
                "store": place.id,
                "inUse": current is not None and place.id == current.id,
                "locked": place.id not in sessions,
                "user": session.user_name if (session := sessions.get(place.id)) else None,
                "server": session.endpoint if session else None,
            }
            for place in stores.all()
        ]
        output.print_json(rows) if as_json else _show(rows)


def _show(rows: Sequence[dict[str, Any]]) -> None:
    table = output.new_table("outbox 发件箱", "in use 当前", "user 用户", "server 服务器")
    for row in rows:
        who = Text("locked 已锁定", style="dim") if row["locked"] else Text(row["user"] or "nobody's yet 未归属")
        table.add_row(Text(row["store"]), "yes 是" if row["inUse"] else "", who, Text(row["server"] or ""))
    output.console.print(table)
