"""A backlog: records laid into a topic before the engine starts, in their order, lz4 and in large batches."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from confluent_kafka import KafkaError, Message, Producer

from schemas.errors import DeliveryFailed
from schemas.topics import partition_of

_GIVE_UP_SECONDS: Final = 120.0
_QUEUE_KIB_MAX: Final = 128 * 1024
_QUEUE_RECORDS_MAX: Final = 400_000
_BATCH_SIZE_BYTES: Final = 256 * 1024
_RECORDS_PER_POLL: Final = 10_000


class Laid(NamedTuple):
    """A record for a topic; None as key spreads the topic's records evenly."""

    topic: str
    key: bytes | None
    value: bytes


def lay(bootstrap_servers: str, records: Iterable[Laid], partitions: int) -> int:
    """Write the records and return how many there were, once the broker has them all.

    Raises:
        DeliveryFailed: it does not take them.
    """
    failures: list[str] = []

    def delivered(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failures.append(error.str())

    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "log_level": 2,
            "enable.idempotence": True,
            "linger.ms": 50,
            "compression.type": "lz4",
            "batch.size": _BATCH_SIZE_BYTES,
            "queue.buffering.max.kbytes": _QUEUE_KIB_MAX,
            "queue.buffering.max.messages": _QUEUE_RECORDS_MAX,
            "on_delivery": delivered,
        }
    )
    count = 0
    for record in records:
        chosen = count % partitions if record.key is None else partition_of(record.key, partitions)
        while True:
            try:
                producer.produce(record.topic, record.value, record.key, partition=chosen)
                break
            except BufferError:
                producer.poll(0.1)
                _refuse(failures)
        count += 1
        if count % _RECORDS_PER_POLL == 0:
            producer.poll(0)
    if producer.flush(_GIVE_UP_SECONDS):
        raise DeliveryFailed(f"the broker has no answer for all of {count} records")
    _refuse(failures)
    return count


def _refuse(failures: list[str]) -> None:
    if failures:
        raise DeliveryFailed(f"the broker did not take {len(failures)} records: {failures[0]}")
