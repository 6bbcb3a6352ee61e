"""Define the options that several commands share, and turn errors into messages and exit codes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from mobile_contract.phone.cli.output import print_error
from mobile_contract.phone.errors import PhoneError, UsageError
from mobile_contract.phone.outbox.drafts import Category, Content, Datum, Method, Severity, read_instant, read_position
from mobile_contract.phone.storage.database import Error

DEFAULT_FOLDER = Path("data/phone")

Where = Annotated[Path, typer.Option("--folder", envvar="MINGCHA_PHONE_FOLDER", help="The phone's folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Unit = Annotated[str | None, typer.Option(help="The unit or window: code or id (单位代码).")]
Point = Annotated[str | None, typer.Option(help="Monitoring point: code or id (监测点编号).")]
How = Annotated[Method | None, typer.Option("--method", help="How you observed it (方式).", case_sensitive=False)]
What = Annotated[
    Category | None, typer.Option("--category", help="What you observed (问题类别).", case_sensitive=False)
]
Grave = Annotated[
    Severity | None, typer.Option("--severity", help="How serious it is (严重程度).", case_sensitive=False)
]
Words = Annotated[str | None, typer.Option("--text", help="A description in your words (情况描述).")]
At = Annotated[
    str | None, typer.Option("--at", help="When it was observed, such as 2026-11-20T09:05:00+08:00. Default: now.")
]
Position = Annotated[str | None, typer.Option(help="The place: LAT,LON or LAT,LON,ACCURACY in metres (坐标).")]
Grid = Annotated[Datum, typer.Option("--datum", help="The datum of --position (坐标系).", case_sensitive=False)]


def content_of(
    unit: str | None,
    point: str | None,
    method: Method | None,
    category: Category | None,
    severity: Severity | None,
    text: str | None,
    at: str | None,
    position: str | None,
    datum: Datum,
) -> Content:
    """Build the content from a command's options. Raise `UsageError` for an invalid time or position."""
    return Content(method, category, severity, text, unit, point, read_instant(at), read_position(position, datum))


@contextmanager
def report_errors() -> Iterator[None]:
    """End a command with the error's message and exit code. The outbox keeps everything done so far."""
    os.umask(0o077)
    try:
        yield
    except PhoneError as fault:
        print_error(fault)
        raise typer.Exit(fault.exit_code) from None
    except UnicodeEncodeError:
        print_error(
            UsageError(
                "The text has letters that this machine's locale can't read. Set LC_ALL=C.UTF-8, and type it again.",
                "系统区域设置读不了这些文字，请设置 LC_ALL=C.UTF-8 后重试。",
            )
        )
        raise typer.Exit(2) from None
    except (OSError, Error) as error:
        print_error(
            UsageError(
                f"The phone's folder can't be read or written ({error}). Everything saved before is safe.",
                "手机目录读写失败，此前保存的内容不受影响。",
            )
        )
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        print_error(
            PhoneError(
                "Stopped. Nothing is lost. Run the same command again to continue.",
                "已停止，内容没有丢失，可随时继续。",
            )
        )
        raise typer.Exit(130) from None
