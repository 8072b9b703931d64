"""Reads the dead topic: each letter with what was wrong, where it came from, and the original."""

import hashlib
import time
from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from schemas.dead_letters import number_in
from schemas.errors import BrokerUnreachable
from schemas.strict_json import UNREADABLE
from schemas.topics import RECEIVED_HEADER, RETRY_OF_HEADER, SOURCE_HEADER, Catalogue, DeadHeader, Topic
from streams.bulk import SILENCE_SECONDS_MAX, BulkReader, Record
from streams.kafka import KafkaOptions

_READ_SECONDS: Final = 1.0
_OWN_HEADERS: Final = frozenset(str(header) for header in DeadHeader)
_DIGEST_SIZE_BYTES: Final = 16
#: Ways in that name their source.
SOURCE_DOORS: Final = ("hook", "segment")
#: The source of a CloudEvent in binary mode.
BINARY_SOURCE_HEADER: Final = "ce_source"


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
    #: The size of the original value in bytes, where not all of it is here.
    cut_from_bytes: int | None = None
    #: How many headers the original had, where they are left out.
    headers_dropped: int | None = None
    #: The broker's time of the record that it is about, where there was one.
    origin_timestamp_ms: int | None = None

    def header(self, name: str) -> str | None:
        """The content of the original's first header of this name."""
        return next((content.decode(errors="replace") for each, content in self.headers if each == name), None)

    @property
    def retry_of(self) -> int | None:
        """The letter that was sent again and became this one."""
        return number_in(self.header(RETRY_OF_HEADER))

    @property
    def received_ms(self) -> int:
        """When the event came for the first time, in milliseconds since 1970, as far as the letter tells."""
        first = number_in(self.header(RECEIVED_HEADER))
        known = self.origin_timestamp_ms if first is None else first
        return self.timestamp_ms if known is None else known

    @property
    def door(self) -> tuple[str, str] | None:
        """The way in and its source or file, of what came otherwise than by Kafka: `("hook", "chat")`."""
        if self.origin is None:
            return None
        way, colon, name = self.origin[0].partition(":")
        return (way, name) if colon else None

    @property
    def source(self) -> str | None:
        """The source of the event, as far as the letter tells: its headers, its door, or the event itself."""
        if (named := self.header(SOURCE_HEADER)) is not None:
            return named
        if self.door is not None and self.door[0] in SOURCE_DOORS:
            return self.door[1]
        if (attribute := self.header(BINARY_SOURCE_HEADER)) is not None:
            return attribute
        try:
            return msgspec.json.decode(self.value or b"", type=_Sourced).source
        except UNREADABLE:
            return None


class _Sourced(msgspec.Struct):
    source: str


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
                letter = letter_of(record)
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


def letter_of(record: Record) -> DeadLetterRecord:
    """The letter of a record of `dead`, which was read with its headers."""
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
        cut_from_bytes=number_in(own.get(DeadHeader.CUT_FROM)),
        headers_dropped=number_in(own.get(DeadHeader.HEADERS_DROPPED)),
        origin_timestamp_ms=number_in(own.get(DeadHeader.TIMESTAMP)),
    )


def _origin(own: dict[str, str]) -> tuple[str, int | None, int | None] | None:
    """Both numbers or none of them: one alone, or one that is none, names no record."""
    topic = own.get(DeadHeader.TOPIC)
    if not topic:
        return None
    if DeadHeader.PARTITION not in own and DeadHeader.OFFSET not in own:
        return topic, None, None
    partition, offset = number_in(own.get(DeadHeader.PARTITION)), number_in(own.get(DeadHeader.OFFSET))
    return None if partition is None or offset is None else (topic, partition, offset)
