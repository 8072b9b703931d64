"""Goal: a copy that calls itself ready is complete, and stays so. Method: the real broker, a store, a clock by hand."""

import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from agents.known_evidence import project_evidence
from schemas.clock import Clock, ManualClock, SystemClock
from schemas.errors import BrokerUnreachable, StateError
from schemas.topics import TOMBSTONE_RETENTION_MS, Catalogue, Topic, partition_of
from state.engine import Rows
from state.store import Store, StoredPosition
from streams import follower as follower_module
from streams import topics as topics_module
from streams.bulk import Record
from streams.follower import Follower
from streams.kafka import KafkaOptions
from streams.metrics import Metrics
from streams.topics import create_topics, topic_ids
from tests.streams.feeding import open_transaction, send, send_aborted, send_committed
from tests.waiting import wait_until

pytestmark = pytest.mark.kafka
DEADLINE_S = 30.0
KILLS = 4
FINGERPRINT = "f"
UNWANTED = b"unwanted-"
NOW_US = 1_795_341_600_000_000
HALF_RETENTION_S = TOMBSTONE_RETENTION_MS / 2 / 1000


class _Copy:
    """A follower of `context` over a store in a folder, and what it was given."""

    def __init__(self, kafka: KafkaOptions, topic: str, path: Path, clock: Clock) -> None:
        self.store = Store.open(path, secret_fingerprint=FINGERPRINT)
        self.seen: list[tuple[int, int]] = []
        #: What was in the store each time when something was told to be visible.
        self.visible: list[dict[bytes, bytes]] = []
        #: How often all rows were lost.
        self.forgotten = 0
        self.metrics = Metrics("test", "1")
        self.follower = Follower(
            "copy",
            kafka=kafka,
            topics={topic: 2},
            store=self.store,
            project=self._project,
            metrics=self.metrics,
            clock=clock,
            on_visible=lambda: self.visible.append(self.rows),
            wanted={topic: lambda key: not key.startswith(UNWANTED)},
            on_forgotten=self._forget,
        )

    def _forget(self) -> None:
        assert self.rows == {}
        self.forgotten += 1

    def _project(self, records: Sequence[Record], _rows: Rows) -> Mapping[bytes, bytes | None]:
        self.seen += [(record.partition, record.offset) for record in records]
        return {record.key: record.value for record in records if record.key is not None}

    @property
    def rows(self) -> dict[bytes, bytes]:
        return dict(self.store.rows())


Following = Callable[..., Any]


@pytest.fixture
def topic(catalogue: Catalogue) -> str:
    return catalogue.name(Topic.CONTEXT)


@pytest.fixture
def following(kafka: KafkaOptions, topic: str, tmp_path: Path) -> Following:
    """A function that runs a follower over the same folder each time."""

    @contextmanager
    def run(clock: Clock | None = None, *, wait: bool = True) -> Iterator[_Copy]:
        copy = _Copy(kafka, topic, tmp_path / "copy", clock or SystemClock())
        copy.follower.start()
        try:
            if wait:
                assert copy.follower.wait_ready(DEADLINE_S)
            yield copy
        finally:
            copy.follower.stop()
            copy.store.close()

    return run


def test_ready_means_that_everything_is_in_the_store(kafka: KafkaOptions, topic: str, following: Following) -> None:
    send(kafka, topic, [(b"a", b"1"), (b"b", b"1")])
    send_committed(kafka, topic, [(b"c", b"1")], partition=1)
    with following() as copy:
        assert copy.rows == {b"a": b"1", b"b": b"1", b"c": b"1"}
        assert copy.follower.ready
        assert copy.follower.waiting_since_us() is None
        # After the marker, not after the record.
        assert (copy.follower.next_offset(topic, 0), copy.follower.next_offset(topic, 1)) == (2, 2)
        assert copy.metrics.registry.get_sample_value("goldenthread_follower_ready", {"follower": "copy"}) == 1
        assert copy.metrics.registry.get_sample_value("goldenthread_follower_records_total", {"follower": "copy"}) == 3


def test_only_what_comes_after_the_catch_up_is_told_to_be_visible(
    kafka: KafkaOptions, topic: str, following: Following
) -> None:
    send(kafka, topic, [(b"a", b"old")])
    with following() as copy:
        remaining = copy.metrics.registry.get_sample_value(
            "goldenthread_follower_remaining_records", {"follower": "copy"}
        )
        assert (copy.visible, remaining) == ([], 0)
        send(kafka, topic, [(b"a", b"new")])
        wait_until(lambda: copy.visible)
        assert copy.visible == [{b"a": b"new"}]


def test_an_aborted_tail_holds_nobody_up(kafka: KafkaOptions, topic: str, following: Following) -> None:
    send_aborted(kafka, topic, [(b"a", b"never")])
    with following() as copy:
        assert copy.rows == {}
        assert copy.follower.waiting_since_us() is None


def test_later_records_follow_and_tombstones_delete(kafka: KafkaOptions, topic: str, following: Following) -> None:
    send(kafka, topic, [(b"a", b"1"), (b"b", b"1")])
    with following() as copy:
        send(kafka, topic, [(b"a", b"2"), (b"b", None)])
        wait_until(lambda: copy.rows == {b"a": b"2"})
        producer = open_transaction(kafka, topic, [(b"c", b"1")])
        assert b"c" not in copy.rows
        producer.commit_transaction(20)
        wait_until(lambda: copy.rows == {b"a": b"2", b"c": b"1"})


def test_a_restart_goes_on_where_the_copy_stands(kafka: KafkaOptions, topic: str, following: Following) -> None:
    send(kafka, topic, [(b"a", b"1"), (b"b", b"1")])
    with following() as copy:
        assert copy.seen == [(0, 0), (0, 1)]
    send(kafka, topic, [(b"a", None), (b"c", b"1")])
    with following() as copy:
        assert copy.seen == [(0, 2), (0, 3)]
        assert copy.rows == {b"b": b"1", b"c": b"1"}


def test_what_nobody_wants_is_passed_by_and_not_read_again(
    kafka: KafkaOptions, topic: str, following: Following
) -> None:
    send(kafka, topic, [(b"a", b"1"), (b"unwanted-1", b"1")])
    with following() as copy:
        assert (copy.rows, copy.seen, copy.follower.next_offset(topic, 0)) == ({b"a": b"1"}, [(0, 0)], 2)
        send(kafka, topic, [(b"unwanted-2", b"1")])
        wait_until(lambda: (position := copy.store.position(topic, 0)) is not None and position.next_offset == 3)
        assert copy.metrics.registry.get_sample_value("goldenthread_follower_records_total", {"follower": "copy"}) == 3
    send(kafka, topic, [(b"b", b"1")])
    with following() as copy:
        assert (copy.rows, copy.seen, copy.forgotten) == ({b"a": b"1", b"b": b"1"}, [(0, 3)], 0)


def test_a_copy_of_a_topic_that_was_made_again_is_built_anew(
    kafka: KafkaOptions, catalogue: Catalogue, topic: str, following: Following
) -> None:
    send(kafka, topic, [(b"a", b"1"), (b"b", b"1")])
    with following():
        pass
    _make_again(kafka, catalogue, topic)
    send(kafka, topic, [(b"x", b"1"), (b"y", b"1"), (b"z", b"1")])
    with following() as copy:
        assert copy.rows == {b"x": b"1", b"y": b"1", b"z": b"1"}
        assert copy.forgotten == 1


def test_a_copy_that_slept_past_half_of_the_tombstones_retention_is_built_anew(
    kafka: KafkaOptions, topic: str, following: Following
) -> None:
    clock = ManualClock(NOW_US)
    send(kafka, topic, [(b"a", b"1")])
    with following(clock) as copy:
        # Stands for a row whose tombstone is gone from the topic.
        copy.store.write({b"ghost": b"1"}, {})
    clock.advance(HALF_RETENTION_S - 60)
    with following(clock) as copy:
        assert copy.rows == {b"a": b"1", b"ghost": b"1"}
        assert copy.seen == []
    clock.advance(HALF_RETENTION_S + 60)
    with following(clock) as copy:
        assert copy.rows == {b"a": b"1"}
        assert copy.seen == [(0, 0)]


def test_a_copy_of_a_quiet_topic_does_not_count_as_asleep(
    kafka: KafkaOptions, topic: str, following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_module, "IDLE_WRITE_SECONDS", 0.05)
    clock = ManualClock(NOW_US)
    send(kafka, topic, [(b"a", b"1")])
    with following(clock) as copy:
        clock.advance(2 * HALF_RETENTION_S)
        now_ms = clock.now_us() // 1000
        wait_until(lambda: all(copy.store.position(topic, number).caught_up_ms == now_ms for number in (0, 1)))
    with following(clock) as copy:
        assert copy.seen == []


def test_a_copy_that_is_ahead_of_a_log_that_lost_its_tail_is_built_anew(
    kafka: KafkaOptions, topic: str, following: Following, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_module, "RETRY_SECONDS", 0.1)
    send(kafka, topic, [(b"a", b"1")])
    with following():
        pass
    _move_position(tmp_path / "copy", topic, 99, {b"lost": b"1"})
    with following() as copy:
        assert copy.rows == {b"a": b"1"}
        assert copy.follower.ready
        assert _rebuilds(copy, "outside_of_log") == 1


def test_a_copy_that_is_behind_a_log_that_lost_its_head_is_built_anew(
    kafka: KafkaOptions, topic: str, following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_module, "RETRY_SECONDS", 0.1)
    send(kafka, topic, [(b"a", b"1")])
    with following():
        pass
    send(kafka, topic, [(b"b", b"1"), (b"c", b"1"), (b"d", b"1")])
    admin = AdminClient(kafka.admin())
    _allow_deletion(admin, topic)
    for deletion in admin.delete_records([TopicPartition(topic, 0, 3)]).values():
        deletion.result(20)
    with following() as copy:
        # What was deleted unread may be what deleted or changed any row.
        assert copy.rows == {b"d": b"1"}
        assert _rebuilds(copy, "outside_of_log") == 1


def test_a_copy_of_a_topic_that_is_empty_now_is_kept(
    kafka: KafkaOptions, catalogue: Catalogue, topic: str, following: Following
) -> None:
    send(kafka, topic, [(b"a", b"1")])
    with following():
        pass
    _make_again(kafka, catalogue, topic)
    with following(wait=False) as copy:
        wait_until(lambda: copy.follower.failure is not None)
        assert isinstance(copy.follower.failure, StateError)
        assert "the broker is another one, or lost its data" in str(copy.follower.failure)
        assert not copy.follower.ready
        assert copy.follower.waiting_since_us() is not None
        assert copy.rows == {b"a": b"1"}


def test_a_topic_that_is_made_again_under_a_follower_gives_a_copy_of_the_new_one(
    kafka: KafkaOptions, catalogue: Catalogue, topic: str, following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_module, "IDLE_WRITE_SECONDS", 0.2)
    monkeypatch.setattr(follower_module, "RETRY_SECONDS", 0.1)
    making = threading.Event()
    send(kafka, topic, [(b"a", b"1"), (b"b", b"1")])

    def ids(*arguments: Any) -> dict[str, str]:
        # It looks again when the new log is the longer one: who is connected would read on where he was. (While the new
        # topic is empty, the copy would be kept.)
        if making.is_set():
            raise BrokerUnreachable("not now")
        return topic_ids(*arguments)

    monkeypatch.setattr(follower_module, "topic_ids", ids)
    with following() as copy:
        making.set()
        _make_again(kafka, catalogue, topic)
        send(kafka, topic, [(b"x", b"1"), (b"y", b"1"), (b"z", b"1")])
        making.clear()
        wait_until(lambda: copy.follower.ready and copy.rows == {b"x": b"1", b"y": b"1", b"z": b"1"}, deadline_s=60)


def test_a_rebuild_that_is_cut_short_begins_again_even_where_the_log_has_grown(
    kafka: KafkaOptions, topic: str, following: Following, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_module, "RETRY_SECONDS", 0.1)
    monkeypatch.setattr(follower_module, "FORGOTTEN_ROWS_PER_WRITE", 1)
    send(kafka, topic, [(b"a", b"1"), (b"b", b"1")])
    with following():
        pass
    _move_position(tmp_path / "copy", topic, 4, {b"lost": b"1"})
    written: list[int] = []
    write = Store.write

    def failing(store: Store, *arguments: Any, **options: Any) -> None:
        written.append(len(written))
        if len(written) == 3:
            raise ZeroDivisionError
        write(store, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Store, "write", failing)
        with following(wait=False) as copy:
            wait_until(lambda: copy.follower.failure is not None)
            patched.undo()
    assert len(written) >= 3
    monkeypatch.setattr(follower_module, "RETRY_SECONDS", 0.1)
    # By now the log is as long as the copy said that it was.
    send(kafka, topic, [(b"c", b"1"), (b"d", b"1"), (b"e", b"1")])
    with following() as copy:
        assert copy.rows == dict.fromkeys((b"a", b"b", b"c", b"d", b"e"), b"1")


def _move_position(folder: Path, topic: str, offset: int, rows: Mapping[bytes, bytes | None]) -> None:
    store = Store.open(folder, secret_fingerprint=FINGERPRINT)
    position = store.position(topic, 0)
    assert position is not None
    store.write(rows, {(topic, 0): StoredPosition(position.topic_id, offset, position.caught_up_ms)})
    store.close()


def _rebuilds(copy: _Copy, reason: str) -> float | None:
    labels = {"store": "copy", "reason": reason}
    return copy.metrics.registry.get_sample_value("goldenthread_store_rebuilds_total", labels)


def _make_again(kafka: KafkaOptions, catalogue: Catalogue, topic: str) -> None:
    former = topic_ids(kafka, [topic])[topic]
    admin = AdminClient(kafka.admin())
    for future in admin.delete_topics([topic]).values():
        future.result(20)
    wait_until(lambda: create_topics(kafka, catalogue) == [topic])
    assert topic_ids(kafka, [topic])[topic] != former


def _allow_deletion(admin: AdminClient, topic: str) -> None:
    """Records of a topic that is compacted alone can't be deleted on purpose."""
    entry = ConfigEntry("cleanup.policy", "compact,delete", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(20)


@pytest.mark.crash
def test_a_follower_that_is_killed_again_and_again_ends_with_the_same_copy(
    kafka: KafkaOptions, topic: str, tmp_path: Path
) -> None:
    chance = random.Random(11)
    producer = Producer(kafka.producer(linger_ms=1))
    newest: dict[bytes, bytes] = {}

    def write(number: int) -> None:
        """Changes and deletions of a few hundred rows, many times over."""
        for _ in range(number):
            key = b"k%d" % chance.randrange(300)
            value = None if chance.random() < 0.2 else chance.randbytes(200)
            producer.produce(topic, value, key, partition_of(key, 2))
            newest.pop(key, None)
            newest.update({} if value is None else {key: value})
        assert producer.flush(60) == 0

    command = [sys.executable, "-m", "tests.streams.following_process", kafka.bootstrap_servers, topic, "2"]
    for turn in range(KILLS + 1):
        write(3_000)
        with subprocess.Popen([*command, str(tmp_path / "copy")], stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout is not None
                if turn < KILLS:
                    # At any moment: while it opens its copy, catches up, or follows what is just written.
                    if chance.random() < 0.5:
                        process.stdout.readline()
                    write(chance.randrange(3_000))
                    process.kill()
                    continue
                # The log comes on the same way.
                assert b"ready\n" in iter(process.stdout.readline, b"")
                process.terminate()
                assert process.wait(DEADLINE_S) == 0
            finally:
                process.kill()
    store = Store.open(tmp_path / "copy", secret_fingerprint=FINGERPRINT)
    try:
        assert dict(store.rows()) == newest
    finally:
        store.close()


def test_a_projection_that_fails_stops_the_follower_and_is_kept(
    kafka: KafkaOptions, topic: str, tmp_path: Path
) -> None:
    send(kafka, topic, [(b"a", b"1")])

    def project(_records: Sequence[Record], _rows: Rows) -> Mapping[bytes, bytes | None]:
        raise ZeroDivisionError

    store = Store.open(tmp_path / "copy", secret_fingerprint=FINGERPRINT)
    follower = Follower(
        "copy", kafka=kafka, topics={topic: 2}, store=store, project=project, metrics=Metrics("test", "1")
    )
    follower.start()
    wait_until(lambda: follower.failure is not None)
    assert "follower copy failed: ZeroDivisionError()" in str(follower.failure)
    assert not follower.ready
    follower.stop()
    store.close()


def test_a_broker_that_is_away_at_the_start_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics_module, "ADMIN_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(follower_module, "RETRY_SECONDS", 0.1)
    store = Store.open(tmp_path / "copy", secret_fingerprint=FINGERPRINT)
    # Port 9 is discard: nobody listens there.
    kafka = KafkaOptions("127.0.0.1:9")
    follower = Follower(
        "copy", kafka=kafka, topics={"t": 1}, store=store, project=project_evidence, metrics=Metrics("test", "1")
    )
    follower.start()
    assert not follower.wait_ready(1)
    assert follower.failure is None
    assert follower.waiting_since_us() is not None
    follower.stop()
    store.close()
