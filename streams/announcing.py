"""Saying again who owns whom, after a gap: `state.announcement` over copies of the changelogs, into `routed`.

The copies are stores in a folder that is removed in the end, one partition of `context.state` at a time, so that memory
has a bound however many customers there are.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from schemas.messages import RoutedMessage, decode_routed, encode
from schemas.rows import LINK_ROW_PREFIX, is_record_key, split_member_key
from schemas.strict_json import UNREADABLE
from schemas.topics import Catalogue, Topic, partition_of
from state.announcement import Announcement, Told, newest_epoch
from state.identity.eras import epoch_floor, era_of_epoch
from state.store import Store
from streams.bulk import Record, read_to_end, read_whole
from streams.gaps import Cause, Gap, StageTopics
from streams.kafka import KafkaOptions
from streams.logs import logger
from streams.transaction import TransactionalProducer

log = logger(__name__)

#: What one transaction holds at the most while owners are announced.
MESSAGES_PER_TRANSACTION: Final = 5_000
#: Gaps of which nobody knows any more how many were accepted before.
STATE_LOST: Final = frozenset({Cause.STATE_GONE, Cause.STATE_BEHIND})
# The copies are of no use to anybody else.
_NO_SECRET: Final = "scratch"  # noqa: S105 - it says that there is none.


@dataclass(frozen=True)
class AnnouncingOptions:
    """Where the owners are read, and where they are announced."""

    kafka: KafkaOptions
    catalogue: Catalogue
    identity: StageTopics
    context: StageTopics
    #: A folder that is made, and removed in the end.
    scratch: Path


class Eras(NamedTuple):
    """The least eras that partitions with lost state may begin: above all that others remember of them."""

    identity: int
    context: int


def announce(options: AnnouncingOptions, producer: TransactionalProducer, gaps: Sequence[Gap]) -> Eras:
    """Announce all owners, in transactions of bounded size; may be repeated at any time.

    1. Where identity lost state, find the greatest epoch that anybody was told.
    2. Say who owns whom by identity's rows.
    3. Correct what rows of `context.state` have otherwise.
    4. Object to what is unread in logs with gaps.

    Args:
        options: The installation.
        producer: Identity's; it has fenced every other of its name.
        gaps: Those that are to be accepted.

    Returns:
        The eras with which partitions may go on whose own position is lost.
    """
    return _Announcer(options, producer, gaps).run()


class _Announcer:
    def __init__(self, options: AnnouncingOptions, producer: TransactionalProducer, gaps: Sequence[Gap]) -> None:
        self._options = options
        self._producer = producer
        self._gaps = gaps
        self._partitions = options.catalogue.partitions
        self._messages: dict[int, list[tuple[bytes | None, bytes | None]]] = {}
        self._rows: list[tuple[bytes | None, bytes | None]] = []
        self._waiting = 0
        self._said = 0

    def run(self) -> Eras:
        Store.destroy(self._options.scratch)
        try:
            # Step 1.
            lost = next((gap for gap in self._gaps if self._is_lost_identity(gap)), None)
            era = 0 if lost is None else max(lost.era, era_of_epoch(self._newest_epoch()) + 1)
            links = self._copy("links", self._options.identity.changelog, 0, _is_link_row)
            try:
                announcement = Announcement(links, epoch_floor(era))
                # Step 2.
                self._say(announcement.owners())
                # Step 3.
                for number in range(self._partitions):
                    self._correct(announcement, number)
                # Step 4.
                for gap in self._gaps:
                    if gap.stage == self._options.context.stage:
                        self._object(announcement, gap)
                self._flush()
            finally:
                links.close()
        finally:
            Store.destroy(self._options.scratch)
        log.warning("owners were announced again", messages=self._said)
        return Eras(era, announcement.era_seen + 1)

    def _is_lost_identity(self, gap: Gap) -> bool:
        return gap.stage == self._options.identity.stage and gap.cause in STATE_LOST

    def _newest_epoch(self) -> int:
        newest = 0
        for number in range(self._partitions):
            state = self._copy_state(number)
            try:
                newest = max(newest, newest_epoch(state.rows()))
            finally:
                state.close()
        return newest

    def _correct(self, announcement: Announcement, number: int) -> None:
        state = self._copy_state(number)
        try:
            self._say(announcement.corrections(state.rows()))
        finally:
            state.close()

    def _object(self, announcement: Announcement, gap: Gap) -> None:
        """Where a log has a gap, what comes after it may be an `Add` whose `Drop` is gone."""

        def read(records: list[Record]) -> None:
            for record in records:
                message = _decoded(record)
                drop = None if message is None else announcement.objection(message)
                if drop is not None:
                    self._say([Told((drop,))])

        read_to_end(self._options.kafka, gap.topic, gap.partition, gap.goes_on, read)

    def _say(self, told: Iterable[Told]) -> None:
        for messages, row in told:
            for message in messages:
                key = message.target.encode()
                batch = self._messages.setdefault(partition_of(key, self._partitions), [])
                batch.append((key, encode(message)))
            self._waiting += len(messages)
            if row is not None:
                self._rows.append(row)
            if self._waiting >= MESSAGES_PER_TRANSACTION:
                self._flush()

    def _flush(self) -> None:
        """Rows and the messages that tell them are one transaction, as when identity writes them."""
        if not self._waiting:
            return
        self._producer.begin()
        routed = self._options.catalogue.name(Topic.ROUTED)
        for number, batch in self._messages.items():
            self._producer.produce_batch(routed, [(key, value, number) for key, value in batch])
        self._producer.produce_batch(self._options.identity.changelog, [(key, row, 0) for key, row in self._rows])
        self._producer.commit()
        self._said += self._waiting
        self._waiting = 0
        self._messages.clear()
        self._rows.clear()

    def _copy_state(self, number: int) -> Store:
        return self._copy("state", self._options.context.changelog, number, _is_record_or_member)

    def _copy(self, name: str, topic: str, partition: int, wanted: Callable[[bytes], bool]) -> Store:
        path = self._options.scratch / name
        Store.destroy(path)
        store = Store.open(path, secret_fingerprint=_NO_SECRET)

        def write(records: list[Record]) -> None:
            rows = {record.key: record.value for record in records if record.key is not None and wanted(record.key)}
            store.write(rows, {})

        try:
            read_whole(self._options.kafka, topic, partition, write)
        except BaseException:
            store.close()
            raise
        return store


def _is_link_row(key: bytes) -> bool:
    return key.startswith(LINK_ROW_PREFIX)


def _is_record_or_member(key: bytes) -> bool:
    return is_record_key(key) or split_member_key(key) is not None


def _decoded(record: Record) -> RoutedMessage | None:
    try:
        return decode_routed(record.value or b"")
    except UNREADABLE:
        # The engine makes a dead letter of it.
        return None
