"""Playing events to a collect that answers as collect may."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from bench.generator import Plan, generate
from bench.play import BATCH_EVENTS_MAX, play
from schemas.errors import DeliveryFailed, UsageError

Answer = Callable[[web.Request], Awaitable[web.Response]]


def server_of(answer: Answer) -> TestServer:
    application = web.Application()
    application.router.add_post("/v1/events", answer)
    return TestServer(application)


async def test_all_events_arrive_in_order_in_bounded_batches() -> None:
    events = list(generate(Plan(events=600)))
    batches: list[list[dict[str, Any]]] = []

    async def answer(request: web.Request) -> web.Response:
        assert request.content_type == "application/cloudevents-batch+json"
        batches.append(await request.json())
        return web.json_response({"accepted": len(batches[-1])}, status=202)

    progress: list[int] = []
    async with server_of(answer) as server:
        accepted = await play(events, str(server.make_url("/")), None, progress.append)
    assert accepted == len(events) == progress[-1]
    assert [event for batch in batches for event in batch] == events
    assert max(map(len, batches)) == BATCH_EVENTS_MAX


async def test_a_collect_that_is_not_ready_is_asked_again() -> None:
    statuses = [503, 429, 202]

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=statuses.pop(0))

    async with server_of(answer) as server:
        assert await play(generate(Plan(events=5, duplicate_share=0)), str(server.make_url("/")), None) == 5
    assert statuses == []


async def test_a_refused_batch_stops_with_the_answer() -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({"code": "missing_attribute", "detail": "no source"}, status=400)

    async with server_of(answer) as server:
        with pytest.raises(UsageError, match="no source"):
            await play(generate(Plan(events=5)), str(server.make_url("/")), None)


async def test_a_collect_that_stays_away_is_given_up() -> None:
    url = f"http://127.0.0.1:{unused_port()}"
    with pytest.raises(DeliveryFailed, match="took no batch"):
        await play(generate(Plan(events=5)), url, None, give_up_seconds=0.3)


async def test_the_rate_is_kept() -> None:
    sizes: list[int] = []

    async def answer(request: web.Request) -> web.Response:
        sizes.append(len(await request.json()))
        return web.Response(status=202)

    async with server_of(answer) as server:
        # So slow that each event is its own batch, so few that the test is quick.
        await play(generate(Plan(events=4, duplicate_share=0)), str(server.make_url("/")), 15)
    assert sizes == [1, 1, 1, 1]
