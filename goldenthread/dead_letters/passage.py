"""How letters that were sent again pass through the workers, told by what these write: the only proof there is.

An event that is sent comes out at one of three places: intake's, as a new letter that names the old one; routed, and
then as an interaction, or as a letter of the context stage; routed, and nothing more, since it was there already. The
last is known once the context stage has passed the routed record and all that it wrote by then is read.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec
from confluent_kafka import Consumer, KafkaException, TopicPartition

from agents.context import STAGE as CONTEXT_STAGE
from goldenthread.dead_letters.judging import EventKey
from schemas.errors import BrokerUnreachable
from schemas.messages import RoutedEvent, decode_routed
from schemas.strict_json import UNREADABLE
from schemas.topics import Catalogue, Partition, Topic
from streams.bulk import BulkReader, Record
from streams.dead import DeadLetterRecord, letter_of
from streams.kafka import KafkaOptions
from streams.topics import group_offsets
from streams.wire_reader import WireReader

ACCEPTED: Final = "accepted"
DUPLICATE: Final = "duplicate"
WATCHED: Final = (Topic.ROUTED, Topic.INTERACTIONS, Topic.DEAD)
_READ_SECONDS: Final = 0.1
_REQUEST_SECONDS: Final = 10.0
# The group's offsets are committed twice a second; asking more often tells nothing.
_ASK_SECONDS: Final = 0.3
#: What is no event of anybody.
_NONE: Final = EventKey("", "", "")


class Sent(NamedTuple):
    """A letter that was sent, and the events that it holds."""

    letter: int
    events: tuple[EventKey, ...]


class NewLetter(NamedTuple):
    """A letter that another one became."""

    offset: int
    code: str
    message: str


@dataclass
class Found:
    """What became of a letter so far."""

    #: By event: `accepted`, `duplicate`, or the code for which the context stage refused it.
    events: dict[EventKey, str] = field(default_factory=dict)
    #: What intake, or the context stage, wrote instead.
    letters: list[NewLetter] = field(default_factory=list)
    #: Of `letters`, those by intake: their events were never routed.
    unrouted: int = 0

    def is_complete(self, sent: Sent) -> bool:
        """Whether nothing is open any more."""
        return len(self.events) + self.unrouted >= len(sent.events)


class _Named(msgspec.Struct):
    source: str
    id: str
    fragment: str = ""


class Passage:
    """Watches what workers write, from its making on.

    Args:
        kafka: The brokers.
        catalogue: The topics.
        group_id: The workers' consumer group.
        wire: Reads interactions that are Avro.
    """

    def __init__(self, kafka: KafkaOptions, catalogue: Catalogue, group_id: str, wire: WireReader) -> None:
        self._kafka = kafka
        self._group_id = group_id
        self._wire = wire
        self._routed, self._interactions, self._dead = (catalogue.name(topic) for topic in WATCHED)
        partitions = [
            (catalogue.name(topic), number) for topic in WATCHED for number in range(catalogue.partitions_of(topic))
        ]
        # High watermarks: what an open transaction wrote is no answer to what is sent from now on.
        self._positions = dict.fromkeys(partitions, 0) | self._ends(partitions)
        self._reader = BulkReader(kafka, self._positions, with_headers=True)
        # Where events that are waited for were routed to, of those that did not come out yet.
        self._places: dict[EventKey, tuple[Partition, int]] = {}

    def close(self) -> None:
        """Let go of the broker."""
        self._reader.close()

    def wait(self, sent: Sequence[Sent], patience_s: float) -> dict[int, Found]:
        """What became of letters, by their offsets; returns when all is known, or nothing new came for `patience_s`.

        No two of them hold the same event.
        """
        found = {each.letter: Found() for each in sent}
        self._places = {}
        waiting = {each.letter: each for each in sent}
        last_news = time.monotonic()
        asked = float("-inf")
        while waiting and time.monotonic() - last_news < patience_s:
            news = self._read(waiting, found)
            if time.monotonic() - asked > _ASK_SECONDS:
                asked = time.monotonic()
                news = self._note_duplicates(waiting, found) or news
            for letter in [each for each, one in waiting.items() if found[each].is_complete(one)]:
                del waiting[letter]
            if news:
                last_news = time.monotonic()
        return found

    def _read(self, waiting: dict[int, Sent], found: dict[int, Found]) -> bool:
        """Read on; whether what came says anything of the letters."""
        chunk = self._reader.read(_READ_SECONDS)
        news = self._take(chunk.records, waiting, found)
        # An end lies past the last record where a transaction's marker follows it.
        for partition, end in chunk.ends.items():
            self._positions[partition] = max(end, self._positions[partition])
        return news

    def _take(self, records: Iterable[Record], waiting: dict[int, Sent], found: dict[int, Found]) -> bool:
        """Note what records say of the letters; whether they say anything."""
        holders = {event: sent.letter for sent in waiting.values() for event in sent.events}
        fragments = {event.fragment.encode() for event in holders}
        news = False
        for record in records:
            partition = (record.topic, record.partition)
            self._positions[partition] = record.offset + 1
            if record.topic == self._dead:
                news = _take_letter(letter_of(record), holders, found) or news
            elif record.topic == self._interactions:
                accepted = self._interaction(record)
                if accepted in holders:
                    found[holders[accepted]].events[accepted] = ACCEPTED
                    news = True
            elif record.key in fragments:
                routed = _routed_event(record)
                if routed in holders:
                    # Of several copies the last place counts: by then all of them were passed.
                    self._places[routed] = (partition, record.offset)
                    news = True
        return news

    def _interaction(self, record: Record) -> EventKey:
        try:
            named = msgspec.json.decode(self._wire.json(record.value or b""), type=_Named)
        except UNREADABLE:
            return _NONE
        return EventKey(named.fragment, named.source, named.id)

    def _note_duplicates(self, waiting: dict[int, Sent], found: dict[int, Found]) -> bool:
        """Events that were routed, passed by the context stage, and are nowhere: they were there before."""
        open_ones = {
            event: self._places[event]
            for letter, sent in waiting.items()
            for event in sent.events
            if event in self._places and event not in found[letter].events
        }
        if not open_ones:
            return False
        # 1. Which were passed. 2. What was written by then. 3. Is all of that read?
        committed = group_offsets(self._kafka, self._group_id, list({place for place, _ in open_ones.values()}))
        passed = [event for event, (place, offset) in open_ones.items() if (committed[place] or 0) > offset]
        if not passed:
            return False
        written = [partition for partition in self._positions if partition[0] != self._routed]
        ends = self._ends(written)
        if not self._read_to(ends, waiting, found):
            return False
        for letter, sent in waiting.items():
            for event in sent.events:
                if event in passed:
                    found[letter].events.setdefault(event, DUPLICATE)
        return True

    def _read_to(self, ends: dict[Partition, int], waiting: dict[int, Sent], found: dict[int, Found]) -> bool:
        """Read on to these ends; False when that takes too long, as while a transaction is open."""
        deadline = time.monotonic() + _REQUEST_SECONDS
        while any(self._positions[partition] < end for partition, end in ends.items()):
            if time.monotonic() > deadline:
                return False
            self._read(waiting, found)
        return True

    def _ends(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """High watermarks: past what open transactions wrote, which may be committed yet."""
        asking = Consumer(self._kafka.reader(committed_only=False))
        try:
            return {
                partition: asking.get_watermark_offsets(TopicPartition(*partition), timeout=_REQUEST_SECONDS)[1]
                for partition in partitions
            }
        except KafkaException as error:
            raise BrokerUnreachable(f"ends of topics can't be had: {error.args[0].str()}") from error
        finally:
            asking.close()


def _take_letter(letter: DeadLetterRecord, holders: dict[EventKey, int], found: dict[int, Found]) -> bool:
    new = NewLetter(letter.offset, letter.code, letter.message)
    if letter.stage == CONTEXT_STAGE:
        try:
            named = msgspec.json.decode(letter.value or b"", type=_Named)
        except UNREADABLE:
            return False
        refused = [event for event in holders if (event.source, event.id) == (named.source, named.id)]
        for event in refused:
            found[holders[event]].events[event] = letter.code
            found[holders[event]].letters.append(new)
        return bool(refused)
    old = letter.retry_of
    if old is None or old not in found:
        return False
    found[old].letters.append(new)
    found[old].unrouted += 1
    return True


def _routed_event(record: Record) -> EventKey:
    try:
        message = decode_routed(record.value or b"")
    except UNREADABLE:
        return _NONE
    return EventKey(message.target, message.source, message.id) if isinstance(message, RoutedEvent) else _NONE
