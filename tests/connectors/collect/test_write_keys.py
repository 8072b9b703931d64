"""Goal: a write key brings in events of its own source and of no other, in every mode; a batch comes whole or not."""

from collections.abc import AsyncIterator, Callable

import pytest

from connectors.web.access import Role
from tests.connectors.collect.http_service import BATCH, STRUCTURED, Collect, event, running
from tests.connectors.web.keys import SHOP_KEY, TILL_KEY, basic, bearer, protected, token
from tests.connectors.web.problem_shape import assert_problem

BINARY = {
    "Content-Type": "application/json",
    "ce-specversion": "1.0",
    "ce-id": "e-1",
    "ce-type": "page.viewed",
    "ce-time": "2026-11-22T10:00:00Z",
    "ce-channel": "web",
}
DATA = {"identifiers": {"cookie": "c-77"}}


@pytest.fixture
async def collect() -> AsyncIterator[Collect]:
    async with running(access=protected(Role.COLLECT)) as service:
        yield service


@pytest.mark.parametrize("shown", [bearer, basic])
async def test_a_write_key_brings_in_its_source(collect: Collect, shown: Callable[[str], dict[str, str]]) -> None:
    headers = shown(SHOP_KEY)
    assert (await collect.post(event(), STRUCTURED | headers)).status == 202
    assert (await collect.post([event(1), event(2)], BATCH | headers)).status == 202
    assert (await collect.post(DATA, BINARY | {"ce-source": "shop-web"} | headers)).status == 202
    assert len(collect.producer.records) == 4


async def test_an_event_of_another_source_is_refused(collect: Collect) -> None:
    answer = await collect.post(event(source="till"), STRUCTURED | bearer(SHOP_KEY))
    await assert_problem(answer, 403, "wrong_source", "/source")
    answer = await collect.post(DATA, BINARY | {"ce-source": "till"} | bearer(SHOP_KEY))
    await assert_problem(answer, 403, "wrong_source", "/source")
    answer = await collect.post(event(source="Shop-Web"), STRUCTURED | bearer(SHOP_KEY))
    await assert_problem(answer, 403, "wrong_source", "/source")
    assert not collect.producer.records
    assert collect.outcome("wrong_source") == 3


async def test_a_batch_with_one_of_another_source_is_refused_whole(collect: Collect) -> None:
    batch = [event(1), event(2, source="till"), event(3), event(4, source="guest-wifi")]
    answer = await collect.post(batch, BATCH | bearer(SHOP_KEY))
    await assert_problem(answer, 403, "wrong_source", "/1/source", "/3/source")
    assert not collect.producer.records
    refused = {"service": "collect", "reason": "wrong_source"}
    assert collect.metrics.registry.get_sample_value("goldenthread_requests_refused_total", refused) == 1


async def test_a_collect_token_speaks_for_every_source(collect: Collect) -> None:
    batch = [event(1), event(2, source="till"), event(3, source="nobody-registered")]
    assert (await collect.post(batch, BATCH | bearer(token(Role.COLLECT)))).status == 202


async def test_a_write_key_of_another_source_does_not_help(collect: Collect) -> None:
    answer = await collect.post(event(), STRUCTURED | bearer(TILL_KEY))
    await assert_problem(answer, 403, "wrong_source", "/source")


async def test_who_may_only_read_may_not_write(collect: Collect) -> None:
    answer = await collect.post(event(), STRUCTURED | bearer(token(Role.LOOKUP)))
    await assert_problem(answer, 403, "forbidden")
    assert not collect.producer.records


async def test_a_body_is_not_read_for_nobody(collect: Collect) -> None:
    answer = await collect.post(b"x" * 900_000)
    await assert_problem(answer, 401, "unauthenticated")
    assert (await collect.post(event(), STRUCTURED | bearer(SHOP_KEY))).status == 202
