"""Everything is exact, whatever happens to workers: the oracle of `bench` says what every answer must be."""

import asyncio
import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Self

import pytest

from bench.compare import compare
from bench.generator import Plan, generate, load_sources
from bench.oracle import expect
from bench.play import GIVE_UP_SECONDS, play, play_to_kafka
from schemas.topics import DEFAULT_CHANNELS, DEFAULT_PARTITIONS
from tests.conftest import FreePorts
from tests.end_to_end.conftest import SystemMaker
from tests.end_to_end.public_topics import DeadTopic, tail
from tests.running_system import RunningSystem, request
from tests.waiting import SYSTEM_DEADLINE_S, wait_until

KILLS: Final = 10
#: Between a kill and the next: a worker is back after 2 to 5 seconds, so some die while they start or restore.
KILL_GAP_S: Final = (1.0, 6.0)
EVENTS_PER_SECOND: Final = 90.0
#: Those of all raw topics, of `routed`, and the one of evidence.
ALL_PARTITIONS: Final = len(DEFAULT_CHANNELS) * DEFAULT_PARTITIONS + DEFAULT_PARTITIONS + 1
Event = dict[str, Any]


class Players:
    """Two producers that play a stream at once: collect over HTTP and Kafka itself; the rest waits for `finish`."""

    def __init__(
        self,
        system: RunningSystem,
        stream: Sequence[Event],
        dice: random.Random,
        *,
        events_per_second: float = EVENTS_PER_SECOND,
        give_up_s: float = GIVE_UP_SECONDS,
    ) -> None:
        self._released = threading.Event()
        self._given_up = False
        over_http: list[Event] = []
        straight: list[Event] = []
        for event in stream:
            (over_http if dice.random() < 0.5 else straight).append(event)
        rate = events_per_second / 2
        self._deadline_s = SYSTEM_DEADLINE_S + give_up_s
        broker = system.environment["KAFKA_BOOTSTRAP_SERVERS"]
        self._pool = ThreadPoolExecutor(2)
        self._playing = [
            self._pool.submit(
                lambda: asyncio.run(play(self._held(over_http), system.collect_url, rate, give_up_seconds=give_up_s))
            ),
            self._pool.submit(
                play_to_kafka, self._held(straight), broker, rate, prefix=system.prefix, give_up_seconds=give_up_s
            ),
        ]

    def __enter__(self) -> Self:
        """They play already."""
        return self

    def __exit__(self, *_error: object) -> None:
        """A test that failed needs no more events."""
        self._given_up = True
        self._released.set()
        self._pool.shutdown()

    def finish(self) -> int:
        """Let the rest go, and wait for the end; returns how many events the system has."""
        self._released.set()
        return sum(playing.result(self._deadline_s) for playing in self._playing)

    def _held(self, events: Sequence[Event]) -> Iterator[Event]:
        """The last tenth is held back, so that what happens meanwhile happens under load."""
        for place, event in enumerate(events):
            if place == len(events) * 9 // 10:
                self._released.wait(self._deadline_s)
            if self._given_up:
                return
            yield event


def assert_exact(system: RunningSystem, stream: Sequence[Event], besides: Sequence[Event] = ()) -> None:
    """Every customer and field as the oracle says, each event once on the enriched stream, versions that only grow.

    Events `besides` the stream are of customers that the oracle is not asked for.
    """
    report = asyncio.run(compare(expect(stream, load_sources()), system.lookup_url, SYSTEM_DEADLINE_S))
    assert report.agrees, "\n".join(report.lines())
    assert DeadTopic(system, from_beginning=True).new() == []
    seen = Counter((record["value"]["source"], record["value"]["id"]) for record in tail(system, "interactions"))
    assert seen == Counter({(event["source"], event["id"]): 1 for event in (*stream, *besides)})
    versions: dict[str, int] = {}
    for record in tail(system, "context"):
        if record["value"] is not None:
            assert record["value"]["version"] > versions.get(record["key"], 0)
            versions[record["key"]] = record["value"]["version"]


@pytest.mark.crash
@pytest.mark.kafka
@pytest.mark.timeout(600)
def test_contexts_and_interactions_are_exact_after_ten_kills_of_the_worker_under_load(make_system: SystemMaker) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}")  # noqa: T201 - pytest shows it when the test fails, so that it can be repeated.
    dice = random.Random(seed)
    stream = list(generate(Plan(customers=150, events=4_000, seed=seed, events_per_second=4_000 / (40 * 86_400))))
    with (
        make_system("killed-worker", GOLDENTHREAD_RESTART_WINDOW_S="1").start() as system,
        Players(system, stream, dice) as players,
    ):
        for _ in range(KILLS):
            time.sleep(dice.uniform(*KILL_GAP_S))
            system.kill("worker")
        assert players.finish() == len(stream)
        assert_exact(system, stream)
        log = (system.data_dir / "logs" / "worker.log").read_text()
        assert log.count(" started as process ") == KILLS + 1
        assert system.stop() == 0


@pytest.mark.kafka
@pytest.mark.timeout(600)
def test_a_second_worker_joins_under_load_and_leaves_and_all_is_exact(
    make_system: SystemMaker, free_ports: FreePorts
) -> None:
    stream = list(generate(Plan(customers=80, events=2_000, seed=8, events_per_second=2_000 / (40 * 86_400))))
    with make_system("two-workers").start() as system, Players(system, stream, random.Random(8)) as players:
        wait_until(lambda: partitions_of(system, system.worker_url) == ALL_PARTITIONS, "all partitions at the first")
        port = free_ports(1)[0]
        url = f"http://127.0.0.1:{port}"
        settings = system.environment | {"GOLDENTHREAD_WORKER_PORT": str(port - 1)}
        with (
            (system.folder / "second.log").open("wb") as log,
            subprocess.Popen(
                [*system.program, "worker", "--index", "1"], env=settings, cwd=system.folder, stderr=log
            ) as second,
        ):
            try:
                wait_until(lambda: partitions_of(system, url) > 0, "a share of the partitions for the second")
                wait_until(
                    lambda: partitions_of(system, url) + partitions_of(system, system.worker_url) == ALL_PARTITIONS,
                    "each partition at one of them",
                )
                context = system.metric(url, "goldenthread_assigned_partitions", stage="context")
                assert context == 2, "the stage where the work is was not shared evenly"
                wait_until(lambda: processed_by(system, url) > 0, "events for the second")
            finally:
                second.terminate()
            assert second.wait(SYSTEM_DEADLINE_S) == 0
        wait_until(lambda: partitions_of(system, system.worker_url) == ALL_PARTITIONS, "all back at the first")
        assert players.finish() == len(stream)
        assert_exact(system, stream)


def partitions_of(system: RunningSystem, url: str) -> float:
    """How many partitions a worker runs, of all stages; none while nobody answers."""
    try:
        return system.metric(url, "goldenthread_assigned_partitions")
    except ConnectionError:
        return 0


def processed_by(system: RunningSystem, url: str) -> float:
    """How many events and pieces of evidence a worker has processed."""
    assert request("GET", f"{url}/readyz").status == 200
    return system.metric(url, "goldenthread_events_processed_total")
