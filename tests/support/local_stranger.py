"""Try servers of this machine without their credentials: `python -m tests.support.local_stranger`.

The program reads a JSON object from stdin: `ports`, `paths` of unix sockets, and `object` (bucket and key). As root it
first becomes the user `nobody`. It writes what the servers gave away, as a JSON list of sentences.
"""

import contextlib
import json
import os
import pwd
import socket
import ssl
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import bson
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, TrailersReceived
from h2.exceptions import ProtocolError

from tests.support.certificates import self_signed

SECONDS = 3.0
PROTOCOLS = ("h2", "http/1.1", "mongodb")
Target = Sequence[str]
"""Bucket and key of an object."""
ADDRESSES = ("/", "/dir/assign", "/dir/lookup?volumeId=1", "/cluster/status", "/status", "/health", "/buckets/")
MONGOD_HINT = b"It looks like you are trying to access MongoDB over HTTP"
COMMANDS = ("listDatabases", "usersInfo", "replSetGetConfig", "getLog", "createUser", "replSetReconfig")


def field(number: int, value: str | int) -> bytes:
    """Encode a field of a short protobuf message."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    return bytes([number << 3 | 2, len(value.encode())]) + value.encode()


def methods(bucket: str, key: str) -> dict[str, bytes]:
    """Return gRPC methods of SeaweedFS and their requests. Each gives away or destroys something."""
    folder, _, name = f"/buckets/{bucket}/{key}".rpartition("/")
    return {
        "/filer_pb.SeaweedFiler/ListEntries": field(1, folder) + field(5, 100),
        "/filer_pb.SeaweedFiler/GetFilerConfiguration": b"",
        "/filer_pb.SeaweedFiler/DeleteEntry": field(1, folder) + field(2, name) + field(4, 1),
        "/master_pb.Seaweed/VolumeList": b"",
        "/master_pb.Seaweed/Assign": field(1, 1),
        "/volume_server_pb.VolumeServer/VolumeServerStatus": b"",
    }


def call(connection: socket.socket, authority: str, path: str, message: bytes) -> bool:
    """Call a gRPC method. Return whether the server carried it out."""
    http = H2Connection(H2Configuration(client_side=True))
    http.initiate_connection()
    names = {":method": "POST", ":scheme": "http", ":authority": authority, ":path": path, "te": "trailers"}
    http.send_headers(1, [*names.items(), ("content-type", "application/grpc")])
    http.send_data(1, b"\0" + len(message).to_bytes(4) + message, end_stream=True)
    connection.sendall(http.data_to_send())
    while data := connection.recv(65536):
        for event in http.receive_data(data):
            if isinstance(event, DataReceived):
                return True
            if isinstance(event, TrailersReceived | ResponseReceived):
                status = dict(event.headers or []).get(b"grpc-status")
                if status is not None:
                    return bool(status == b"0")
        connection.sendall(http.data_to_send())
    return False


def get(connection: socket.socket, path: str) -> bool:
    """Send a request of HTTP/1.1. Return whether the server carried it out."""
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
    answer = b""
    while more := connection.recv(65536):
        answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    is_answer = head.startswith(b"HTTP/1.") and head.split()[1] < b"400"
    return is_answer and bool(body) and not body.startswith(MONGOD_HINT)


def command(connection: socket.socket, name: str) -> bool:
    """Send a MongoDB command (OP_MSG). Return whether the server carried it out."""
    arguments = {"getLog": "global", "createUser": "stranger", "replSetReconfig": {"_id": "mingcha"}}
    extra = {"pwd": "x", "roles": ["root"]} if name == "createUser" else {}
    body = b"\0\0\0\0\0" + bson.encode({name: arguments.get(name, 1), **extra, "$db": "admin"})
    connection.sendall(b"".join(part.to_bytes(4, "little") for part in (len(body) + 16, 1, 0, 2013)) + body)
    answer = connection.recv(65536)
    return answer[12:16] == (2013).to_bytes(4, "little") and bson.decode(answer[21:])["ok"] == 1


def ways() -> dict[str, dict[str, ssl.SSLContext | None]]:
    """Return the ways to connect, each with its TLS settings by protocol: in clear, by TLS, with an own certificate."""
    memory = os.memfd_create("certificate")
    os.write(memory, b"".join(self_signed("mingcha embedded engine")))
    own = f"/proc/self/fd/{memory}"
    return {
        "in clear": dict.fromkeys(PROTOCOLS),
        "by TLS": {protocol: tls(protocol) for protocol in PROTOCOLS},
        "by TLS with a certificate of its own": {protocol: tls(protocol, own) for protocol in PROTOCOLS},
    }


def tls(protocol: str, certificate: str | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([protocol])
    if certificate:
        context.load_cert_chain(certificate)
    return context


@contextlib.contextmanager
def connected(server: int | str, context: ssl.SSLContext | None) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX if isinstance(server, str) else socket.AF_INET) as raw:
        raw.settimeout(SECONDS)
        raw.connect(server if isinstance(server, str) else ("127.0.0.1", server))
        if context is None:
            yield raw
        else:
            with context.wrap_socket(raw) as wrapped:
                yield wrapped


def attempts(bucket: str, key: str) -> Iterator[tuple[str, str, Callable[[socket.socket], bool]]]:
    """Yield each request: its protocol, its name, and the function that sends it and returns whether it succeeded."""
    for path, message in methods(bucket, key).items():
        yield "h2", path, partial(call, authority="127.0.0.1", path=path, message=message)
    for path in (*ADDRESSES, f"/buckets/{bucket}/{key}", f"/{bucket}/{key}", f"/{bucket}?list-type=2"):
        yield "http/1.1", path, partial(get, path=path)
    for name in COMMANDS:
        yield "mongodb", name, partial(command, name=name)


def gave_away(server: int | str, how: str, contexts: Mapping[str, ssl.SSLContext | None], target: Target) -> list[str]:
    """Return a sentence for each request that the server carried out. `contexts` are by protocol."""
    found, silent = [], set[str]()
    for protocol, name, send in attempts(*target):
        if protocol in silent:
            continue
        try:
            with connected(server, contexts[protocol]) as connection:
                if send(connection):
                    found.append(f"{server} carried out {name} {how}")
        except TimeoutError:  # the server waits for more: it does not speak this protocol
            silent.add(protocol)
        except (OSError, ProtocolError, bson.InvalidBSON):
            pass
    return found


def main() -> None:
    given = json.load(sys.stdin)
    means = ways()
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)
    servers = [*given["ports"], *given["paths"]]
    tries = [(server, how, contexts, given["object"]) for server in servers for how, contexts in means.items()]
    with ThreadPoolExecutor(len(tries)) as threads:  # most of the time is spent waiting for servers that say nothing
        found = [sentence for found in threads.map(lambda try_: gave_away(*try_), tries) for sentence in found]
    found += [f"{path} can be read" for path in given["files"] if os.access(Path(path), os.R_OK)]
    json.dump({"uid": os.geteuid(), "found": found}, sys.stdout)


if __name__ == "__main__":
    main()
