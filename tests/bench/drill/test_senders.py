"""What is not known to be taken is sent again; what is taken is part of the truth."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from itertools import islice
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bench.drill.installation import Installation
from bench.drill.senders import Senders
from bench.drill.workload import BAD_SHARE, DUPLICATE_SHARE, Sending, workload
from schemas.keys import Keyring
from schemas.topics import Catalogue
from streams.kafka import KafkaOptions
from tests.waiting import until


class Drilled:
    """As much of an installation as senders need; no broker is there."""

    catalogue = Catalogue()
    kafka = KafkaOptions("127.0.0.1:1")
    keyring = Keyring(b"a secret for tests only")

    def __init__(self, collect_url: str) -> None:
        self.collect_url = collect_url


class Collect:
    """Answers as it is told to, once each, and then takes everything."""

    def __init__(self, *answers: int | None) -> None:
        self._answers = list(answers)
        self.got: list[list[dict[str, Any]]] = []

    async def handle(self, request: web.Request) -> web.Response:
        """Take it, and answer; None hangs up without an answer."""
        self.got.append(await request.json())
        answer = self._answers.pop(0) if self._answers else 202
        if answer is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return web.Response(status=answer, text="because")


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def served(collect: Collect) -> TestServer:
    application = web.Application()
    application.router.add_post("/v1/events", collect.handle)
    server = TestServer(application)
    await server.start_server()
    return server


def senders(url: str, *sendings: Sending) -> Senders:
    installation = cast("Installation", Drilled(url.rstrip("/")))
    return Senders(installation, iter(sendings), rate_per_second=10_000, dice=random.Random(1))


@pytest.mark.parametrize("answers", [[None], [503, 429], [500, None, 503]])
async def test_an_event_whose_answer_is_missing_or_asks_to_wait_is_sent_again(
    session: aiohttp.ClientSession, answers: list[int | None]
) -> None:
    collect = Collect(*answers)
    async with await served(collect) as server:
        sender = senders(str(server.make_url("/")))
        await sender.post(session, [b'{"id":"e-1"}', b'{"id":"e-2"}'])
    assert collect.got == [[{"id": "e-1"}, {"id": "e-2"}]] * (len(answers) + 1)
    assert (sender.sends, sender.retries, sender.refusals) == (2 * (len(answers) + 1), 2 * len(answers), [])


async def test_an_event_that_is_refused_is_told_and_not_sent_again(session: aiohttp.ClientSession) -> None:
    collect = Collect(400)
    async with await served(collect) as server:
        sender = senders(str(server.make_url("/")))
        await sender.post(session, [b'{"id":"e-1"}'])
    assert sender.refusals == ["collect answered 400 because"]
    assert len(collect.got) == 1


async def test_all_that_goes_over_http_arrives_and_what_no_broker_takes_waits(session: aiohttp.ClientSession) -> None:
    collect = Collect(503, None)
    sendings = list(workload(1, 200))
    events = {(one.event["source"], one.event["id"]) for one in sendings if one.event is not None}
    async with await served(collect) as server:
        sender = senders(str(server.make_url("/")), *sendings)
        sending = asyncio.create_task(sender.run(session))
        got: set[str] = set()

        def arrived() -> bool:
            got.update(json.dumps(event, sort_keys=True) for batch in collect.got for event in batch)
            # About half of all; the other half waits for a broker that never comes.
            return not sender._over_http and len(sender.truth) == len(events)

        await until(arrived)
        assert sender.waiting > 0
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    assert len(got) + len({one.body for one in sender._straight}) + sender._under_way >= 200
    assert sender.bad.keys() == {one.body for one in sendings if one.code is not None}


def test_the_load_is_the_same_for_a_seed_and_has_copies_and_bad_events_in_their_shares() -> None:
    sendings = list(workload(3, 4_000))
    assert sendings == list(workload(3, 4_000))
    assert sendings[:50] != list(islice(workload(4, 4_000), 50))
    copies = Counter((one.event["source"], one.event["id"]) for one in sendings if one.event is not None)
    records = [name for source, name in copies if name.startswith("order-")]
    assert len(copies) == 4_000 + len(records)
    doubled = sum(count - 1 for count in copies.values())
    assert 0.8 * DUPLICATE_SHARE < doubled / 4_000 < 1.2 * DUPLICATE_SHARE
    bad = [one for one in sendings if one.code is not None]
    assert 0.5 * BAD_SHARE < len(bad) / 4_000 < 1.5 * BAD_SHARE
    assert len({one.body for one in bad}) == len(bad)
