"""Records into the session's broker, plainly and in transactions, as tests need them."""

import uuid
from collections.abc import Iterable

from confluent_kafka import Producer

from streams.kafka import KafkaOptions

Pairs = Iterable[tuple[bytes | None, bytes | None]]


def send(kafka: KafkaOptions, topic: str, records: Pairs, partition: int = 0) -> None:
    """Produce records and wait until all are acknowledged."""
    producer = Producer(kafka.producer(linger_ms=0))
    for key, value in records:
        producer.produce(topic, value, key, partition)
    assert producer.flush(20) == 0


def open_transaction(kafka: KafkaOptions, topic: str, records: Pairs, partition: int = 0) -> Producer:
    """A transaction with acknowledged records that nobody has ended."""
    producer = Producer(kafka.transactional_producer(uuid.uuid4().hex) | {"linger.ms": 0})
    producer.init_transactions(20)
    producer.begin_transaction()
    for key, value in records:
        producer.produce(topic, value, key, partition)
    assert producer.flush(20) == 0
    return producer


def send_committed(kafka: KafkaOptions, topic: str, records: Pairs, partition: int = 0) -> None:
    """A transaction that is committed: its marker is the last entry of the log."""
    open_transaction(kafka, topic, records, partition).commit_transaction(20)


def send_aborted(kafka: KafkaOptions, topic: str, records: Pairs, partition: int = 0) -> None:
    """A transaction that is aborted: no committed reader sees its records."""
    open_transaction(kafka, topic, records, partition).abort_transaction(20)
