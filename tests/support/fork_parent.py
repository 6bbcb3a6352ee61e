"""A process with a fork server. The tests run it with the name of one of its functions, and read what it prints."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

from scripts.benchmarks.process_memory import children_of
from storage.processes.fork_server import MODULE_COMMAND, ForkServer, start_fork_server
from storage.processes.forks import Forks
from storage.processes.programs import Program, ProgramProcess, execute
from tests.support.process_states import is_alive, parent_of, wait_until_async

MODULE = "tests.support.forked_program"
ROOT = Path(__file__).parents[2]


def program(folder: Path, *arguments: str, passed: tuple[int, ...] = (), name: str = "program") -> Program:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "SAMPLE_NAME": "明察"}
    command = (*MODULE_COMMAND, MODULE, *arguments)
    return Program(name, command, environment, ROOT, folder / f"{name}.log", passed)


async def compare(forks: Forks, folder: Path) -> None:
    """Start the same program by both ways. The logs then say what each of the processes is."""
    for name, start in (("forked", forks.start), ("executed", execute)):
        reader, writer = os.pipe()
        os.write(writer, b"through the pipe")
        os.close(writer)
        process = await start(program(folder, str(reader), passed=(reader,), name=name))
        os.close(reader)
        print(await process.wait(), process.returncode)


async def end(forks: Forks, folder: Path) -> None:
    """Start programs that end in different ways, at the same time."""
    started = [await forks.start(program(folder, command)) for command in ("exit", "fail", "wait")]
    assert len({process.pid for process in started}) == 3
    assert started[2].returncode is None
    os.kill(started[2].pid, signal.SIGTERM)
    print([await process.wait() for process in started])


async def cancel(forks: Forks, folder: Path) -> None:
    """Start a program, and no longer wait for it. The next start gets its own process."""
    starting = asyncio.create_task(forks.start(program(folder, "wait", name="cancelled")))
    await asyncio.sleep(0)
    starting.cancel()
    print(await (await forks.start(program(folder, "exit"))).wait())
    [server] = children_of(os.getpid())
    await wait_until_async(lambda: not children_of(server))


async def lose(forks: Forks, folder: Path) -> None:
    """Kill the fork server. Its processes end with it, and the next program is executed."""
    first = await forks.start(program(folder, "wait"))
    server = parent_of(first.pid)
    assert server != os.getpid()
    os.kill(server, signal.SIGTERM)  # a service manager sends it to every process of the service
    os.kill(server, signal.SIGINT)
    assert first.returncode is None
    os.kill(server, signal.SIGKILL)
    print(await first.wait())
    await wait_until_async(lambda: not is_alive(first.pid))
    second = await forks.start(program(folder, "exit"))
    print(await second.wait())


async def stop_before_a_death(forks: Forks, folder: Path) -> None:
    """Stop the fork server, and kill a program. Its end is told although the fork server can't tell it."""
    first = await _stop_server(forks, folder)
    os.kill(first.pid, signal.SIGKILL)
    print(await first.wait())
    print(await (await forks.start(program(folder, "exit"))).wait())


async def stop_before_a_start(forks: Forks, folder: Path) -> None:
    """Stop the fork server, and start a program. It is executed, and the forked one ends with the fork server."""
    first = await _stop_server(forks, folder)
    second = await forks.start(program(folder, "exit"))
    print(await first.wait(), await second.wait())
    await wait_until_async(lambda: not is_alive(first.pid))


async def _stop_server(forks: Forks, folder: Path) -> ProgramProcess:
    first = await forks.start(program(folder, "wait"))
    forks.answer_seconds = 0.2  # a stopped process never answers
    os.kill(parent_of(first.pid), signal.SIGSTOP)
    return first


async def close(forks: Forks, folder: Path) -> None:
    """End with a program that still runs."""
    print((await forks.start(program(folder, "wait"))).pid)


async def run(server: ForkServer) -> None:
    forks = Forks(server, (MODULE,))
    with contextlib.closing(forks):
        await globals()[sys.argv[1]](forks, Path(sys.argv[2]))


if __name__ == "__main__":
    os.umask(0o077)
    started = start_fork_server((MODULE,))
    if isinstance(started, ForkServer):
        sys.exit(asyncio.run(run(started)))
    started()
