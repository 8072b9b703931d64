"""Goal: killed at any fault point, nothing is lost, doubled or wrong. Method: kill -9 of real workers, real broker.

One installation lives through all deaths of a test while events and orders about who is who keep coming; whatever a
death breaks stays broken, so it is judged once, at the end: rows byte by byte, outputs, decisions and dead letters each
once, contexts by the oracle.
"""

import random
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from schemas.topics import Catalogue
from streams.faults import STAGES, FaultPoint
from streams.kafka import KafkaOptions
from streams.topics import create_topics, record_new_partitions
from tests.conftest import FreePorts
from tests.crashes.crowds import Crowds
from tests.crashes.judge import Judge
from tests.crashes.stream import Stream
from tests.crashes.workers import KILLED, WorkerProcess, Workers

pytestmark = [pytest.mark.kafka, pytest.mark.crash]
SEND_GAP_S = 0.1
#: So long after it started a worker may have everything but the partition whose point it is to die at.
BESIDE_SECONDS_MAX = 30.0


class Death(NamedTuple):
    """Where a worker dies."""

    stage: str
    point: FaultPoint
    passes: int = 1

    @property
    def plan(self) -> str:
        """As the setting has it."""
        return f"{self.stage}/{self.point}:{self.passes}"


#: A worker opens its partitions once, so what it meets there comes last, when there is something to restore.
PLACES = sorted(
    ((stage, point) for stage in STAGES for point in FaultPoint if point.startswith("intake_") == (stage == "intake")),
    key=lambda place: place[1].startswith("open_"),
)


class Installation(NamedTuple):
    """Topics, workers, what they are given, and who judges."""

    workers: Workers
    stream: Stream
    judge: Judge


@pytest.fixture
def installation(broker: str, tmp_path: Path, free_ports: FreePorts) -> Iterator[Installation]:
    kafka = KafkaOptions(broker)
    catalogue = Catalogue(prefix=f"c{uuid.uuid4().hex[:12]}.", partitions=2)
    application = catalogue.prefix.rstrip(".")
    create_topics(kafka, catalogue)
    record_new_partitions(kafka, application, catalogue.read_by_workers())
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}")  # noqa: T201 - pytest shows it when the test fails, so that it can be repeated.
    with Workers(tmp_path, broker, catalogue, free_ports(12)) as workers:
        yield Installation(workers, Stream(kafka, catalogue, seed), Judge(kafka, catalogue, application))


def _feed_until_dead(installation: Installation, worker: WorkerProcess, seconds_max: float = 120.0) -> bool:
    deadline = time.monotonic() + seconds_max
    while not worker.ended.wait(SEND_GAP_S):
        if time.monotonic() > deadline:
            return False
        installation.stream.send()
    assert worker.wait() == KILLED, worker.log.read_text()[-4000:]
    return True


def _work_a_while(installation: Installation, disk: str) -> None:
    """Have something in every partition that a restore can meet."""
    worker = installation.workers.start(disk)
    for _ in range(20):
        installation.stream.send()
    installation.judge.wait_until_done()
    assert installation.workers.stop(worker) == 0


def _finish(installation: Installation, disk: str) -> None:
    workers, stream, judge = installation
    stream.send_unreadable()
    worker = workers.start(disk)
    judge.wait_until_done()
    assert workers.stop(worker) == 0
    judge.require_exact(stream)
    (worker_dir,) = workers.disk(disk).glob("worker*")
    judge.require_stores(worker_dir)


@pytest.mark.timeout(900)
def test_killed_once_at_every_point_all_is_exact(installation: Installation) -> None:
    for number, (stage, point) in enumerate(PLACES):
        # Every other time the next one begins with an empty disk; what a restore meets is only there then.
        if number % 2 or point == FaultPoint.OPEN_DURING_RESTORE:
            installation.workers.wipe("disk")
        worker = installation.workers.start("disk", Death(stage, point).plan)
        assert _feed_until_dead(installation, worker), f"{stage}/{point} was not passed\n{worker.log.read_text()}"
    _finish(installation, "disk")


@pytest.mark.drill
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("wiped", [False, True], ids=["same_disk", "wiped_disk"])
def test_killed_at_the_first_and_later_passes_of_every_point_all_is_exact(
    installation: Installation, wiped: bool
) -> None:
    deaths = [Death(stage, point, passes) for stage, point in PLACES for passes in (1, 2, 5)]
    random.Random(1).shuffle(deaths)
    _work_a_while(installation, "disk")
    for number, death in enumerate(deaths):
        opening = death.point.startswith("open_")
        if opening and death.passes > (1 if death.stage == "identity" else 2):
            # A worker opens each partition once.
            continue
        disk = f"disk-{number}" if wiped or death.point == FaultPoint.OPEN_DURING_RESTORE else "disk"
        worker = installation.workers.start(disk, death.plan)
        assert _feed_until_dead(installation, worker), f"{death} was not passed\n{worker.log.read_text()}"
    _finish(installation, "disk-last" if wiped else "disk")


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_a_commit_and_a_handler_that_block_for_longer_than_a_session_cost_no_place_in_the_group(
    installation: Installation,
) -> None:
    # Longer than the session; no transaction is open meanwhile, which would have a timeout of its own.
    plan = "context/before_transaction=wait-10,identity/after_commit=wait-10,intake/intake_before_produce=wait-10"
    worker = installation.workers.start("disk", plan)
    for _ in range(40):
        installation.stream.send()
        assert not worker.ended.wait(0.5), worker.log.read_text()
    installation.judge.wait_until_done()
    assert installation.workers.stop(worker) == 0
    assert worker.log.read_text().count('"partitions assigned"') == 1
    _finish(installation, "disk")


@pytest.mark.drill
@pytest.mark.timeout(3600)
def test_killed_beside_a_second_worker_all_is_exact(installation: Installation) -> None:
    workers = installation.workers
    _work_a_while(installation, "first")
    for stage, point in PLACES:
        if point == FaultPoint.OPEN_DURING_RESTORE:
            workers.wipe("first")
        first = workers.start("first", Death(stage, point).plan)
        second = workers.start("second", index=1)
        if not _feed_until_dead(installation, first, BESIDE_SECONDS_MAX):
            # The partition is at the other one, which hands it over now.
            assert workers.stop(second) == 0
            assert _feed_until_dead(installation, first), f"{stage}/{point} was not passed\n{first.log.read_text()}"
            second = workers.start("second", index=1)
        # It takes over while the first one is away.
        for _ in range(3):
            installation.stream.send()
        first = workers.start("first")
        for _ in range(3):
            installation.stream.send()
            time.sleep(SEND_GAP_S)
        assert workers.stop(second) == 0
        assert workers.stop(first) == 0
    _finish(installation, "first")


def _die_amid_orders(installation: Installation, deaths: list[Death], cookies: int) -> None:
    """Orders and policies come one upon the other, merge and split large customers, and the worker dies meanwhile."""
    crowds = Crowds(1, cookies)
    installation.stream.send_these(*crowds.events())
    _work_a_while(installation, "disk")
    for death in deaths:
        installation.stream.send_these(*(crowds.order() for _ in range(3)))
        worker = installation.workers.start("disk", death.plan)
        deadline = time.monotonic() + 120.0
        while not worker.ended.wait(SEND_GAP_S):
            assert time.monotonic() < deadline, f"{death} was not passed\n{worker.log.read_text()}"
            installation.stream.send_these(crowds.order())
        assert worker.wait() == KILLED, worker.log.read_text()[-4000:]
    installation.stream.send_these(crowds.last())
    _finish(installation, "disk")


@pytest.mark.timeout(900)
def test_killed_amid_merges_and_splits_of_large_customers_all_is_exact(installation: Installation) -> None:
    deaths = [
        Death("identity", FaultPoint.AFTER_FLUSH),
        Death("identity", FaultPoint.AFTER_COMMIT),
        Death("context", FaultPoint.AFTER_ROWS),
        Death("context", FaultPoint.AFTER_COMMIT, passes=3),
    ]
    _die_amid_orders(installation, deaths, cookies=60)


@pytest.mark.drill
@pytest.mark.timeout(3600)
def test_killed_at_every_point_amid_merges_and_splits_of_customers_of_hundreds_all_is_exact(
    installation: Installation,
) -> None:
    places = [place for place in PLACES if place[0] != STAGES[0] and not place[1].startswith("open_")]
    deaths = [Death(stage, point, passes) for stage, point in places for passes in (1, 2, 4)]
    random.Random(2).shuffle(deaths)
    _die_amid_orders(installation, deaths, cookies=250)
