"""A whole system on three brokers goes on by itself while any one of them is away, and everything is exact."""

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from bench.generator import Plan, generate
from schemas.topics import Topic
from streams.broker.local_broker import LocalBroker
from streams.broker.local_cluster import NODES, LocalCluster
from tests.conftest import FreePorts
from tests.end_to_end.conftest import SystemMaker
from tests.end_to_end.exactness import assert_exact
from tests.end_to_end.extra_worker import ExtraWorker
from tests.end_to_end.outages import (
    DEFAULT_RESTARTS,
    EVENTS_PER_SECOND,
    RESUMED_WITHIN_S,
    canaries,
    seconds_to_resume,
)
from tests.end_to_end.partitions import ALL_PARTITIONS, partitions_of
from tests.end_to_end.players import Players
from tests.running_system import RunningSystem
from tests.waiting import wait_until

pytestmark = [pytest.mark.drill, pytest.mark.kafka, pytest.mark.crash]

TIMEOUT_S: Final = 30.0
#: Five brokers go and come back, each within this.
EVENTS: Final = int(5 * 40 * EVENTS_PER_SECOND)


@pytest.fixture
def cluster(tmp_path: Path, cache_dir: Path, free_ports: FreePorts) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path, cache_dir, free_ports(2 * NODES)) as started:
        yield started


class _Outages:
    """Brokers go, one at a time; each time work has to go on without it, and once it is back."""

    def __init__(self, system: RunningSystem, admin: AdminClient, capsys: pytest.CaptureFixture[str]) -> None:
        self.canaries = canaries()
        #: How long it took until work went on, each time.
        self.resumed_s: dict[str, float] = {}
        self._system = system
        self._admin = admin
        self._capsys = capsys
        seconds_to_resume(system, self.canaries)

    def restarted(self, broker: LocalBroker) -> None:
        """Stopped in order, and started again once work went on without it."""
        began_s = time.monotonic()
        broker.stop()
        self._gone("stopped", broker, began_s)

    def killed(self, broker: LocalBroker) -> None:
        """Gone without a word, and started again once work went on without it."""
        began_s = time.monotonic()
        broker.kill()
        self._gone("killed", broker, began_s)

    def _gone(self, how: str, broker: LocalBroker, began_s: float) -> None:
        name = f"broker {broker.options.node_id}"
        self._resumed(f"{name} {how}", began_s)
        broker.start()
        broker.wait_ready()
        self._resumed(f"{name} back", time.monotonic())
        # Whoever rolls brokers waits for this before the next one goes.
        wait_until(self._all_in_sync, "all replicas in sync")

    def _resumed(self, what: str, began_s: float) -> None:
        sent = canaries()
        self.canaries += sent
        seconds_to_resume(self._system, sent)
        resumed_s = time.monotonic() - began_s
        self.resumed_s[f"{len(self.resumed_s)}. {what}"] = resumed_s
        with self._capsys.disabled():
            print(f"\n{what}: work went on after {resumed_s:.1f} s", flush=True)  # noqa: T201 - what was measured.
        assert self._system.process.poll() is None, self._system.err

    def _all_in_sync(self) -> bool:
        try:
            topics = self._admin.list_topics(timeout=TIMEOUT_S).topics.values()
        except KafkaException:
            return False
        return all(len(each.isrs) == NODES for topic in topics for each in topic.partitions.values())


@pytest.mark.timeout(1200)
def test_brokers_roll_and_coordinator_and_leader_are_killed_and_work_goes_on_by_itself(
    make_system: SystemMaker, cluster: LocalCluster, free_ports: FreePorts, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}")  # noqa: T201 - pytest shows it when the test fails, so that it can be repeated.
    stream = list(generate(Plan(customers=100, events=EVENTS, seed=seed, events_per_second=EVENTS / (40 * 86_400))))
    settings = DEFAULT_RESTARTS | {
        "KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers,
        "GOLDENTHREAD_REPLICATION": str(NODES),
    }
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap_servers, "log_level": 0})
    with (
        make_system("three-brokers", **settings).start() as system,
        ExtraWorker(system, 1, free_ports(1)[0]) as second,
        Players(system, stream, random.Random(seed), events_per_second=EVENTS_PER_SECOND) as players,
    ):
        second.join()
        wait_until(lambda: partitions_of(system, second.url) > 0, "a share of the partitions for the second")
        outages = _Outages(system, admin, capsys)
        for broker in cluster.brokers:
            outages.restarted(broker)
        group = system.environment["GOLDENTHREAD_APPLICATION"]
        coordinator = admin.describe_consumer_groups([group])[group].result(TIMEOUT_S).coordinator.id
        outages.killed(cluster.broker(coordinator))
        routed = f"{system.prefix}{Topic.ROUTED}"
        outages.killed(cluster.broker(admin.list_topics(routed, timeout=TIMEOUT_S).topics[routed].partitions[0].leader))
        assert players.finish() == len(stream)
        assert_exact(system, stream, outages.canaries)
        wait_until(
            lambda: partitions_of(system, second.url) + partitions_of(system, system.worker_url) == ALL_PARTITIONS,
            "each partition at one of them",
        )
        second.leave()
        second.assert_ends_are_in_order()
        assert system.stop() == 0
        assert max(outages.resumed_s.values()) < RESUMED_WITHIN_S, outages.resumed_s
