"""Looking for gaps: reads what the broker has of every partition that workers read, and judges it."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from schemas.errors import StateError, TopicError
from schemas.rows import AcceptedGap, PositionRow, RowDecoder, accepted_gap_key
from schemas.topics import POSITION_KEY, RESERVED_KEY_PREFIX, Catalogue, Partition
from streams.bulk import BulkReader, Record, partition_range, read_to_end
from streams.gaps import Changelog, Gap, Log, StageTopics, judge, told
from streams.group import read_offsets
from streams.kafka import KafkaOptions
from streams.topics import topic_ids

#: What a gap in a raw topic is a gap of.
RAW_STAGE: Final = "intake"
# A leader that was just elected may not know the end of its log yet: a gap is one that stays.
LOOKS_MAX: Final = 3
_LOOK_AGAIN_SECONDS: Final = 1.0
# Every checkpoint ends with the position, so it is among the last records; compaction takes only those before them.
_TAIL_OFFSETS: Final = 50
_TAIL_GROWTH: Final = 50
_FIRST_RECORD_SECONDS: Final = 2.0

_POSITIONS: Final = RowDecoder(PositionRow)
_ACCEPTED: Final = RowDecoder(AcceptedGap)


def require_no_gaps(kafka: KafkaOptions, group_id: str, catalogue: Catalogue, stages: Sequence[StageTopics]) -> None:
    """Refuse to start where something that was to be read is gone: what to do is an operator's to decide.

    Raises:
        StateError: naming what is gone, and the command that goes on.
        BrokerUnreachable: no answer in time.
    """
    for look in range(LOOKS_MAX):
        gaps = find_gaps(kafka, group_id, catalogue, stages)
        if not gaps:
            return
        if look + 1 < LOOKS_MAX:
            time.sleep(_LOOK_AGAIN_SECONDS)
    raise StateError(told(gaps))


def find_gaps(kafka: KafkaOptions, group_id: str, catalogue: Catalogue, stages: Sequence[StageTopics]) -> list[Gap]:
    """All gaps, by topic and partition.

    Offsets are read first, then positions, then logs: each of them only grows, so what a worker does meanwhile is no
    gap.

    Raises:
        TopicError: a topic is missing.
        BrokerUnreachable: no answer in time.
    """
    topics = catalogue.read_by_workers()
    names = {stage.input: stage.stage for stage in stages}
    places = [(topic, number) for topic, count in topics.items() for number in range(count)]
    offsets = read_offsets(kafka, group_id, places)
    changelogs: dict[Partition, Changelog] = {}
    for stage in stages:
        for number in range(topics[stage.input]):
            changelogs[stage.input, number] = read_changelog(kafka, stage.changelog, number)
    ids = topic_ids(kafka, list(topics))
    gaps = []
    reader = BulkReader(kafka, {})
    try:
        for place in places:
            log = Log(ids[place[0]], topics[place[0]], *reader.watermarks(*place))
            gap = judge(names.get(place[0], RAW_STAGE), place, log, offsets[place], changelogs.get(place))
            if gap is not None:
                gaps.append(gap)
    finally:
        reader.close()
    return [replace(gap, first_ms=_first_ms(kafka, gap)) for gap in gaps]


def read_changelog(kafka: KafkaOptions, topic: str, partition: int) -> Changelog:
    """How a changelog's partition ends, read from its tail.

    Raises:
        BrokerUnreachable: no answer in time.
    """
    low, end = partition_range(kafka, topic, partition)
    offsets = _TAIL_OFFSETS
    while True:
        start = max(low, end - offsets)
        tail: dict[bytes, Record] = {}

        def keep(records: Iterable[Record], tail: dict[bytes, Record] = tail) -> None:
            tail.update(
                (record.key, record)
                for record in records
                if record.key is not None and record.key.startswith(RESERVED_KEY_PREFIX)
            )

        read_to_end(kafka, topic, partition, start, keep)
        found = tail.get(POSITION_KEY)
        if found is not None and found.value is not None:
            position = _POSITIONS.decode(found.value)
            return Changelog(topic, position, found.timestamp_ms, _is_accepted(tail, found, position))
        if start == low:
            return Changelog(topic, None)
        offsets *= _TAIL_GROWTH


def _is_accepted(tail: dict[bytes, Record], found: Record, position: PositionRow) -> bool:
    """Whether the position is the one that the acceptance which began its era wrote."""
    row = tail.get(accepted_gap_key(position.era))
    if row is None or row.value is None:
        return False
    accepted = _ACCEPTED.decode(row.value)
    # The two are written together, the position last.
    return accepted.era == position.era and accepted.next_offset == position.next_offset and row.offset < found.offset


def _first_ms(kafka: KafkaOptions, gap: Gap) -> int:
    if gap.log.low == gap.log.high:
        return 0
    reader = BulkReader(kafka, {(gap.topic, gap.partition): gap.log.low})
    try:
        chunk = reader.read(_FIRST_RECORD_SECONDS)
    except (StateError, TopicError):
        # Retention is at it just now.
        return 0
    finally:
        reader.close()
    return chunk.records[0].timestamp_ms if chunk.records else 0
