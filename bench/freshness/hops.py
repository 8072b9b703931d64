"""Where the time goes: each event is found again on the topics, whose records say when they came there."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from schemas.messages import RoutedEvent, decode_routed
from schemas.times import MICROSECONDS_PER_MILLISECOND, parse_time
from schemas.topics import Catalogue, Partition, Topic
from streams.bulk import BulkReader, Record, partition_range
from streams.kafka import KafkaOptions

_READ_SECONDS: Final = 1.0


class _Published(msgspec.Struct):
    """What an interaction says of its way."""

    id: str
    received: str | None = None


_PUBLISHED: Final = msgspec.json.Decoder(_Published)


class Passed(NamedTuple):
    """When an event passed by, in microseconds since 1970; 0 where it was not found. The broker counts milliseconds."""

    #: The broker had it from collect.
    received_us: int = 0
    #: The broker had it from intake.
    routed_us: int = 0
    #: The context stage handed it over with the context that counts it; both are visible at the commit after that.
    published_us: int = 0


def ends(kafka: KafkaOptions, catalogue: Catalogue) -> dict[Partition, int]:
    """Where the topics end now of which hops are read."""
    names = [(catalogue.name(topic), catalogue.partitions_of(topic)) for topic in (Topic.ROUTED, Topic.INTERACTIONS)]
    return {(name, number): partition_range(kafka, name, number)[1] for name, count in names for number in range(count)}


def passed_since(kafka: KafkaOptions, catalogue: Catalogue, starts: Mapping[Partition, int]) -> dict[str, Passed]:
    """When each event that came after `starts` passed by, by its id; of copies the first."""
    found: dict[str, Passed] = {}
    routed = catalogue.name(Topic.ROUTED)
    left = {partition: end for partition, end in ends(kafka, catalogue).items() if starts[partition] < end}
    reader = BulkReader(kafka, {partition: starts[partition] for partition in left})
    try:
        while left:
            chunk = reader.read(_READ_SECONDS)
            for record in chunk.records:
                if record.topic == routed:
                    _note_routed(record, found)
                else:
                    _note_published(record, found)
            for partition, end in chunk.ends.items():
                if partition in left and end >= left[partition]:
                    del left[partition]
    finally:
        reader.close()
    return found


def _note_routed(record: Record, found: dict[str, Passed]) -> None:
    message = decode_routed(record.value or b"")
    if isinstance(message, RoutedEvent):
        known = found.get(message.id, Passed())
        if not known.routed_us:
            found[message.id] = known._replace(routed_us=record.timestamp_ms * MICROSECONDS_PER_MILLISECOND)


def _note_published(record: Record, found: dict[str, Passed]) -> None:
    interaction = _PUBLISHED.decode(record.value or b"")
    known = found.get(interaction.id, Passed())
    received_us = parse_time(interaction.received) if interaction.received else 0
    published_us = record.timestamp_ms * MICROSECONDS_PER_MILLISECOND
    found[interaction.id] = known._replace(received_us=received_us, published_us=published_us)
