"""Goal: what a consumer sees that does not read committed, and that one that does is spared it. Method: a kill."""

import asyncio
import signal
import subprocess
import sys
import uuid
from collections import Counter
from pathlib import Path
from typing import Literal

import aiokafka
import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition

from schemas.topics import Catalogue, Topic
from streams.faults import FaultPoint
from streams.kafka import KafkaOptions
from streams.topics import create_topics
from tests.streams.feeding import send

pytestmark = [pytest.mark.kafka, pytest.mark.crash]
ROOT = Path(__file__).parents[2]
RECORDS = 120
VALUES = [b"key-%d|%d" % (number % 3, number) for number in range(RECORDS)]


@pytest.fixture(scope="module")
def interactions(broker: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A topic of a worker that was killed when its outputs were in the log, and of its successor to the end."""
    kafka, catalogue = KafkaOptions(broker), Catalogue(prefix=f"t{uuid.uuid4().hex[:12]}.", partitions=2)
    create_topics(kafka, catalogue)
    folder = tmp_path_factory.mktemp("uncommitted")
    send(kafka, catalogue.name(Topic.ROUTED), [(None, value) for value in VALUES])
    for plan, code in ((f"{FaultPoint.AFTER_FLUSH}:2", -signal.SIGKILL), ("", 0)):
        arguments = [kafka.bootstrap_servers, catalogue.prefix, folder / "disk", folder / "acknowledged", RECORDS, plan]
        ended = subprocess.run(
            [sys.executable, "-m", "tests.streams.crashing_partition", *map(str, arguments)],
            cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert ended.returncode == code, ended.stderr
    return catalogue.name(Topic.INTERACTIONS)


def test_a_reader_of_uncommitted_records_sees_outputs_again_after_a_crash_and_one_of_committed_does_not(
    kafka: KafkaOptions, interactions: str
) -> None:
    # librdkafka reads committed records where nothing else is said.
    assert Counter(_librdkafka(kafka, interactions)) == Counter(VALUES)
    uncommitted = Counter(_librdkafka(kafka, interactions, "read_uncommitted"))
    assert set(uncommitted) == set(VALUES), "nothing is missing, and nothing made up"
    repeated = {value for value, count in uncommitted.items() if count > 1}
    assert repeated, "the kill came after the outputs were written"
    # What is seen twice is the same bytes twice: an interaction's source and id tell.
    assert all(count == 2 for count in uncommitted.values() if count > 1)


async def test_aiokafka_has_to_be_told_to_read_committed(kafka: KafkaOptions, interactions: str) -> None:
    assert Counter(await _aiokafka(kafka, interactions, "read_committed")) == Counter(VALUES)
    assert Counter(await _aiokafka(kafka, interactions)).total() > RECORDS


def _librdkafka(kafka: KafkaOptions, topic: str, isolation: str | None = None) -> list[bytes]:
    """All that a plain consumer reads from the beginning to the end."""
    options = {
        "bootstrap.servers": kafka.bootstrap_servers,
        "group.id": "plain",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
    }
    consumer = Consumer(options | ({} if isolation is None else {"isolation.level": isolation}))
    try:
        consumer.assign([TopicPartition(topic, number, 0) for number in (0, 1)])
        values: list[bytes] = []
        ended: set[int | None] = set()
        while len(ended) < 2:
            message = consumer.poll(30)
            assert message is not None, f"{topic} has no end"
            if message.error() is None:
                values.append(message.value() or b"")
            else:
                assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                ended.add(message.partition())
        return values
    finally:
        consumer.close()


async def _aiokafka(
    kafka: KafkaOptions, topic: str, isolation: Literal["read_committed", "read_uncommitted"] | None = None
) -> list[bytes]:
    """All that a plain aiokafka consumer reads from the beginning to the end."""
    chosen = {} if isolation is None else {"isolation_level": isolation}
    consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap_servers, **chosen)
    await consumer.start()
    try:
        partitions = [aiokafka.TopicPartition(topic, number) for number in (0, 1)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        values: list[bytes] = []
        async with asyncio.timeout(30):
            while any([await consumer.position(each) < ends[each] for each in partitions]):
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    values += [record.value for record in records]
        return values
    finally:
        await consumer.stop()
