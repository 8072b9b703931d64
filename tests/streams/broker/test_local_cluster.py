"""Three brokers as three processes: leaders move, brokers roll, and without a majority in sync nothing is written."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from schemas.errors import TopicError
from schemas.topics import MIN_INSYNC_CONFIG, Catalogue, Topic, min_insync_replicas
from streams.broker.configuration import server_properties
from streams.broker.local_cluster import NODES, LocalCluster
from streams.broker.options import BrokerOptions
from streams.bulk import read_all
from streams.kafka import KafkaOptions
from streams.topics import create_topics, group_offsets, record_new_partitions, verify_topics
from streams.transaction import TransactionalProducer
from tests.conftest import FreePorts
from tests.waiting import wait_until

TIMEOUT_S: Final = 60.0
INTERNAL_TOPICS: Final = ("__consumer_offsets", "__transaction_state")


def test_a_node_of_three_names_all_voters_and_wants_two_replicas_in_sync() -> None:
    options = BrokerOptions(data_dir=Path(), cache_dir=Path(), node_id=2, controller_port=12, peers=((1, 11), (3, 13)))
    properties = server_properties(options)
    assert properties["node.id"] == 2
    assert properties["controller.quorum.voters"] == "1@127.0.0.1:11,2@127.0.0.1:12,3@127.0.0.1:13"
    factors = {name: value for name, value in properties.items() if name.endswith("replication.factor")}
    assert set(factors.values()) == {3}
    insync = {name: value for name, value in properties.items() if "isr" in name or "insync" in name}
    assert set(insync.values()) == {2}


@pytest.mark.parametrize(("replication", "insync"), [(1, 1), (2, 1), (3, 2), (5, 2)])
def test_three_replicas_want_two_in_sync(replication: int, insync: int) -> None:
    assert min_insync_replicas(replication) == insync


@pytest.fixture
def cluster(tmp_path: Path, cache_dir: Path, free_ports: FreePorts) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path, cache_dir, free_ports(2 * NODES)) as started:
        yield started


def _write(kafka: KafkaOptions, topic: str, value: bytes, timeout_ms: int = 60_000) -> KafkaError | None:
    """One record; why it was not taken, or None."""
    answers: list[KafkaError | None] = []
    producer = Producer(kafka.producer() | {"delivery.timeout.ms": timeout_ms})
    producer.produce(topic, value, on_delivery=lambda error, _message: answers.append(error))
    assert producer.flush(TIMEOUT_S + timeout_ms / 1000) == 0
    return answers[0]


@pytest.mark.drill
@pytest.mark.kafka
@pytest.mark.crash
@pytest.mark.timeout(900)
def test_two_of_three_brokers_carry_on_and_one_alone_takes_nothing(cluster: LocalCluster) -> None:
    kafka = KafkaOptions(cluster.bootstrap_servers)
    catalogue = Catalogue(prefix="c.", partitions=2, channels=("web",))
    create_topics(kafka, catalogue, NODES)
    verify_topics(kafka, catalogue)
    record_new_partitions(kafka, "c", {catalogue.name(Topic.ROUTED): 2})
    TransactionalProducer(kafka, "c.transaction").fence()
    topic = catalogue.name(Topic.DEAD)
    admin = AdminClient(kafka.admin())
    # Ours and the brokers' own alike: three replicas each, two of which have to have a record.
    known = admin.list_topics(timeout=TIMEOUT_S).topics
    for name in (*INTERNAL_TOPICS, *(spec.name for spec in catalogue.specs())):
        assert {len(partition.replicas) for partition in known[name].partitions.values()} == {NODES}, name
        resource = ConfigResource(ResourceType.TOPIC, name)
        assert admin.describe_configs([resource])[resource].result(TIMEOUT_S)[MIN_INSYNC_CONFIG].value == "2", name

    assert _write(kafka, topic, b"all") is None
    leader = known[topic].partitions[0].leader
    cluster.broker(leader).kill()
    assert _write(kafka, topic, b"two") is None
    assert group_offsets(kafka, "c", [(catalogue.name(Topic.ROUTED), 0)], timeout_s=TIMEOUT_S)
    other = next(number for number in range(1, NODES + 1) if number != leader)
    cluster.broker(other).kill()
    refusal = _write(kafka, topic, b"one", timeout_ms=8_000)
    assert refusal is not None

    for number in (leader, other):
        cluster.broker(number).start()
    for number in (leader, other):
        cluster.broker(number).wait_ready()
    wait_until(lambda: _write(kafka, topic, b"three") is None, "writes again")
    values = [record.value for record in read_all(kafka, topic, 1)]
    assert values[:2] == [b"all", b"two"]
    assert values[-1] == b"three"


@pytest.mark.drill
@pytest.mark.kafka
@pytest.mark.timeout(600)
def test_a_topic_that_one_replica_is_enough_for_is_refused(cluster: LocalCluster) -> None:
    kafka = KafkaOptions(cluster.bootstrap_servers)
    catalogue = Catalogue(prefix="c.", partitions=1, channels=("web",))
    create_topics(kafka, catalogue, NODES)
    admin = AdminClient(kafka.admin())
    name = catalogue.name(Topic.DEAD)
    entry = ConfigEntry(MIN_INSYNC_CONFIG, "1", incremental_operation=AlterConfigOpType.SET)
    altered = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
    for future in admin.incremental_alter_configs([altered]).values():
        future.result(TIMEOUT_S)

    def refused() -> bool:
        try:
            verify_topics(kafka, catalogue)
        except TopicError as error:
            return MIN_INSYNC_CONFIG in str(error) and name in str(error)
        return False

    wait_until(refused, "the refusal")
