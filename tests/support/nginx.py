"""Run nginx with the configuration of docs/operations.md, on sockets of loopback."""

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.certificates import self_signed
from tests.support.doc_pages import BLOCKS

PROGRAM = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
LISTEN, UPSTREAM, FOLDER = "listen 443 ssl;", "http://127.0.0.1:8000", "/etc/mingcha"
NAME = "localhost"
USER = "user root;" if os.geteuid() == 0 else ""
"""As root, nginx would otherwise serve as a user who can't read the folder of a test."""
TEMPORARY = "client_body proxy fastcgi uwsgi scgi"
MAIN = """
{user} daemon off; worker_processes 1; pid {folder}/pid; error_log stderr;
events {{ worker_connections 256; }}
http {{ access_log off; {temporary} include {folder}/mingcha.conf; }}
"""


@dataclass(frozen=True)
class Proxy:
    """A running nginx. `secure` and `plain` are the ports with and without TLS."""

    secure: int
    plain: int
    trust: ssl.SSLContext

    @property
    def url(self) -> str:
        return f"https://{NAME}:{self.secure}"

    @property
    def plain_address(self) -> str:
        return f"127.0.0.1:{self.plain}"


def documented() -> str:
    """Return the configuration of docs/operations.md."""
    [block] = [block.text for block in BLOCKS if block.language == "nginx"]
    return block


@asynccontextmanager
async def proxying(upstream: str, folder: Path, changes: dict[str, str] | None = None) -> AsyncIterator[Proxy]:
    """Run nginx in front of an upstream, which is a host and port.

    `changes` replaces texts of the configuration, such as a limit. nginx listens for TLS, and on a second port without,
    because most of our clients can't trust a certificate of their own.
    """
    key, certificate = self_signed(NAME)
    (folder / "key.pem").write_bytes(key)
    (folder / "certificate.pem").write_bytes(certificate)
    with socket.create_server(("127.0.0.1", 0)) as secure, socket.create_server(("127.0.0.1", 0)) as plain:
        secure_port, plain_port = [each.getsockname()[1] for each in (secure, plain)]
        listen = f"listen 127.0.0.1:{secure_port} ssl; listen 127.0.0.1:{plain_port};"
        own = {LISTEN: listen, UPSTREAM: f"http://{upstream}", FOLDER: str(folder)}
        command = _configure(folder, own | (changes or {}))
        # nginx takes over the listening sockets that this variable names, so no other process can take the ports.
        descriptors = secure.fileno(), plain.fileno()
        process = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, "NGINX": "".join(f"{each};" for each in descriptors)},
            pass_fds=descriptors,
            stderr=asyncio.subprocess.DEVNULL,
        )
    try:
        yield Proxy(secure_port, plain_port, ssl.create_default_context(cadata=certificate.decode()))
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await asyncio.wait_for(process.wait(), 10)


def _configure(folder: Path, changes: dict[str, str]) -> list[str]:
    """Write the configuration, let nginx check it, and return the command that runs nginx."""
    assert PROGRAM
    text = documented()
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    (folder / "mingcha.conf").write_text(text)
    temporary = "".join(f"{name}_temp_path {folder}/{name};" for name in TEMPORARY.split())
    (folder / "nginx.conf").write_text(MAIN.format(user=USER, folder=folder, temporary=temporary))
    command = [PROGRAM, "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    checked = subprocess.run([*command, "-t", "-q"], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    return command
