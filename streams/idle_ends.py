"""Where idle partitions go on: behind what lies at the end of their logs and is no record.

Retention deletes transaction markers and aborted records as it deletes records. A position before them would then name
an offset that is gone, though nothing is lost: a false alarm at the next start. So who has been idle looks at what a
reader of committed records finds; where that is nothing, work goes on behind it. Never past an unread record, nor
past a transaction that is still open.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Final

from schemas.errors import PositionLost, RestartNeeded
from schemas.topics import Partition
from streams.bulk import BulkReader
from streams.group import read_offsets
from streams.kafka import KafkaOptions
from streams.logs import logger

log = logger(__name__)

# A look at the ends of idle partitions takes milliseconds; what has no answer by then is looked at again another time.
LOOK_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.5


def idle_ends(kafka: KafkaOptions, positions: Mapping[Partition, int]) -> dict[Partition, int]:
    """The ends of those partitions that hold no committed record from their position on, but something else.

    One reader looks at all of them, for a bounded time; what it could not see by then is left out.

    1. Keep those whose log goes on behind the position; of an idle worker these are few.
    2. Read them: a record means that there is something to do, an end without one that there is nothing.
    """
    found: dict[Partition, int] = {}
    try:
        # Step 1.
        left = _with_tails(kafka, positions)
        # Step 2.
        if left:
            _read(kafka, left, found)
    except (RestartNeeded, PositionLost) as error:
        # Whatever it is, the next record meets it too; nothing hangs on this look.
        log.warning("the ends of idle partitions can't be seen", reason=str(error))
    return found


def group_idle_ends(kafka: KafkaOptions, group_id: str, places: Sequence[Partition]) -> dict[Partition, int]:
    """As `idle_ends`, from the offsets that the group committed; a partition without one is left out."""
    try:
        offsets = read_offsets(kafka, group_id, places)
    except RestartNeeded as error:
        log.warning("the group's offsets can't be had", reason=str(error))
        return {}
    return idle_ends(kafka, {place: each.offset for place, each in offsets.items() if each is not None})


def _with_tails(kafka: KafkaOptions, positions: Mapping[Partition, int]) -> dict[Partition, int]:
    reader = BulkReader(kafka, {})
    try:
        ranges = {place: reader.watermarks(*place) for place in positions}
    finally:
        reader.close()
    return {place: positions[place] for place, (low, end) in ranges.items() if low <= positions[place] < end}


def _read(kafka: KafkaOptions, left: dict[Partition, int], found: dict[Partition, int]) -> None:
    reader = BulkReader(kafka, left)
    deadline = time.monotonic() + LOOK_SECONDS
    try:
        while left and time.monotonic() < deadline:
            chunk = reader.read(_POLL_SECONDS)
            for record in chunk.records:
                left.pop((record.topic, record.partition), None)
            for place, end in chunk.ends.items():
                position = left.pop(place, None)
                if position is not None and end > position:
                    found[place] = end
    finally:
        reader.close()
