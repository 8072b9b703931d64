"""What an engine wrote, read as a consumer of its outputs reads it: committed records only, the last value of a key."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from bench.job.reference import EventName, interaction_digest
from bench.job.topics import CONTEXT, INTERACTIONS, PARTITIONS
from streams.bulk import BulkReader, Record, read_to_end, read_whole
from streams.kafka import KafkaOptions

# Of records that can't be read so many are kept, to be shown.
_UNREADABLE_KEPT_MAX: Final = 100
# A broker that an engine keeps busy may be slow to answer.
_ANSWER_SECONDS_MAX: Final = 60.0


class Outputs:
    """Interactions and documents of one run.

    Args:
        kept: The customers whose documents are kept; None keeps all.
    """

    def __init__(self, kept: frozenset[str] | None = None) -> None:
        self._kept = kept
        #: By partition: when the broker appended each interaction, copies among them.
        self.append_times_ms: defaultdict[int, list[int]] = defaultdict(list)
        #: By event: digest and customer of its first interaction.
        self.interactions: dict[EventName, tuple[bytes, str]] = {}
        #: Events that have another interaction besides.
        self.doubled: list[EventName] = []
        #: By customer: the last document; None where it was taken back.
        self.documents: dict[str, bytes | None] = {}
        #: How many records there were of documents.
        self.document_records = 0
        #: Records that are not what they have to be, in words.
        self.unreadable: list[str] = []
        self._partitions: dict[str, int] = {}

    def take_interactions(self, records: list[Record]) -> None:
        """Take in records of `interactions`."""
        for record in records:
            self.append_times_ms[record.partition].append(record.timestamp_ms)
            fields = self._object(record)
            if fields is None:
                continue
            try:
                name = (fields["source"], fields["id"])
                customer = fields["customer"]
            except KeyError as missing:
                self._refuse(record, f"has no {missing}")
                continue
            if record.key != customer.encode():
                self._refuse(record, f"has the key {record.key!r} and says customer {customer!r}")
            if name in self.interactions:
                self.doubled.append(name)
            else:
                self.interactions[name] = (interaction_digest(fields), customer)

    def take_documents(self, records: list[Record]) -> None:
        """Take in records of `context`."""
        for record in records:
            if record.key is None:
                self._refuse(record, "has no key")
                continue
            customer = record.key.decode(errors="replace")
            if self._partitions.setdefault(customer, record.partition) != record.partition:
                self._refuse(record, f"customer {customer} is in two partitions, so no value is its last one")
            self.document_records += 1
            if self._kept is None or customer in self._kept:
                self.documents[customer] = record.value

    def _object(self, record: Record) -> dict[str, Any] | None:
        try:
            return msgspec.json.decode(record.value or b"", type=dict[str, Any])
        except msgspec.MsgspecError as error:
            self._refuse(record, f"is no JSON object: {error}")
            return None

    def _refuse(self, record: Record, reason: str) -> None:
        if len(self.unreadable) < _UNREADABLE_KEPT_MAX:
            self.unreadable.append(f"{record.topic}/{record.partition} at {record.offset} {reason}")


def read_interactions(bootstrap_servers: str, prefix: str, starts: Sequence[int], outputs: Outputs) -> None:
    """Add the interactions that are committed by now, from an offset of each partition on."""
    kafka = KafkaOptions(bootstrap_servers)
    for partition, start in enumerate(starts):
        read_to_end(kafka, prefix + INTERACTIONS, partition, start, outputs.take_interactions)


def read_documents(bootstrap_servers: str, prefix: str, outputs: Outputs) -> None:
    """Add the documents that are committed by now."""
    for partition in range(PARTITIONS):
        read_whole(KafkaOptions(bootstrap_servers), prefix + CONTEXT, partition, outputs.take_documents)


class Ends:
    """How far topics are written, asked again and again at little cost."""

    def __init__(self, bootstrap_servers: str, prefix: str) -> None:
        self._prefix = prefix
        self._reader = BulkReader(KafkaOptions(bootstrap_servers), {})

    def committed(self, topic: str) -> tuple[int, ...]:
        """The last stable offset of each partition: what lies below is committed, markers of transactions among it."""
        return tuple(
            self._reader.watermarks(self._prefix + topic, number, timeout_s=_ANSWER_SECONDS_MAX)[1]
            for number in range(PARTITIONS)
        )

    def close(self) -> None:
        """Release the connection."""
        self._reader.close()
