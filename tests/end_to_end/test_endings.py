"""What ends a running worker ends it at once, with the exit code that tells a supervisor what to do."""

from typing import Final

import pytest
from confluent_kafka.admin import AdminClient

from streams.kafka import KafkaOptions
from streams.transaction import TransactionalProducer
from tests.end_to_end.conftest import SystemMaker
from tests.running_system import RunningSystem
from tests.waiting import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.crash]

OPERATOR: Final = 4
ADMIN_TIMEOUT_S: Final = 60.0


def _event(number: int) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": f"ending-{number}",
        "source": "endings",
        "type": "page.viewed",
        "time": "2026-01-05T10:00:00Z",
        "channel": "web",
        "data": {"identifiers": {"email": "ending@example.com"}},
    }


def _count(system: RunningSystem) -> int:
    count: int = system.lookup(("email", "ending@example.com")).json["context"]["interactions"]["count"]
    return count


@pytest.mark.timeout(300)
def test_a_worker_that_lost_its_partitions_ends_and_comes_back_with_all_events(make_system: SystemMaker) -> None:
    system = make_system("fenced").start()
    system.send(_event(1))
    system.wait_quiet()
    worker = system.children()["worker"]
    # Whoever has the transactional ids now, it is not this worker.
    application, servers = system.environment["GOLDENTHREAD_APPLICATION"], system.environment["KAFKA_BOOTSTRAP_SERVERS"]
    for partition in range(4):
        TransactionalProducer(KafkaOptions(servers), f"{application}.context.{partition}").fence()
    system.send(_event(2))
    wait_until(lambda: system.children().get("worker") not in {None, worker}, "another worker")
    system.wait_quiet()
    assert _count(system) == 2
    assert system.stop() == 0


@pytest.mark.timeout(300)
def test_state_whose_topic_is_gone_stops_everything_with_the_reason(make_system: SystemMaker) -> None:
    system = make_system("gone").start()
    system.send(_event(1))
    system.wait_quiet()
    assert system.stop() == 0
    servers, prefix = system.environment["KAFKA_BOOTSTRAP_SERVERS"], system.environment["GOLDENTHREAD_TOPIC_PREFIX"]
    admin = AdminClient({"bootstrap.servers": servers})
    for future in admin.delete_topics([f"{prefix}context.state"]).values():
        future.result(ADMIN_TIMEOUT_S)
    ended = system.run("up")
    assert ended.returncode == OPERATOR, ended.stderr
    assert f"{prefix}context.state" in ended.stderr
