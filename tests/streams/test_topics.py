"""Goal: a broker whose topics or offsets differ from what state needs is refused in words. Method: the real broker."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    ResourceType,
)

from schemas.errors import BrokerUnreachable, TopicError
from schemas.topics import Catalogue, Topic
from streams import topics as topics_module
from streams.broker.local_broker import LocalBroker
from streams.broker.options import BrokerOptions
from streams.kafka import KafkaOptions
from streams.topics import (
    create_topics,
    differing_topics,
    group_offsets,
    record_new_partitions,
    topic_ids,
    verify_topics,
    wait_for_broker,
)

pytestmark = pytest.mark.kafka


def _configure(kafka: KafkaOptions, topic: str, name: str, value: str) -> None:
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    admin = AdminClient(kafka.admin())
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(20)
    # The controller has it now; brokers hear of it a moment later.
    deadline = time.monotonic() + 20
    while True:
        asked = ConfigResource(ResourceType.TOPIC, topic)
        if admin.describe_configs([asked])[asked].result(20)[name].value == value:
            return
        assert time.monotonic() < deadline


def test_topics_are_made_once_and_as_the_catalogue_says(kafka: KafkaOptions, catalogue: Catalogue) -> None:
    assert create_topics(kafka, catalogue) == []
    verify_topics(kafka, catalogue)
    more = Catalogue(catalogue.prefix, 2, ("web", "crm"))
    assert create_topics(kafka, more) == [more.raw("crm")]
    verify_topics(kafka, more)


def test_a_missing_topic_is_named_with_what_makes_it(kafka: KafkaOptions, catalogue: Catalogue) -> None:
    more = Catalogue(catalogue.prefix, 2, ("web", "crm"))
    with pytest.raises(TopicError, match=rf"topic {more.raw('crm')} does not exist: run `goldenthread init`"):
        verify_topics(kafka, more)
    # Those that a process does not use are not its matter.
    verify_topics(kafka, more, [more.name(Topic.ROUTED)])
    with pytest.raises(TopicError, match="does not exist"):
        topic_ids(kafka, [more.raw("crm")])


def test_all_that_differ_are_told_by_one_client(
    kafka: KafkaOptions, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login for each topic takes longer than the doctor has, with TLS and a password."""
    clients: list[AdminClient] = []

    def admin(options: KafkaOptions) -> AdminClient:
        clients.append(AdminClient(options.admin()))
        return clients[-1]

    monkeypatch.setattr(topics_module, "_admin", admin)
    more = Catalogue(catalogue.prefix, 2, ("web", "crm"))
    _configure(kafka, more.name(Topic.STATE), "cleanup.policy", "delete")
    told = sorted(str(error) for error in differing_topics(kafka, more))
    assert [text.split()[1] for text in told] == sorted([more.name(Topic.STATE), more.raw("crm")])
    assert len(clients) == 1
    assert list(differing_topics(kafka, more, [])) == []


def test_another_partition_count_is_refused(kafka: KafkaOptions, catalogue: Catalogue) -> None:
    routed = catalogue.name(Topic.ROUTED)
    admin = AdminClient(kafka.admin())
    for future in admin.create_partitions([NewPartitions(routed, 3)]).values():
        future.result(20)
    deadline = time.monotonic() + 20
    while len(admin.list_topics(timeout=20).topics[routed].partitions) < 3:
        assert time.monotonic() < deadline
    with pytest.raises(TopicError, match=rf"topic {routed} has 3 partitions, 2 are needed \(GOLDENTHREAD_PARTITIONS\)"):
        verify_topics(kafka, catalogue)


@pytest.mark.parametrize(
    ("topic", "name", "value"),
    [
        (Topic.STATE, "cleanup.policy", "delete"),
        (Topic.ROUTED, "cleanup.policy", "compact"),
        (Topic.ROUTED, "message.timestamp.type", "CreateTime"),
    ],
)
def test_another_setting_is_refused(
    kafka: KafkaOptions, catalogue: Catalogue, topic: Topic, name: str, value: str
) -> None:
    _configure(kafka, catalogue.name(topic), name, value)
    with pytest.raises(TopicError, match=rf"topic {catalogue.name(topic)} .*{name}.*{value}"):
        verify_topics(kafka, catalogue)


def test_new_partitions_begin_at_0_and_others_are_left_as_they_are(kafka: KafkaOptions, catalogue: Catalogue) -> None:
    group, routed = catalogue.prefix, catalogue.name(Topic.ROUTED)
    zero, one = (routed, 0), (routed, 1)
    assert group_offsets(kafka, group, [zero, one]) == {zero: None, one: None}
    record_new_partitions(kafka, group, {routed: 2})
    assert group_offsets(kafka, group, [zero, one]) == {zero: 0, one: 0}
    admin = AdminClient(kafka.admin())
    for future in admin.alter_consumer_group_offsets(
        [ConsumerGroupTopicPartitions(group, [TopicPartition(routed, 1, 17)])]
    ).values():
        future.result(20)
    record_new_partitions(kafka, group, {routed: 2})
    assert group_offsets(kafka, group, [zero, one]) == {zero: 0, one: 17}


def test_a_brand_new_broker_takes_its_first_offsets(
    tmp_path: Path, cache_dir: Path, free_ports: Callable[[int], list[int]]
) -> None:
    port, controller_port = free_ports(2)
    options = BrokerOptions(data_dir=tmp_path, cache_dir=cache_dir, port=port, controller_port=controller_port)
    catalogue = Catalogue(partitions=2, channels=("web",))
    with LocalBroker(options) as fresh:
        kafka = KafkaOptions(fresh.bootstrap_servers)
        create_topics(kafka, catalogue)
        routed = catalogue.name(Topic.ROUTED)
        record_new_partitions(kafka, "group", {routed: 2})
        assert group_offsets(kafka, "group", [(routed, 0), (routed, 1)]) == {(routed, 0): 0, (routed, 1): 0}


def test_a_broker_that_is_away_is_named() -> None:
    with pytest.raises(BrokerUnreachable, match=r"no broker answers at 127\.0\.0\.1:9 \(KAFKA_BOOTSTRAP_SERVERS\)"):
        wait_for_broker(KafkaOptions("127.0.0.1:9"), 0.2)
