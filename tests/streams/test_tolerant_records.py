"""Goal: a record is read whatever the names of its headers, in its place. Method: bytes of batches, a real Kafka."""

import asyncio
import inspect
import re
import struct
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.control_record import ABORT_MARKER, COMMIT_MARKER, ControlRecord
from aiokafka.record.default_records import (
    DefaultRecordBase,
    DefaultRecordBatch,
    _DefaultRecordBatchBuilderPy,
    _DefaultRecordBatchPy,
)
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c

from schemas.topics import Catalogue
from streams.application import ApplicationOptions, make_app
from streams.kafka import KafkaOptions
from streams.tolerant_records import TolerantBatch, TolerantRecords, read_tolerantly
from streams.transport import BatchConsumer, BatchConsumerThread, PlainRecords

TOPIC = TopicPartition("gt.raw.web", 0)
# aiokafka's own, whether or not ours was set in its place by then.
(WALK,) = PlainRecords.__bases__
BATCH_SIZE_BYTES = 1 << 20
DEADLINE_S = 20.0
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
VALUE = b"a value that can be compressed " * 4
TIME_MS = 1_795_341_600_000
# What is sent as a header's name, and what is read.
POISON, READ = b"\xff\xfe", "\ufffd\ufffd"


class _Name(str):
    """A header name that is sent as other bytes than its text."""

    __slots__ = ()

    def encode(self, *_args: Any) -> bytes:
        return POISON


def _headers(poisoned: bool) -> list[tuple[str, bytes | None]]:
    return [("größe", b"1"), (_Name("poison") if poisoned else "fine", None), ("last", b"\xff")]


def _read(poisoned: bool) -> tuple[tuple[str, bytes | None], ...]:
    return (("größe", b"1"), (READ if poisoned else "fine", None), ("last", b"\xff"))


def _builder(codec: str, poisoned: Iterable[int], count: int, transactional: bool = False) -> Any:
    builder = _DefaultRecordBatchBuilderPy(2, CODECS[codec], transactional, 7 if transactional else -1, 0, 0, 1 << 20)
    for number in range(count):
        builder.append(number, TIME_MS + number, b"key", VALUE + b"%d" % number, _headers(number in set(poisoned)))
    return builder


def _batch(
    base_offset: int, poisoned: Iterable[int] = (), *, count: int = 5, codec: str = "none", transactional: bool = False
) -> bytes:
    """A batch as a broker gives it; `poisoned` are the positions of records with a name that is no UTF-8."""
    built = bytes(_builder(codec, poisoned, count, transactional).build())
    # The base offset is no part of what the checksum covers.
    return base_offset.to_bytes(8, "big") + built[8:]


def _control(base_offset: int, marker: ControlRecord) -> bytes:
    """A transaction's marker as a broker writes it: the bit that says so is set, and the checksum made anew."""
    builder = _DefaultRecordBatchBuilderPy(2, 0, True, 7, 0, 0, BATCH_SIZE_BYTES)
    builder.append(0, TIME_MS, struct.pack(">HH", marker.version, marker.type_), b"", [])
    built = bytearray(builder.build())
    attributes, crc = DefaultRecordBase.ATTRIBUTES_OFFSET, DefaultRecordBase.CRC_OFFSET
    built[attributes + 1] |= DefaultRecordBase.CONTROL_MASK
    built[crc : crc + 4] = calc_crc32c(bytes(built[attributes:])).to_bytes(4, "big")
    return base_offset.to_bytes(8, "big") + bytes(built[8:])


def _fetched(
    data: bytes, reader: Any = TolerantRecords, *, offset: int = 0, aborted: list[tuple[int, int]] | None = None
) -> Any:
    """The fetcher's own walk over what it fetched."""
    return WALK(TOPIC, reader(data), aborted, offset, None, None, True, fetcher.READ_COMMITTED)


def _names(records: list[ConsumerRecord[Any, Any]]) -> list[str]:
    return [record.headers[1][0] for record in records]


@pytest.mark.parametrize("codec", CODECS)
def test_a_name_that_is_no_utf_8_is_read_between_the_others(codec: str) -> None:
    data = _batch(10, codec=codec) + _batch(15, {2}, codec=codec) + _batch(20, codec=codec)
    assert DefaultRecordBatch(data).compression_type == CODECS[codec]
    with pytest.raises(UnicodeDecodeError):
        list(_fetched(data, MemoryRecords, offset=10))
    walk = _fetched(data, offset=10)
    records = list(walk)
    assert [record.offset for record in records] == list(range(10, 25))
    assert walk.next_fetch_offset == 25
    assert [record.headers for record in records] == [_read(record.offset == 17) for record in records]
    assert {record.key for record in records} == {b"key"}
    assert [record.value for record in records] == [VALUE + b"%d" % (n % 5) for n in range(15)]
    assert [record.timestamp for record in records] == [TIME_MS + n % 5 for n in range(15)]


@pytest.mark.parametrize("poisoned", [{0}, {4}, {0, 1, 2, 3, 4}, {1, 3}], ids=str)
def test_each_record_comes_once_wherever_the_name_is(poisoned: set[int]) -> None:
    records = list(_fetched(_batch(0, poisoned)))
    assert [record.offset for record in records] == [0, 1, 2, 3, 4]
    assert _names(records) == [READ if number in poisoned else "fine" for number in range(5)]


def test_a_walk_that_begins_within_a_batch_goes_on_from_there() -> None:
    assert [record.offset for record in _fetched(_batch(0, {1}), offset=3)] == [3, 4]


def test_records_without_such_names_are_those_of_the_fast_parser() -> None:
    data = _batch(0) + _batch(5, codec="lz4")
    reader = TolerantRecords(data)
    batch = reader.next_batch()
    assert isinstance(batch, TolerantBatch)
    assert {type(record) for record in batch} == {type(next(iter(DefaultRecordBatch(data))))}
    assert list(_fetched(data)) == list(_fetched(data, MemoryRecords))


def test_a_batch_that_is_cut_off_waits_for_the_next_fetch() -> None:
    whole = _batch(0, {1})
    reader = TolerantRecords(whole + _batch(5)[:-3])
    assert reader.size_in_bytes() == MemoryRecords(whole + _batch(5)[:-3]).size_in_bytes()
    assert reader.has_next()
    assert len(list(reader.next_batch())) == 5
    assert not reader.has_next()
    assert reader.next_batch() is None


def test_a_damaged_batch_is_still_told_by_its_checksum() -> None:
    data = bytearray(_batch(0, {1}))
    data[-1] ^= 1
    with pytest.raises(CorruptRecordException):
        list(_fetched(bytes(data)))


def test_aborted_batches_are_left_out_and_committed_ones_are_not() -> None:
    aborted = _batch(0, {2}, transactional=True) + _control(5, ABORT_MARKER)
    committed = _batch(6, {2}, transactional=True) + _control(11, COMMIT_MARKER)
    walk = _fetched(aborted + committed, aborted=[(7, 0)])
    assert [record.offset for record in walk] == [6, 7, 8, 9, 10]
    assert walk.next_fetch_offset == 12


def test_batches_of_older_formats_pass_as_they_are() -> None:
    builder = LegacyRecordBatchBuilder(magic=1, compression_type=0, batch_size=BATCH_SIZE_BYTES)
    builder.append(0, TIME_MS, b"key", b"old")
    data = bytes(builder.build())
    assert [record.value for record in _fetched(data + (1).to_bytes(8, "big") + data[8:])] == [b"old", b"old"]


def test_the_private_names_are_there() -> None:
    walk = inspect.getsource(WALK)
    assert "MemoryRecords(part_data[-1])" in inspect.getsource(fetcher.Fetcher._proc_fetch_request)
    assert set(re.findall(r"\brecords\.(\w+)", walk)) == {"has_next", "next_batch"}
    # Whatever the fetcher asks of a batch is passed on; `next` is asked of control batches only, which are not wrapped.
    assert all(hasattr(DefaultRecordBatch, name) for name in re.findall(r"\bnext_batch\.(\w+)", walk))
    assert walk.count("next(next_batch)") == 1
    assert {"buffer", "_maybe_uncompress"} <= {
        *inspect.signature(_DefaultRecordBatchPy).parameters,
        *_DefaultRecordBatchPy.__iter__.__code__.co_names,
    }
    assert 'buffer[pos : pos + h_key_len].decode("utf-8")' in inspect.getsource(_DefaultRecordBatchPy._read_msg)


def test_it_is_set_by_call_and_twice_is_as_good_as_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetcher, "MemoryRecords", MemoryRecords)
    read_tolerantly()
    read_tolerantly()
    assert fetcher.MemoryRecords is TolerantRecords
    assert list(fetcher.MemoryRecords(_batch(0)).next_batch())


class _PythonBatch(BatchBuilder):  # type: ignore[misc] # The library has no types.
    """A batch to send whose builder is the one in Python, which asks a name for its bytes."""

    def __init__(self, poisoned: Iterable[int], count: int, codec: str, transactional: bool) -> None:
        super().__init__(BATCH_SIZE_BYTES, CODECS[codec], is_transactional=transactional)
        self._builder = _builder(codec, poisoned, count, transactional)
        self._relative_offset = count

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        self._builder.set_producer_state(producer_id, producer_epoch, base_sequence)


async def _send(producer: AIOKafkaProducer, topic: str, poisoned: Iterable[int], codec: str) -> None:
    """One batch of five records to partition 0, once the broker has it."""
    batch = _PythonBatch(poisoned, 5, codec, producer._txn_manager is not None)
    await (await producer.send_batch(batch, topic, partition=0))


async def _send_all(broker: str, topic: str) -> None:
    """Good, poisoned and compressed batches, then a poisoned transaction that is aborted and one that is committed."""
    async with AIOKafkaProducer(bootstrap_servers=broker) as plain:
        for poisoned, codec in (((), "none"), ({2}, "none"), ((), "lz4"), ({0, 4}, "lz4"), ({1}, "zstd")):
            await _send(plain, topic, poisoned, codec)
    async with AIOKafkaProducer(bootstrap_servers=broker, transactional_id=uuid.uuid4().hex) as transactional:
        for end in (transactional.abort_transaction, transactional.commit_transaction):
            await transactional.begin_transaction()
            await _send(transactional, topic, {3}, "gzip")
            await end()


async def _read_all(consumer: BatchConsumer, app: Any, topic: str, count: int) -> list[Any]:
    """The records that the worker's own consumer gets from the start of partition 0."""
    thread = consumer._thread
    assert isinstance(thread, BatchConsumerThread)
    made = thread._create_worker_consumer(app.transport)
    await made.start()
    try:
        partition = TopicPartition(topic, 0)
        made.assign([partition])
        made.seek(partition, 0)
        records: list[Any] = []
        async with asyncio.timeout(DEADLINE_S):
            while len(records) < count:
                for batch in (await made.getmany(timeout_ms=200)).values():
                    records += batch
        return records
    finally:
        await made.stop()


async def test_a_worker_reads_them_from_a_real_kafka(
    broker: str, kafka: KafkaOptions, catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Making the consumer must be what sets the reader, not an earlier test.
    monkeypatch.setattr(fetcher, "MemoryRecords", MemoryRecords)
    topic = catalogue.raw("web")
    async with asyncio.timeout(DEADLINE_S):
        await _send_all(broker, topic)
    app = make_app(ApplicationOptions(kafka, uuid.uuid4().hex, tmp_path / "data", instance_id="worker-0"))
    consumer = app.consumer
    assert isinstance(consumer, BatchConsumer)
    loop = consumer._thread.thread_loop
    try:
        records = await asyncio.to_thread(loop.run_until_complete, _read_all(consumer, app, topic, 30))
    finally:
        loop.close()
    # The aborted batch has the offsets 25 to 29, its marker 30.
    assert [record.offset for record in records] == [*range(25), *range(31, 36)]
    poisoned = {7, 15, 19, 21, 34}
    assert [tuple(record.headers) for record in records] == [_read(record.offset in poisoned) for record in records]
    assert [record.value for record in records] == [VALUE + b"%d" % (number % 5) for number in range(30)]
