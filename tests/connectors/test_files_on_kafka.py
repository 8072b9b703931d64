"""Import into a real broker: what is reported as accepted lies on the topics, each row once."""

from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from connectors.collect.files import import_file
from schemas.event import read_record
from schemas.topics import Catalogue
from streams.kafka import KafkaOptions
from streams.metrics import Metrics
from streams.producer import DeliveringProducer
from streams.topics import create_topics
from tests.connectors.orders import HEADER, destination, mapping, row, write

pytestmark = pytest.mark.kafka


def test_every_row_is_on_its_topic_once_it_is_reported(tmp_path: Path, broker: str) -> None:
    kafka, catalogue = KafkaOptions(broker), Catalogue(prefix="files.", channels=("web",))
    create_topics(kafka, catalogue)
    path = write(tmp_path, HEADER, *(row(number) for number in range(5000)), "bad")
    producer = DeliveringProducer(kafka, catalogue, Metrics("import", "1"))
    try:
        to = destination(producer, catalogue=catalogue)
        result = import_file(path, mapping=mapping(), destination=to, progress_folder=tmp_path)
    finally:
        producer.close(5)
    assert (result.accepted, result.dead) == (5000, 1)
    stored = read_all(kafka, catalogue.raw("web"), catalogue.partitions)
    assert sorted(int(read_record(value, headers).id) for value, headers in stored) == list(range(5000))
    ((value, headers),) = read_all(kafka, catalogue.name("dead"), 1)
    assert value == b"bad\r\n"
    assert dict(headers)["gt-offset"] == b"5002"


def read_all(kafka: KafkaOptions, topic: str, partitions: int) -> list[tuple[bytes, list[tuple[str, bytes]]]]:
    """Values and headers up to the ends of all partitions."""
    consumer = Consumer(kafka.reader())
    try:
        found: list[tuple[bytes, list[tuple[str, bytes]]]] = []
        ends = {}
        for partition in range(partitions):
            place = TopicPartition(topic, partition, 0)
            ends[partition] = consumer.get_watermark_offsets(place, timeout=10)[1]
        consumer.assign([TopicPartition(topic, partition, 0) for partition, end in ends.items() if end])
        while len(found) < sum(ends.values()):
            messages = consumer.consume(1000, timeout=10)
            assert messages
            found += [(message.value(), message.headers() or []) for message in messages if message.error() is None]
        return found
    finally:
        consumer.close()
