"""Reads the dead topic: each letter with what was wrong, where it came from, and the original."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from schemas.topics import Catalogue, DeadHeader, Topic
from streams.bulk import BulkReader, Record
from streams.kafka import KafkaOptions

_READ_SECONDS: Final = 1.0
_OWN_HEADERS: Final = frozenset(str(header) for header in DeadHeader)


class DeadLetterRecord(NamedTuple):
    """A letter as read; `origin` is topic, partition and offset of the record that it is about, where there was one."""

    offset: int
    timestamp_ms: int
    code: str
    message: str
    pointer: str
    stage: str
    origin: tuple[str, int, int] | None
    key: bytes | None
    value: bytes | None
    #: The original's own headers.
    headers: tuple[tuple[str, bytes], ...]


def read_dead(kafka: KafkaOptions, catalogue: Catalogue, start: int = 0) -> Iterator[DeadLetterRecord]:
    """All letters that are there now, oldest first, from an offset on; one that a crash repeated comes once.

    Raises:
        BrokerUnreachable: no broker answers.
    """
    topic = catalogue.name(Topic.DEAD)
    marks = BulkReader(kafka, {})
    try:
        low, end = marks.watermarks(topic, 0)
    finally:
        marks.close()
    position = max(low, start)
    if position >= end:
        return
    seen: set[tuple[object, ...]] = set()
    reader = BulkReader(kafka, {(topic, 0): position}, with_headers=True)
    try:
        while position < end:
            chunk = reader.read(_READ_SECONDS)
            for record in chunk.records:
                position = record.offset + 1
                letter = _letter(record)
                place = None if letter.origin is None else (letter.stage, *letter.origin, letter.value)
                if place is None or place not in seen:
                    yield letter
                if place is not None:
                    seen.add(place)
            position = max(position, *chunk.ends.values(), 0)
    finally:
        reader.close()


def _letter(record: Record) -> DeadLetterRecord:
    own = {name: value.decode(errors="replace") for name, value in record.headers if name in _OWN_HEADERS}
    topic = own.get(DeadHeader.TOPIC)
    partition, offset = own.get(DeadHeader.PARTITION, ""), own.get(DeadHeader.OFFSET, "")
    origin = (topic, int(partition), int(offset)) if topic and partition.isdigit() and offset.isdigit() else None
    return DeadLetterRecord(
        offset=record.offset,
        timestamp_ms=record.timestamp_ms,
        code=own.get(DeadHeader.CODE, ""),
        message=own.get(DeadHeader.MESSAGE, ""),
        pointer=own.get(DeadHeader.POINTER, ""),
        stage=own.get(DeadHeader.STAGE, ""),
        origin=origin,
        key=record.key,
        value=record.value,
        headers=tuple((name, value) for name, value in record.headers if name not in _OWN_HEADERS),
    )
