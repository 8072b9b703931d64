"""Goal: a server that stands still is not spared, and answers belong to their requests. Method: a server by hand."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from bench.load.connections import Answer, Connections, get, post
from bench.load.latencies import latencies_of
from bench.load.sending import send

HOST = "127.0.0.1"


@asynccontextmanager
async def served(stall: Callable[[int], float] = lambda _number: 0.0) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that answers each request with its path, one after the other, after a stall; gives port and requests."""
    seen: list[bytes] = []
    turn = asyncio.Lock()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            async with turn:
                seen.append(head)
                await asyncio.sleep(stall(len(seen) - 1))
            path = head.split(b" ", 2)[1]
            if path == b"/gone":
                writer.close()
                return
            # In two pieces, as a network may deliver it.
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")
            await writer.drain()
            await asyncio.sleep(0)
            writer.write(b"ngth: %d\r\n\r\n%b" % (len(path), path))

    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            await answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    connections: set[asyncio.Task[None]] = set()
    server = await asyncio.start_server(quietly, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1], seen
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections)
        await server.wait_closed()


async def test_each_answer_is_that_of_its_request() -> None:
    async with served() as (port, seen), Connections(HOST, port, 4) as connections:
        answers: dict[int, Answer] = {}
        requests = [get(HOST, port, f"/{number}") for number in range(40)]
        sent = await send(
            connections, requests, 2_000, on_answer=lambda number, _at, got: answers.update({number: got})
        )
    assert len(seen) == len(sent) == 40
    assert answers == {number: Answer(200, b"/%d" % number) for number in range(40)}
    assert all(one.status == 200 and one.seconds > 0 for one in sent)


async def test_while_the_server_stands_still_every_request_that_is_due_waits_and_counts() -> None:
    # For 0.4 of 0.6 seconds nothing is answered. Who asks again only after an answer would see one slow answer of many.
    async with (
        served(lambda number: 0.4 if number == 20 else 0.0) as (port, _),
        Connections(HOST, port, 2) as connections,
    ):
        sent = await send(connections, [get(HOST, port, "/")] * 120, 200)
    found = latencies_of(one.seconds for one in sent)
    assert sum(one.seconds > 0.1 for one in sent) >= 50
    assert found.p50_ms > 20
    assert found.max_ms >= 400
    # They were due all the same: moments do not move with the answers.
    assert sent[119].due - sent[0].due == pytest.approx(119 / 200)


async def test_a_connection_that_breaks_off_is_no_answer_and_another_takes_its_place() -> None:
    async with served() as (port, _), Connections(HOST, port, 1) as connections:
        paths = ["/a", "/gone", "/b"]
        sent = await send(connections, [get(HOST, port, path) for path in paths], 20)
    assert [one.status for one in sent] == [200, 0, 200]


async def test_what_is_never_answered_has_no_status() -> None:
    async with served(lambda _number: 5.0) as (port, _), Connections(HOST, port, 1) as connections:
        (sent,) = await send(connections, [get(HOST, port, "/")], 20, answer_seconds_max=0.1)
    assert sent.status == 0
    assert sent.seconds >= 0.1


def test_a_body_goes_with_its_length() -> None:
    request = post(HOST, 80, "/v1/events", "application/json", b"{}")
    assert request.endswith(b"Content-Length: 2\r\n\r\n{}")
    assert request.startswith(b"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1:80\r\n")
