"""Going on after gaps, because an operator says so. All workers are stopped.

Every step may be done twice, and what is left to do is found anew by looking at the broker: a call that was cut short
is simply repeated, and comes to the same end.
"""

import getpass
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from schemas.errors import OperatorNeeded
from schemas.rows import (
    ACCEPTED_GAP_PREFIX,
    AcceptedGap,
    PositionRow,
    RowDecoder,
    accepted_gap_key,
    accepted_raw_gap_key,
    encode_row,
)
from schemas.topics import POSITION_KEY, Catalogue, Partition
from streams.announcing import STATE_LOST, AnnouncingOptions, Eras, announce
from streams.bulk import Record, partition_range, read_whole
from streams.checkpoint_options import transactional_id
from streams.faults import FaultHook, no_fault
from streams.gaps import TELLING, Gap, StageTopics
from streams.group import GroupOffset, commit_offsets, members
from streams.kafka import KafkaOptions
from streams.logs import logger
from streams.missing_markers import places_written, take_over
from streams.topics import topic_ids
from streams.transaction import TransactionalProducer

log = logger(__name__)

_MEMBERS_POLL_SECONDS: Final = 0.5
_ACCEPTED: Final = RowDecoder(AcceptedGap)


class AcceptancePoint(StrEnum):
    """Every place between two steps, for tests that cut an acceptance short."""

    AFTER_FENCE = "accept_after_fence"
    AFTER_ANNOUNCEMENT = "accept_after_announcement"
    AFTER_RAW_OFFSETS = "accept_after_raw_offsets"
    AFTER_POSITIONS = "accept_after_positions"


@dataclass(frozen=True)
class AcceptanceOptions:
    """An installation, and a folder for what an acceptance writes down meanwhile."""

    kafka: KafkaOptions
    catalogue: Catalogue
    application: str
    #: The stage that reads evidence, and the one that reads `routed`.
    identity: StageTopics
    context: StageTopics
    #: A folder that is made, and removed in the end.
    scratch: Path
    fault: FaultHook = no_fault

    @property
    def stages(self) -> tuple[StageTopics, StageTopics]:
        """Both."""
        return self.identity, self.context

    @property
    def announcing(self) -> AnnouncingOptions:
        """What announcing the owners needs of it."""
        return AnnouncingOptions(self.kafka, self.catalogue, self.identity, self.context, self.scratch)


@dataclass(frozen=True)
class Plan:
    """What accepting gaps will do."""

    gaps: tuple[Gap, ...]
    #: Whether all raw topics are read again from their begin.
    replays: bool

    @property
    def announces(self) -> bool:
        """Whether ownership messages may be missing."""
        return any(gap.changelog is not None and gap.cause in TELLING for gap in self.gaps)


def wait_without_members(options: AcceptanceOptions, timeout_s: float) -> None:
    """Return once no worker is in the group; one that just stopped still counts until its session runs out.

    Raises:
        OperatorNeeded: workers run.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        found = members(options.kafka, options.application)
        if not found:
            return
        if time.monotonic() > deadline:
            raise OperatorNeeded(
                f"workers run ({', '.join(sorted(found))} in group {options.application}): stop all of them first"
            )
        time.sleep(_MEMBERS_POLL_SECONDS)


def accept(options: AcceptanceOptions, plan: Plan, reason: str) -> None:
    """Go on with everything that the plan's gaps are about.

    1. Fence: no worker that was paused, and wakes up, writes to any partition.
    2. Announce the owners anew, where messages about them may be missing.
    3. Put the group back in raw topics: to where a gap goes on, or for a replay to the begin of all.
    4. Write the positions, one era further, with what was accepted, in one transaction.
    5. Commit the group's offsets of all other partitions.

    The group has no members.

    Raises:
        StateError: there is a gap that can't be accepted.
        Fenced, DeliveryFailed, BrokerUnreachable: the broker refused or did not answer; call again.
    """
    # Step 1.
    producer = _fence(options)
    try:
        options.fault(AcceptancePoint.AFTER_FENCE)
        # Step 2.
        eras = Eras(0, 0)
        if plan.announces:
            eras = announce(options.announcing, producer, plan.gaps)
        options.fault(AcceptancePoint.AFTER_ANNOUNCEMENT)
        # Step 3.
        raw = _raw_offsets(options, plan)
        commit_offsets(options.kafka, options.application, raw)
        options.fault(AcceptancePoint.AFTER_RAW_OFFSETS)
        # Step 4.
        _write_positions(options, producer, plan, eras, reason)
        options.fault(AcceptancePoint.AFTER_POSITIONS)
        # Step 5.
        commit_offsets(
            options.kafka,
            options.application,
            {
                (gap.topic, gap.partition): GroupOffset(gap.goes_on, gap.log.topic_id)
                for gap in plan.gaps
                if gap.changelog is not None
            },
        )
    finally:
        producer.close()
    for gap in plan.gaps:
        log.warning("a gap was accepted", gone=gap.gone, goes_on=gap.goes_on, era=gap.era, reason=reason)


def _fence(options: AcceptanceOptions) -> TransactionalProducer:
    """Take every partition's transactional id over; returns identity's producer, under which all is written."""
    producer = None
    for stage, number in _partitions(options):
        taken = TransactionalProducer(options.kafka, transactional_id(options.application, stage.stage, number))
        take_over(options.kafka, taken, places_written(options.catalogue, stage.changelog, number))
        if producer is None:
            producer = taken
        else:
            taken.close()
    assert producer is not None, "identity has a partition"  # noqa: S101 - for the reader, and the type.
    return producer


def _partitions(options: AcceptanceOptions) -> Iterator[tuple[StageTopics, int]]:
    """The partitions of both stages; a changelog has as many as its stage's input."""
    counts = options.catalogue.read_by_workers()
    for stage in options.stages:
        for number in range(counts[stage.input]):
            yield stage, number


def _raw_offsets(options: AcceptanceOptions, plan: Plan) -> dict[Partition, GroupOffset]:
    offsets = {
        (gap.topic, gap.partition): GroupOffset(gap.goes_on, gap.log.topic_id)
        for gap in plan.gaps
        if gap.changelog is None
    }
    if plan.replays:
        catalogue = options.catalogue
        ids = topic_ids(options.kafka, list(catalogue.raw_topics()))
        for topic, topic_id in ids.items():
            for number in range(catalogue.partitions):
                low, _ = partition_range(options.kafka, topic, number)
                offsets[topic, number] = GroupOffset(low, topic_id)
    return offsets


def _write_positions(
    options: AcceptanceOptions, producer: TransactionalProducer, plan: Plan, eras: Eras, reason: str
) -> None:
    now_ms = int(time.time() * 1000)
    accepted_by = f"{getpass.getuser()}@{socket.gethostname()}"
    producer.begin()
    for gap in plan.gaps:
        if gap.is_harmless:
            continue
        least = eras.identity if gap.stage == options.identity.stage else eras.context
        era = max(gap.era, least) if gap.cause in STATE_LOST else gap.era
        row = AcceptedGap(now_ms, accepted_by, reason, gap.topic, gap.partition, gap.gone, era, gap.goes_on)
        if gap.changelog is None:
            key = accepted_raw_gap_key(gap.topic, gap.partition)
            producer.produce(options.identity.changelog, 0, key, encode_row(row))
            continue
        position = PositionRow(gap.log.topic_id, gap.log.partitions, era, gap.goes_on)
        producer.produce(gap.changelog.topic, gap.partition, accepted_gap_key(era), encode_row(row))
        producer.produce(gap.changelog.topic, gap.partition, POSITION_KEY, encode_row(position))
    producer.commit()


def accepted_gaps(options: AcceptanceOptions) -> list[AcceptedGap]:
    """What was ever accepted, oldest first, as far as it is kept: of each partition the newest.

    Raises:
        BrokerUnreachable: no answer in time.
    """
    found: dict[tuple[str, int, bytes], AcceptedGap] = {}
    for stage, number in _partitions(options):

        def read(records: list[Record], place: Partition = (stage.changelog, number)) -> None:
            for record in records:
                if record.key is not None and record.value is not None and record.key.startswith(ACCEPTED_GAP_PREFIX):
                    found[(*place, record.key)] = _ACCEPTED.decode(record.value)

        read_whole(options.kafka, stage.changelog, number, read)
    return sorted(found.values(), key=lambda gap: (gap.time_ms, gap.topic, gap.partition))
