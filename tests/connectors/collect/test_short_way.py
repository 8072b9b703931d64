"""The short way of collect: the same answers to the byte as by the general way, in their order, and none is lost."""

import asyncio
import re
from typing import Any, Self

import pytest

from connectors.collect.cloud_events_door import CloudEventsDoor
from tests.connectors.collect.http_service import Collect, encoded, event, running
from tests.waiting import until

# Of an answer, what differs from one to the next.
_OWN = re.compile(rb'Date: [^\r]*|X-Request-Id: [^\r]*|"request_id":"[^"]*"')
_STRUCTURED = "application/cloudevents+json"
_BATCH = "application/cloudevents-batch+json"
# As long as an id of the service: it is in the body of a problem.
_GENERAL = "X-Request-Id: " + 32 * "a"


class Connection:
    """A connection of bytes to a collect; a context manager."""

    def __init__(self, collect: Collect) -> None:
        self._url = collect.client._base_url

    async def __aenter__(self) -> Self:
        """Open it."""
        assert self._url is not None
        self._reader, self._writer = await asyncio.open_connection(self._url.host, self._url.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        self._writer.close()
        await self._writer.wait_closed()

    def send(self, *pieces: bytes) -> None:
        """Send the pieces together."""
        self._writer.write(b"".join(pieces))

    async def answer(self) -> bytes:
        """The next answer."""
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 5)
        length = re.search(rb"Content-Length: (\d+)", head)
        assert length is not None
        return head + await self._reader.readexactly(int(length[1]))


def post(body: Any, content_type: str = _STRUCTURED, *headers: str) -> bytes:
    """A request."""
    content = body if isinstance(body, bytes) else encoded(body)
    lines = ("Host: localhost", f"Content-Type: {content_type}", f"Content-Length: {len(content)}", *headers)
    return "\r\n".join(("POST /v1/events HTTP/1.1", *lines, "", "")).encode() + content


@pytest.fixture
def went(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the short way took what it was asked, one after the other."""
    found: list[bool] = []
    take = CloudEventsDoor.take

    def noted(*asked: Any) -> Any:
        taken = take(*asked)
        found.append(taken is not None)
        return taken

    monkeypatch.setattr(CloudEventsDoor, "take", noted)
    return found


@pytest.mark.parametrize("origins", [("*",), ("https://shop.example",), ("none",)])
async def test_what_is_accepted_is_answered_the_short_way_to_the_byte(
    went: list[bool], origins: tuple[str, ...]
) -> None:
    async with running(cors_origins=origins) as collect, Connection(collect) as connection:
        for body, kind in (
            (event(), _STRUCTURED),
            ([event(1), event(2)], _BATCH),
            (event(), "application/json; charset=utf-8"),
            ([event(1)], "application/json"),
        ):
            answers = []
            for headers in ((), (_GENERAL,)):
                connection.send(post(body, kind, *headers))
                answers.append(_OWN.sub(b"", await connection.answer()))
            assert answers[0].startswith(b"HTTP/1.1 202 Accepted\r\n")
            assert answers[0] == answers[1]
        assert went == [True] * 4
        assert len(collect.producer.records) == 10
        assert collect.outcome("accepted") == 10


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"{", _STRUCTURED),
        (event(type=None), _STRUCTURED),
        ([event(1), event(2, source=None)], _BATCH),
        ([], _BATCH),
        ([event(number) for number in range(4)], _BATCH),
        (event(), "text/plain"),
        (event(), f"{_STRUCTURED}; charset=latin-1"),
    ],
)
async def test_what_is_refused_is_refused_by_the_general_way(went: list[bool], body: Any, content_type: str) -> None:
    async with running(batch_events_max=3) as collect, Connection(collect) as connection:
        answers = []
        for headers in ((), (_GENERAL,)):
            connection.send(post(body, content_type, *headers))
            answers.append(_OWN.sub(b"", await connection.answer()))
        assert answers[0] == answers[1]
        assert went == [False]
        assert not collect.producer.outstanding_bytes
        # The connection goes on, and so does its short way.
        connection.send(post(event()))
        assert b" 202 " in await connection.answer()
        assert went == [False, True]


async def test_events_that_are_not_acknowledged_are_told_alike_by_both_ways(went: list[bool]) -> None:
    async with running() as collect, Connection(collect) as connection:
        collect.producer.failure = "the broker is away"
        answers = []
        for headers in ((), (_GENERAL,)):
            connection.send(post(event(), _STRUCTURED, *headers))
            answers.append(_OWN.sub(b"", await connection.answer()))
        assert answers[0].startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert answers[0] == answers[1]
        assert went == [True]


async def test_what_comes_before_the_answer_waits_its_turn(went: list[bool]) -> None:
    async with running() as collect, Connection(collect) as connection:
        collect.producer.open.clear()
        connection.send(post(event(1)))
        await until(lambda: went)
        connection.send(post(event(2)), post(b"{"), post([event(3), event(4)], _BATCH))
        await asyncio.sleep(0.05)
        assert went == [True]
        collect.producer.open.set()
        statuses = [(await connection.answer()).split()[1] for _ in range(4)]
        assert statuses == [b"202", b"202", b"400", b"202"]
        assert [record.value for record in collect.producer.records] == [encoded(event(n)) for n in range(1, 5)]


async def test_a_body_that_comes_later_than_its_head_goes_the_general_way(went: list[bool]) -> None:
    async with running() as collect, Connection(collect) as connection:
        request = post(event())
        connection.send(request[:-10])
        await asyncio.sleep(0.05)
        connection.send(request[-10:])
        assert b" 202 " in await connection.answer()
        assert went == []


async def test_a_stop_waits_for_what_is_on_its_way(went: list[bool]) -> None:
    answer = None
    async with running() as collect:
        connection = await Connection(collect).__aenter__()
        collect.producer.open.clear()
        connection.send(post(event()))
        await until(lambda: went)
        answer = asyncio.create_task(connection.answer())
        asyncio.get_running_loop().call_later(0.2, collect.producer.open.set)
    assert b" 202 " in await answer
    assert len(collect.producer.records) == 1
    await connection.__aexit__()


async def test_a_sender_that_goes_away_disturbs_nobody(went: list[bool]) -> None:
    async with running() as collect:
        collect.producer.open.clear()
        async with Connection(collect) as gone:
            gone.send(post(event(1)))
            await until(lambda: went)
        collect.producer.open.set()
        async with Connection(collect) as connection:
            connection.send(post(event(2)))
            assert b" 202 " in await connection.answer()
        assert len(collect.producer.records) == 2
