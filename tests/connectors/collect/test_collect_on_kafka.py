"""Collect as a whole on a real broker: many clients at once, and a start before there is a broker."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from confluent_kafka import Consumer, TopicPartition

from connectors.collect.service import CollectOptions, run_collect
from schemas.clock import ManualClock
from schemas.errors import SettingError, TopicError
from schemas.times import parse_time
from schemas.topics import Catalogue
from streams.broker.local_broker import LocalBroker
from streams.broker.options import BrokerOptions
from streams.kafka import KafkaOptions
from streams.metrics import Metrics
from streams.topics import create_topics
from tests.connectors.collect.http_service import BATCH, NOW, STRUCTURED, cleaner, encoded, event

pytestmark = pytest.mark.kafka


@asynccontextmanager
async def _collect(kafka: KafkaOptions, catalogue: Catalogue) -> AsyncIterator[tuple[aiohttp.ClientSession, Any]]:
    bound: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(
        run_collect(
            CollectOptions(port=0),
            kafka=kafka,
            catalogue=catalogue,
            cleaner=cleaner(),
            metrics=Metrics("collect", "1"),
            clock=ManualClock(parse_time(NOW)),
            version="1",
            on_listening=lambda host, port: bound.set_result(f"http://{host}:{port}"),
        )
    )
    try:
        async with aiohttp.ClientSession(await bound) as client:
            yield client, running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _ready(client: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(30):
        while (await client.get("/readyz")).status != 200:  # noqa: ASYNC110 - another process is waited for.
            await asyncio.sleep(0.05)


async def test_events_of_many_clients_arrive_exactly_once_each(broker: str) -> None:
    kafka, catalogue = KafkaOptions(broker), Catalogue(prefix="collect.", channels=("web", "store"))
    create_topics(kafka, catalogue)
    async with _collect(kafka, catalogue) as (client, _):
        await _ready(client)

        async def send(first: int) -> int:
            batch = [event(first + number, source="till", channel=None) for number in range(20)]
            answer = await client.post("/v1/events", data=encoded(batch), headers=BATCH)
            single = await client.post("/v1/events", data=encoded(event(first)), headers=STRUCTURED)
            return int((await answer.json())["accepted"]) + int((await single.json())["accepted"])

        assert sum(await asyncio.gather(*(send(first) for first in range(0, 1000, 20)))) == 1050
        metrics = await (await client.get("/metrics")).text()
        assert 'goldenthread_records_written_total{topic="collect.raw.store"} 1000.0' in metrics
    stored = await asyncio.to_thread(_read_all, kafka, catalogue.raw("store"), 1000)
    assert sorted(identifier for identifier, _ in stored) == sorted(f"e-{number}" for number in range(1000))
    assert {channel for _, channel in stored} == {"store"}


def _read_all(kafka: KafkaOptions, topic: str, count: int) -> list[tuple[str, str]]:
    consumer = Consumer(kafka.reader())
    try:
        consumer.assign([TopicPartition(topic, partition, 0) for partition in range(4)])
        records = consumer.consume(num_messages=count + 4, timeout=15)
        events = [msgspec.json.decode(record.value()) for record in records if record.error() is None]
        return [(each["id"], each["channel"]) for each in events]
    finally:
        consumer.close()


async def test_wrong_topic_stops_the_service(broker: str) -> None:
    kafka = KafkaOptions(broker)
    create_topics(kafka, Catalogue(prefix="other.", partitions=2, channels=("web",)))
    async with _collect(kafka, Catalogue(prefix="other.", partitions=4, channels=("web",))) as (_, running):
        with pytest.raises(TopicError, match=r"other\.raw\.web has 2 partitions"):
            await asyncio.wait_for(running, 30)


async def test_port_in_use_names_the_setting(broker: str) -> None:
    kafka = KafkaOptions(broker)
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    async with server:
        with pytest.raises(SettingError, match="GOLDENTHREAD_COLLECT_PORT"):
            await run_collect(
                CollectOptions(port=server.sockets[0].getsockname()[1]),
                kafka=kafka,
                catalogue=Catalogue(),
                cleaner=cleaner(),
                metrics=Metrics("collect", "1"),
                clock=ManualClock(parse_time(NOW)),
                version="1",
            )


async def test_starts_before_the_broker_and_outlives_it(
    tmp_path: Path, cache_dir: Path, free_ports: Callable[[int], list[int]]
) -> None:
    port, controller_port = free_ports(2)
    options = BrokerOptions(data_dir=tmp_path, cache_dir=cache_dir, port=port, controller_port=controller_port)
    kafka, catalogue = KafkaOptions(f"127.0.0.1:{port}"), Catalogue(channels=("web",))
    async with _collect(kafka, catalogue) as (client, running):
        refused = await client.post("/v1/events", data=encoded(event()), headers=STRUCTURED)
        assert refused.status == 503
        with LocalBroker(options) as local:
            assert local.bootstrap_servers == kafka.bootstrap_servers
            await asyncio.to_thread(create_topics, kafka, catalogue)
            await _ready(client)
            accepted = await client.post("/v1/events", data=encoded(event()), headers=STRUCTURED)
            assert accepted.status == 202
        lost = await client.post("/v1/events", data=encoded(event(2)), headers=STRUCTURED)
        assert (lost.status, (await lost.json())["code"]) == (503, "not_acknowledged")
        assert not running.done()
