"""The admin service as a process on a real broker: from its start, through catch-up, to an acknowledged order."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from confluent_kafka import Producer

from connectors.admin.service import AdminOptions, run_admin
from schemas.errors import SecretError, StateError, TopicError
from schemas.identity_policy import DEFAULT_POLICY, Grade
from schemas.keys import Keyring
from schemas.messages import Order, decode_identity
from schemas.roles import ATTACHED, HOME
from schemas.rows import LinkRow, encode_row, link_row_key
from schemas.topics import Catalogue, Topic
from state.identity.placement import Stage
from streams.bulk import BulkReader, Record
from streams.kafka import KafkaOptions
from streams.metrics import Metrics
from streams.topics import create_topics
from tests.connectors.admin.world import asked
from tests.state.identity.driving import KEYRING, fragment, identifier, sealed

pytestmark = pytest.mark.kafka
DEADLINE_SECONDS = 60
ANN, COOKIE = "email:ann@example.com", "cookie:c-1"


@pytest.fixture
def options(broker: str, tmp_path: Path) -> AdminOptions:
    catalogue = Catalogue(prefix=f"admin-{uuid.uuid4().hex[:8]}.", partitions=1, channels=("web",))
    return AdminOptions(
        kafka=KafkaOptions(broker), catalogue=catalogue, data_dir=tmp_path, policy=DEFAULT_POLICY, version="1", port=0
    )


def write_rows(options: AdminOptions) -> None:
    """Topics, and a customer of two identifiers in `identity.links`."""
    create_topics(options.kafka, options.catalogue)
    producer = Producer(options.kafka.transactional_producer(uuid.uuid4().hex))
    producer.init_transactions(30)
    producer.begin_transaction()
    for text, state in ((ANN, HOME), (COOKIE, ATTACHED)):
        item = sealed(identifier(text))
        row = LinkRow(
            item.kind, item.sealed, state, fragment(ANN), int(Grade.CLAIMED), 1, 0, 0, 0, stage=Stage.ATTACHING
        )
        name = options.catalogue.name(Topic.LINKS)
        producer.produce(name, encode_row(row), link_row_key(item.fragment), partition=0)
    producer.commit_transaction(30)


@asynccontextmanager
async def running(options: AdminOptions, metrics: Metrics | None = None) -> AsyncIterator[str]:
    """An admin service that runs while the context is open; gives its address."""
    at: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    admin = asyncio.create_task(
        run_admin(
            options,
            KEYRING,
            metrics or Metrics("admin", "1"),
            on_listening=lambda host, port: at.set_result(f"http://{host}:{port}"),
        )
    )
    try:
        ends: set[asyncio.Future[Any]] = {admin, at}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED, timeout=DEADLINE_SECONDS)
        if admin.done():
            admin.result()
        yield await at
        if admin.done():
            admin.result()
    finally:
        admin.cancel()
        await asyncio.gather(admin, return_exceptions=True)


async def until(url: str, wanted: int) -> None:
    """Ask again until the status is as wanted."""
    async with asyncio.timeout(DEADLINE_SECONDS), aiohttp.ClientSession() as session:
        while True:
            async with session.get(url) as answer:
                if answer.status == wanted:
                    return
            await asyncio.sleep(0.05)


def evidence(options: AdminOptions) -> list[Order]:
    """The orders in the log."""
    place = (options.catalogue.name(Topic.EVIDENCE), 0)
    reader = BulkReader(options.kafka, {place: 0})
    try:
        end = reader.watermarks(*place)[1]
        found: list[Record] = []
        while len(found) < end:
            found += reader.read(1.0).records
    finally:
        reader.close()
    messages = [decode_identity(record.value or b"") for record in found]
    return [message for message in messages if isinstance(message, Order)]


async def test_it_catches_up_gives_an_order_and_goes_on_from_its_copy(options: AdminOptions) -> None:
    write_rows(options)
    body = {"order": "split", "identifiers": [asked(ANN), asked(COOKIE)], "reason": "r", "author": "a", "id": "case-1"}
    metrics = Metrics("admin", "1")
    async with running(options, metrics) as url:
        await until(f"{url}/readyz", 200)
        async with aiohttp.ClientSession() as session:
            async with session.post(f"{url}/v1/orders", json=body | {"dry_run": True}) as answer:
                assert (await answer.json())["moves"]["customers_after"] == 2
            async with session.post(f"{url}/v1/orders?wait=0.1", json=body) as answer:
                assert (answer.status, (await answer.json())["order"]["standing"]) == (202, "waiting")
    written = metrics.registry.get_sample_value(
        "goldenthread_records_written_total", {"topic": options.catalogue.name(Topic.EVIDENCE)}
    )
    assert written == 1
    (order,) = evidence(options)
    assert {one.fragment for one in order.identifiers} == {fragment(ANN), fragment(COOKIE)}
    again = Metrics("admin", "1")
    async with running(options, again) as url:
        await until(f"{url}/readyz", 200)
    assert again.registry.get_sample_value("goldenthread_follower_records_total", {"follower": "admin"}) == 0


async def test_while_the_broker_is_away_it_listens_and_says_that_it_is_not_ready(options: AdminOptions) -> None:
    away = replace(options, kafka=KafkaOptions("127.0.0.1:1", properties={"log_level": "0"}))
    async with running(away) as url:
        await until(f"{url}/livez", 200)
        await until(f"{url}/readyz", 503)
        await until(f"{url}/v1/orders", 503)


async def test_missing_topics_and_another_secret_end_it(options: AdminOptions, tmp_path: Path) -> None:
    other = Keyring(b"another secret of enough bytes")
    with pytest.raises(TopicError, match="goldenthread init"):
        await asyncio.wait_for(run_admin(options, KEYRING, Metrics("admin", "1")), DEADLINE_SECONDS)
    write_rows(options)
    anew = replace(options, data_dir=tmp_path / "new")
    with pytest.raises(SecretError, match="GOLDENTHREAD_SECRET"):
        await asyncio.wait_for(run_admin(anew, other, Metrics("admin", "1")), DEADLINE_SECONDS)
    with pytest.raises(StateError, match="GOLDENTHREAD_SECRET"):
        await asyncio.wait_for(run_admin(options, other, Metrics("admin", "1")), DEADLINE_SECONDS)
