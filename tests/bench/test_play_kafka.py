"""Playing events straight to Kafka, against the client library's own mock of a broker."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp.test_utils import unused_port
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from bench.generator import Plan, generate
from bench.play import play_to_kafka
from schemas.errors import DeliveryFailed

_DEADLINE_SECONDS = 30


@pytest.fixture
def mock_broker() -> Iterator[str]:
    """The address of a broker inside this process; it lives as long as the client that made it."""
    client = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "overridden-by-the-mock:1"})
    brokers = client.list_topics(timeout=_DEADLINE_SECONDS).brokers.values()
    yield ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
    client.flush(1)


def consumed(address: str, count: int) -> list[tuple[str, dict[str, Any], dict[str, bytes]]]:
    consumer = Consumer({"bootstrap.servers": address, "group.id": "test", "enable.auto.commit": False})
    topics = consumer.list_topics(timeout=_DEADLINE_SECONDS).topics
    consumer.assign(
        [TopicPartition(name, place, OFFSET_BEGINNING) for name, topic in topics.items() for place in topic.partitions]
    )
    records: list[tuple[str, dict[str, Any], dict[str, bytes]]] = []
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while len(records) < count and time.monotonic() < deadline:
        message = consumer.poll(0.5)
        if message is not None and message.error() is None:
            records.append((message.topic(), json.loads(message.value()), dict(message.headers())))
    consumer.close()
    return records


def test_every_event_lies_on_the_raw_topic_of_its_channel(mock_broker: str) -> None:
    events = list(generate(Plan(customers=30, events=300)))
    assert play_to_kafka(events, mock_broker, None, prefix="try.") == len(events)
    records = consumed(mock_broker, len(events))
    assert len(records) == len(events)
    for topic, event, headers in records:
        assert topic == f"try.raw.{event['channel']}"
        assert headers["content-type"].startswith(b"application/cloudevents+json")
    names = sorted((event["source"], event["id"]) for _, event, _ in records)
    assert names == sorted((event["source"], event["id"]) for event in events)


def test_a_broker_that_stays_away_is_given_up() -> None:
    with pytest.raises(DeliveryFailed, match="did not take all of 3 events"):
        play_to_kafka(
            list(generate(Plan(events=3, duplicate_share=0))), f"127.0.0.1:{unused_port()}", None, give_up_seconds=0.5
        )
