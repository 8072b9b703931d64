"""The contract with faust-streaming and aiokafka: every private name that streams.transport overrides or touches."""

import inspect
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiokafka
import faust
import pytest
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from faust.transport.consumer import Consumer as BaseConsumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.application import ApplicationOptions, make_app
from streams.batch import Batch
from streams.kafka import PARTITION_FETCH_SIZE_BYTES_MAX, KafkaOptions
from streams.read_ahead import RECORD_OVERHEAD_BYTES, ReadAhead, Taking
from streams.tolerant_records import TolerantRecords
from streams.transport import (
    FETCH_ANSWER_SIZE_BYTES_MAX,
    FETCH_ANSWER_SIZE_BYTES_MIN,
    FETCH_MAX_WAIT_MS,
    BatchConsumer,
    BatchConsumerThread,
    BatchSchema,
    BatchTransport,
    PlainRecords,
    _placed,
)

# What it is before any consumer of ours was made: its own parent afterwards.
(AIOKAFKA_RECORDS,) = PlainRecords.__bases__
ZERO, ONE, WEB = TP("gt.routed", 0), TP("gt.routed", 1), TP("gt.raw.web", 0)


@pytest.fixture
async def app(tmp_path: Path) -> faust.App:
    options = ApplicationOptions(KafkaOptions("127.0.0.1:9"), "group", tmp_path / "data", instance_id="worker-0")
    return make_app(options)


@pytest.fixture
async def consumer(app: faust.App) -> AsyncIterator[BatchConsumer]:
    made = app.consumer
    assert isinstance(made, BatchConsumer)
    yield made
    # Its thread was not started, so nobody else closes its loop.
    made._thread.thread_loop.close()


def test_the_versions_are_those_that_were_read() -> None:
    assert version("faust-streaming") == "0.15.3"
    assert version("aiokafka") == "0.14.0"


@pytest.mark.parametrize(
    ("owner", "name", "parameters"),
    [
        (driver.AIOKafkaConsumerThread, "_create_worker_consumer", ["self", "transport"]),
        (driver.AIOKafkaConsumerThread, "verify_event_path", ["self", "now", "tp"]),
        (driver.Consumer, "_new_consumer_thread", ["self"]),
        (driver.Consumer, "_to_message", ["self", "tp", "record"]),
        (BaseConsumer, "getmany", ["self", "timeout"]),
        (BaseConsumer, "_wait_next_records", ["self", "timeout"]),
        (BaseConsumer, "perform_seek", ["self"]),
        (BaseConsumer, "ack", ["self", "message"]),
        (BaseConsumer, "_new_offset", ["self", "tp"]),
        (BaseConsumer, "_filter_tps_with_pending_acks", ["self", "topics"]),
        (BaseConsumer, "_add_gap", ["self", "tp", "offset_from", "offset_to"]),
        (BaseConsumer, "_should_commit", ["self", "tp", "offset"]),
        (faust.Schema, "compile", None),
    ],
)
def test_what_is_overridden_or_called_is_there(owner: Any, name: str, parameters: list[str] | None) -> None:
    found = list(inspect.signature(getattr(owner, name)).parameters)
    assert parameters is None or found == parameters


@pytest.mark.parametrize(
    ("ours", "theirs"), [(BatchConsumer, driver.Consumer), (BatchConsumerThread, driver.AIOKafkaConsumerThread)]
)
def test_every_private_name_of_ours_overrides_one_of_theirs(ours: type, theirs: type) -> None:
    own = {"_batch", "_take_more"}
    private = {name for name in vars(ours) if name.startswith("_") and not name.startswith("__")} - own
    assert private
    assert all(hasattr(theirs, name) for name in private)


def test_faust_asks_for_offsets_as_we_answer() -> None:
    # The commit goes over the partitions with pending acknowledgements, and over the new offset of each.
    assert "_filter_tps_with_pending_acks" in inspect.getsource(BaseConsumer.commit) + inspect.getsource(
        BaseConsumer._commit_tps
    ) + inspect.getsource(BaseConsumer.force_commit)
    assert "self._new_offset(tp)" in inspect.getsource(BaseConsumer._filter_committable_offsets)


def test_aiokafka_reads_what_is_set_when_it_starts() -> None:
    source = inspect.getsource(aiokafka.AIOKafkaConsumer.start)
    for name in (
        "_isolation_level",
        "_fetch_max_wait_ms",
        "_fetch_min_bytes",
        "_fetch_max_bytes",
        "_partition_assignment_strategy",
        "_group_instance_id",
    ):
        assert f"self.{name}" in source


async def test_the_consumer_is_made_with_what_correctness_needs(app: faust.App, consumer: BatchConsumer) -> None:
    thread = consumer._thread
    assert isinstance(thread, BatchConsumerThread)
    made = thread._create_worker_consumer(app.transport)
    assert isinstance(made, aiokafka.AIOKafkaConsumer)
    assert made._isolation_level == "read_committed"
    assert made._fetch_max_wait_ms == FETCH_MAX_WAIT_MS == 25
    assert made._fetch_min_bytes == FETCH_ANSWER_SIZE_BYTES_MIN
    # Faust's own deal partitions anew with every worker that comes or goes.
    (assignor,) = made._partition_assignment_strategy
    assert assignor.name not in {"range", "roundrobin"}
    assert made._group_instance_id == "worker-0"
    assert made._auto_offset_reset == "none"
    assert made._enable_auto_commit is False
    assert made._max_partition_fetch_bytes == PARTITION_FETCH_SIZE_BYTES_MAX
    assert made._fetch_max_bytes == FETCH_ANSWER_SIZE_BYTES_MAX
    assert made._session_timeout_ms == 10_000
    assert fetcher.MemoryRecords is TolerantRecords
    assert fetcher.PartitionRecords is PlainRecords
    await made.stop()


async def test_the_app_opens_no_port_and_makes_no_topic(app: faust.App) -> None:
    assert isinstance(app.transport, BatchTransport)
    conf = app.conf
    assert (conf.web_enabled, conf.topic_allow_declare, conf.stream_wait_empty) == (False, False, False)
    assert conf.topic_disable_leader is True


async def test_acknowledged_offsets_only_grow_until_they_are_committed(consumer: BatchConsumer) -> None:
    consumer.acknowledge(ZERO, 10)
    consumer.acknowledge(ZERO, 7)
    consumer.acknowledge(ONE, 3)
    assert set(consumer._filter_tps_with_pending_acks()) == {ZERO, ONE}
    assert consumer._new_offset(ZERO) == 10
    assert consumer._new_offset(ZERO) is None
    assert consumer._new_offset(ONE) == 3
    assert consumer._filter_tps_with_pending_acks() == []


async def test_an_acknowledgement_by_faust_commits_nothing(consumer: BatchConsumer) -> None:
    message: Any = SimpleNamespace(acked=False, tp=ZERO, offset=5)
    assert consumer.ack(message)
    assert message.acked
    assert consumer._filter_tps_with_pending_acks() == []


def test_records_come_as_the_parser_made_them() -> None:
    assert "PartitionRecords(" in inspect.getsource(fetcher.Fetcher._proc_fetch_request)
    assert "self._consumer_record(tp, record)" in inspect.getsource(PlainRecords._unpack_records)
    builder = DefaultRecordBatchBuilder(2, 3, 0, -1, -1, -1, 1 << 20)
    for offset, value in enumerate((b"one", None, b"three")):
        builder.append(offset, 1_000 + offset, b"k%d" % offset, value, [("name", b"content"), ("none", None)])
    data = bytes(builder.build())

    def walk(records: type) -> Any:
        return records(ONE, MemoryRecords(data), [], 1, None, None, True, fetcher.READ_COMMITTED)

    plain, copied = walk(PlainRecords), walk(AIOKAFKA_RECORDS)
    theirs = list(copied)
    records = Batch(ONE.topic, ONE.partition, 1, list(plain)).placed()
    assert plain.next_fetch_offset == copied.next_fetch_offset == 3
    for name in ("topic", "partition", "offset", "timestamp", "key", "value", "headers"):
        assert [getattr(record, name) for record in records] == [getattr(record, name) for record in theirs]
    # What Faust makes of the last record of a batch is what it would have made of aiokafka's.
    assert _placed(ONE, next(walk(PlainRecords))) == replace(theirs[0], headers=())


def test_what_is_taken_of_a_partition_is_taken_as_the_fetcher_does_it() -> None:
    source = inspect.getsource(fetcher.Fetcher.fetched_records)
    for line in (
        "if self._subscriptions.reassignment_in_progress:",
        "if type(res_or_error) is FetchResult:",
        "records = res_or_error.getall(max_records)",
        "if not res_or_error.has_more():",
        "del self._records[tp]",
        "self._notify(self._wait_consume_future)",
    ):
        assert line in source


class _Fetching:
    """What a fetcher holds of one partition; the end of it is noted."""

    def __init__(self, records: int) -> None:
        builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
        for offset in range(records):
            builder.append(offset, 1_000 + offset, b"k", b"v", [])
        made = PlainRecords(ONE, MemoryRecords(bytes(builder.build())), [], 0, None, None, True, fetcher.READ_COMMITTED)
        self.state = SimpleNamespace(paused=False, position=0)
        self.state.consumed_to = lambda position: setattr(self.state, "position", position)
        assignment = SimpleNamespace(active=True, state_value=lambda _tp: self.state)
        result = fetcher.FetchResult(ONE, assignment=assignment, partition_records=made, backoff=0)
        self._records: dict[TP, Any] = {ONE: result}
        self._subscriptions = SimpleNamespace(reassignment_in_progress=False)
        self._wait_consume_future = "the wait of the next fetch"
        self.notified: list[Any] = []
        self._notify = self.notified.append

    def offsets(self, consumer: BatchConsumer, left: int = 1_000) -> list[int]:
        """Those of what is taken."""
        taken: list[Any] = []
        thread = consumer._thread
        assert isinstance(thread, BatchConsumerThread)
        thread._take_more(self, ONE, taken, Taking(ReadAhead()), left)
        return [record.offset for record in taken]


async def test_all_that_was_fetched_of_a_partition_is_taken_and_the_next_fetch_goes_on(consumer: BatchConsumer) -> None:
    fetching = _Fetching(100)
    assert fetching.offsets(consumer, left=70) == list(range(70))
    assert (fetching.notified, fetching.state.position) == ([], 70)
    assert fetching.offsets(consumer) == list(range(70, 100))
    assert (fetching.notified, fetching._records) == (["the wait of the next fetch"], {})
    assert fetching.offsets(consumer) == []


async def test_nothing_is_taken_of_a_partition_that_may_be_anothers_or_was_moved(consumer: BatchConsumer) -> None:
    fetching = _Fetching(10)
    fetching._subscriptions.reassignment_in_progress = True
    assert fetching.offsets(consumer) == []
    fetching._subscriptions.reassignment_in_progress = False
    fetching.state.position = 5
    assert fetching.offsets(consumer) == []
    fetching._records[ONE] = fetcher.FetchError(error=ValueError("told by the next call"), backoff=0)
    assert fetching.offsets(consumer) == []


def _record(tp: TP, offset: int) -> Any:
    return SimpleNamespace(offset=offset, timestamp=7, timestamp_type=0, key=b"k", value=b"v", headers=[], of=tp)


def _brief(batch: Batch) -> tuple[str, int, int, list[int]]:
    return batch.topic, batch.partition, batch.generation, [record.offset for record in batch.records]


async def _fetched(
    consumer: BatchConsumer, monkeypatch: pytest.MonkeyPatch, active: set[TP], more: Mapping[TP, Any] | None = None
) -> list[Any]:
    async def wait(_timeout: float) -> tuple[Any, set[TP]]:
        return {ZERO: [_record(ZERO, 3), _record(ZERO, 9)], ONE: [_record(ONE, 0)], **(more or {})}, active

    monkeypatch.setattr(consumer, "_wait_next_records", wait)
    messages: AsyncIterator[Any] = consumer.getmany(1.0)
    return [message async for message in messages]


async def test_a_message_has_the_batches_of_one_fetch_for_one_agent(
    app: faust.App, consumer: BatchConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer.transport.read_ahead.add(["gt.routed"])
    consumer.transport.read_ahead.add(["gt.raw.web"])
    consumer.transport.read_ahead.assigned([ZERO, ONE, WEB])
    consumer.flow_active = True
    app.consumer_generation_id = 4
    more = {WEB: [_record(WEB, 7)]}
    (first_tp, first), (second_tp, second) = await _fetched(consumer, monkeypatch, {ZERO, ONE, WEB}, more)
    assert (first_tp, second_tp) == (ONE, WEB)
    assert [_brief(batch) for batch in first.value] == [("gt.routed", 0, 4, [3, 9]), ("gt.routed", 1, 4, [0])]
    assert (first.topic, first.partition, first.offset, first.generation_id) == ("gt.routed", 1, 0, 4)
    assert [_brief(batch) for batch in second.value] == [("gt.raw.web", 0, 4, [7])]
    # What is not done with counts, of each partition by itself.
    assert consumer.transport.read_ahead.size_bytes(["gt.routed"]) == 3 * (RECORD_OVERHEAD_BYTES + 2)
    event = await BatchSchema().compile(app)(first, propagate=False)
    assert event.value is first.value
    assert event.message is first


async def test_a_batch_tells_what_was_fetched_before_it_in_its_generation(
    app: faust.App, consumer: BatchConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer.flow_active = True
    app.consumer_generation_id = 4

    async def fetch(*offsets: int) -> Any:
        async def wait(_timeout: float) -> tuple[Any, set[TP]]:
            return {ZERO: [_record(ZERO, offset) for offset in offsets]}, {ZERO}

        monkeypatch.setattr(consumer, "_wait_next_records", wait)
        messages: AsyncIterator[Any] = consumer.getmany(1.0)
        return [batch.previous async for _, message in messages for batch in message.value]

    assert await fetch(3, 9) == [None]
    assert await fetch(12) == [9]
    # A seek back to the committed offset, and a new generation, begin anew.
    assert await fetch(3, 9) == [None]
    app.consumer_generation_id = 5
    assert await fetch(12) == [None]


async def test_batches_of_partitions_that_are_paused_are_left_out(
    consumer: BatchConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer.flow_active = True
    ((tp, message),) = await _fetched(consumer, monkeypatch, {ONE})
    assert (tp, [batch.partition for batch in message.value]) == (ONE, [1])
    ((tp, message),) = await _fetched(consumer, monkeypatch, {ZERO})
    assert (tp, [batch.partition for batch in message.value]) == (ZERO, [0])
    assert await _fetched(consumer, monkeypatch, set()) == []


async def test_while_the_flow_is_stopped_nothing_comes_and_positions_are_taken_up_anew(
    consumer: BatchConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sought: list[bool] = []

    async def seek() -> None:
        sought.append(True)

    monkeypatch.setattr(consumer, "perform_seek", seek)
    consumer.flow_active = False
    assert await _fetched(consumer, monkeypatch, {ZERO, ONE}) == []
    assert sought == [True]
