"""`goldenthread tail`: the records of a public topic as JSON lines, as they come."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from schemas.errors import EventError, TopicError, UsageError
from schemas.strict_json import UNREADABLE
from schemas.times import MICROSECONDS_PER_MILLISECOND, format_time
from schemas.topics import PUBLIC_TOPICS, Catalogue, Topic
from streams.bulk import BulkReader, Record
from streams.kafka import KafkaOptions
from streams.topics import topic_ids
from streams.wire_reader import WireReader

_READ_SECONDS: Final = 0.2


class TailedRecord(msgspec.Struct, frozen=True):
    """One record; a value of null says that nothing stands under the key any more."""

    topic: str
    partition: int
    offset: int
    time: str
    key: str | None
    value: msgspec.Raw

    def line(self) -> str:
        """One line of JSON."""
        return msgspec.json.encode(self).decode()


def tail(
    kafka: KafkaOptions,
    catalogue: Catalogue,
    topic: str,
    *,
    from_beginning: bool = False,
    limit: int | None = None,
    follow: bool = True,
    wire: WireReader | None = None,
) -> Iterator[TailedRecord]:
    """Committed records of a public topic, in order within each partition.

    Args:
        kafka: The brokers.
        catalogue: The topics.
        topic: A public topic, with or without the prefix.
        from_beginning: From the oldest record that is kept, instead of from the end.
        limit: End after so many.
        follow: Wait for further records at the end, instead of ending there.
        wire: Reads records that are Avro; without one they are refused.

    Raises:
        UsageError: the topic is not public.
        TopicError: the topic does not exist.
        BrokerUnreachable: no broker answers.
        RegistryRefused: a record is Avro, and no schema registry is configured, or one without its schema.
        RegistryAway: the schema registry does not answer.
    """
    wire = wire or WireReader(None)
    name = public_topic(catalogue, topic)
    topic_ids(kafka, [name])
    partitions = range(catalogue.partitions_of(name.removeprefix(catalogue.prefix)))
    reader = BulkReader(kafka, {})
    try:
        marks = {(name, number): reader.watermarks(name, number) for number in partitions}
    finally:
        reader.close()
    starts = {partition: low if from_beginning else stable for partition, (low, stable) in marks.items()}
    waited_for = {partition for partition, (_, stable) in marks.items() if starts[partition] < stable}
    reader = BulkReader(kafka, starts)
    shown = 0
    try:
        while follow or waited_for:
            chunk = reader.read(_READ_SECONDS)
            for record in chunk.records:
                if limit is not None and shown >= limit:
                    return
                shown += 1
                yield _tailed(record, wire)
            if limit is not None and shown >= limit:
                return
            waited_for.difference_update(
                partition for partition, end in chunk.ends.items() if end >= marks[partition][1]
            )
    finally:
        reader.close()


def public_topic(catalogue: Catalogue, topic: str) -> str:
    """The full name of a public topic.

    Raises:
        UsageError: it is none.
    """
    short = topic.removeprefix(catalogue.prefix)
    if short not in PUBLIC_TOPICS:
        raise UsageError(f"{topic!r} is no public topic; there are {', '.join(PUBLIC_TOPICS)}")
    return catalogue.name(Topic(short))


def _tailed(record: Record, wire: WireReader) -> TailedRecord:
    return TailedRecord(
        record.topic,
        record.partition,
        record.offset,
        format_time(record.timestamp_ms * MICROSECONDS_PER_MILLISECOND),
        None if record.key is None else record.key.decode(errors="replace"),
        _as_json(record, wire),
    )


def _as_json(record: Record, wire: WireReader) -> msgspec.Raw:
    """The value on one line; of another topic's shape it is refused, as a line of it would mislead.

    Raises:
        TopicError: it is neither JSON nor Avro of its schema.
    """
    if record.value is None:
        return msgspec.Raw(b"null")
    try:
        value: Any = msgspec.json.decode(wire.json(record.value))
    except (EventError, *UNREADABLE) as error:
        raise TopicError(
            f"{record.topic}/{record.partition} offset {record.offset} can't be read ({error}): something else than "
            "Goldenthread writes to this topic"
        ) from error
    return msgspec.Raw(msgspec.json.encode(value))
