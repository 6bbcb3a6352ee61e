"""Test outbound HTTP: a URL that people enter reaches no internal address, by name, number or redirect."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.notifications.outbound_http import OutboundHttp, Rules, UnreachableAddressError, ascii_url, outbound_client
from api.notifications.push_gateways import push_client
from schema.core.refusals import Refusal
from schema.notifications.webhooks import check_url
from tests.support.certificates import self_signed
from tests.support.http_receiver import Receiver, receiving


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "https://user:secret@example.com/",
        "https://example.com/#a",
        "https:///x",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://[::1/",
        "https://exa mple.com/",
        "https://例子.cn/",
        "https://example.com/" + "a" * 2000,
        "",
    ],
)
def test_a_url_that_is_malformed_or_insecure_is_refused(url: str) -> None:
    with pytest.raises(Refusal):
        check_url(url, plain=False)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),  # noqa: S104
        *("224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1", "fc00::1", "ff02::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1"),
    ],
)
async def test_a_name_that_resolves_to_an_internal_address_is_not_called(address: str) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["93.184.215.14", address]

    async with outbound_client() as client:
        with pytest.raises(UnreachableAddressError):
            await OutboundHttp(Rules(), client, resolve=resolve).check("https://example.com/")


async def test_a_setting_admits_private_networks_but_no_cloud_metadata_address() -> None:
    async with outbound_client() as client:
        for address, admitted in (
            ("10.0.0.1", True),
            ("fc00::1", True),
            ("127.0.0.1", False),
            ("169.254.169.254", False),
        ):

            async def resolve(host: str, port: int, address: str = address) -> Sequence[str]:
                return [address]

            outgoing = OutboundHttp(Rules(private=True), client, resolve=resolve)
            if admitted:
                assert await outgoing.check("https://example.com/") == [ip_address(address)]
            else:
                with pytest.raises(UnreachableAddressError):
                    await outgoing.check("https://example.com/")


async def test_a_call_uses_the_checked_address_and_follows_no_redirect(receiver: Receiver) -> None:
    """The request names the host but goes to the checked address, so a later DNS answer has no effect."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    port = int(receiver.address.rsplit(":", 1)[1])
    receiver.answer = lambda _: (302, "http://127.0.0.1:1/")
    async with outbound_client() as client:
        outgoing = OutboundHttp(Rules(loopback=True), client, resolve=resolve)
        assert await outgoing.post(f"http://hooks.example.invalid:{port}/a", b"{}", {}) == 302
        with pytest.raises(UnreachableAddressError):
            await outgoing.post("http://hooks.example.invalid:1/", b"{}", {})
        with pytest.raises(UnreachableAddressError):
            await OutboundHttp(Rules(), client, resolve=resolve).post("ftp://x/", b"", {})
    assert asked == ["hooks.example.invalid"] * 2
    [call] = receiver.calls
    assert call.headers["host"] == f"hooks.example.invalid:{port}"
    assert client.is_closed
    assert isinstance(client, httpx.AsyncClient)


async def test_a_chinese_host_is_called_by_its_ascii_name(receiver: Receiver) -> None:
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    port = int(receiver.address.rsplit(":", 1)[1])
    url = ascii_url(f"http://例子.中国:{port}/回调?a=办")
    assert url == f"http://xn--fsqu00a.xn--fiqs8s:{port}/%E5%9B%9E%E8%B0%83?a=%E5%8A%9E"
    assert ascii_url(url) == url
    async with outbound_client() as client:
        assert await OutboundHttp(Rules(loopback=True), client, resolve=resolve).post(url, b"{}", {}) == 200
    assert asked == ["xn--fsqu00a.xn--fiqs8s"]
    [call] = receiver.calls
    assert call.headers["host"] == f"xn--fsqu00a.xn--fiqs8s:{port}"


@pytest.mark.parametrize(
    "url", ["https://例子 .中国/", "https://例子\\.中国/", "https://例-\u2028子.中国/", "https://\u2460\uff0f.cn/"]
)
def test_a_chinese_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(Refusal) as refused:
        check_url(ascii_url(url), plain=False)
    assert refused.value.field == "url"


@pytest.mark.parametrize("dead", [["::1"], ["127.0.0.9", "::1"], ["127.0.0.9", "127.0.0.9"]])
async def test_a_receiver_is_reached_although_its_first_addresses_are_dead(receiver: Receiver, dead: list[str]) -> None:
    """The receiver listens on 127.0.0.1 only, so connections to the other addresses are refused."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        return [*dead, "127.0.0.1"]

    port = receiver.address.rsplit(":", 1)[1]
    async with outbound_client() as client:
        outgoing = OutboundHttp(Rules(loopback=True), client, resolve=resolve)
        assert await outgoing.post(f"http://hooks.example.invalid:{port}/a", b"{}", {}) == 200
    assert [call.headers["host"] for call in receiver.calls] == [f"hooks.example.invalid:{port}"]


async def test_only_four_addresses_of_a_name_are_tried(receiver: Receiver) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.9", "127.0.0.8", "127.0.0.7", "::1", "127.0.0.1"]

    port = receiver.address.rsplit(":", 1)[1]
    async with outbound_client() as client:
        outgoing = OutboundHttp(Rules(loopback=True), client, resolve=resolve)
        with pytest.raises(UnreachableAddressError):
            await outgoing.post(f"http://hooks.example.invalid:{port}/a", b"{}", {})
    assert receiver.calls == []


async def test_an_answer_is_not_read() -> None:
    """The answer's head promises a gigabyte that never arrives."""

    async def promise(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 1000000000\r\n\r\n")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(promise, "127.0.0.1", 0) as server, outbound_client() as client:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        assert await OutboundHttp(Rules(loopback=True), client).post(url, b"{}", {}) == 202


async def test_an_error_after_the_connection_is_not_tried_at_another_address(receiver: Receiver) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1", "127.0.0.1", "::1"]

    port = receiver.address.rsplit(":", 1)[1]
    receiver.answer = lambda _: (503, "")
    async with outbound_client() as client:
        outgoing = OutboundHttp(Rules(loopback=True), client, resolve=resolve)
        assert await outgoing.post(f"http://hooks.example.invalid:{port}/a", b"{}", {}) == 503
    assert len(receiver.calls) == 1


@pytest.mark.parametrize("make", [push_client, partial(httpx.AsyncClient, timeout=5)])
async def test_clients_of_named_services_try_each_address(
    receiver: Receiver, make: Callable[[], httpx.AsyncClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Push services and the identity provider are called by name, and their client tries all addresses of the name."""
    resolve = socket.getaddrinfo

    def dead_first(host: str, port: int, *arguments: Any, **named: Any) -> Any:
        found = [resolve(address, port, *arguments, **named) for address in ("::1", "127.0.0.9", "127.0.0.1")]
        return [entry for entries in found for entry in entries] if host == "named.example.invalid" else found[-1]

    monkeypatch.setattr(socket, "getaddrinfo", dead_first)
    port = receiver.address.rsplit(":", 1)[1]
    async with make() as client:
        assert (await client.post(f"http://named.example.invalid:{port}/a", content=b"{}")).status_code == 200


async def test_the_certificate_must_be_that_of_the_name(tmp_path: Path) -> None:
    """The call goes to an IP address, but TLS must check the certificate against the host name."""
    name = "hooks.example.invalid"
    key, certificate = self_signed(name)
    (tmp_path / "cert.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(key)

    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    secure = {"ssl_certfile": str(tmp_path / "cert.pem"), "ssl_keyfile": str(tmp_path / "key.pem")}
    trusted = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    async with receiving(**secure) as receiver, httpx.AsyncClient(verify=trusted, trust_env=False) as client:
        port = receiver.address.rsplit(":", 1)[1]
        outgoing = OutboundHttp(Rules(loopback=True), client, resolve=resolve)
        assert await outgoing.post(f"https://{name}:{port}/", b"{}", {}) == 200
        with pytest.raises(UnreachableAddressError):
            await outgoing.post(f"https://other.example.invalid:{port}/", b"{}", {})
    assert [call.headers["host"] for call in receiver.calls] == [f"{name}:{port}"]
