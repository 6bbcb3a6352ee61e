"""Mingcha on this machine, by one command and until Ctrl-C: its options, what it says, and how it ends.

Which processes that takes is left to `house`.
"""

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from api.settings import SettingError
from schema.access.viewers import Role
from schema.core.refusals import Refusal
from scripts.local_stack import ROOT, LocalStack, StartError, address_of
from storage.embedded.data_folder import FolderInUseError, FolderUnusableError
from storage.embedded.engines import EnginesMissingError
from storage.processes.supervisor import ProcessLostError


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/run", description="Start Mingcha on this machine; Ctrl-C stops it.")
    data = Path(os.environ.get("MINGCHA_DATA") or ROOT / "data")
    parser.add_argument(
        "--data", type=Path, default=data, help="folder of everything that is kept (default: %(default)s)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to serve on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port to serve on, 0 for any (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="API processes (default: %(default)s)")
    parser.add_argument(
        "--role", choices=("api", "worker", "all"), default="all", help="what to run here (default: %(default)s)"
    )
    parser.add_argument("--no-demo", action="store_true", help="leave a new data folder empty")
    chosen = parser.parse_args()
    if chosen.workers < 1:
        parser.error("--workers must be 1 or more.")
    if not 0 <= chosen.port <= 65535:
        parser.error("--port must be between 0 and 65535.")
    return chosen


def say(sentence: str) -> None:
    print(f"mingcha: {sentence}", file=sys.stderr, flush=True)


def welcome(house: LocalStack) -> None:
    """Where it is, whom to sign in as, and what to try next."""
    address = address_of(house.listener) if house.listener else None
    lines = (
        [("Mingcha", address), ("Explorer", f"{address}/graphql"), ("Health", f"{address}/readyz")] if address else []
    )
    lines += [("Data, logs", str(house.chosen.data.absolute())), ("Stop", "Ctrl-C")]
    print("\n" + "\n".join(f"  {name:12}{text}" for name, text in lines) + "\n")
    known = house.signins
    if known:
        print("\n".join(f"  {line}" for line in known.lines()) + "\n")
    if address:
        inspector = (
            next((name for _, role, name in known.people if role is Role.INSPECTOR), "NAME") if known else "NAME"
        )
        print(
            "  Try next, in another terminal:\n"
            f"    scripts/phone sign-in {address} --user {inspector}\n"
            "    scripts/phone take FOLDER-OF-PHOTOS\n"
            "    scripts/phone send --wait\n"
        )
    sys.stdout.flush()


async def run(house: LocalStack) -> None:
    try:
        say(f"starting on {house.chosen.data.absolute()} ...")
        await house.open()
        welcome(house)
        await house.stay()
    finally:
        await house.close()


async def serve(chosen: argparse.Namespace) -> int:
    """Run until asked to stop. Returns the exit code."""
    house = LocalStack(chosen, say)
    loop = asyncio.get_running_loop()
    running = asyncio.ensure_future(run(house))

    def stop() -> None:
        if running.cancelling():  # asked twice: at once, not in order
            house.kill()
            os._exit(130)
        say("stopping; once more Ctrl-C to stop at once.")
        running.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    try:
        await running
    except asyncio.CancelledError:
        say("stopped; everything is kept.")
        return 0
    except (
        StartError,
        FolderInUseError,
        FolderUnusableError,
        EnginesMissingError,
        ProcessLostError,
        SettingError,
    ) as error:
        say(str(error))
    except Refusal:
        say("The database or the object store that the environment names can't be reached.")
    return 1


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(asyncio.run(serve(options())))
