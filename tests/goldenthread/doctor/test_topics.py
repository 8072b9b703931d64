"""Goal: what is wrong at the broker and in the topics is found. Method: topics of our own, made wrong on purpose."""

import time
import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from goldenthread.doctor import broker as broker_checks
from goldenthread.doctor.broker import check_broker, check_broker_features, check_replication, check_topics
from goldenthread.doctor.finding import Finding, Status
from goldenthread.doctor.records import (
    check_broker_clock,
    check_dead,
    check_group,
    check_lag,
    check_topics_secret,
)
from schemas.identifiers import Identifier
from schemas.keys import Keyring
from schemas.rows import LinkRow, encode_row, link_row_key
from schemas.topics import Catalogue, Topic
from streams.broker_features import REQUIREMENTS, unmet
from streams.kafka import KafkaOptions
from streams.topics import create_topics, record_new_partitions
from tests.goldenthread.doctor.conftest import Examine, Serve
from tests.waiting import wait_until

pytestmark = pytest.mark.kafka
ADMIN_TIMEOUT_S = 30.0
SECRET = "the secret of these topics"  # noqa: S105 - it keeps nothing.


class World:
    """Topics and a group of one test, and the settings with which they are examined."""

    def __init__(self, broker: str) -> None:
        self.kafka = KafkaOptions(broker)
        self.group = f"doctor-{uuid.uuid4().hex[:12]}"
        self.catalogue = Catalogue(prefix=f"{self.group}.", partitions=2, channels=("web",))
        self.settings: dict[str, Any] = {
            "kafka_bootstrap_servers": broker,
            "application": self.group,
            "topic_prefix": self.catalogue.prefix,
            "partitions": 2,
            "channels": ("web",),
            "secret": SECRET,
        }

    def make(self) -> "World":
        """All topics, as the catalogue says."""
        create_topics(self.kafka, self.catalogue)
        return self

    def make_one(self, topic: str, partitions: int, **config: str) -> None:
        """One topic, made by hand."""
        name = self.catalogue.name(topic)
        admin = AdminClient(self.kafka.admin())
        admin.create_topics([NewTopic(name, partitions, 1, config=config)])[name].result(ADMIN_TIMEOUT_S)
        # A topic just made is not known to every request at once.
        wait_until(lambda: name in admin.list_topics(timeout=ADMIN_TIMEOUT_S).topics, f"topic {name}", ADMIN_TIMEOUT_S)

    def write(self, topic: str, value: bytes, **more: Any) -> None:
        """One record, acknowledged."""
        producer = Producer(self.kafka.producer())
        producer.produce(self.catalogue.name(topic), value, partition=0, **more)
        assert producer.flush(ADMIN_TIMEOUT_S) == 0


@pytest.fixture
def world(broker: str) -> World:
    return World(broker)


def only(findings: list[Finding], status: Status) -> Finding:
    assert [finding.status for finding in findings] == [status], findings
    return findings[0]


def test_a_broker_that_answers_is_fine(examine: Examine, world: World) -> None:
    assert "1 brokers" in only(examine(check_broker, **world.settings), Status.OK).found
    assert "transactions" in only(examine(check_broker_features, **world.settings), Status.OK).found


def test_a_broker_that_lacks_something_is_told_what(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    old = {one.key: (0, one.version) for one in REQUIREMENTS if one.key != 24}
    assert [one.purpose for one in unmet(old)] == ["transactions"]
    monkeypatch.setattr(broker_checks, "api_versions", lambda _kafka, _timeout_s: old)
    assert "transactions" in only(examine(check_broker_features), Status.PROBLEM).found


def test_topics_are_missing_all_or_in_part_or_wrong(examine: Examine, world: World) -> None:
    assert "goldenthread init" in only(examine(check_topics, **world.settings), Status.WARNING).action
    world.make_one(Topic.ROUTED, 3, **{"message.timestamp.type": "LogAppendTime"})
    world.make_one(Topic.CONTEXT, 2, **{"cleanup.policy": "delete"})
    world.make_one(Topic.DEAD, 1)
    missing, *wrong = examine(check_topics, **world.settings)
    assert missing.found.startswith("missing: ")
    assert [finding.status for finding in wrong] == [Status.PROBLEM] * 2
    assert "3 partitions" in wrong[0].found
    assert "cleanup.policy=delete" in wrong[1].found


def test_topics_as_the_catalogue_says_are_fine(examine: Examine, world: World) -> None:
    world.make()
    only(examine(check_topics, **world.settings), Status.OK)
    assert "one broker" in only(examine(check_replication, **world.settings), Status.OK).found


def cluster(copies: int, in_sync: int, least: int, leader: int = 1) -> type:
    """An AdminClient of three brokers whose topics are all so."""
    part = SimpleNamespace(leader=leader, replicas=list(range(copies)), isrs=list(range(in_sync)))
    names = [spec.name for spec in Catalogue().specs()]
    metadata = SimpleNamespace(
        brokers={1: None, 2: None, 3: None},
        topics={name: SimpleNamespace(partitions={0: part}) for name in (*names, "__consumer_offsets")},
    )
    answer = SimpleNamespace(result=lambda _timeout_s: {"min.insync.replicas": SimpleNamespace(value=str(least))})

    class Admin:
        def __init__(self, _options: dict[str, Any]) -> None: ...

        def list_topics(self, **_options: Any) -> Any:
            return metadata

        def describe_configs(self, resources: list[Any], **_options: Any) -> dict[Any, Any]:
            return dict.fromkeys(resources, answer)

    return Admin


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (cluster(3, 3, 2), {Status.OK: ["3 copies"]}),
        (cluster(3, 2, 2), {Status.PROBLEM: ["missing or behind"], Status.OK: ["3 copies"]}),
        (cluster(3, 3, 2, leader=-1), {Status.PROBLEM: ["without a leader"], Status.OK: ["3 copies"]}),
        (cluster(1, 1, 1), {Status.PROBLEM: ["one copy on 3 brokers", "__consumer_offsets"]}),
        (cluster(3, 3, 1), {Status.WARNING: ["one copy only"]}),
        (cluster(3, 3, 3), {Status.WARNING: ["stops writes"]}),
    ],
)
def test_copies_are_held_to_what_keeps_data_safe(
    examine: Examine, monkeypatch: pytest.MonkeyPatch, found: type, words: dict[Status, list[str]]
) -> None:
    monkeypatch.setattr(broker_checks, "AdminClient", found)
    findings = examine(check_replication)
    assert sorted(finding.status for finding in findings) == sorted(
        status for status, texts in words.items() for _ in texts
    )
    for status, texts in words.items():
        said = " ".join(finding.found for finding in findings if finding.status is status)
        assert all(text in said for text in texts)


def test_offsets_that_are_missing_are_a_problem(examine: Examine, world: World) -> None:
    world.make()
    assert "the group's offset is gone" in only(examine(check_group, **world.settings), Status.PROBLEM).found
    record_new_partitions(world.kafka, world.group, world.catalogue.read_by_workers())
    only(examine(check_group, **world.settings), Status.OK)
    only(examine(check_lag, **world.settings), Status.OK)
    world.write("raw.web", b"{}")
    waiting = only(examine(check_lag, **world.settings), Status.SKIPPED)
    assert waiting.found.startswith("1 records lie past the group's offsets")
    assert waiting.action.startswith("start the lookup")


def test_markers_of_transactions_are_nothing_that_waits(examine: Examine, world: World) -> None:
    world.make()
    record_new_partitions(world.kafka, world.group, world.catalogue.read_by_workers())
    raw = world.catalogue.name("raw.web")
    producer = Producer(world.kafka.producer() | {"transactional.id": world.group})
    producer.init_transactions(ADMIN_TIMEOUT_S)
    producer.begin_transaction()
    producer.produce(raw, b"{}", partition=0)
    producer.commit_transaction(ADMIN_TIMEOUT_S)
    assert "1 records" in only(examine(check_lag, **world.settings), Status.SKIPPED).found
    committing = Consumer(world.kafka.reader(group_id=world.group))
    committing.commit(offsets=[TopicPartition(raw, 0, 1)], asynchronous=False)
    _, end = committing.get_watermark_offsets(TopicPartition(raw, 0), timeout=ADMIN_TIMEOUT_S)
    committing.close()
    assert end == 2, "a marker stands behind the record"
    assert only(examine(check_lag, **world.settings), Status.OK).found == "nothing waits"


@pytest.mark.parametrize("status", [401, 403])
def test_a_lookup_that_keeps_its_metrics_from_this_token_is_said_to(
    examine: Examine, world: World, serve: Serve, status: int
) -> None:
    world.make()
    record_new_partitions(world.kafka, world.group, world.catalogue.read_by_workers())
    world.write("raw.web", b"{}")
    port = serve({"/metrics": (status, {})})
    skipped = only(examine(check_lag, lookup_port=port, **world.settings), Status.SKIPPED)
    assert "a key of the role metrics" in skipped.action


def test_another_number_of_partitions_is_one_problem_of_the_setting(examine: Examine, world: World) -> None:
    world.make()
    record_new_partitions(world.kafka, world.group, world.catalogue.read_by_workers())
    for set_ in (1, 4):
        other = world.settings | {"partitions": set_}
        problem = only(examine(check_topics, **other), Status.PROBLEM)
        assert world.catalogue.name(Topic.ROUTED) in problem.found
        assert world.catalogue.name(Topic.CONTEXT) in problem.found
        assert problem.action.startswith("set GOLDENTHREAD_PARTITIONS=2")
        for check in (check_group, check_lag, check_broker_clock):
            assert "see topics" in only(examine(check, **other), Status.SKIPPED).found


def test_sealed_topics_without_a_secret_are_a_problem(examine: Examine, world: World) -> None:
    world.make()
    nowhere = {name: value for name, value in world.settings.items() if name != "secret"}
    only(examine(check_topics_secret, **nowhere), Status.SKIPPED)
    world.write(Topic.LINKS, b"x", key=b"k")
    problem = only(examine(check_topics_secret, **nowhere), Status.PROBLEM)
    assert "start where the data directory is" in problem.action
    assert "GOLDENTHREAD_SECRET" in problem.action


def test_topics_of_another_secret_are_a_problem(examine: Examine, world: World) -> None:
    world.make()
    assert "no identifier yet" in only(examine(check_topics_secret, **world.settings), Status.OK).found
    keys = Keyring(SECRET.encode())
    identifier = Identifier("email", "ann@example.com")
    fragment = keys.fragment_id(identifier)
    row = LinkRow("email", keys.seal(identifier, fragment), "home", fragment, 1, 0, 0, 0, 0)
    world.write(Topic.LINKS, encode_row(row), key=link_row_key(fragment))
    assert "can be unsealed" in only(examine(check_topics_secret, **world.settings), Status.OK).found
    other = world.settings | {"secret": "another secret than that"}
    problem = only(examine(check_topics_secret, **other), Status.PROBLEM)
    assert "GOLDENTHREAD_SECRET" in problem.found
    assert "ann@example.com" not in str(problem)


def test_a_broker_whose_clock_is_ahead_is_told_of(examine: Examine, world: World) -> None:
    """The topic takes the producer's timestamp here, which stands for a broker's that is wrong."""
    world.make_one(Topic.ROUTED, 2, **{"message.timestamp.type": "CreateTime"})
    only(examine(check_broker_clock, **world.settings), Status.SKIPPED)
    world.write(Topic.ROUTED, b"x")
    only(examine(check_broker_clock, **world.settings), Status.OK)
    world.write(Topic.ROUTED, b"x", timestamp=int((time.time() + 60) * 1000))
    assert "ahead" in only(examine(check_broker_clock, **world.settings), Status.WARNING).found


def test_dead_letters_of_the_last_day_are_counted_by_code(examine: Examine, world: World) -> None:
    world.make()
    only(examine(check_dead, **world.settings), Status.OK)
    old_ms = int((time.time() - 3 * 86_400) * 1000)
    world.write(Topic.DEAD, b"an old one", headers=[("gt-code", b"null_byte")], timestamp=old_ms)
    only(examine(check_dead, **world.settings), Status.OK)
    for code in ("not_json", "not_json", "future_time"):
        world.write(Topic.DEAD, b"ann@example.com", headers=[("gt-code", code.encode())])
    warning = only(examine(check_dead, **world.settings), Status.WARNING)
    assert "not_json 2, future_time 1" in warning.found
    assert "ann@example.com" not in str(warning)


def test_a_dead_letter_that_a_crash_repeated_is_counted_once(examine: Examine, world: World) -> None:
    world.make()
    place = [("gt-topic", b"t"), ("gt-partition", b"0"), ("gt-offset", b"7")]
    for _ in range(2):
        world.write(Topic.DEAD, b"x", headers=[("gt-code", b"not_json"), *place])
    found = only(examine(check_dead, **world.settings), Status.WARNING).found
    assert found == "1 in the last day: not_json 1"
