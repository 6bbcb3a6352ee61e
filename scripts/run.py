"""Run Mingcha on this machine until Ctrl-C."""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

from api.settings import SettingError
from mobile_contract.proxies import unusable_proxies
from mobile_contract.terminals import tolerate_missing_letters
from schema.access.viewers import Role
from schema.core.refusals import Refusal
from scripts.local_stack import ROOT, LocalStack, StartError, address_of
from storage.embedded.data_folder import FolderInUseError, FolderUnusableError
from storage.embedded.engines import EnginesMissingError
from storage.processes.fork_server import ForkServer, start_fork_server
from storage.processes.forks import Forks
from storage.processes.supervisor import ProcessLostError

PROGRAMS = "api.server.serve", "api.server.worker"
"""The modules of the programs that are forked."""


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/run", description="Start Mingcha on this machine; Ctrl-C stops it.")
    data = Path(os.environ.get("MINGCHA_DATA") or ROOT / "data")
    parser.add_argument("--data", type=Path, default=data, help="folder for all data (default: %(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to serve on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port to serve on, 0 for any (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="API processes (default: %(default)s)")
    parser.add_argument(
        "--role", choices=("api", "worker", "all"), default="all", help="what to run here (default: %(default)s)"
    )
    parser.add_argument("--no-demo", action="store_true", help="leave a new data folder empty")
    options = parser.parse_args()
    if options.workers < 1:
        parser.error("--workers must be 1 or more.")
    if not 0 <= options.port <= 65535:
        parser.error("--port must be between 0 and 65535.")
    return options


def say(sentence: str) -> None:
    """Tell the operator something. If the output goes to a full disk, the sentence is lost."""
    with contextlib.suppress(OSError):
        print(f"mingcha: {sentence}", file=sys.stderr, flush=True)


def print_welcome(stack: LocalStack) -> None:
    """Print the addresses, the accounts of the demo and what to try next."""
    address = address_of(stack.listener) if stack.listener else None
    lines = (
        [("Mingcha", address), ("Explorer", f"{address}/graphql"), ("Health", f"{address}/readyz")] if address else []
    )
    lines += [("Data, logs", str(stack.options.data.absolute())), ("Stop", "Ctrl-C")]
    print("\n" + "\n".join(f"  {name:12}{text}" for name, text in lines) + "\n")
    signins = stack.signins
    if signins:
        print("\n".join(f"  {line}" for line in signins.lines()) + "\n")
    if address:
        inspector = (
            next((name for _, role, name in signins.people if role is Role.INSPECTOR), "NAME") if signins else "NAME"
        )
        print(
            "  Try next, in another terminal:\n"
            f"    scripts/phone sign-in {address} --user {inspector}\n"
            "    scripts/phone take FOLDER-OF-PHOTOS\n"
            "    scripts/phone send --wait\n"
        )
    sys.stdout.flush()


async def run(stack: LocalStack) -> None:
    try:
        say(f"starting on {stack.options.data.absolute()} ...")
        if proxies := unusable_proxies():
            say(f"{', '.join(proxies)} can't be used, and is left out.")
        await stack.open()
        with contextlib.suppress(OSError):  # the output may go to a full disk
            print_welcome(stack)
        await stack.wait()
    finally:
        await stack.close()


async def serve(options: argparse.Namespace, fork_server: ForkServer) -> int:
    """Run Mingcha until a signal stops it. Return the exit code."""
    stack = LocalStack(options, say, Forks(fork_server, PROGRAMS))
    loop = asyncio.get_running_loop()
    running = asyncio.ensure_future(run(stack))

    def stop() -> None:
        if running.cancelling():  # the second signal: stop at once
            stack.kill()
            os._exit(130)
        say("stopping; press Ctrl-C again to stop at once.")
        running.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    try:
        await running
    except asyncio.CancelledError:
        say("stopped; all data is kept.")
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


def main() -> None:
    os.umask(0o077)
    tolerate_missing_letters()
    options = parse_options()
    started = start_fork_server(PROGRAMS)
    if isinstance(started, ForkServer):
        sys.exit(asyncio.run(serve(options, started)))
    started()


if __name__ == "__main__":
    main()
