"""Assemble the phone's commands, and define those that sign in and send."""

import asyncio
import platform
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from mobile_contract.phone.cli import (
    edit_command,
    local_commands,
    note_commands,
    note_tables,
    online_commands,
    output,
    pulled_commands,
    user_commands,
)
from mobile_contract.phone.cli.local_commands import alarms_of, clock_warning
from mobile_contract.phone.cli.options import DEFAULT_FOLDER, Where, report_errors
from mobile_contract.phone.cli.progress_bars import ProgressBars
from mobile_contract.phone.device import PhoneDevice, prepare_stores
from mobile_contract.phone.errors import UsageError, WipeOrderedError
from mobile_contract.phone.outbox.outbox import Outbox
from mobile_contract.phone.outbox.receipts import Receipts
from mobile_contract.phone.storage.folder import Folder
from mobile_contract.phone.sync.delivery import Delivery
from mobile_contract.phone.sync.queued_operations import OperationState
from mobile_contract.phone.users.sign_in import PhoneSignIn, SignInAttempt, password_for_import
from mobile_contract.phone.users.unlocking import SELECTED_USER, UserSelector, ask_password, key_from_environment
from mobile_contract.proxies import open_client

app = typer.Typer(
    help="A phone for the terminal 终端手机. It takes photos offline, keeps them until the server has them, and shows the "
    "state of each.\n\nExit codes: 0 everything is sent; 1 something needs your attention; 2 invalid input; 3 not everything "
    "is sent, try later; 4 sign in again, or unlock; 5 the folder is in use.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(local_commands.app)
app.add_typer(online_commands.app)
app.add_typer(pulled_commands.app)
app.add_typer(note_commands.app)
app.add_typer(edit_command.app)
app.add_typer(user_commands.app)
AtOnce = Annotated[
    int, typer.Option(min=1, max=8, help="Maximum number of uploads at once. A bad connection gets fewer.")
]


@app.callback()
def select_user(
    user_name: Annotated[
        str | None,
        typer.Option("--as", help="The user whose outbox to use (用户名). Default: the last user."),
    ] = None,
    url: Annotated[
        str | None, typer.Option("--at", help="The user's server, if the same name exists at two servers.")
    ] = None,
) -> None:
    SELECTED_USER.set(UserSelector(user_name, url))


@app.command("sign-in")
def sign_in(
    url: Annotated[str, typer.Argument(help="The server, such as http://127.0.0.1:8000.")],
    user: Annotated[str, typer.Option(help="User name (用户名).")],
    password: Annotated[
        str | None,
        typer.Option(help="`-` reads it from standard input. Default: MINGCHA_PHONE_PASSWORD, or a prompt."),
    ] = None,
    device_name: Annotated[
        str, typer.Option(help="A name by which you recognise this phone.")
    ] = f"Terminal {platform.node()}",
    folder: Where = DEFAULT_FOLDER,
) -> None:
    """Sign in (登录). Offline, this only unlocks your store. All users' unsent items stay, encrypted and separate."""
    with report_errors():
        secret = _read_password(password)
        phone_folder = Folder.open(folder)
        with phone_folder.lock():
            stores = prepare_stores(phone_folder, password_for_import(url, user, secret))

            async def run() -> PhoneSignIn:
                async with open_client() as client:
                    signed_in = await SignInAttempt(stores, client, url, user, secret, key_from_environment()).run(
                        device_name
                    )
                    if not signed_in.is_offline:
                        with closing(Outbox(signed_in.place.outbox, signed_in.key.database)) as outbox:
                            await Receipts(outbox).fetch_keys(client, signed_in.session.endpoint)
                    return signed_in

            signed_in = asyncio.run(run())
        session = signed_in.session
        if signed_in.is_offline:
            output.print_message(
                f"Unlocked the store of {session.user_name}. {session.endpoint} can't be reached: sign in again later.",
                "已离线解锁，服务器暂时连接不上。",
            )
            return
        output.print_message(
            f"Signed in as {session.display_name} ({', '.join(session.roles)}) at {session.endpoint}.", "登录成功。"
        )


def _read_password(option: str | None) -> str:
    if option == "-":
        return sys.stdin.readline().rstrip("\n")
    if option is not None:
        raise UsageError(
            "Others can read a password on the command line. Use `--password -` or MINGCHA_PHONE_PASSWORD, or type it.",
            "命令行中的密码会被他人看到，请改用标准输入或环境变量。",
        )
    return ask_password()


@app.command("sign-out")
def sign_out(folder: Where = DEFAULT_FOLDER) -> None:
    """Sign out (退出). Unsent items stay on the phone."""
    with report_errors(), PhoneDevice.open(folder) as device:

        async def run() -> None:
            async with device.connect() as connection:
                await connection.account.sign_out()

        asyncio.run(run())
        count = len(device.outbox.undelivered())
        output.print_message(
            f"Signed out. {count} observations on this phone are not sent yet.",
            f"已退出，手机上有 {count} 条记录待发送。",
        )


@app.command()
def send(
    *,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait up to one minute until the server has verified the photos.")
    ] = False,
    at_once: AtOnce = 4,
    folder: Where = DEFAULT_FOLDER,
) -> None:
    """Send what is waiting (发送): submit, upload, confirm. You can stop at any time and run it again."""

    async def work(delivery: Delivery) -> None:
        await delivery.run_once()
        if wait:
            await delivery.until_verified(60)

    _deliver(folder, at_once, work)


@app.command()
def sync(
    seconds: Annotated[float, typer.Option("--for", min=1, help="Stop after this many seconds.")] = 600,
    at_once: AtOnce = 4,
    folder: Where = DEFAULT_FOLDER,
) -> None:
    """Send until everything is delivered and verified, with growing pauses between attempts (同步)."""
    _deliver(folder, at_once, lambda delivery: delivery.until_through(seconds))


def _deliver(folder: Path, at_once: int, work: Callable[[Delivery], Awaitable[None]]) -> None:
    """Run `work`, then show the status, even if `work` was interrupted."""
    with report_errors(), PhoneDevice.open(folder) as device:

        async def run() -> None:
            async with device.connect() as connection:
                with ProgressBars(output.console) as bars:
                    await work(connection.delivery(bars, at_once=at_once))
                await connection.fetch_keys()

        try:
            asyncio.run(run())
        except WipeOrderedError:
            raise
        except BaseException:
            _show_status(device)
            raise
        if code := _show_status(device):
            raise typer.Exit(code)


def _show_status(device: PhoneDevice) -> int:
    """Show the status; return the matching exit code."""
    observations, ratings, answers = device.outbox.observations(), device.ratings.all(), device.answers.all()
    edits = device.notebook.queue.all()
    if observations or not (ratings or answers or edits):
        output.summary(observations, device.outbox.count_forgotten())
    output.ratings(ratings)
    output.answers(answers)
    note_tables.edits(edits)
    alarms = alarms_of(device.outbox)
    output.alarms([*alarms, *clock_warning(device.outbox)])
    states = {operation.state for operation in (*ratings, *answers, *edits)}
    if alarms or OperationState.REFUSED in states or any(observation.is_aside for observation in observations):
        return 1
    if OperationState.QUEUED in states or any(observation.is_undelivered for observation in observations):
        return 3
    return 0
