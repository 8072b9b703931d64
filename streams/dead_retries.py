"""What became of dead letters that were sent again, as long as that is known: one record of `dead.retries` for each.

Letters stay in `dead`, which is only ever added to. A record here names a letter by its offset and by the id of the
topic, since in a topic that was made again the same offset is another letter.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from schemas.strict_json import UNREADABLE
from schemas.topics import Catalogue, Topic
from streams.bulk import Record as ReadRecord
from streams.bulk import partition_range, read_whole
from streams.kafka import KafkaOptions
from streams.producer import Record
from streams.topics import topic_ids

_PARTITION: Final = 0


class Retry(msgspec.Struct, frozen=True):
    """A letter that needs no further retry."""

    #: Offset of the letter in `dead`.
    letter: int
    #: What became of it: `accepted`, `duplicate`, or the code for which the last stage refused it.
    outcome: str
    #: Milliseconds since 1970.
    time_ms: int
    #: The id of the topic `dead`.
    topic_id: str


def retry_record(catalogue: Catalogue, retry: Retry) -> Record:
    """The record that notes it."""
    return Record(catalogue.name(Topic.RETRIES), b"%d" % retry.letter, msgspec.json.encode(retry), partition=_PARTITION)


def read_retries(kafka: KafkaOptions, catalogue: Catalogue) -> dict[int, Retry]:
    """What is noted of the letters that lie in `dead` now, by their offsets.

    Raises:
        TopicError: a topic does not exist.
        BrokerUnreachable: no answer in time.
    """
    dead, retries = catalogue.name(Topic.DEAD), catalogue.name(Topic.RETRIES)
    topic_id = topic_ids(kafka, [dead, retries])[dead]
    first, _ = partition_range(kafka, dead, _PARTITION)
    noted: dict[int, Retry] = {}

    def take(records: list[ReadRecord]) -> None:
        noted.update(
            (retry.letter, retry) for retry in _decoded(records) if retry.topic_id == topic_id and retry.letter >= first
        )

    read_whole(kafka, retries, _PARTITION, take)
    return noted


def _decoded(records: list[ReadRecord]) -> Iterator[Retry]:
    for record in records:
        try:
            yield msgspec.json.decode(record.value or b"", type=Retry)
        except UNREADABLE:
            # Anybody may write to a topic; what is no note of ours says nothing.
            continue
