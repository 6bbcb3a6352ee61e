"""Listen on a port as a false mongod: another program that pretends to be a primary, and knows no password."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import bson

from storage.embedded import mongod

HEADER, OP_QUERY, OP_REPLY, OP_MSG = 16, 2004, 1, 2013


@dataclass
class FalseMongod:
    """What the program has received. `commands` are the names of the commands."""

    port: int = 0
    received: bytes = b""
    commands: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                header = await reader.readexactly(HEADER)
                size, number, _, kind = (int.from_bytes(header[at : at + 4], "little") for at in range(0, HEADER, 4))
                body = await reader.readexactly(size - HEADER)
                self.received += header + body
                # OP_QUERY has flags, the collection's name and two numbers before the document.
                start = body.index(b"\0", 4) + 9 if kind == OP_QUERY else 5
                command = bson.decode(body[start:])
                self.commands.append(next(iter(command)))
                answer = bson.encode(self._answer(command))
                before, code = (b"\0" * 16 + b"\1\0\0\0", OP_REPLY) if kind == OP_QUERY else (b"\0" * 5, OP_MSG)
                numbers = (HEADER + len(before) + len(answer), 1, number, code)
                writer.write(b"".join(each.to_bytes(4, "little") for each in numbers) + before + answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _answer(self, command: dict[str, Any]) -> dict[str, Any]:
        match next(iter(command)):
            case "saslStart":
                nonce = bytes(command["payload"]).decode().rpartition("r=")[2]
                return self._step(f"r={nonce}false,s={base64.b64encode(b'salt' * 7).decode()},i=15000")
            case "saslContinue":
                return self._step(f"v={base64.b64encode(b'signature' * 3).decode()}")
        host = f"127.0.0.1:{self.port}"
        told = {"helloOk": True, "isWritablePrimary": True, "ismaster": True, "setName": mongod.REPLICA_SET}
        told |= {"hosts": [host], "me": host, "primary": host, "minWireVersion": 0, "maxWireVersion": 17}
        return told | {"saslSupportedMechs": ["SCRAM-SHA-256"], "logicalSessionTimeoutMinutes": 30, "ok": 1}

    @staticmethod
    def _step(payload: str) -> dict[str, Any]:
        return {"conversationId": 1, "done": payload.startswith("v="), "payload": payload.encode(), "ok": 1}


@asynccontextmanager
async def false_mongod() -> AsyncIterator[FalseMongod]:
    false = FalseMongod()
    async with await asyncio.start_server(false.serve, "127.0.0.1", 0) as server:
        false.port = server.sockets[0].getsockname()[1]
        yield false
