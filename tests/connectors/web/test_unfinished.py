"""Connections that never finish: others are answered at once, these are closed in time, and a stop waits for none."""

import asyncio
import gc
import socket
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
import structlog
from aiohttp import web

from connectors.web import server
from connectors.web.boundary import STATUS_CLIENT_GONE
from connectors.web.operations import Answer, Operation
from connectors.web.requests import BODIES, BodiesUnderWay
from connectors.web.server import listening
from tests.connectors.web.conftest import OPERATIONS, Service, application_of
from tests.waiting import until

Start = Callable[..., Awaitable[Service]]
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
DEADLINE_SECONDS = 5
HEAD = b"POST /v1/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
#: What a connection has sent when it stops, or goes on byte by byte.
BEGINNINGS = {"no byte": b"", "half a head": HEAD[:40], "half a body": HEAD + b"x" * 500}


async def _drip(writer: asyncio.StreamWriter, byte: bytes) -> None:
    """One byte after the other until the connection is closed."""
    while not writer.is_closing():
        writer.write(byte)
        await asyncio.sleep(0.02)


@asynccontextmanager
async def _held(service: Service, number: int) -> AsyncIterator[list[Connection]]:
    """Connections that never finish, of all sorts; every other one goes on byte by byte."""
    connections = [await asyncio.open_connection(service.host, service.port) for _ in range(number)]
    beginnings = list(BEGINNINGS.values())
    drips = []
    for place, (_, writer) in enumerate(connections):
        beginning = beginnings[place % len(beginnings)]
        writer.write(beginning)
        if beginning and place % 2:
            drips.append(asyncio.create_task(_drip(writer, b"y")))
    try:
        yield connections
    finally:
        for drip in drips:
            drip.cancel()
        await asyncio.gather(*drips, return_exceptions=True)
        for _, writer in connections:
            writer.close()


async def test_a_hundred_connections_that_never_finish_hold_up_nobody(start: Start) -> None:
    service = await start(head_timeout_seconds=1.0, body_timeout_seconds=1.0, lingering_seconds=0.2)
    began = time.monotonic()
    async with _held(service, 100) as connections:
        for _ in range(20):
            asked = time.monotonic()
            assert (await service.client.post("/v1/echo", json={})).status == 200
            assert time.monotonic() - asked < 0.5
        # They are still held while others are answered, and closed not long after their deadline.
        assert not any(reader.at_eof() for reader, _ in connections) or time.monotonic() - began > 1
        async with asyncio.timeout(DEADLINE_SECONDS):
            await asyncio.gather(*(_end_of(reader) for reader, _ in connections))
    assert time.monotonic() - began < 4


async def _end_of(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionError:
        return b""


@pytest.mark.parametrize("beginning", BEGINNINGS.values(), ids=BEGINNINGS)
async def test_what_never_finishes_is_closed(start: Start, beginning: bytes) -> None:
    service = await start(head_timeout_seconds=0.2, body_timeout_seconds=0.2, lingering_seconds=0.1)
    reader, writer = await asyncio.open_connection(service.host, service.port)
    writer.write(beginning)
    answer = await asyncio.wait_for(reader.read(), DEADLINE_SECONDS)
    assert answer.startswith(b"HTTP/1.1 408 ") if beginning.startswith(HEAD) else answer == b""
    writer.close()


async def test_a_further_request_has_its_time_from_its_first_byte(start: Start) -> None:
    service = await start(head_timeout_seconds=0.3)
    reader, writer = await asyncio.open_connection(service.host, service.port)
    writer.write(GET)
    assert await reader.readuntil(b'{"status":"live"}')
    # An idle connection is kept for longer than a head may take ...
    await asyncio.sleep(0.5)
    writer.write(GET)
    assert await reader.readuntil(b'{"status":"live"}')
    # ... and a head that was begun is not.
    writer.write(GET[:30])
    drip = asyncio.create_task(_drip(writer, b"y"))
    assert await asyncio.wait_for(_end_of(reader), DEADLINE_SECONDS) == b""
    drip.cancel()
    await asyncio.gather(drip, return_exceptions=True)
    writer.close()


async def test_a_slow_head_within_its_time_is_answered(start: Start) -> None:
    service = await start(head_timeout_seconds=3)
    reader, writer = await asyncio.open_connection(service.host, service.port)
    for byte in GET:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.005)
    assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    writer.close()


LARGE = (
    b"POST /v1/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
)


def _holds(bodies: BodiesUnderWay, size_bytes: int) -> Callable[[], bool]:
    return lambda: bodies.held_bytes > size_bytes


async def test_large_bodies_that_never_end_share_their_room(start: Start) -> None:
    service = await start(bodies_size_bytes=2_000_000)
    held = service.application[BODIES]
    connections = [await asyncio.open_connection(service.host, service.port) for _ in range(10)]
    for number, (_, writer) in enumerate(connections[:2], start=1):
        writer.write(LARGE + b"x" * 999_999)
        await writer.drain()
        await until(_holds(held, 900_000 * number))
    for _, writer in connections[2:]:
        writer.write(LARGE + b"x" * 999_999)
    # Two of them fill the room; the others are told to come again, and their connections end.
    refused = [reader for reader, _ in connections[2:]]
    for reader in refused:
        answer = await asyncio.wait_for(_end_of(reader), DEADLINE_SECONDS)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"overloaded" in answer
    assert held.number == 2
    # A small body has room nevertheless, and a large one once the others are gone.
    assert (await service.client.post("/v1/echo", json=["x" * 50_000])).status == 200
    assert (await service.client.post("/v1/echo", json=["x" * 999_000])).status == 503
    for _, writer in connections:
        writer.close()
    await until(lambda: not held.number)
    assert held.held_bytes == 0
    assert (await service.client.post("/v1/echo", json=["x" * 999_000])).status == 200


async def test_nothing_stays_of_a_body_that_broke_off(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    service = await start()
    told = structlog.testing.LogCapture()
    monkeypatch.setattr(server, "_log", structlog.wrap_logger(None, processors=[told]))
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(10):
            _, writer = await asyncio.open_connection(service.host, service.port)
            writer.write(LARGE + b"x" * 999_999)
            await writer.drain()
            await until(lambda: service.application[BODIES].number > 0)
            writer.close()
            await writer.wait_closed()
        await until(lambda: not service.application[BODIES].number)
        assert service.count("POST", "/v1/echo", STATUS_CLIENT_GONE) == 10
        size_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert size_bytes < 5_000_000
    # It is no fault of ours that somebody leaves.
    assert told.entries == []


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the system has no TCP_USER_TIMEOUT")
async def test_who_reads_no_answer_is_closed() -> None:
    ended: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def large(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(bytes(65_536))
        except ConnectionError as error:
            ended.set_result(error)
            raise

    operation = Operation("GET", "/large", large, "large", "Never ends", {200: Answer("All of it.")})
    async with listening(application_of((operation,), answer_timeout_seconds=0.5), "127.0.0.1", 0) as address:
        with socket.socket() as reads_nothing:
            reads_nothing.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reads_nothing.connect(address)
            reads_nothing.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert isinstance(await asyncio.wait_for(ended, DEADLINE_SECONDS), ConnectionError)


async def test_a_stop_hangs_on_none_of_them() -> None:
    application = application_of(OPERATIONS, shutdown_body_seconds=0.2, shutdown_seconds=10.0)
    async with aiohttp.ClientSession() as client:
        async with listening(application, "127.0.0.1", 0) as (host, port):
            connections = []
            for beginning in list(BEGINNINGS.values()) * 5:
                connection = await asyncio.open_connection(host, port)
                connection[1].write(beginning)
                connections.append(connection)
            assert (await client.get(f"http://{host}:{port}/livez")).status == 200
            stopping = time.monotonic()
        assert time.monotonic() - stopping < 2
    answers = [await _end_of(reader) for reader, _ in connections]
    assert [answer[:12] for answer in answers[:3]] == [b"", b"", b"HTTP/1.1 503"]
    for _, writer in connections:
        writer.close()


async def test_a_stop_lets_a_body_that_is_arriving_finish() -> None:
    application = application_of(OPERATIONS, shutdown_body_seconds=5.0)
    async with listening(application, "127.0.0.1", 0) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(HEAD + b"x" * 999)
        await asyncio.sleep(0.1)

        async def finish() -> bytes:
            await asyncio.sleep(0.2)
            writer.write(b"x")
            return await reader.read()

        rest = asyncio.create_task(finish())
        stopping = time.monotonic()
    assert time.monotonic() - stopping < 3
    assert (await rest).endswith(b'{"size_bytes":1000}')
    writer.close()
