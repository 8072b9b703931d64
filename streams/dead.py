"""Reads the dead topic: each letter with what was wrong, where it came from, and the original."""

import hashlib
import time
from collections.abc import Iterator
from typing import Final, NamedTuple

from schemas.errors import BrokerUnreachable
from schemas.topics import Catalogue, DeadHeader, Topic
from streams.bulk import SILENCE_SECONDS_MAX, BulkReader, Record
from streams.kafka import KafkaOptions

_READ_SECONDS: Final = 1.0
_OWN_HEADERS: Final = frozenset(str(header) for header in DeadHeader)
_DIGEST_SIZE_BYTES: Final = 16
# A partition or an offset has at most 64 bits; more digits are no number of ours.
_DIGITS_MAX: Final = 19


class DeadLetterRecord(NamedTuple):
    """A letter as read.

    `origin` is topic, partition and offset of the record that it is about, where there was one; what came over HTTP has
    a name in place of the topic, such as `hook:chat`, and neither partition nor offset.
    """

    offset: int
    timestamp_ms: int
    code: str
    message: str
    pointer: str
    stage: str
    origin: tuple[str, int | None, int | None] | None
    key: bytes | None
    value: bytes | None
    #: The original's own headers.
    headers: tuple[tuple[str, bytes], ...]


def read_dead(
    kafka: KafkaOptions, catalogue: Catalogue, start: int = 0, *, silence_s_max: float = SILENCE_SECONDS_MAX
) -> Iterator[DeadLetterRecord]:
    """All letters that are there now, oldest first, from an offset on; one that a crash repeated comes once.

    Raises:
        BrokerUnreachable: no broker answers, or nothing came for `silence_s_max` seconds.
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
    # Of each letter a digest: the originals are too large to keep.
    seen: set[bytes] = set()
    reader = BulkReader(kafka, {(topic, 0): position}, with_headers=True)
    try:
        last_sign = time.monotonic()
        while position < end:
            chunk = reader.read(_READ_SECONDS)
            for record in chunk.records:
                position = record.offset + 1
                letter = _letter(record)
                digest = _digest(letter)
                if digest not in seen:
                    yield letter
                if digest is not None:
                    seen.add(digest)
            position = max(position, *chunk.ends.values(), 0)
            # What the caller did with the letters is no silence of the broker.
            if chunk.records or chunk.ends:
                last_sign = time.monotonic()
            elif time.monotonic() - last_sign > silence_s_max:
                raise BrokerUnreachable(
                    f"{topic}: nothing came for {silence_s_max:.0f} s, {position} of {end} are read"
                )
    finally:
        reader.close()


def _digest(letter: DeadLetterRecord) -> bytes | None:
    """What a letter and its repetition have in common; None where a letter has no place to know it by."""
    if letter.origin is None or letter.origin[2] is None:
        return None
    hashed = hashlib.blake2b(repr((letter.stage, *letter.origin)).encode(), digest_size=_DIGEST_SIZE_BYTES)
    hashed.update(b"" if letter.value is None else b"=" + letter.value)
    return hashed.digest()


def _letter(record: Record) -> DeadLetterRecord:
    own: dict[str, str] = {}
    for name, value in record.headers:
        if name in _OWN_HEADERS:
            # Ours come first; whatever else is called so was the original's.
            own.setdefault(name, value.decode(errors="replace"))
    return DeadLetterRecord(
        offset=record.offset,
        timestamp_ms=record.timestamp_ms,
        code=own.get(DeadHeader.CODE, ""),
        message=own.get(DeadHeader.MESSAGE, ""),
        pointer=own.get(DeadHeader.POINTER, ""),
        stage=own.get(DeadHeader.STAGE, ""),
        origin=_origin(own),
        key=record.key,
        value=record.value,
        headers=tuple((name, value) for name, value in record.headers if name not in _OWN_HEADERS),
    )


def _origin(own: dict[str, str]) -> tuple[str, int | None, int | None] | None:
    """Both numbers or none of them: one alone, or one that is none, names no record."""
    topic = own.get(DeadHeader.TOPIC)
    if not topic:
        return None
    if DeadHeader.PARTITION not in own and DeadHeader.OFFSET not in own:
        return topic, None, None
    partition, offset = _number(own.get(DeadHeader.PARTITION)), _number(own.get(DeadHeader.OFFSET))
    return None if partition is None or offset is None else (topic, partition, offset)


def _number(text: str | None) -> int | None:
    """The number that a header says, None where it says none: anybody may write to a topic."""
    if text is None or not (text.isascii() and text.isdecimal()) or len(text) > _DIGITS_MAX:
        return None
    return int(text)
