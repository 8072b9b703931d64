"""Freshness against a real broker: what waits is found wherever it is, and what does not wait is not counted."""

import contextlib
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from schemas.clock import ManualClock, SystemClock
from schemas.errors import BrokerUnreachable
from schemas.topics import Catalogue, Topic
from streams.broker.local_broker import LocalBroker
from streams.broker.options import BrokerOptions
from streams.freshness import Freshness, FreshnessOptions, Lag
from streams.kafka import KafkaOptions
from streams.metrics import Metrics
from streams.topics import create_topics, record_new_partitions
from tests.waiting import wait_until

pytestmark = pytest.mark.kafka
PARTITIONS = 2


@dataclass
class Pipeline:
    """Topics `raw` and `routed`, read by a group, and `context`, read by a follower."""

    kafka: KafkaOptions
    group: str
    raw: str
    routed: str
    context: str
    followed: dict[tuple[str, int], int] = field(default_factory=dict)
    applied: dict[tuple[str, int], int] = field(default_factory=dict)
    metrics: Metrics = field(default_factory=lambda: Metrics("lookup", "1"))

    def __post_init__(self) -> None:
        """Connect once."""
        self.producer = Producer(self.kafka.producer(linger_ms=0))
        self.admin = AdminClient(self.kafka.admin())

    def freshness(self, clock: ManualClock | None = None) -> Freshness:
        """A probe of this pipeline."""
        return Freshness(
            FreshnessOptions(
                self.kafka,
                self.group,
                {self.raw: PARTITIONS, self.routed: PARTITIONS},
                {self.context: PARTITIONS},
                0.05,
            ),
            applied=lambda topic, partition: self.applied.get((topic, partition)),
            followed=lambda topic, partition: self.followed.get((topic, partition)),
            metrics=self.metrics,
            clock=clock or SystemClock(),
        )

    def send(self, topic: str, partition: int = 0) -> int:
        """One record, acknowledged; returns its offset."""
        offsets: list[int] = []
        self.producer.produce(
            topic, b"v", partition=partition, on_delivery=lambda _error, sent: offsets.append(sent.offset())
        )
        assert self.producer.flush(10) == 0
        return offsets[0]

    def transaction(self, topic: str, records: int = 1) -> Producer:
        """An open transaction with acknowledged records."""
        producer = Producer(self.kafka.transactional_producer(uuid.uuid4().hex) | {"linger.ms": 0})
        producer.init_transactions(10)
        producer.begin_transaction()
        for _ in range(records):
            producer.produce(topic, b"v", partition=0)
        assert producer.flush(10) == 0
        return producer

    def commit(self, topic: str, offset: int, partition: int = 0) -> None:
        """The group has come so far."""
        request = ConsumerGroupTopicPartitions(self.group, [TopicPartition(topic, partition, offset)])
        for future in self.admin.alter_consumer_group_offsets([request]).values():
            future.result(10)

    def waiting(self, topic: str, partition: int = 0) -> float | None:
        """How many records the metrics say wait."""
        labels = {"topic": topic, "partition": str(partition)}
        return self.metrics.registry.get_sample_value("goldenthread_lag_records", labels)


@pytest.fixture
def pipeline(broker: str) -> Pipeline:
    name = uuid.uuid4().hex[:8]
    kafka = KafkaOptions(broker)
    made = Pipeline(kafka, f"group-{name}", f"raw-{name}", f"routed-{name}", f"context-{name}")
    topics = [
        NewTopic(topic, PARTITIONS, 1, config={"message.timestamp.type": "LogAppendTime"})
        for topic in (made.raw, made.routed, made.context)
    ]
    for future in made.admin.create_topics(topics).values():
        future.result(10)
    deadline = time.monotonic() + 20
    while True:
        try:
            made.freshness().probe()
        except BrokerUnreachable:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return made


@pytest.fixture
def freshness(pipeline: Pipeline) -> Iterator[Freshness]:
    probe = pipeline.freshness()
    probe.start()
    yield probe
    probe.stop()


def look(freshness: Freshness) -> Lag:
    """What a pass that begins now finds."""
    return freshness.next_pass().result(20)


def probed(freshness: Freshness) -> bool:
    """One pass, unless the broker owes an answer: on a busy machine the next one asks again, as the thread's do."""
    with contextlib.suppress(BrokerUnreachable):
        freshness.probe()
        return True
    return False


def wait_fresh(freshness: Freshness) -> None:
    """Wait until nothing waits: a transaction's markers come a moment after its end."""
    deadline = time.monotonic() + 20
    while look(freshness) != Lag(0.0):
        assert time.monotonic() < deadline


def test_before_any_pass_nothing_is_known_and_in_empty_topics_nothing_waits(pipeline: Pipeline) -> None:
    freshness = pipeline.freshness()
    assert freshness.lag() == Lag(None)
    before = freshness.known
    wait_until(lambda: probed(freshness), "an answered question")
    assert (before, freshness.known, freshness.waiting) == (False, True, False)
    lag = freshness.lag().seconds
    assert lag is not None
    assert lag > 0, "without another look, something may have come"


def test_a_raw_record_waits_until_the_group_has_committed_it(pipeline: Pipeline, freshness: Freshness) -> None:
    assert look(freshness) == Lag(0.0)
    assert str(look(freshness)) == "0"
    offset = pipeline.send(pipeline.raw, 1)
    first = look(freshness).seconds
    second = look(freshness).seconds
    assert first is not None
    assert second is not None
    assert 0 < first < second < 20
    assert pipeline.waiting(pipeline.raw, 1) == 1
    pipeline.commit(pipeline.raw, offset + 1, 1)
    assert look(freshness) == Lag(0.0)
    assert pipeline.waiting(pipeline.raw, 1) == 0
    assert pipeline.metrics.registry.get_sample_value("goldenthread_lag_seconds") == 0


def test_the_age_is_that_of_the_oldest_and_moves_on_with_the_position(pipeline: Pipeline) -> None:
    clock = ManualClock(SystemClock().now_us() + 3600 * 1_000_000)
    freshness = pipeline.freshness(clock)
    first = pipeline.send(pipeline.routed)
    wait_until(lambda: probed(freshness), "an answered question")
    old = freshness.lag().seconds
    # The broker stamps in milliseconds; the second record has to be at least one younger.
    time.sleep(0.01)
    pipeline.send(pipeline.routed)
    wait_until(lambda: probed(freshness), "an answered question")
    assert freshness.lag().seconds == old
    assert pipeline.waiting(pipeline.routed) == 2
    pipeline.commit(pipeline.routed, first + 1)
    wait_until(lambda: probed(freshness), "an answered question")
    new = freshness.lag().seconds
    assert old is not None
    assert new is not None
    assert 3500 < new < old - 0.005
    assert pipeline.waiting(pipeline.routed) == 1


def test_a_position_in_a_changelog_counts_as_much_as_the_groups(pipeline: Pipeline, freshness: Freshness) -> None:
    offset = pipeline.send(pipeline.routed)
    assert look(freshness).seconds
    pipeline.applied[pipeline.routed, 0] = offset + 1
    assert look(freshness) == Lag(0.0)


def test_what_the_follower_has_not_read_waits_too(pipeline: Pipeline, freshness: Freshness) -> None:
    offset = pipeline.send(pipeline.context, 1)
    assert look(freshness).seconds
    pipeline.followed[pipeline.context, 1] = offset
    assert look(freshness).seconds
    pipeline.followed[pipeline.context, 1] = offset + 1
    assert look(freshness) == Lag(0.0)


def test_a_marker_at_the_tail_waits_for_nobody(pipeline: Pipeline, freshness: Freshness) -> None:
    pipeline.transaction(pipeline.routed, 3).commit_transaction(10)
    assert look(freshness).seconds
    # Three records at 0 to 2, the marker at 3: whoever applied the last record stands at 3, before the end.
    pipeline.commit(pipeline.routed, 3)
    wait_fresh(freshness)
    assert pipeline.waiting(pipeline.routed) == 0


def test_aborted_records_wait_for_nobody(pipeline: Pipeline, freshness: Freshness) -> None:
    pipeline.transaction(pipeline.routed, 3).abort_transaction(10)
    wait_fresh(freshness)


@pytest.mark.parametrize("before", [0, 2])
def test_an_open_transaction_waits_until_it_ends(pipeline: Pipeline, freshness: Freshness, before: int) -> None:
    for _ in range(before):
        pipeline.send(pipeline.routed)
    pipeline.commit(pipeline.routed, before)
    open_one = pipeline.transaction(pipeline.routed, 2)
    first = look(freshness).seconds
    second = look(freshness).seconds
    assert first is not None
    assert second is not None
    assert 0 < first < second
    open_one.abort_transaction(10)
    wait_fresh(freshness)


def test_behind_markers_an_open_transaction_is_found(pipeline: Pipeline, freshness: Freshness) -> None:
    pipeline.transaction(pipeline.routed, 1).commit_transaction(10)
    pipeline.commit(pipeline.routed, 1)
    wait_fresh(freshness)
    open_one = pipeline.transaction(pipeline.routed, 1)
    assert look(freshness).seconds
    open_one.commit_transaction(10)
    assert look(freshness).seconds, "now it is committed, and still nobody has read it"
    pipeline.commit(pipeline.routed, 3)
    wait_fresh(freshness)


def test_a_position_that_the_log_never_had_vouches_for_nothing(pipeline: Pipeline, freshness: Freshness) -> None:
    pipeline.send(pipeline.raw)
    pipeline.commit(pipeline.raw, 1000)
    assert look(freshness).seconds


def test_while_the_broker_is_away_the_lag_grows_from_what_was_known(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock(SystemClock().now_us())
    freshness = pipeline.freshness(clock)
    wait_until(lambda: probed(freshness), "an answered question")
    away = KafkaOptions("127.0.0.1:1", properties={"log_level": "0"})
    with monkeypatch.context() as patch:
        patch.setattr(freshness, "_options", replace(freshness._options, kafka=away))
        patch.setattr(freshness, "_consumers", {})
        patch.setattr(freshness, "_admin_client", None)
        clock.advance(5)
        assert freshness._lag_by_pass() == Lag(5.0)
        assert freshness.waiting
        clock.advance(5)
        assert freshness.lag() == Lag(10.0)
        assert pipeline.metrics.registry.get_sample_value("goldenthread_lag_seconds") == 5.0
    assert freshness._lag_by_pass() == Lag(0.0)


def test_it_never_says_0_while_a_record_is_on_its_way(
    pipeline: Pipeline, freshness: Freshness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records go from raw to routed to context to the follower while it is looked, with pauses between all steps."""
    arrived = 0
    sent = threading.Semaphore(0)
    stopping = threading.Event()
    chance = random.Random(7)

    def pause() -> None:
        time.sleep(chance.random() * 0.04)

    def after_a_pause(step: Callable[..., Any]) -> Callable[..., Any]:
        def slow(*arguments: Any) -> Any:
            time.sleep(looking.random() * 0.04)
            return step(*arguments)

        return slow

    looking = random.Random(11)
    for name in ("_worker_positions", "_ends"):
        monkeypatch.setattr(freshness, name, after_a_pause(getattr(freshness, name)))

    def carry() -> None:
        nonlocal arrived
        while True:
            sent.acquire()
            if stopping.is_set():
                return
            for topic, following in ((pipeline.raw, pipeline.routed), (pipeline.routed, pipeline.context)):
                pause()
                pipeline.send(following)
                pause()
                pipeline.commit(topic, arrived + 1)
            pause()
            arrived += 1
            pipeline.followed[pipeline.context, 0] = arrived

    carrier = threading.Thread(target=carry)
    carrier.start()
    zeros, looks = 0, 0
    try:
        deadline = time.monotonic() + 60
        acknowledged = 0
        while time.monotonic() < deadline and zeros < 30:
            if acknowledged == arrived:
                pipeline.send(pipeline.raw)
                acknowledged += 1
                sent.release()
            looks += 1
            if look(freshness).seconds == 0:
                zeros += 1
                assert arrived == acknowledged
    finally:
        stopping.set()
        sent.release()
        carrier.join()
    assert zeros == 30
    assert looks > zeros, "it was looked while records were on their way"


@pytest.mark.drill
def test_once_a_killed_broker_is_back_it_can_be_probed_again(
    tmp_path: Path, cache_dir: Path, free_ports: Callable[[int], list[int]]
) -> None:
    port, controller_port = free_ports(2)
    options = BrokerOptions(data_dir=tmp_path, cache_dir=cache_dir, port=port, controller_port=controller_port)
    with LocalBroker(options) as broker:
        kafka, catalogue = KafkaOptions(broker.bootstrap_servers), Catalogue("t.", 2, ("web",))
        create_topics(kafka, catalogue)
        record_new_partitions(kafka, "g", catalogue.read_by_workers())
        freshness = Freshness(
            FreshnessOptions(kafka, "g", catalogue.read_by_workers(), {catalogue.name(Topic.CONTEXT): 2}),
            applied=lambda _topic, _partition: None,
            followed=lambda _topic, _partition: 0,
            metrics=Metrics("test", "1"),
        )
        wait_until(lambda: freshness._lag_by_pass() == Lag(0.0), "a first pass")
        for _ in range(2):
            broker.kill()
            assert freshness._lag_by_pass() != Lag(0.0)
            broker.start()
            # Only a new client asks again who leads; the former one would be refused for minutes.
            wait_until(lambda: freshness._lag_by_pass() == Lag(0.0), "a pass after the broker's return", 40)
        freshness._close_clients()
