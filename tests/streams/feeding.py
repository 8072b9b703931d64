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


def open_transaction(
    kafka: KafkaOptions, topic: str, records: Pairs, partition: int = 0, transactional_id: str | None = None
) -> Producer:
    """A transaction with acknowledged records that nobody has ended."""
    producer = Producer(kafka.transactional_producer(transactional_id or uuid.uuid4().hex) | {"linger.ms": 0})
    producer.init_transactions(20)
    producer.begin_transaction()
    for key, value in records:
        producer.produce(topic, value, key, partition)
    assert producer.flush(20) == 0
    return producer


def send_committed(kafka: KafkaOptions, topic: str, records: Pairs, partition: int = 0) -> None:
    """A transaction that is committed: its marker is the last entry of the log."""
    transactional_id = uuid.uuid4().hex
    open_transaction(kafka, topic, records, partition, transactional_id).commit_transaction(20)
    _wait_for_markers(kafka, transactional_id)


def send_aborted(kafka: KafkaOptions, topic: str, records: Pairs, partition: int = 0) -> None:
    """A transaction that is aborted: no committed reader sees its records."""
    transactional_id = uuid.uuid4().hex
    open_transaction(kafka, topic, records, partition, transactional_id).abort_transaction(20)
    _wait_for_markers(kafka, transactional_id)


def _wait_for_markers(kafka: KafkaOptions, transactional_id: str) -> None:
    """The broker ends a transaction before it has written all markers; a successor has to wait until it has."""
    Producer(kafka.transactional_producer(transactional_id)).init_transactions(20)
