"""Dead letters sent again, and what became of each.

1. Read what is known of former retries: a letter that was accepted, or became another letter, is left alone.
2. Judge each letter that is meant, by the settings of now: one that is still wrong is told, and not sent.
3. Send the others, some hundreds at a time, to their raw topics, and wait until the broker has them.
4. Watch what the workers make of them.
5. Note which of them need no further retry, in `dead.retries`, and tell.

Nothing is lost: the letter itself stays where it is. Nothing is doubled, whenever this ends and however often it is
begun: what is sent twice between 3 and 5, or by two at once, is one event to the fold, since a letter becomes the same
event each time, its time of arrival included.
"""

import time
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from goldenthread.dead_letters.history import Former, read_history
from goldenthread.dead_letters.judging import EventKey, Judge, Verdict
from goldenthread.dead_letters.passage import ACCEPTED, DUPLICATE, Found, Passage, Sent
from goldenthread.dead_letters.selection import Selection
from schemas.topics import Catalogue, Topic
from streams.dead import DeadLetterRecord, read_dead
from streams.dead_retries import Retry, retry_record
from streams.kafka import KafkaOptions
from streams.producer import Record, RecordProducer
from streams.topics import topic_ids
from streams.wire_reader import WireReader

LETTERS_PER_CHUNK_MAX: Final = 500
CHUNK_SIZE_BYTES_MAX: Final = 16 * 1024 * 1024
FLUSH_TIMEOUT_SECONDS: Final = 60.0

#: Outcomes besides `accepted` and `duplicate`. Refused for a reason that no retry mends:
REFUSED: Final = "refused"
#: It would be a letter again, or became one.
STILL_WRONG: Final = "still_wrong"
#: The mapping leaves it out on purpose now.
LEFT_OUT: Final = "left_out"
#: It can't be sent.
NOT_SENT: Final = "not_sent"
#: A former retry settled it.
RETRIED: Final = "retried_before"
#: It was sent, and the workers did not say yet what became of it.
SENT: Final = "sent"
#: It would be sent.
WOULD_BE_SENT: Final = "would_be_sent"
#: What leaves nothing to do.
SETTLED: Final = frozenset({ACCEPTED, DUPLICATE, LEFT_OUT, RETRIED, WOULD_BE_SENT})


class Retried(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one letter."""

    offset: int
    stage: str
    #: Why it was a letter.
    code: str
    outcome: str
    #: Why that outcome, in words.
    reason: str | None = None
    #: Why it is still wrong, or refused.
    present_code: str | None = None
    #: The letter that it became.
    letter: int | None = None


@dataclass
class _Chunk:
    """Letters that are sent together; no two of them hold the same event, but copies of one letter go as one."""

    letters: dict[int, DeadLetterRecord] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    size_bytes: int = 0
    holders: dict[EventKey, int] = field(default_factory=dict)
    copies: dict[int, list[DeadLetterRecord]] = field(default_factory=dict)
    _contents: dict[int, list[tuple[str, bytes | None]]] = field(default_factory=dict)

    def has_room(self, verdict: Verdict) -> bool:
        """Whether a letter of this verdict may go along."""
        if not self.letters:
            return True
        same = {self.holders[event] for event in verdict.events if event in self.holders}
        if same:
            return len(same) == 1 and self._contents[min(same)] == _content(verdict)
        size_bytes = self.size_bytes + sum(record.size_bytes for record in verdict.records)
        return len(self.letters) < LETTERS_PER_CHUNK_MAX and size_bytes <= CHUNK_SIZE_BYTES_MAX

    def add(self, letter: DeadLetterRecord, verdict: Verdict) -> None:
        """Take it along."""
        first = next((self.holders[event] for event in verdict.events if event in self.holders), None)
        if first is not None:
            self.copies.setdefault(first, []).append(letter)
            return
        self.letters[letter.offset] = letter
        self.sent.append(Sent(letter.offset, tuple(verdict.events)))
        self.records += verdict.records
        self.size_bytes += sum(record.size_bytes for record in verdict.records)
        self.holders |= dict.fromkeys(verdict.events, letter.offset)
        self._contents[letter.offset] = _content(verdict)


@dataclass(frozen=True)
class RetryOptions:
    """How letters are sent again."""

    #: Those that a former retry settled, too.
    again: bool = False
    #: Judge, and send nothing.
    dry_run: bool = False
    #: How long the workers may say nothing, seconds.
    patience_s: float = 60.0


class Retrier:
    """Sends letters again.

    Args:
        kafka: The brokers.
        catalogue: The topics.
        group_id: The workers' consumer group.
        judge: Says what a letter would become.
        producer: Writes raw records and notes.
        wire: Reads interactions that are Avro.
    """

    def __init__(
        self,
        kafka: KafkaOptions,
        catalogue: Catalogue,
        group_id: str,
        *,
        judge: Judge,
        producer: RecordProducer,
        wire: WireReader,
    ) -> None:
        self._kafka = kafka
        self._catalogue = catalogue
        self._group_id = group_id
        self._judge = judge
        self._producer = producer
        self._wire = wire

    def retry(self, selection: Selection, options: RetryOptions) -> Generator[Retried, None, None]:
        """Send the letters that are meant; tells of each as soon as it is known.

        Ends before the last letter where the workers do not say what became of those that were sent.

        Raises:
            TopicError: a topic is missing.
            DeliveryFailed: the broker did not take something; run it again.
            BrokerUnreachable: it did not answer in time; run it again.
        """
        names = [self._catalogue.name(topic) for topic in (Topic.DEAD, Topic.RETRIES)]
        topic_id = topic_ids(self._kafka, names)[names[0]]
        # 1. What is known.
        history = read_history(self._kafka, self._catalogue)
        for letter in read_dead(self._kafka, self._catalogue, selection.start):
            history.see(letter)
        chunk = _Chunk()
        passage = Passage(self._kafka, self._catalogue, self._group_id, self._wire)
        try:
            for letter in read_dead(self._kafka, self._catalogue, selection.start):
                if not selection.takes(letter):
                    continue
                former = None if options.again else history.of(letter.offset)
                if former is not None:
                    yield _told(letter, RETRIED, f"{former}; --again sends it all the same", former)
                    continue
                # 2. Judge.
                verdict = self._judge.judge(letter)
                if (unsent := _unsent(letter, verdict, options)) is not None:
                    yield unsent
                    continue
                if not chunk.has_room(verdict):
                    done = self._settled(chunk, passage, topic_id, options)
                    yield from done
                    if any(each.outcome == SENT for each in done):
                        return
                    chunk = _Chunk()
                chunk.add(letter, verdict)
            yield from self._settled(chunk, passage, topic_id, options)
        finally:
            passage.close()

    def _settled(self, chunk: _Chunk, passage: Passage, topic_id: str, options: RetryOptions) -> list[Retried]:
        if not chunk.letters:
            return []
        # 3. Send.
        for record in chunk.records:
            self._producer.produce(record)
        self._producer.flush(FLUSH_TIMEOUT_SECONDS)
        # 4. Watch.
        found = passage.wait(chunk.sent, options.patience_s)
        told = []
        for sent in chunk.sent:
            became = _became(chunk.letters[sent.letter], sent, found[sent.letter])
            told.append(became)
            copied = DUPLICATE if became.outcome == ACCEPTED else became.outcome
            told += (
                msgspec.structs.replace(became, offset=copy.offset, outcome=copied)
                for copy in chunk.copies.get(sent.letter, ())
            )
        # 5. Note.
        now_ms = time.time_ns() // 1_000_000
        for each in told:
            noted = each.present_code if each.outcome == REFUSED else each.outcome
            if each.outcome in {ACCEPTED, DUPLICATE, REFUSED}:
                self._producer.produce(retry_record(self._catalogue, Retry(each.offset, noted or "", now_ms, topic_id)))
        self._producer.flush(FLUSH_TIMEOUT_SECONDS)
        return sorted(told, key=lambda each: each.offset)


def _content(verdict: Verdict) -> list[tuple[str, bytes | None]]:
    return [(record.topic, record.value) for record in verdict.records]


def _unsent(letter: DeadLetterRecord, verdict: Verdict, options: RetryOptions) -> Retried | None:
    """What is said of a letter that is not sent; None of one that is."""
    if verdict.not_sent is not None:
        return _told(letter, NOT_SENT, verdict.not_sent)
    if verdict.error is not None and not verdict.records:
        return _told(letter, STILL_WRONG, verdict.error.message, code=verdict.error.code.value)
    if verdict.left_out:
        return _told(letter, LEFT_OUT, "its mapping leaves it out on purpose")
    return _told(letter, WOULD_BE_SENT) if options.dry_run else None


def _became(letter: DeadLetterRecord, sent: Sent, found: Found) -> Retried:
    """The worst of what became of the events of a letter."""
    if found.unrouted:
        new = found.letters[-1]
        return Retried(letter.offset, letter.stage, letter.code, STILL_WRONG, new.message, new.code, new.offset)
    if not found.is_complete(sent):
        reason = "the workers did not say yet what became of it: look at them, then try again"
        return _told(letter, SENT, reason)
    if found.letters:
        new = found.letters[-1]
        return Retried(letter.offset, letter.stage, letter.code, REFUSED, new.message, new.code, new.offset)
    return _told(letter, ACCEPTED if ACCEPTED in found.events.values() else DUPLICATE)


def _told(
    letter: DeadLetterRecord,
    outcome: str,
    reason: str | None = None,
    former: Former | None = None,
    *,
    code: str | None = None,
) -> Retried:
    new = None if former is None else former.letter
    return Retried(letter.offset, letter.stage, letter.code, outcome, reason, code, new)
