"""The catalogue: names, partition counts, settings, and the one partitioner."""

import pytest

from schemas.topics import POSITION_KEY, Catalogue, Topic, partition_of

CATALOGUE = Catalogue(prefix="gt.", partitions=4, channels=("web", "crm"))
SPECS = {spec.name: spec for spec in CATALOGUE.specs()}


def test_every_topic_is_in_the_catalogue_once() -> None:
    assert len(SPECS) == len(CATALOGUE.specs())
    assert set(SPECS) == {f"gt.{topic}" for topic in Topic} | {"gt.raw.web", "gt.raw.crm"}


def test_raw_topics_and_channels_name_each_other() -> None:
    assert CATALOGUE.raw_topics() == ("gt.raw.web", "gt.raw.crm")
    assert [CATALOGUE.channel_of(name) for name in CATALOGUE.raw_topics()] == ["web", "crm"]


@pytest.mark.parametrize("topic", [Topic.EVIDENCE, Topic.LINKS, Topic.DEAD, Topic.RETRIES])
def test_some_topics_have_one_partition(topic: Topic) -> None:
    assert CATALOGUE.partitions_of(topic) == 1
    assert SPECS[f"gt.{topic}"].partitions == 1


def test_state_and_context_are_partitioned_as_routed() -> None:
    assert {SPECS[f"gt.{topic}"].partitions for topic in (Topic.ROUTED, Topic.STATE, Topic.CONTEXT)} == {4}


def test_compacted_topics_keep_the_newest_of_each_key_for_ever() -> None:
    compacted = {name for name, spec in SPECS.items() if spec.compact}
    assert compacted == {"gt.identity.links", "gt.context.state", "gt.context"}
    for name in compacted:
        config = SPECS[name].config()
        assert config["cleanup.policy"] == "compact"
        assert config["delete.retention.ms"] == str(7 * 86_400_000)
        assert "retention.ms" not in config


def test_what_waits_is_stamped_by_the_brokers_clock() -> None:
    stamped = {name for name, spec in SPECS.items() if spec.log_append_time}
    assert stamped == {"gt.raw.web", "gt.raw.crm", "gt.routed", "gt.identity.evidence"}
    assert SPECS["gt.routed"].config()["message.timestamp.type"] == "LogAppendTime"
    assert SPECS["gt.context"].config()["message.timestamp.type"] == "CreateTime"


@pytest.mark.parametrize(("key", "partition"), [(b"", 0), (b"a", 3), (b"123456789", 2)])
def test_the_partition_of_a_key_is_for_ever(key: bytes, partition: int) -> None:
    # CRC-32 of "123456789" is its published check value, 0xCBF43926.
    assert partition_of(key, 4) == partition


def test_the_position_row_sorts_before_every_other() -> None:
    assert POSITION_KEY < b"0"
