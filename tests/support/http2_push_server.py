"""Serve a push service that speaks only HTTP/2 over TLS, as Apple's does."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded

from tests.support.certificates import self_signed
from tests.support.http_receiver import ReceivedCall


def certified(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for localhost and its key, and return the paths of both."""
    private, certificate = folder / "apple.key", folder / "apple.pem"
    key, made = self_signed("localhost")
    private.write_bytes(key)
    certificate.write_bytes(made)
    return certificate, private


@dataclass
class Apple:
    """A push service. `answer` gives the status and reason for a call.

    If `goes_away` is true, each connection ends after one answer.
    """

    address: str = ""
    calls: list[ReceivedCall] = field(default_factory=list)
    connections: int = 0
    answer: Callable[[ReceivedCall], tuple[int, str | None]] = lambda _: (200, None)
    goes_away: bool = False

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
        self.connections += 1
        line = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        line.initiate_connection()
        open_calls: dict[int, ReceivedCall] = {}
        try:
            while True:
                writer.write(line.data_to_send())
                await writer.drain()
                if not (data := await reader.read(65_536)):
                    return
                for event in line.receive_data(data):
                    if isinstance(event, RequestReceived):
                        headers = {str(name): str(value) for name, value in event.headers}
                        open_calls[event.stream_id] = ReceivedCall(headers[":path"], headers, b"")
                    elif isinstance(event, DataReceived):
                        open_calls[event.stream_id].body += event.data
                        line.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    elif isinstance(event, StreamEnded):
                        self._settle(line, event.stream_id, open_calls.pop(event.stream_id))
                        if self.goes_away:
                            line.close_connection(last_stream_id=event.stream_id)
                            writer.write(line.data_to_send())
                            return
        except (ConnectionError, ssl.SSLError):
            return
        finally:
            writer.close()

    def _settle(self, line: H2Connection, stream_id: int, call: ReceivedCall) -> None:
        self.calls.append(call)
        status, reason = self.answer(call)
        line.send_headers(stream_id, [(":status", str(status)), ("apns-id", "1")], end_stream=reason is None)
        if reason is not None:
            line.send_data(stream_id, json.dumps({"reason": reason}).encode(), end_stream=True)


@asynccontextmanager
async def apple(certificate: Path, private: Path) -> AsyncIterator[Apple]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, private)
    context.set_alpn_protocols(["h2"])
    made = Apple()
    server = await asyncio.start_server(made.talk, "127.0.0.1", 0, ssl=context)
    async with server:
        made.address = f"https://localhost:{server.sockets[0].getsockname()[1]}"
        yield made
