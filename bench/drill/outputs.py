"""What came out, as a reader of committed records sees it: public topics, and dead letters."""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from schemas.errors import BrokerUnreachable, DeadCode
from schemas.topics import Catalogue, Topic
from streams.bulk import SILENCE_SECONDS_MAX, BulkReader, Record
from streams.dead import DeadLetterRecord, read_dead
from streams.kafka import KafkaOptions

#: Of everything that is wrong, so many examples are kept.
EXAMPLES_MAX: Final = 20
_READ_SECONDS: Final = 1.0
_DIGEST_SIZE_BYTES: Final = 16
#: The public topics, on which nothing may repeat.
READ_TOPICS: Final = (Topic.INTERACTIONS, Topic.IDENTITY_CHANGES, Topic.CONTEXT, Topic.CONTEXT_CHANGES)


class Outputs:
    """Takes records of the public topics in the order of each partition, and finds what repeats.

    Attributes:
        interactions: How often each event stands on `interactions`, by source and id.
        contexts: The newest context of each customer that has one.
        repeated: Records that say again what was said, or go back in version or offset.
        examples: Some of those.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._decisions: set[bytes] = set()
        self._offsets: dict[int, int] = {}
        self._versions: dict[str, int] = {}
        self._changed: dict[str, int] = {}
        self._take: dict[str, Callable[[Record, Any], str]] = {
            Topic.INTERACTIONS: self._interaction,
            Topic.IDENTITY_CHANGES: self._decision,
            Topic.CONTEXT: self._context,
            Topic.CONTEXT_CHANGES: self._change,
        }
        self.interactions: Counter[tuple[str, str]] = Counter()
        self.contexts: dict[str, dict[str, Any]] = {}
        self.repeated = 0
        self.examples: list[str] = []

    def take(self, record: Record) -> None:
        """The next record of its partition."""
        value = None if record.value is None else json.loads(record.value)
        wrong = self._take[record.topic.removeprefix(self._prefix)](record, value)
        if wrong:
            self.repeated += 1
            if len(self.examples) < EXAMPLES_MAX:
                self.examples.append(f"{record.topic}/{record.partition} at {record.offset}: {wrong}")

    def _interaction(self, _record: Record, value: Any) -> str:
        event = (value["source"], value["id"])
        self.interactions[event] += 1
        return f"{event[1]} of {event[0]} again" if self.interactions[event] > 1 else ""

    def _decision(self, record: Record, value: Any) -> str:
        assert record.value is not None  # noqa: S101 - the topic has no tombstones, and `take` decoded it.
        digest = hashlib.blake2b(record.value, digest_size=_DIGEST_SIZE_BYTES).digest()
        before = self._offsets.get(record.partition, 0)
        self._offsets[record.partition] = max(before, value["offset"])
        if digest in self._decisions:
            return f"{value['change']} of {value['fragment']} again"
        self._decisions.add(digest)
        return f"evidence {value['offset']} after {before}" if value["offset"] < before else ""

    def _context(self, record: Record, value: Any) -> str:
        customer = (record.key or b"").decode()
        if value is None:
            self.contexts.pop(customer, None)
            return ""
        self.contexts[customer] = value
        return _grown(self._versions, customer, value["version"])

    def _change(self, _record: Record, value: Any) -> str:
        return _grown(self._changed, value["customer"], value["version"])


def _grown(versions: dict[str, int], customer: str, version: int) -> str:
    before = versions.get(customer, 0)
    versions[customer] = max(before, version)
    return "" if version > before else f"version {version} of {customer} after {before}"


def read_outputs(kafka: KafkaOptions, catalogue: Catalogue) -> Outputs:
    """All that the public topics hold now.

    Raises:
        BrokerUnreachable: nothing came for a minute.
    """
    outputs = Outputs(catalogue.prefix)
    read_topics(kafka, {catalogue.name(topic): catalogue.partitions_of(topic) for topic in READ_TOPICS}, outputs.take)
    return outputs


def count_bodies(kafka: KafkaOptions, catalogue: Catalogue, bodies: Iterable[bytes]) -> Counter[bytes]:
    """How often each of these bodies stands on the raw topics: a sending that was repeated may stand there twice.

    Raises:
        BrokerUnreachable: nothing came for a minute.
    """
    wanted = frozenset(bodies)
    found: Counter[bytes] = Counter()

    def take(record: Record) -> None:
        if record.value in wanted:
            found[record.value] += 1

    read_topics(kafka, dict.fromkeys(catalogue.raw_topics(), catalogue.partitions), take)
    return found


def read_topics(kafka: KafkaOptions, topics: Mapping[str, int], take: Callable[[Record], None]) -> None:
    """Hand over every committed record of these topics that is there now, in the order of each partition."""
    places = [(topic, partition) for topic, partitions in topics.items() for partition in range(partitions)]
    marks = BulkReader(kafka, {})
    try:
        ranges = {place: marks.watermarks(*place) for place in places}
    finally:
        marks.close()
    left = {place: end for place, (low, end) in ranges.items() if low < end}
    reader = BulkReader(kafka, {place: ranges[place][0] for place in left})
    try:
        last_sign = time.monotonic()
        while left:
            chunk = reader.read(_READ_SECONDS)
            for record in chunk.records:
                take(record)
            for place, seen_end in chunk.ends.items():
                if seen_end >= left.get(place, 0):
                    left.pop(place, None)
            if chunk.records or chunk.ends:
                last_sign = time.monotonic()
            elif time.monotonic() - last_sign > SILENCE_SECONDS_MAX:
                raise BrokerUnreachable(f"nothing came for {SILENCE_SECONDS_MAX:.0f} s, {sorted(left)} are not read")
    finally:
        reader.close()


class DeadLetters:
    """Dead letters against those that must be there.

    Attributes:
        missing: Letters that should be there and are not.
        unexpected: Letters that nothing explains, too many ones among them.
        examples: Some of both.
    """

    def __init__(
        self,
        letters: Iterable[DeadLetterRecord],
        bodies: Mapping[bytes, tuple[DeadCode, int]],
        forged: Mapping[tuple[str, str], int],
    ) -> None:
        """Compare.

        Args:
            letters: as `streams.dead.read_dead` gives them: one that a crash repeated comes once.
            bodies: code and number of letters by the body that they must hold.
            forged: number of letters by source and id of the event of which a copy with another content was sent. Such
                a letter holds the event as it was read, and no body.
        """
        found: Counter[tuple[bytes, str]] = Counter()
        conflicts: Counter[tuple[str, str]] = Counter()
        self.missing = self.unexpected = 0
        self.examples: list[str] = []
        for letter in letters:
            if letter.code == DeadCode.CONTENT_CONFLICT and (event := _named(letter.value)) in forged:
                conflicts[event] += 1
            elif letter.value is not None and letter.value in bodies:
                found[letter.value, letter.code] += 1
            else:
                self._unexpected(1, f"{letter.code} at {letter.offset}: {letter.message}")
        for body, (code, number) in bodies.items():
            self._compare(found.pop((body, str(code)), 0), number, f"{code} for {body[:80]!r}")
        for (body, wrong_code), number in found.items():
            self._unexpected(number, f"{wrong_code} for {body[:80]!r}")
        for event, number in forged.items():
            source, name = event
            self._compare(conflicts[event], number, f"{DeadCode.CONTENT_CONFLICT} for the forged {name} of {source}")

    def _compare(self, found: int, number: int, what: str) -> None:
        if found < number:
            self._missing(number - found, f"{number - found} of {number} letters with {what}")
        elif found > number:
            self._unexpected(found - number, f"{found - number} more than {number} letters with {what}")

    def _missing(self, number: int, example: str) -> None:
        self.missing += number
        self._example(example)

    def _unexpected(self, number: int, example: str) -> None:
        self.unexpected += number
        self._example(example)

    def _example(self, example: str) -> None:
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append(f"dead: {example}")


def judge_letters(
    kafka: KafkaOptions,
    catalogue: Catalogue,
    bad: Mapping[bytes, DeadCode],
    forged: Mapping[tuple[str, str], bytes],
) -> DeadLetters:
    """The dead letters that are there now against what the raw topics hold.

    Args:
        kafka: where the brokers are.
        catalogue: names the topics.
        bad: the code of the letter that must come of each of these bodies.
        forged: forged bodies, by the source and id that they took from another event.
    """
    counts = count_bodies(kafka, catalogue, [*bad, *forged.values()])
    # What the broker never got can't have been refused by anybody: then its sender has not finished.
    bodies = {body: (code, max(1, counts[body])) for body, code in bad.items()}
    conflicts = {event: max(1, counts[body]) for event, body in forged.items()}
    return DeadLetters(read_dead(kafka, catalogue), bodies, conflicts)


def _named(value: bytes | None) -> tuple[str, str]:
    """Source and id of the event in a letter; empty where it has none."""
    try:
        event = json.loads(value or b"")
        return event["source"], event["id"]
    except (ValueError, KeyError, TypeError):
        return "", ""
