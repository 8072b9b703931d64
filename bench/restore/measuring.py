"""Restore of a partition and a follower's catch-up, in turns with a loop that consumes the same and discards it.

The loop is what a Python program can do at the most: confluent-kafka's batch `consume`, with the settings of our own
readers, and nothing done with what comes. All three read the same partition, one after the other, round by round, and
each round has its own ratio; the middle one counts. Stores begin empty each time.
"""

import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from random import Random
from typing import Final

import msgspec
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from bench.own_system import OwnSystem
from schemas.errors import DeliveryFailed, RestartNeeded
from schemas.rows import record_key
from schemas.topics import Catalogue, Topic
from state.engine import Rows
from state.native.loading import load
from state.store import Store
from state.store_cache import shared_cache
from streams.bulk import RECORDS_PER_READ_MAX, Record, partition_range
from streams.checkpoint_options import CheckpointOptions
from streams.follower import Follower
from streams.kafka import KafkaOptions
from streams.metrics import Metrics
from streams.restore import Restore
from streams.topics import topic_ids

_MEBIBYTE: Final = 1024 * 1024
_FINGERPRINT: Final = "benchmark"
_SECONDS_MAX: Final = 600.0
_CACHE_SIZE_BYTES: Final = 128 * _MEBIBYTE
# Rows of ours are half text that repeats, half hashes and numbers that do not.
_TEXT: Final = (
    b'{"id":"e-1234","source":"shop-web","type":"page.viewed","time":"2025-01-06T10:00:00.000Z","channel":"web"}'
)

_Act = Callable[[KafkaOptions, Path], AbstractContextManager[int]]


class RestorePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What is read.

    Attributes:
        records: On the partition, each with a key of its own.
        value_size_bytes: Of each.
        rounds: How often all three take their turn.
        seed: The same one gives the same records.
    """

    records: int = 600_000
    value_size_bytes: int = 1_000
    rounds: int = 3
    seed: int = 1

    @classmethod
    def quick(cls) -> "RestorePlan":
        """Some 20 seconds, starts included."""
        return cls(records=200_000)


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One turn: records and mebibytes (keys and values) in a second, by the clock; processor time of this process."""

    records_per_second: float
    mebibytes_per_second: float
    processor_microseconds_per_record: float


class RestoreSpeed(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured: of each a turn for each round."""

    plan: RestorePlan
    discarding: list[Turn]
    restoring: list[Turn]
    following: list[Turn]

    @property
    def restore_share(self) -> float:
        """How fast a restore is, as a share of the loop that discards; the middle of the rounds."""
        return _share(self.restoring, self.discarding)

    @property
    def follower_share(self) -> float:
        """How fast a follower catches up, as a share of the loop that discards; the middle of the rounds."""
        return _share(self.following, self.discarding)


def measure(
    plan: RestorePlan,
    folder: Path | None = None,
    tell: Callable[[str], None] | None = None,
    *,
    brokers: str | None = None,
) -> RestoreSpeed:
    """Measure on a broker of its own.

    1. Fill the partition, and read it once, by which the broker's code is compiled: no turn is to be the one that waits
    for it. 2. In turns: discard, restore, follow.

    Args:
        plan: What is read.
        folder: Where all of it is kept; a temporary one where none is given.
        tell: Told how far it is.
        brokers: A broker that is there already, without topics of the default prefix; None starts one.

    Raises:
        DeliveryFailed: the broker did not take the records.
        RestartNeeded: something did not read all of them.
    """
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="goldenthread-restore-") as made:
            return measure(plan, Path(made), tell, brokers=brokers)
    told = tell or _nobody
    # One partition, so that every topic has that one.
    with OwnSystem(folder, {"GOLDENTHREAD_PARTITIONS": "1"}, bootstrap_servers=brokers) as system:
        kafka = KafkaOptions(system.bootstrap_servers)
        # 1. Fill.
        size_bytes = _fill(kafka, plan)
        told(f"{plan.records:,} records of {size_bytes / plan.records:.0f} bytes written")
        _timed(_discard, kafka, folder, size_bytes, plan.records)
        # 2. In turns.
        turns: dict[str, list[Turn]] = {"discarding": [], "restoring": [], "following": []}
        acts = {"discarding": _discard, "restoring": _restore, "following": _follow}
        for number in range(plan.rounds):
            for name, act in acts.items():
                place = folder / f"{name}-{number}"
                turns[name].append(_timed(act, kafka, place, size_bytes, plan.records))
                told(f"{name}: {turns[name][-1].records_per_second:,.0f} records/s")
                shutil.rmtree(place, ignore_errors=True)
    return RestoreSpeed(plan=plan, **turns)


def _timed(act: "_Act", kafka: KafkaOptions, place: Path, size_bytes: int, records: int) -> Turn:
    """One turn, until all is there; to put away what it made does not count."""
    began, used = time.monotonic(), time.process_time()
    with act(kafka, place) as found:
        seconds, processor_seconds = time.monotonic() - began, time.process_time() - used
    if found != records:
        raise RestartNeeded(f"{found} of {records} records were read")
    return Turn(
        records_per_second=round(records / seconds, 1),
        mebibytes_per_second=round(size_bytes / _MEBIBYTE / seconds, 1),
        processor_microseconds_per_record=round(processor_seconds / records * 1e6, 2),
    )


def _fill(kafka: KafkaOptions, plan: RestorePlan) -> int:
    """Write the partition; how many bytes keys and values have."""
    dice = Random(plan.seed)
    refused: list[str] = []
    producer = Producer(
        kafka.producer(linger_ms=50)
        | {"on_delivery": lambda error, _message: refused.append(error.str()) if error is not None else None}
    )
    topic, size_bytes = _topic(), 0
    half = plan.value_size_bytes // 2
    text = (_TEXT * (half // len(_TEXT) + 1))[:half]
    for _ in range(plan.records):
        # Each key once, as in a topic that was compacted: a key that came again would be a row less to keep.
        key = record_key(f"{dice.getrandbits(128):032x}")
        value = text + dice.randbytes(plan.value_size_bytes - half)
        size_bytes += len(key) + len(value)
        while True:
            try:
                producer.produce(topic, value, key, 0)
                break
            except BufferError:
                producer.poll(0.05)
    left = producer.flush(_SECONDS_MAX)
    if left or refused:
        raise DeliveryFailed(f"{topic}: {left} records have no answer, {len(refused)} were refused")
    return size_bytes


def _topic() -> str:
    return Catalogue().name(Topic.STATE)


@contextmanager
def _discard(kafka: KafkaOptions, _place: Path) -> Iterator[int]:
    """The loop: as many at once as our own reader takes."""
    end = partition_range(kafka, _topic(), 0)[1]
    consumer = Consumer(kafka.reader())
    consumer.assign([TopicPartition(_topic(), 0, 0)])
    found, at_end = 0, False
    try:
        while not at_end:
            for message in consumer.consume(RECORDS_PER_READ_MAX, 0.1):
                if message.error() is None:
                    found += 1
                elif message.error().code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - it has no other name.
                    at_end = message.offset() >= end
        yield found
    finally:
        consumer.close()


@contextmanager
def _restore(kafka: KafkaOptions, place: Path) -> Iterator[int]:
    """A worker's restore of the partition."""
    options = CheckpointOptions(
        kafka, Catalogue(partitions=1), "benchmark", "context", Topic.ROUTED, Topic.STATE, place, _FINGERPRINT,
        Metrics("benchmark", "0"), shared_cache(_CACHE_SIZE_BYTES), library=load(),
    )  # fmt: skip
    changelog_id = topic_ids(kafka, [_topic()])[_topic()]
    store, found = Restore(options, 0, changelog_id=changelog_id, closing=threading.Event()).run()
    try:
        yield found
    finally:
        store.close()


@contextmanager
def _follow(kafka: KafkaOptions, place: Path) -> Iterator[int]:
    """A follower's first catch-up, with rows as they come."""
    found = 0

    def project(records: Sequence[Record], _rows: Rows) -> Mapping[bytes, bytes | None]:
        nonlocal found
        found += len(records)
        return {record.key: record.value for record in records if record.key is not None}

    store = Store.open(place, secret_fingerprint=_FINGERPRINT, cache=shared_cache(_CACHE_SIZE_BYTES))
    follower = Follower(
        "benchmark", kafka=kafka, topics={_topic(): 1}, store=store, project=project, metrics=Metrics("benchmark", "0")
    )
    follower.start()
    try:
        if not follower.wait_ready(_SECONDS_MAX):
            raise RestartNeeded(f"the follower did not catch up: {follower.failure}")
        yield found
    finally:
        follower.stop()
        store.close()


def _share(turns: list[Turn], discarding: list[Turn]) -> float:
    shares = (one.records_per_second / peer.records_per_second for one, peer in zip(turns, discarding, strict=True))
    return round(statistics.median(shares), 3)


def lines(speed: RestoreSpeed) -> Iterator[str]:
    """The report as text."""
    plan = speed.plan
    yield f"{plan.records:,} records of {plan.value_size_bytes:,} bytes on one partition, {plan.rounds} rounds in turns"
    yield f"  {'':34}{'records/s':>12}{'MiB/s':>8}{'us of processors':>18}{'share':>8}"
    named = (
        ("consume and discard", speed.discarding, 1.0),
        ("restore into a store", speed.restoring, speed.restore_share),
        ("follower, from nothing to ready", speed.following, speed.follower_share),
    )
    for name, turns, share in named:
        records, mebibytes, processor = (
            statistics.median(getattr(turn, figure) for turn in turns) for figure in Turn.__struct_fields__
        )
        yield f"  {name:34}{records:12,.0f}{mebibytes:8,.0f}{processor:18.2f}{share:8.0%}"


def _nobody(_line: str) -> None:
    """Told nothing."""
