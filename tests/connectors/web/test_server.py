"""The socket: addresses that can't be had, bounds on connections, a graceful stop."""

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web

from connectors.web.operations import Answer, Operation
from connectors.web.requests import BODIES
from connectors.web.server import listening, serve
from connectors.web.standard import json_response
from schemas.errors import SettingError
from tests.connectors.web.conftest import Service, application_of
from tests.waiting import until

Start = Callable[..., Awaitable[Service]]
DEADLINE_SECONDS = 5
#: A request that lacks the last byte of its body.
HALF = (
    b"POST /v1/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
) + b"x" * 999


async def _connects(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


async def test_port_in_use_names_the_setting() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingError, match=rf"127\.0\.0\.1:{port} is in use.*GOLDENTHREAD_COLLECT_PORT"):
            await serve(application_of(()), "127.0.0.1", port, setting_name="GOLDENTHREAD_COLLECT_PORT")


@pytest.mark.parametrize(("host", "port"), [("192.0.2.1", 0), ("no-such-host.invalid", 0), ("127.0.0.1", 70_000)])
async def test_address_that_cannot_be_had_names_the_setting(host: str, port: int) -> None:
    with pytest.raises(SettingError, match="GOLDENTHREAD_COLLECT_PORT"):
        async with listening(application_of(()), host, port, setting_name="GOLDENTHREAD_COLLECT_PORT"):
            pass


async def test_idle_connection_is_closed(start: Start) -> None:
    service = await start(keepalive_seconds=0.05)
    status, _, _ = await service.raw(b"GET /livez HTTP/1.1\r\nHo")
    assert status == 0


async def test_connections_are_bounded(start: Start) -> None:
    service = await start(connections_max=2)
    held = [await asyncio.open_connection(service.host, service.port) for _ in range(2)]
    for _, writer in held:
        writer.write(HALF)
    await until(lambda: service.application[BODIES].number == 2)
    status, _, _ = await service.raw(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert status == 0
    held.pop()[1].close()
    async with asyncio.timeout(DEADLINE_SECONDS):
        while status != 200:
            status, _, _ = await service.raw(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    held.pop()[1].close()


async def test_those_who_ask_nothing_make_place(start: Start) -> None:
    service = await start(connections_max=20)
    status = (await service.client.get("/livez")).status
    asks, answered = await asyncio.open_connection(service.host, service.port)
    answered.write(HALF)
    await until(lambda: service.application[BODIES].number == 1)
    silent = [await asyncio.open_connection(service.host, service.port) for _ in range(40)]
    for place in range(20):
        if place % 2:
            silent[-place][1].write(b"GET /livez HTTP/1.1\r\nHo")
        status, _, _ = await service.raw(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert status == 200
    # Whoever has asked is heard to the end, and the oldest of the others had to go.
    answered.write(b"x")
    assert (await asyncio.wait_for(asks.readline(), DEADLINE_SECONDS)).startswith(b"HTTP/1.1 200 ")
    assert await asyncio.wait_for(silent[0][0].read(), DEADLINE_SECONDS) == b""
    for _, writer in (*silent, (asks, answered)):
        writer.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_stops_after_requests_under_way(number: signal.Signals) -> None:
    begun, release, order = asyncio.Event(), asyncio.Event(), list[str]()

    async def slow(_request: web.Request) -> web.Response:
        begun.set()
        await release.wait()
        order.append("answered")
        return json_response({})

    application = application_of((Operation("GET", "/slow", slow, "slow", "Waits", {200: Answer("Done.")}),))

    async def clean(_application: web.Application) -> None:
        order.append("cleaned")

    application.on_cleanup.append(clean)
    bound: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()
    server = asyncio.create_task(
        serve(application, "127.0.0.1", 0, setting_name="port", on_listening=lambda *at: bound.set_result(at))
    )
    host, port = await bound
    async with asyncio.timeout(DEADLINE_SECONDS), aiohttp.ClientSession(f"http://{host}:{port}") as client:
        request = asyncio.create_task(client.get("/slow"))
        await begun.wait()
        os.kill(os.getpid(), number)
        while await _connects(host, port):
            pass
        release.set()
        assert (await request).status == 200
        await server
    assert order == ["answered", "cleaned"]


async def test_cancelling_stops_the_service() -> None:
    bound: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    server = asyncio.create_task(
        serve(
            application_of(()), "127.0.0.1", 0, setting_name="port", on_listening=lambda _, port: bound.set_result(port)
        )
    )
    port = await bound
    server.cancel()
    with pytest.raises(asyncio.CancelledError):
        await server
    assert not await _connects("127.0.0.1", port)


async def test_failure_of_what_runs_alongside_stops_the_service() -> None:
    bound: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def watch() -> None:
        await bound
        raise SettingError("gone wrong")

    with pytest.raises(SettingError, match="gone wrong"):
        await serve(
            application_of(()),
            "127.0.0.1",
            0,
            setting_name="port",
            on_listening=lambda _, port: bound.set_result(port),
            alongside=[watch],
        )
    assert not await _connects("127.0.0.1", await bound)
