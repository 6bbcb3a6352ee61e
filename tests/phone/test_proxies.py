"""Test which requests go through the environment's proxies."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mobile_contract.proxies import open_client, unusable_proxies

DEAD = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for scheme in ("http", "https", "all", "no"):
        for name in (f"{scheme}_proxy", f"{scheme.upper()}_PROXY"):
            monkeypatch.delenv(name, raising=False)


@asynccontextmanager
async def answering() -> AsyncIterator[tuple[str, list[str]]]:
    """Serve as a web server or a proxy. Yield the address, and the first lines of the requests."""
    asked: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.decode().splitlines()[0])
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}", asked


async def get(url: str) -> str:
    async with open_client(timeout=5) as client:
        return (await client.get(url)).text


@pytest.mark.parametrize("name", ["http_proxy", "all_proxy", "HTTP_PROXY"])
async def test_a_request_goes_through_the_proxy_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async with answering() as (address, asked):
        monkeypatch.setenv(name, address)
        assert await get("http://mingcha.invalid/x") == "ok"
    assert asked == ["GET http://mingcha.invalid/x HTTP/1.1"]


@pytest.mark.parametrize(
    "kind", ["socks5://127.0.0.1:9", "socks4://u:secret@h:1", "nonsense://h", "http://[", "http://"]
)
async def test_a_proxy_of_another_kind_is_left_out_and_named(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    async with answering() as (address, asked):
        monkeypatch.setenv("all_proxy", kind)
        monkeypatch.setenv("http_proxy", address)
        assert unusable_proxies() == [f"all_proxy={kind.partition(':')[0]}://..."]
        assert await get("http://mingcha.invalid/x") == "ok"
    assert asked


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_addresses_of_this_machine_go_through_no_proxy(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("http_proxy", DEAD)
    monkeypatch.setenv("all_proxy", DEAD)
    async with answering() as (address, asked):
        assert await get(address.replace("127.0.0.1", host)) == "ok"
    assert asked == ["GET / HTTP/1.1"]


@pytest.mark.parametrize(
    "exceptions", ["*", "127.0.0.2", ".internal, 127.0.0.2", "10.0.0.0/8,::1/128,[::1],<local>,127.0.0.2"]
)
async def test_the_hosts_in_no_proxy_are_reached_directly(monkeypatch: pytest.MonkeyPatch, exceptions: str) -> None:
    """Loopback has more than one address, and only the usual one is direct by itself."""
    monkeypatch.setenv("http_proxy", DEAD)
    monkeypatch.setenv("no_proxy", exceptions)
    server = await asyncio.start_server(_say_ok, "127.0.0.2", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await get(f"http://127.0.0.2:{port}/") == "ok"


async def _say_ok(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    await writer.drain()
    writer.close()
