"""Live updates: one a second for all, bounded for each, and gone at once when the service stops."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientResponse, web

from connectors.serve.page.activity import WINDOW_SECONDS
from connectors.serve.page.live import LiveLimits
from tests.connectors.serve.page.support import Paged, paged
from tests.connectors.serve.support import NOW_US
from tests.waiting import until

QUICK = LiveLimits(interval_seconds=0.02)
Event = tuple[str, dict[str, Any]]


async def events(answer: ClientResponse) -> AsyncIterator[Event]:
    """What comes, as (event, data)."""
    name = ""
    async for line in answer.content:
        text = line.decode().rstrip("\n")
        if text.startswith("event: "):
            name = text.removeprefix("event: ")
        elif text.startswith("data: "):
            yield name, json.loads(text.removeprefix("data: "))


def clients(page: Paged) -> float | None:
    return page.metrics.registry.get_sample_value("goldenthread_sse_clients")


async def until_clients(page: Paged, count: int) -> None:
    await until(lambda: clients(page) == count)


async def test_a_client_gets_the_whole_picture_first_and_then_what_changes() -> None:
    async with paged(limits=QUICK) as page:
        customer = page.customer("ann@example.com")
        async with asyncio.timeout(10), page.client.get("/live") as answer:
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            assert answer.headers["X-Accel-Buffering"] == "no"
            stream = events(answer)
            name, whole = await anext(stream)
            assert name == "whole"
            assert len(whole["lags"]) == len(whole["series"]["web"]) == WINDOW_SECONDS
            assert clients(page) == 1
            page.copy.put(page.copy.interaction(customer, NOW_US))
            page.copy.clock.advance(2)
            tick: dict[str, Any] = {}
            while "newest" not in tick:
                name, tick = await anext(stream)
            assert name == "tick"
            assert f"/customers/{customer}" in tick["newest"]
            assert sum(tick["series"]["web"]) == 1
            assert tick["texts"]["rate-web"] == "0.1"
            while tick["texts"]["dead"] != "3":
                _, tick = await anext(stream)
                assert "newest" not in tick, "the list comes only when it has changed"
        await until_clients(page, 0)


async def test_a_stream_ends_in_time_so_that_the_key_is_looked_at_again() -> None:
    async with paged(limits=LiveLimits(interval_seconds=0.02, stream_seconds=0.2)) as page:
        async with asyncio.timeout(10), page.client.get("/live") as answer:
            names = [name async for name, _ in events(answer)]
        assert set(names) == {"whole", "tick"}
        await until_clients(page, 0)


async def test_clients_are_bounded() -> None:
    async with paged(limits=LiveLimits(clients_max=2)) as page:
        async with page.client.get("/live"), page.client.get("/live"):
            refused = await page.client.get("/live")
            assert (refused.status, refused.headers["Retry-After"]) == (503, "2")
        await until_clients(page, 0)
        async with page.client.get("/live") as answer:
            assert answer.status == 200


async def test_a_client_that_does_not_keep_up_is_told_and_gets_the_whole_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    write, flows = web.StreamResponse.write, asyncio.Event()
    flows.set()

    async def held_up(response: web.StreamResponse, data: bytes) -> None:
        await flows.wait()
        await write(response, data)

    monkeypatch.setattr(web.StreamResponse, "write", held_up)
    limits = LiveLimits(interval_seconds=0.01, queue_max=2)
    async with paged(limits=limits) as page, asyncio.timeout(5), page.client.get("/live") as answer:
        stream = events(answer)
        await anext(stream)
        flows.clear()
        await until(lambda: any(client.lagged for client in page.live._clients))
        flows.set()
        names = []
        while "lagged" not in names:
            names.append((await anext(stream))[0])
        assert len(names) < 6, "what waited beyond the queue's bound was dropped"
        assert (await anext(stream))[0] == "whole"


async def test_a_client_that_takes_nothing_at_all_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def stuck(_response: web.StreamResponse, _data: bytes) -> None:
        await asyncio.Event().wait()

    async with paged(limits=LiveLimits(interval_seconds=0.01, stalled_seconds=0.05)) as page:
        monkeypatch.setattr(web.StreamResponse, "write", stuck)
        answer = await page.client.get("/live")
        await until_clients(page, 0)
        answer.close()


async def test_silence_is_filled_with_heartbeats() -> None:
    limits = LiveLimits(interval_seconds=60, heartbeat_seconds=0.02)
    async with paged(limits=limits) as page, asyncio.timeout(5), page.client.get("/live") as answer:
        async for line in answer.content:
            if line == b": still here\n":
                break


async def test_it_says_when_to_try_again_and_numbers_its_messages() -> None:
    async with paged(limits=QUICK) as page, page.client.get("/live") as answer:
        lines = [await answer.content.readline() for _ in range(3)]
        assert lines[0] == b"retry: 3000\n"
        assert lines[2].startswith(b"id: ")


async def test_a_stop_ends_all_streams_at_once() -> None:
    async with paged(limits=QUICK) as page:
        answer = await page.client.get("/live")
        await anext(events(answer))
        began = asyncio.get_running_loop().time()
        await page.client.server.close()
        assert asyncio.get_running_loop().time() - began < 2
        answer.close()


async def test_a_stop_does_not_wait_for_a_client_that_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def stuck(response: web.StreamResponse, _data: bytes) -> None:
        request = response._req
        assert request is not None
        while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110 - as a drain does.
            await asyncio.sleep(0.01)
        raise ConnectionResetError

    async with paged(limits=LiveLimits(stalled_seconds=60)) as page:
        monkeypatch.setattr(web.StreamResponse, "write", stuck)
        answer = await page.client.get("/live")
        await until_clients(page, 1)
        began = asyncio.get_running_loop().time()
        await page.client.server.close()
        assert asyncio.get_running_loop().time() - began < 5
        answer.close()


async def test_head_does_not_stream() -> None:
    async with paged() as page:
        answer = await page.client.head("/live")
        assert answer.status == 200
        assert clients(page) == 0
