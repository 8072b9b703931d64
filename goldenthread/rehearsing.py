"""A policy tried on a copy of what identity knows, and put in force: what `identity rehearse` and `apply` do."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from goldenthread.parts import Parts
from schemas.messages import PolicyChange, encode
from schemas.rows import POLICY_ROW_KEY, REPAIR_ROW_KEY, PolicyRow, RepairRow, RowDecoder
from schemas.topics import RESERVED_KEY_PREFIX, Topic
from state.identity.rehearsal import Rehearsal
from state.store import Store
from state.store_cache import shared_cache
from streams.bulk import BulkReader, Record, partition_range, read_to_end
from streams.metrics import Metrics
from streams.producer import DeliveringProducer
from streams.producer import Record as Produced

#: How long the broker may take to acknowledge a policy change.
ACKNOWLEDGE_SECONDS: Final = 30.0
_READ_SECONDS: Final = 0.5
# Both stores are removed in the end.
_NO_SECRET: Final = "scratch"  # noqa: S105 - it says that there is none.

_POLICIES: Final = RowDecoder(PolicyRow)
_REPAIRS: Final = RowDecoder(RepairRow)

#: Told how many records are left to read.
Progress = Callable[[int], None]


class _Changes:
    """A store as rows that a trial writes to."""

    def __init__(self, store: Store) -> None:
        self.get = store.get
        self.scan = store.scan
        self._store = store

    def write(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Commit the changed rows; None deletes."""
        self._store.write(changes, {})


@dataclass(frozen=True)
class Copied:
    """A copy of `identity.links`, ready for a rehearsal."""

    rehearsal: Rehearsal
    #: Where the log goes on that was copied.
    next_offset: int


@contextlib.contextmanager
def copied_links(parts: Parts, scratch: Path, on_progress: Progress) -> Iterator[Copied]:
    """Copy `identity.links` into a folder that is removed in the end; it takes as much room as the topic's rows.

    Raises:
        BrokerUnreachable: no answer in time.
    """
    Store.destroy(scratch)
    cache = shared_cache(parts.settings.store_cache_size_bytes)
    try:
        with contextlib.ExitStack() as stack:
            links, changes = (
                stack.enter_context(
                    contextlib.closing(Store.open(scratch / name, secret_fingerprint=_NO_SECRET, cache=cache))
                )
                for name in ("links", "changes")
            )

            def write(records: list[Record]) -> None:
                rows = {record.key: record.value for record in records if record.key is not None}
                links.write({key: row for key, row in rows.items() if not key.startswith(RESERVED_KEY_PREFIX)}, {})

            topic = parts.catalogue.name(Topic.LINKS)
            low, _ = partition_range(parts.kafka, topic, 0)
            next_offset = read_to_end(parts.kafka, topic, 0, low, write, on_progress=on_progress)
            rehearsal = Rehearsal(links, _Changes(changes), parts.keyring.unseal, parts.policy)
            yield Copied(rehearsal, next_offset)
    finally:
        Store.destroy(scratch)


def give(parts: Parts, change: PolicyChange) -> None:
    """Write a policy change to where identity reads it; returns once the broker has acknowledged it.

    Raises:
        DeliveryFailed: it has not; the change may have been written all the same, and may be given again.
    """
    producer = DeliveringProducer(parts.kafka, parts.catalogue, Metrics("apply", version("goldenthread")), linger_ms=0)
    try:
        producer.produce(Produced(parts.catalogue.name(Topic.EVIDENCE), None, encode(change)))
        producer.flush(ACKNOWLEDGE_SECONDS)
    finally:
        producer.close(ACKNOWLEDGE_SECONDS)


@dataclass(frozen=True)
class Applied:
    """How far a policy change has come."""

    in_force: bool
    #: The repair under way, or the last that was seen of it.
    repair: RepairRow | None
    done: bool


class Following:
    """Follows a policy change by the rows of policy and repair.

    Args:
        parts: The installation.
        start: The offset of `identity.links` from which the change may show.
        change: The id of the change.
    """

    def __init__(self, parts: Parts, start: int, change: str) -> None:
        self._topic = parts.catalogue.name(Topic.LINKS)
        self._kafka = parts.kafka
        self._start = start
        self._change = change
        self._in_force = False
        self._running = False
        self._repair: RepairRow | None = None

    def wait(self, timeout_s: float, on_progress: Callable[[RepairRow], None]) -> Applied:
        """Wait for the end of the repair; says how far it is when that did not come in time."""
        deadline = time.monotonic() + timeout_s
        reader = BulkReader(self._kafka, {(self._topic, 0): self._start})
        try:
            while time.monotonic() < deadline:
                chunk = reader.read(_READ_SECONDS)
                for record in chunk.records:
                    self._take(record)
                if self._running and self._repair is not None:
                    on_progress(self._repair)
                # The rows of policy and repair are of one transaction: at the end both were seen.
                if self._in_force and not self._running and (self._topic, 0) in chunk.ends:
                    return Applied(True, self._repair, True)
        finally:
            reader.close()
        return Applied(self._in_force, self._repair, False)

    def _take(self, record: Record) -> None:
        if record.key == POLICY_ROW_KEY and record.value is not None:
            self._in_force = _POLICIES.decode(record.value).change == self._change
        elif record.key == REPAIR_ROW_KEY:
            self._running = record.value is not None
            if record.value is not None:
                self._repair = _REPAIRS.decode(record.value)
