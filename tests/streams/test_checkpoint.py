"""Goal: outputs, rows and position are there together, once, or the worker stops and says why. Method: real broker."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from schemas.errors import DeliveryFailed, Fenced, RestartNeeded, StateError
from schemas.rows import PositionRow, RowDecoder, encode_row
from schemas.topics import POSITION_KEY, TOMBSTONE_RETENTION_MS, Catalogue, Topic, partition_of
from state.engine import Drained, Output
from state.store import Store, StoredPosition
from state.store_cache import shared_cache
from streams import restore as restore_module
from streams.bulk import Rows, read_all
from streams.checkpoint import Checkpoint
from streams.checkpoint_options import CheckpointOptions
from streams.faults import FaultPoint
from streams.kafka import KafkaOptions
from streams.metrics import Metrics
from streams.topics import create_topics, topic_ids
from tests.streams.feeding import send
from tests.streams.hanging import leave_hanging

pytestmark = pytest.mark.kafka
DEADLINE_S = 30.0
# Nothing is restored here, and acknowledging is the partition's.
POINTS_PASSED = [
    point
    for point in FaultPoint
    if not point.startswith("intake") and point not in (FaultPoint.OPEN_DURING_RESTORE, FaultPoint.AFTER_ACKNOWLEDGE)
]
OUTPUT = Output(Topic.INTERACTIONS, b"key", b"out")


class _Stage:
    """Checkpoints of one partition over folders of a test."""

    def __init__(self, kafka: KafkaOptions, catalogue: Catalogue, folder: Path) -> None:
        self.kafka = kafka
        self.catalogue = catalogue
        self.folder = folder
        self.metrics = Metrics("test", "1")
        self.input = catalogue.name(Topic.ROUTED)
        self.changelog = catalogue.name(Topic.STATE)

    def checkpoint(self, disk: str = "disk", **changes: Any) -> Checkpoint:
        """A checkpoint of partition 0, not open yet."""
        options: dict[str, Any] = {
            "kafka": self.kafka,
            "catalogue": self.catalogue,
            "application": self.catalogue.prefix,
            "stage": "counting",
            "input_topic": Topic.ROUTED,
            "changelog_topic": Topic.STATE,
            "data_dir": self.folder / disk,
            "secret_fingerprint": "f",
            "metrics": self.metrics,
            "cache": shared_cache(8 * 1024 * 1024),
        }
        return Checkpoint(CheckpointOptions(**(options | changes)), 0)

    def opened(self, group_offset: int | None = 0, disk: str = "disk", **changes: Any) -> Checkpoint:
        """A checkpoint of partition 0, open."""
        checkpoint = self.checkpoint(disk, **changes)
        checkpoint.open(group_offset)
        return checkpoint

    def feed(self, count: int) -> None:
        """Records to apply: positions may not lie past the input's end."""
        send(self.kafka, self.input, [(b"k", b"v")] * count)

    def outputs(self) -> list[bytes | None]:
        """What committed readers see of the outputs."""
        return [record.value for record in read_all(self.kafka, self.catalogue.name(Topic.INTERACTIONS), 2)]

    def log(self) -> dict[bytes | None, bytes | None]:
        """The newest committed row of each key."""
        return {record.key: record.value for record in read_all(self.kafka, self.changelog, 2)}


@pytest.fixture
def stage(kafka: KafkaOptions, catalogue: Catalogue, tmp_path: Path) -> _Stage:
    made = _Stage(kafka, catalogue, tmp_path)
    made.feed(20)
    return made


def _rows(checkpoint: Checkpoint) -> dict[bytes, bytes]:
    return {key: value for key, value in checkpoint.store.rows() if key != POSITION_KEY}


def test_outputs_rows_and_position_are_committed_together(stage: _Stage) -> None:
    seen: dict[str, tuple[int, int]] = {}

    def look(point: str) -> None:
        seen[point] = (len(stage.outputs()), len(stage.log()))

    checkpoint = stage.opened(fault=look)
    checkpoint.commit(Drained([OUTPUT], {b"a": b"1", b"b": None}), 3)
    committed = (FaultPoint.AFTER_COMMIT, FaultPoint.AFTER_STORE)
    assert seen == {point: (1, 3) if point in committed else (0, 0) for point in POINTS_PASSED}
    assert _rows(checkpoint) == {b"a": b"1"}
    assert checkpoint.next_offset == 3
    topic_id = topic_ids(stage.kafka, [stage.input])[stage.input]
    encoded = stage.log()[POSITION_KEY]
    assert encoded is not None
    assert RowDecoder(PositionRow).decode(encoded) == PositionRow(topic_id, 2, 0, 3)
    value = stage.metrics.registry.get_sample_value
    assert value("goldenthread_records_written_total", {"topic": stage.changelog}) == 3
    assert value("goldenthread_records_written_total", {"topic": stage.catalogue.name(Topic.INTERACTIONS)}) == 1
    checkpoint.close()


def test_outputs_go_to_the_partition_of_their_key_with_their_headers(stage: _Stage) -> None:
    keys = [b"key-%d" % number for number in range(8)]
    outputs = [Output(Topic.INTERACTIONS, key, key) for key in keys]
    outputs += [
        Output(Topic.DEAD, b"any", b"letter", (("gt-code", b"not_json"),)),
        Output(Topic.CONTEXT_CHANGES, None, b"no key"),
    ]
    checkpoint = stage.opened()
    checkpoint.commit(Drained(outputs, {}), 1)
    found = list(read_all(stage.kafka, stage.catalogue.name(Topic.INTERACTIONS), 2))
    assert {record.value: record.partition for record in found} == {key: partition_of(key, 2) for key in keys}
    assert {record.partition for record in found} == {0, 1}
    assert [record.value for record in read_all(stage.kafka, stage.catalogue.name(Topic.DEAD), 1)] == [b"letter"]
    assert [record.partition for record in read_all(stage.kafka, stage.catalogue.name(Topic.CONTEXT_CHANGES), 2)] == [0]
    checkpoint.close()


@pytest.mark.parametrize("disk", ["disk", "wiped"])
def test_a_restart_finds_rows_and_position(stage: _Stage, disk: str) -> None:
    checkpoint = stage.opened()
    checkpoint.commit(Drained([OUTPUT], {b"a": b"1", b"b": b"1"}), 3)
    checkpoint.commit(Drained([OUTPUT], {b"a": b"2", b"b": None}), 7)
    checkpoint.close()
    again = stage.opened(group_offset=3, disk=disk)
    assert _rows(again) == {b"a": b"2"}
    assert again.next_offset == 7
    again.commit(Drained([OUTPUT], {b"a": b"3"}), 9)
    assert stage.log()[b"a"] == b"3"
    again.close()


def test_a_store_that_fell_behind_catches_up(stage: _Stage) -> None:
    stage.opened(disk="behind").close()
    ahead = stage.opened(disk="ahead")
    ahead.commit(Drained([], {b"a": b"1"}), 5)
    ahead.close()
    behind = stage.opened(group_offset=5, disk="behind")
    assert _rows(behind) == {b"a": b"1"}
    assert behind.next_offset == 5
    behind.close()


def test_only_what_is_new_is_restored_from_the_same_disk(stage: _Stage) -> None:
    checkpoint = stage.opened()
    checkpoint.commit(Drained([], {b"%d" % number: b"1" for number in range(50)}), 5)
    checkpoint.close()
    stage.opened(group_offset=5).close()
    value = stage.metrics.registry.get_sample_value
    assert value("goldenthread_restore_records_total", {"stage": "counting"}) == 0
    assert value("goldenthread_restore_duration_seconds_count", {"stage": "counting"}) == 2


def test_a_second_owner_fences_the_first(stage: _Stage) -> None:
    first = stage.opened(disk="first")
    first.commit(Drained([OUTPUT], {b"a": b"1"}), 1)
    second = stage.opened(group_offset=1, disk="second")
    with pytest.raises(Fenced, match=rf"another worker has {stage.catalogue.prefix}\.counting\.0 now"):
        first.commit(Drained([OUTPUT], {b"a": b"zombie"}), 2)
    assert _rows(first) == {b"a": b"1"}
    assert first.next_offset == 1
    second.commit(Drained([OUTPUT], {b"a": b"2"}), 2)
    with pytest.raises((Fenced, DeliveryFailed)):
        first.commit(Drained([OUTPUT], {b"a": b"zombie"}), 3)
    assert stage.log()[b"a"] == b"2"
    assert len(stage.outputs()) == 2
    first.close()
    second.close()


def test_a_transaction_left_open_is_aborted_by_the_next_owner(stage: _Stage) -> None:
    def leave(point: str) -> None:
        if point == FaultPoint.AFTER_ROWS:
            raise InterruptedError

    first = stage.opened(disk="first", fault=leave)
    with pytest.raises(InterruptedError):
        first.commit(Drained([OUTPUT], {b"a": b"1"}), 1)
    second = stage.opened(disk="second")
    assert second.next_offset == 0
    assert _rows(second) == {}
    assert stage.outputs() == []
    first.close()
    second.close()


def test_a_failed_delivery_leaves_the_store_untouched(stage: _Stage) -> None:
    checkpoint = stage.opened()
    checkpoint.commit(Drained([], {b"a": b"1"}), 1)
    large = Output(Topic.INTERACTIONS, b"key", b"x" * 2 * 1024 * 1024)
    with pytest.raises(DeliveryFailed, match="too large"):
        checkpoint.commit(Drained([large], {b"a": b"2"}), 2)
    assert _rows(checkpoint) == {b"a": b"1"}
    assert checkpoint.next_offset == 1
    checkpoint.close()
    again = stage.opened(group_offset=1)
    assert stage.outputs() == []
    assert _rows(again) == {b"a": b"1"}
    again.close()


def test_a_record_that_the_broker_refuses_leaves_the_store_untouched(stage: _Stage) -> None:
    checkpoint = stage.opened()
    checkpoint.commit(Drained([], {b"a": b"1"}), 1)
    # A compacted topic takes no record without a key.
    with pytest.raises(DeliveryFailed, match="failed to validate"):
        checkpoint.commit(Drained([OUTPUT, Output(Topic.CONTEXT, None, b"{}")], {b"a": b"2"}), 2)
    assert _rows(checkpoint) == {b"a": b"1"}
    assert checkpoint.next_offset == 1
    assert stage.outputs() == []
    assert stage.log()[b"a"] == b"1"
    checkpoint.close()


def test_the_store_is_never_ahead_of_the_changelog(stage: _Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    visible: list[bool] = []
    write = Store.write

    def watched(store: Store, changes: Any, positions: Any) -> None:
        visible.append(all(stage.log().get(key) == value for key, value in changes.items()))
        write(store, changes, positions)

    checkpoint = stage.opened()
    monkeypatch.setattr(Store, "write", watched)
    checkpoint.commit(Drained([], {b"a": b"1"}), 1)
    checkpoint.rows.flush()
    assert visible == [True]
    checkpoint.close()


def test_offsets_only_grow(stage: _Stage) -> None:
    checkpoint = stage.opened()
    checkpoint.commit(Drained([], {}), 5)
    with pytest.raises(StateError, match="offsets only grow, from an open checkpoint: 4 after 5"):
        checkpoint.commit(Drained([], {}), 4)
    checkpoint.close()
    with pytest.raises(StateError, match="open checkpoint"):
        checkpoint.commit(Drained([], {}), 6)


def test_the_store_is_there_after_open_only(stage: _Stage) -> None:
    with pytest.raises(StateError, match=f"the store of {stage.input}/0 is not open"):
        _ = stage.checkpoint().store


def test_an_input_topic_that_was_made_again_is_refused(stage: _Stage) -> None:
    checkpoint = stage.opened()
    checkpoint.commit(Drained([], {}), 5)
    checkpoint.close()
    admin = AdminClient(stage.kafka.admin())
    for future in admin.delete_topics([stage.input]).values():
        future.result(20)
    deadline = time.monotonic() + DEADLINE_S
    while create_topics(stage.kafka, stage.catalogue) != [stage.input]:
        assert time.monotonic() < deadline
    stage.feed(20)
    with pytest.raises(StateError, match=f"{stage.input}/0 was made again"):
        stage.opened(group_offset=0)


def test_another_number_of_partitions_is_refused(stage: _Stage) -> None:
    checkpoint = stage.opened()
    checkpoint.commit(Drained([], {}), 5)
    checkpoint.close()
    grown = Catalogue(stage.catalogue.prefix, 3, stage.catalogue.channels)
    admin = AdminClient(stage.kafka.admin())
    for future in admin.create_partitions([NewPartitions(stage.input, 3)]).values():
        future.result(20)
    with pytest.raises(StateError, match="was made with 2 partitions, now there are 3"):
        stage.opened(group_offset=5, catalogue=grown)


def test_a_group_that_is_ahead_of_the_state_is_refused(stage: _Stage) -> None:
    checkpoint = stage.opened()
    checkpoint.commit(Drained([], {}), 5)
    checkpoint.close()
    with pytest.raises(StateError, match=rf"knows {stage.input}/0 to offset 5, .*lost its tail"):
        stage.opened(group_offset=6)


def test_a_group_without_any_state_is_refused(stage: _Stage) -> None:
    with pytest.raises(StateError, match=rf"holds no position, but {stage.input}/0 was read to offset 6"):
        stage.opened(group_offset=6)


def test_an_input_that_ends_before_the_position_is_refused(stage: _Stage) -> None:
    checkpoint = stage.opened()
    checkpoint.commit(Drained([], {}), 21)
    checkpoint.close()
    with pytest.raises(StateError, match=rf"{stage.input}/0 lost its tail: the log holds offsets 0 to 20, .* at 21"):
        stage.opened(group_offset=5)


def test_an_input_that_begins_after_the_position_is_refused(stage: _Stage) -> None:
    checkpoint = stage.opened()
    checkpoint.commit(Drained([], {}), 5)
    checkpoint.close()
    admin = AdminClient(stage.kafka.admin())
    for future in admin.delete_records([TopicPartition(stage.input, 0, 7)]).values():
        future.result(20)
    with pytest.raises(StateError, match=rf"{stage.input}/0: offsets 5 to 6 are gone unread"):
        stage.opened(group_offset=5)


@pytest.mark.parametrize("wrong", ["another topic", "too old"])
def test_a_foreign_or_old_store_is_restored_from_the_start(stage: _Stage, wrong: str) -> None:
    checkpoint = stage.opened()
    checkpoint.commit(Drained([], {b"a": b"1"}), 5)
    position = checkpoint.store.position(stage.changelog, 0)
    assert position is not None
    if wrong == "another topic":
        foreign = StoredPosition("another", position.next_offset, position.caught_up_ms)
    else:
        foreign = StoredPosition(
            position.topic_id, position.next_offset, position.caught_up_ms - TOMBSTONE_RETENTION_MS // 2 - 1000
        )
    checkpoint.store.write({b"ghost": b"1"}, {(stage.changelog, 0): foreign})
    checkpoint.close()
    again = stage.opened(group_offset=5)
    assert _rows(again) == {b"a": b"1"}
    assert again.next_offset == 5
    again.close()


def test_a_store_ahead_of_a_shortened_changelog_is_refused(stage: _Stage) -> None:
    checkpoint = stage.opened()
    checkpoint.commit(Drained([], {b"a": b"1"}), 5)
    position = checkpoint.store.position(stage.changelog, 0)
    assert position is not None
    later = StoredPosition(position.topic_id, position.next_offset + 50, position.caught_up_ms)
    checkpoint.store.write({}, {(stage.changelog, 0): later})
    checkpoint.close()
    with pytest.raises(StateError, match=rf"{stage.changelog}/0 holds offsets 0 to 3, position \d+ is outside"):
        stage.opened(group_offset=5)


def test_closing_ends_a_fence_that_is_under_way(stage: _Stage) -> None:
    fencing = threading.Event()

    def fault(point: str) -> None:
        assert point == FaultPoint.OPEN_BEFORE_FENCE
        fencing.set()

    # Port 9 is discard: nobody listens there.
    checkpoint = stage.checkpoint(kafka=KafkaOptions("127.0.0.1:9"), fault=fault)
    errors: list[BaseException] = []

    def opening() -> None:
        try:
            checkpoint.open(0)
        except RestartNeeded as error:
            errors.append(error)

    thread = threading.Thread(target=opening)
    thread.start()
    assert fencing.wait(DEADLINE_S)
    started = time.monotonic()
    checkpoint.close()
    thread.join(DEADLINE_S)
    assert time.monotonic() - started < DEADLINE_S / 2
    assert errors == []


def test_closing_ends_a_restore_that_is_under_way(stage: _Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    restoring = threading.Event()

    def endless(_kafka: Any, _topic: str, _partition: int, start: int, apply: Any, **_more: Any) -> int:
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            start += 1
            apply(Rows([b"a"], [b"1"], 1, start))
            restoring.set()
        return start

    monkeypatch.setattr(restore_module, "rows_to_end", endless)
    checkpoint = stage.checkpoint()
    errors: list[BaseException] = []

    def restore() -> None:
        try:
            checkpoint.open(0)
        except RestartNeeded as error:
            errors.append(error)

    thread = threading.Thread(target=restore)
    thread.start()
    assert restoring.wait(DEADLINE_S)
    started = time.monotonic()
    checkpoint.close()
    thread.join(DEADLINE_S)
    assert time.monotonic() - started < DEADLINE_S / 2
    assert "closed while it was restored" in str(errors[0])


def test_a_checkpoint_whose_end_the_broker_lost_is_restored_and_its_outputs_are_there_once(stage: _Stage) -> None:
    first = stage.opened()
    first.commit(Drained([OUTPUT], {b"a": b"1"}), 3)
    first.close()
    position = PositionRow(topic_ids(stage.kafka, [stage.input])[stage.input], 2, 0, 5)
    outputs = stage.catalogue.name(Topic.INTERACTIONS)
    hanging = {
        (outputs, partition_of(OUTPUT.key or b"", 2)): [(b"key", b"second")],
        (stage.changelog, 0): [(b"a", b"2"), (POSITION_KEY, encode_row(position))],
    }
    leave_hanging(stage.kafka, f"{stage.catalogue.prefix}.counting.0", hanging)
    assert stage.outputs() == [b"out"]
    second = stage.opened(3)
    assert second.next_offset == 5
    assert _rows(second) == {b"a": b"2"}
    second.commit(Drained([OUTPUT], {b"a": b"3"}), 6)
    assert stage.outputs() == [b"out", b"second", b"out"]
    second.close()
