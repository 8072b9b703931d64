"""Goal: partitions move between workers and nothing is lost or doubled. Method: real broker, real worker processes."""

import asyncio
import inspect
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.group_coordinator import GroupCoordinator
from confluent_kafka import Producer
from faust.transport.consumer import ThreadDelegateConsumer
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP

from schemas.errors import EXIT_RESTART
from schemas.rows import PositionRow, RowDecoder
from schemas.topics import POSITION_KEY, Catalogue, Topic, partition_of
from streams.application import Application
from streams.batch import Batch
from streams.bulk import read_all
from streams.kafka import KafkaOptions
from streams.metrics import Metrics
from streams.partition import Step
from streams.read_ahead import ReadAhead
from streams.topics import group_offsets, record_new_partitions
from tests.streams.counting import counted
from tests.waiting import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.crash]
ROOT = Path(__file__).parents[2]
DEADLINE_S = 60.0
KEYS = 37


class _Load(threading.Thread):
    """Sends records all the time, until it is stopped; knows what it sent."""

    def __init__(self, kafka: KafkaOptions, catalogue: Catalogue) -> None:
        super().__init__(daemon=True)
        self.sent: list[bytes] = []
        self.pausing = threading.Event()
        self._producer = Producer(kafka.producer())
        self._catalogue = catalogue

    def run(self) -> None:
        topic = self._catalogue.name(Topic.ROUTED)
        while not self.pausing.is_set():
            for _ in range(10):
                key = b"key-%d" % (len(self.sent) % KEYS)
                value = b"%s|%d" % (key, len(self.sent))
                self._producer.produce(topic, value, key, partition_of(key, self._catalogue.partitions))
                self.sent.append(value)
            self._producer.poll(0)
            time.sleep(0.02)

    def end(self) -> None:
        """Stop, and wait until the broker has all."""
        self.pausing.set()
        self.join(DEADLINE_S)
        assert self._producer.flush(20) == 0


class _Workers:
    """Worker processes of one group."""

    def __init__(self, kafka: KafkaOptions, catalogue: Catalogue, folder: Path) -> None:
        self.kafka = kafka
        self.catalogue = catalogue
        self.folder = folder
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, plan: str = "", *, is_static: bool = False) -> "subprocess.Popen[bytes]":
        """A worker with a disk of its own, and with a place of its own in the group where it is a static member."""
        arguments = [self.kafka.bootstrap_servers, self.catalogue.prefix, self.catalogue.partitions, self.folder / name]
        names = [name] if is_static else []
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.streams.counting_worker", *map(str, arguments), plan, *names],
                cwd=ROOT, stdout=log, stderr=log,
            )  # fmt: skip
        self.running.append(process)
        return process

    def log(self, name: str) -> str:
        """All that a worker has logged."""
        return (self.folder / f"{name}.log").read_text()

    def assigned(self, name: str) -> int:
        """How often a worker has been given its partitions so far."""
        return self.log(name).count('"partitions assigned"')

    def opened(self, name: str) -> int:
        """How many partitions a worker has opened so far."""
        return self.log(name).count('"partition restored"')


@pytest.fixture
def workers(kafka: KafkaOptions, catalogue: Catalogue, tmp_path: Path) -> Iterator[_Workers]:
    record_new_partitions(kafka, catalogue.prefix, {catalogue.name(Topic.ROUTED): catalogue.partitions})
    made = _Workers(kafka, catalogue, tmp_path)
    yield made
    for process in made.running:
        process.kill()
        process.wait()
    # Shown when the test failed.
    for log in sorted(tmp_path.glob("*.log")):
        sys.stdout.write(f"{log.name}:\n{log.read_text()}")


@pytest.fixture
def load(kafka: KafkaOptions, catalogue: Catalogue) -> Iterator[_Load]:
    made = _Load(kafka, catalogue)
    yield made
    made.pausing.set()


def _is_exact(workers: _Workers, load: _Load) -> bool:
    """Whether all that was sent is counted; fails at once when something was counted twice."""
    counts, outputs = counted(workers.kafka, workers.catalogue)
    assert outputs.total() == len(outputs)
    if outputs.total() < len(load.sent):
        return False
    assert outputs == Counter(load.sent)
    assert counts == Counter(value.split(b"|")[0] for value in load.sent)
    return True


def test_partitions_move_to_a_second_worker_and_back(workers: _Workers, load: _Load) -> None:
    load.start()
    first = workers.start("first")
    wait_until(lambda: workers.opened("first") == 2, "the first worker did not open both partitions")
    second = workers.start("second")
    wait_until(lambda: workers.opened("second") == 1, "no partition moved to the second worker")
    moved = len(load.sent)
    wait_until(lambda: len(load.sent) > moved + 200, "no load")
    second.send_signal(signal.SIGTERM)
    assert second.wait(DEADLINE_S) == 0, workers.log("second")
    wait_until(lambda: workers.opened("first") == 3, "the partition did not come back")
    load.end()
    wait_until(lambda: _is_exact(workers, load), "records were lost")
    first.send_signal(signal.SIGTERM)
    assert first.wait(DEADLINE_S) == 0, workers.log("first")
    # Both ended in order, so the group knows that all is done; lag shows 0.
    topic = workers.catalogue.name(Topic.ROUTED)
    offsets = group_offsets(workers.kafka, workers.catalogue.prefix, [(topic, 0), (topic, 1)])
    partitions = Counter(partition_of(value.split(b"|")[0], 2) for value in load.sent)
    assert offsets == {(topic, number): partitions[number] for number in (0, 1)}


def test_a_killed_workers_partitions_go_to_the_other_and_a_paused_one_is_fenced(workers: _Workers, load: _Load) -> None:
    load.start()
    first = workers.start("first", "after_rows:6")
    wait_until(lambda: first.poll() is not None, "the fault point was not passed")
    assert first.returncode == -signal.SIGKILL
    second = workers.start("second")
    wait_until(lambda: workers.opened("second") == 2, "the dead worker's partitions were not taken over")
    _a_zombie_ends_and_comes_back(workers, load, second, pause_s=0)


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_a_worker_that_was_paused_for_ninety_seconds_writes_nothing_more(workers: _Workers, load: _Load) -> None:
    load.start()
    second = workers.start("second")
    wait_until(lambda: workers.opened("second") == 2, "the partitions were not opened")
    _a_zombie_ends_and_comes_back(workers, load, second, pause_s=90)


def _a_zombie_ends_and_comes_back(
    workers: _Workers, load: _Load, second: "subprocess.Popen[bytes]", *, pause_s: float
) -> None:
    """A worker that is away for longer than its session comes back while another has its partitions."""
    paused_s = time.monotonic()
    second.send_signal(signal.SIGSTOP)
    third = workers.start("third")
    wait_until(lambda: workers.opened("third") == 2, "the paused worker's partitions were not taken over")
    wait_until(lambda: time.monotonic() > paused_s + pause_s, "the end of the pause", pause_s + DEADLINE_S)
    second.send_signal(signal.SIGCONT)
    # It finds out by its first write, of which nothing is there.
    assert second.wait(2 * DEADLINE_S) == EXIT_RESTART, workers.log("second")
    assert "Fenced" in workers.log("second")
    opened = workers.opened("second")
    again = workers.start("second")
    wait_until(lambda: workers.opened("second") > opened, "it did not come back")
    load.end()
    wait_until(lambda: _is_exact(workers, load), "records were lost")
    for process in (again, third):
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0, workers.log("third") + workers.log("second")
    assert _is_exact(workers, load)
    assert _positions_only_grow(workers)


def _positions_only_grow(workers: _Workers) -> bool:
    """Whether the position rows of each partition of the changelog follow each other as they should."""
    decoder = RowDecoder(PositionRow)
    last = [0] * workers.catalogue.partitions
    for record in read_all(workers.kafka, workers.catalogue.name(Topic.STATE), workers.catalogue.partitions):
        if record.key == POSITION_KEY and record.value is not None:
            position = decoder.decode(record.value).next_offset
            if position < last[record.partition]:
                return False
            last[record.partition] = position
    return True


@pytest.mark.drill
def test_a_static_member_that_is_back_within_its_session_causes_no_rebalance(workers: _Workers, load: _Load) -> None:
    load.start()
    first = workers.start("first", is_static=True)
    second = workers.start("second", is_static=True)
    wait_until(lambda: workers.opened("second") > 0 and workers.opened("first") > 0, "a partition for each")
    wait_until(lambda: workers.assigned("second") > 0, "the second's place")
    assignments, opened = workers.assigned("first"), workers.opened("second")
    second.kill()
    second.wait()
    again = workers.start("second", is_static=True)
    wait_until(lambda: workers.opened("second") > opened, "it did not come back")
    moved = len(load.sent)
    wait_until(lambda: len(load.sent) > moved + 100, "no load")
    load.end()
    wait_until(lambda: _is_exact(workers, load), "records were lost")
    assert workers.assigned("first") == assignments
    for process in (first, again):
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0


def test_a_broker_that_is_away_ends_the_worker_with_a_reason(
    tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> None:
    nobody = f"127.0.0.1:{free_ports(1)[0]}"
    workers = _Workers(KafkaOptions(nobody), Catalogue(prefix="t."), tmp_path)
    process = workers.start("first")
    try:
        assert process.wait(DEADLINE_S) == EXIT_RESTART, workers.log("first")
    finally:
        process.kill()
        process.wait()
    assert "ended by" in workers.log("first")


def test_faust_and_aiokafka_name_what_keeps_a_member_in_its_group_as_we_do() -> None:
    """By other names a worker would seem to be no member, and its watchdog would end it."""
    assert "self._thread" in inspect.getsource(ThreadDelegateConsumer)
    assert "self._consumer" in inspect.getsource(AIOKafkaConsumerThread)
    assert "self._coordinator = GroupCoordinator(" in inspect.getsource(AIOKafkaConsumer)
    coordinator = inspect.getsource(GroupCoordinator)
    assert "self._coordination_task = create_task(" in coordinator
    assert "self._heartbeat_task = create_task(" in coordinator


async def test_batches_wait_until_the_stages_know_the_assignment() -> None:
    offered: list[Batch] = []
    assigned = asyncio.Event()

    class _Stage:
        name = "stage"
        topics: tuple[str, ...] = ("gt.routed",)

        async def assigned(self, _partitions: Any, _generation: int) -> None:
            await assigned.wait()

        async def offer(self, batch: Batch) -> None:
            offered.append(batch)

        def steps(self) -> dict[tuple[str, int], Step]:
            return {}

        async def drain(self) -> None: ...

        async def close(self) -> None: ...

    class _Consumer:
        async def commit(self) -> None: ...

    metrics = Metrics("worker", "1")
    transport = SimpleNamespace(read_ahead=ReadAhead())
    application = Application(
        SimpleNamespace(consumer=_Consumer(), consumer_generation_id=1, transport=transport), metrics
    )
    stage = _Stage()
    application._stages.append(stage)
    batch = Batch("gt.routed", 0, 1, [])
    offering = asyncio.create_task(application._offer(stage, batch))
    assigning = asyncio.create_task(application._assigned(None, [TP("gt.routed", 0)]))
    await asyncio.sleep(0.05)
    assert offered == []
    assigned.set()
    await asyncio.gather(offering, assigning)
    assert offered == [batch]
    # And again with each rebalance.
    await application._revoked(None, [TP("gt.routed", 0)])
    offering = asyncio.create_task(application._offer(stage, batch))
    await asyncio.sleep(0.05)
    assert offered == [batch]
    await application._assigned(None, [TP("gt.routed", 0)])
    await offering
    assert offered == [batch, batch]
    assert "goldenthread_rebalances_total 2.0" in metrics.exposition().decode()
