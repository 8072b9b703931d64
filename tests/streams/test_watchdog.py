"""The watchdog neither sleeps nor barks at nothing; with a clock that is moved by hand and a broker made of dicts."""

import contextlib
from collections.abc import Iterable

import pytest

from schemas.errors import BrokerUnreachable, RestartNeeded
from schemas.topics import Catalogue, Partition, Topic
from streams.kafka import KafkaOptions
from streams.metrics import Metrics
from streams.partition import Step
from streams.standstill import TURN_RATIO, Standstill
from streams.topics import record_new_partitions
from streams.transaction import TransactionalProducer
from streams.watchdog import KafkaBroker, Sight, Watchdog, WatchdogOptions
from tests.conftest import FreePorts
from tests.waiting import wait_until

TIMEOUT_S = 20.0
MEMBERSHIP_TIMEOUT_S = 150.0
A: Partition = ("gt.routed", 0)
B: Partition = ("gt.routed", 1)
IDLE = Step(0, in_hand=False)


class _Worker:
    """What the watchdog sees; `acknowledge` and the like change it."""

    def __init__(self, *places: Partition) -> None:
        self.sight = Sight(
            is_member=True, generation=1, is_held_up=False, steps=dict.fromkeys(places, IDLE), positions={}
        )

    def look(self) -> Sight:
        return self.sight

    def set(self, **fields: object) -> None:
        self.sight = self.sight._replace(**fields)  # type: ignore[arg-type]

    def step(self, place: Partition, step: Step) -> None:
        self.set(steps={**self.sight.steps, place: step})

    def acknowledge(self, place: Partition, offset: int) -> None:
        self.set(positions={**self.sight.positions, place: offset})


class _Broker:
    def __init__(self) -> None:
        self.is_away = False
        self.ends: dict[Partition, int] = {}
        self.committed: dict[Partition, int | None] = {}
        #: Partitions that have nothing but markers past any position.
        self.markers_only: set[Partition] = set()
        self.reads = 0

    def _answer(self) -> None:
        if self.is_away:
            raise BrokerUnreachable("away")

    def stable_ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        self._answer()
        return {place: self.ends[place] for place in partitions if place in self.ends}

    def committed_offsets(self, partitions: Iterable[Partition]) -> dict[Partition, int | None]:
        self._answer()
        return {place: self.committed.get(place) for place in partitions}

    def require_coordinator(self) -> None:
        self._answer()

    def has_record(self, partition: Partition, offset: int) -> bool:
        self._answer()
        self.reads += 1
        return partition not in self.markers_only and offset < self.ends[partition]


class _Watched:
    """A watchdog whose passes are made by hand."""

    def __init__(self, *places: Partition) -> None:
        self.worker = _Worker(*places)
        self.broker = _Broker()
        self.metrics = Metrics("worker", "1")
        self.now_s = 1000.0
        self.barks: list[RestartNeeded] = []
        self.options = WatchdogOptions(TIMEOUT_S, MEMBERSHIP_TIMEOUT_S)
        self.dog = Watchdog(
            self.options,
            look=self.worker.look,
            broker=self.broker,
            bark=self.barks.append,
            metrics=self.metrics,
            monotonic=lambda: self.now_s,
        )

    def watch(self, seconds: float) -> str | None:
        """Passes for so long; the first reason to end."""
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s += self.options.interval_s
            if (reason := self.dog.look()) is not None:
                return reason
        return None

    @property
    def standstill_s(self) -> float:
        return self.metrics.registry.get_sample_value("goldenthread_standstill_seconds") or 0.0


def _waiting(*places: Partition) -> _Watched:
    """Partitions with records that nobody takes in."""
    watched = _Watched(*places)
    for place in places:
        watched.worker.acknowledge(place, 10)
        watched.broker.ends[place] = 50
    return watched


def test_a_position_that_stands_still_though_records_wait_ends_the_worker() -> None:
    watched = _waiting(A)
    assert watched.watch(TIMEOUT_S - 4) is None
    assert 10 <= watched.standstill_s < TIMEOUT_S
    reason = watched.watch(10)
    assert reason is not None
    assert "gt.routed/0 stands at 10" in reason


def test_nothing_that_waits_is_no_standstill() -> None:
    watched = _Watched(A)
    watched.worker.acknowledge(A, 50)
    watched.broker.ends[A] = 50
    assert watched.watch(10 * TIMEOUT_S) is None
    assert watched.standstill_s == 0


def test_markers_at_the_tail_wait_for_nobody_and_are_read_once() -> None:
    watched = _waiting(A)
    watched.broker.markers_only.add(A)
    assert watched.watch(10 * TIMEOUT_S) is None
    assert watched.broker.reads == 1
    # A record after them is another matter.
    watched.broker.markers_only.clear()
    watched.broker.ends[A] = 51
    assert watched.watch(TIMEOUT_S + 5) is not None


def test_work_in_hand_that_does_not_move_ends_the_worker_while_other_partitions_go_on() -> None:
    watched = _waiting(A, B)
    watched.worker.step(A, Step(7, in_hand=True))
    began_s, reason = watched.now_s, None
    for taken in range(100):
        watched.worker.step(B, Step(taken, in_hand=True))
        reason = reason or watched.watch(1)
        if reason is not None:
            break
    assert reason is not None
    assert reason.startswith("gt.routed/0: work on records past 10")
    assert TIMEOUT_S <= watched.now_s - began_s < TIMEOUT_S + 10


def test_a_slow_batch_that_moves_and_a_throttled_worker_go_on() -> None:
    watched = _waiting(A)
    for taken in range(60):
        # One record in fifteen seconds.
        watched.worker.step(A, Step(taken, in_hand=True))
        assert watched.watch(15) is None


def test_records_may_wait_for_their_turn_while_others_move_but_not_for_ever() -> None:
    watched = _waiting(A, B)
    began_s, reason = watched.now_s, None
    while reason is None and watched.now_s < began_s + 2 * TURN_RATIO * TIMEOUT_S:
        watched.worker.step(B, Step(int(watched.now_s), in_hand=True))
        reason = watched.watch(5)
    assert reason is not None
    assert "gt.routed/0 stands at 10" in reason
    assert TURN_RATIO * TIMEOUT_S <= watched.now_s - began_s < TURN_RATIO * TIMEOUT_S + 30


def test_while_the_broker_is_away_time_starts_anew() -> None:
    watched = _waiting(A)
    assert watched.watch(TIMEOUT_S - 4) is None
    watched.broker.is_away = True
    assert watched.watch(10 * TIMEOUT_S) is None
    watched.broker.is_away = False
    assert watched.watch(TIMEOUT_S - 4) is None
    assert watched.watch(10) is not None


def test_a_rebalance_is_no_standstill() -> None:
    watched = _waiting(A)
    for generation in range(2, 20):
        assert watched.watch(TIMEOUT_S - 6) is None
        watched.worker.set(is_member=False)
        assert watched.watch(10) is None
        watched.worker.set(is_member=True, generation=generation)


def test_what_restores_or_waits_for_a_registry_holds_up_the_rest_and_neither_is_judged() -> None:
    watched = _waiting(A, B)
    # A is left out by its stage; B may be full of records behind A's.
    watched.worker.set(is_held_up=True, steps={B: IDLE})
    assert watched.watch(TURN_RATIO * TIMEOUT_S * 2) is None
    watched.worker.set(is_held_up=False, steps={A: IDLE, B: IDLE})
    assert watched.watch(TIMEOUT_S + 6) is not None


def test_a_worker_without_a_place_in_its_group_ends_once_no_rebalance_takes_as_long() -> None:
    watched = _Watched()
    watched.worker.set(is_member=False)
    watched.broker.is_away = True
    assert watched.watch(2 * MEMBERSHIP_TIMEOUT_S) is None
    watched.broker.is_away = False
    assert watched.watch(MEMBERSHIP_TIMEOUT_S - 5) is None
    reason = watched.watch(10)
    assert reason is not None
    assert "no place in the consumer group" in reason


def test_the_time_in_which_the_process_itself_was_stopped_does_not_count() -> None:
    watched = _waiting(A)
    assert watched.watch(5) is None
    watched.now_s += 3600
    assert watched.dog.look() is None


def test_a_position_that_was_not_acknowledged_yet_is_the_groups_and_asked_for_once_in_a_generation() -> None:
    watched = _Watched(A)
    watched.broker.ends[A] = 50
    watched.broker.committed[A] = 50
    assert watched.watch(2 * TIMEOUT_S) is None
    # Another worker has gone on meanwhile.
    watched.broker.ends[A] = 90
    watched.broker.committed[A] = 90
    watched.worker.set(generation=2)
    assert watched.watch(2 * TIMEOUT_S) is None
    watched.broker.ends[A] = 91
    assert watched.watch(TIMEOUT_S + 6) is not None


def test_an_unknown_position_is_no_standstill() -> None:
    watched = _Watched(A)
    watched.broker.ends[A] = 50
    assert watched.watch(2 * TIMEOUT_S) is None


def test_a_topic_that_can_not_be_asked_for_does_not_put_the_watchdog_to_sleep() -> None:
    watched = _waiting(A, B)
    del watched.broker.ends[B]
    reason = watched.watch(TIMEOUT_S + 6)
    assert reason is not None
    assert "gt.routed/0" in reason


def _hurried(watched: _Watched) -> Watchdog:
    """A watchdog for a thread of its own, whose passes come quickly."""
    return Watchdog(
        WatchdogOptions(0.5),
        look=watched.worker.look,
        broker=watched.broker,
        bark=watched.barks.append,
        metrics=watched.metrics,
    )


def test_the_thread_barks_once_and_ends() -> None:
    watched = _waiting(A)
    dog = _hurried(watched)
    dog.start()
    wait_until(lambda: watched.barks, "a bark", 30)
    wait_until(lambda: not dog._thread.is_alive(), "the thread's end", 30)
    assert len(watched.barks) == 1


def test_a_mistake_of_the_watchdog_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = _waiting(A)
    passes = []

    def fail(_partitions: Iterable[Partition]) -> dict[Partition, int]:
        passes.append(1)
        raise ValueError("a mistake")

    monkeypatch.setattr(watched.broker, "stable_ends", fail)
    dog = _hurried(watched)
    dog.start()
    wait_until(lambda: len(passes) > 2, "passes", 30)
    dog.stop()
    assert watched.barks == []


def test_standstill_counts_what_waits_and_forgets_what_moved() -> None:
    standstill = Standstill(TIMEOUT_S)
    standstill.add(5, {A: IDLE, B: IDLE}, {A: 1, B: 1}, [])
    standstill.add(5, {A: IDLE, B: IDLE}, {A: 1, B: 1}, [A, B])
    standstill.add(5, {A: IDLE, B: IDLE}, {A: 1, B: 2}, [A, B])
    assert standstill.longest_s == 10
    assert standstill.unmoved({A: IDLE, B: IDLE}, {A: 1, B: 3}) == [A]
    standstill.start_anew()
    assert standstill.longest_s == 0


@pytest.mark.kafka
def test_a_real_broker_tells_ends_offsets_and_whether_a_record_is_there(
    kafka: KafkaOptions, catalogue: Catalogue
) -> None:
    topic = catalogue.name(Topic.ROUTED)
    record_new_partitions(kafka, catalogue.prefix, {topic: 2})
    broker = KafkaBroker(kafka, catalogue.prefix, (topic, 0))
    broker.require_coordinator()
    assert broker.committed_offsets([(topic, 0)]) == {(topic, 0): 0}

    def answered_ends(partitions: list[Partition]) -> object:
        # On a busy machine a question may go unanswered: the watchdog's next pass asks again, and so does this.
        with contextlib.suppress(BrokerUnreachable):
            return broker.stable_ends(partitions)
        return None

    producer = TransactionalProducer(kafka, f"{catalogue.prefix}watchdog")
    producer.fence()
    producer.begin()
    producer.produce(topic, 0, b"key", b"value")
    # Open, it waits for nobody yet.
    wait_until(lambda: answered_ends([(topic, 0), (topic, 1)]) == {(topic, 0): 0, (topic, 1): 0}, "both ends")
    producer.commit()
    # One record and its marker.
    wait_until(lambda: answered_ends([(topic, 0)]) == {(topic, 0): 2}, "the end of the transaction")
    assert broker.has_record((topic, 0), 0)
    assert not broker.has_record((topic, 0), 1)
    # The client asks again and again who leads a topic that is not there, and at times until its time is over.
    there = {(topic, 0): 2}
    wait_until(lambda: answered_ends([(f"{topic}.gone", 0), (topic, 0)]) == there, "the end of the topic that is there")


@pytest.mark.kafka
def test_nobody_at_the_address_is_a_broker_that_is_away(free_ports: FreePorts) -> None:
    nobody = KafkaBroker(KafkaOptions(f"127.0.0.1:{free_ports(1)[0]}"), "group", A)
    with pytest.raises(BrokerUnreachable):
        nobody.stable_ends([A])
    with pytest.raises(BrokerUnreachable):
        nobody.require_coordinator()
