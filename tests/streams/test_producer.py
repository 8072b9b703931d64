"""Goal: every record has an answer, and no answer is lost. Method: librdkafka's own broker in memory, and no broker."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from schemas.errors import DeliveryFailed, EventError, RestartNeeded, StateError, TopicError
from schemas.topics import HEADER_FRAMING_SIZE_BYTES, Catalogue, partition_of
from streams import producer as producer_module
from streams.client_errors import client_errors
from streams.kafka import KafkaOptions
from streams.metrics import Metrics
from streams.producer import RECORD_SIZE_BYTES_MAX, DeliveringProducer, Record, RecordProducer
from streams.recording_producer import RecordingProducer
from streams.topics import create_topics
from tests.waiting import until

CATALOGUE = Catalogue(prefix="producer.")
TOPIC = CATALOGUE.raw("web")
# A broker inside librdkafka: quick, and good enough for what the producer does with answers.
IN_MEMORY = KafkaOptions("", properties={"test.mock.num.brokers": "1"})
# Port 9 is discard: nobody listens there.
ABSENT = KafkaOptions("127.0.0.1:9")


# Whether each record is reported, or those that failed.
EACH_WAY = pytest.mark.parametrize("failures_only", [False, True])


def _producer(kafka: KafkaOptions, metrics: Metrics | None = None, **options: Any) -> DeliveringProducer:
    return DeliveringProducer(kafka, CATALOGUE, metrics or Metrics("test", "1"), **options)


def _records(count: int, size_bytes: int = 100) -> list[Record]:
    return [Record(TOPIC, b"key-%d" % number, b"x" * size_bytes) for number in range(count)]


def _written(metrics: Metrics) -> tuple[float | None, float | None]:
    registry = metrics.registry
    return (
        registry.get_sample_value("goldenthread_records_written_total", {"topic": TOPIC}),
        registry.get_sample_value("goldenthread_written_bytes_total", {"topic": TOPIC}),
    )


@EACH_WAY
def test_flush_waits_for_everything_and_counts_it(failures_only: bool) -> None:
    metrics = Metrics("test", "1")
    producer = _producer(IN_MEMORY, metrics, failures_only=failures_only)
    for record in _records(100):
        producer.produce(record)
    assert producer.outstanding_bytes > 10_000
    producer.flush(10)
    assert producer.outstanding_bytes == 0
    assert _written(metrics) == (100, 100 * 100 + sum(len(b"key-%d" % number) for number in range(100)))


@EACH_WAY
def test_batches_are_flushed_and_counted(failures_only: bool) -> None:
    metrics = Metrics("test", "1")
    producer = _producer(IN_MEMORY, metrics, failures_only=failures_only)
    producer.produce_batch(TOPIC, 1, [(b"k", b"value"), (None, None)])
    producer.flush(10)
    assert _written(metrics) == (2, 6)


def test_without_a_partition_keys_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    placed: dict[bytes, int] = {}
    producer = _producer(IN_MEMORY)
    monkeypatch.setattr(
        producer,
        "_producer",
        SimpleNamespace(produce=lambda _topic, _value, key, place, _told: placed.update({key: place})),
    )
    keys = [b"key-%d" % number for number in range(20)]
    producer.produce_batch(TOPIC, None, [(key, b"v") for key in keys])
    assert placed == {key: partition_of(key, CATALOGUE.partitions) for key in keys}
    with pytest.raises(TopicError, match="elsewhere"):
        producer.produce_batch("elsewhere", None, [(b"k", b"v")])


def test_nothing_to_flush_is_no_failure() -> None:
    _producer(ABSENT).flush(0.1)


@EACH_WAY
def test_flush_names_what_was_refused(failures_only: bool) -> None:
    producer = _producer(ABSENT, linger_ms=0, delivery_timeout_ms=50, failures_only=failures_only)
    producer.produce(Record(TOPIC, b"key", b"value", (), 2))
    with pytest.raises(DeliveryFailed, match=r"producer\.raw\.web/2: .*timed out"):
        producer.flush(10)
    # The failure was told; what comes after it is judged by itself.
    producer.flush(10)


@EACH_WAY
def test_flush_tells_what_has_no_answer_in_time(failures_only: bool) -> None:
    producer = _producer(ABSENT, failures_only=failures_only)
    producer.produce_batch(TOPIC, 0, [(b"k", b"v")] * 3)
    with pytest.raises(DeliveryFailed, match=r"3 records to producer\.raw\.web have no answer after 0\.05 s"):
        producer.flush(0.05)
    producer.close(0)


@pytest.mark.parametrize("excess_bytes", [0, 1])
async def test_too_large_records_are_refused_before_anything_is_sent(excess_bytes: int) -> None:
    metrics = Metrics("test", "1")
    producer = _producer(IN_MEMORY, metrics)
    # Of the header counts what frames it, and a name by its bytes.
    size_bytes = RECORD_SIZE_BYTES_MAX - 10 - HEADER_FRAMING_SIZE_BYTES + excess_bytes
    large = Record(TOPIC, b"12345", bytes(size_bytes), (("aé", b"de"),))
    if not excess_bytes:
        await producer.send_all([large])
        return
    with pytest.raises(EventError, match="at most"):
        await producer.send_all([*_records(3), large])
    with pytest.raises(EventError):
        producer.produce(large)
    with pytest.raises(EventError):
        producer.produce_batch(TOPIC, 0, [(None, bytes(RECORD_SIZE_BYTES_MAX + 1))])
    producer.flush(10)
    assert _written(metrics) == (None, None)


async def test_who_is_told_of_failures_only_can_await_nothing() -> None:
    with pytest.raises(StateError, match="failures only"):
        await _producer(ABSENT, failures_only=True).send_all(_records(1))


def test_unknown_topic_is_a_mistake_of_ours() -> None:
    with pytest.raises(TopicError, match="elsewhere"):
        _producer(ABSENT).produce(Record("elsewhere", b"k", b"v"))


async def test_many_requests_share_one_producer() -> None:
    metrics = Metrics("test", "1")
    producer = _producer(IN_MEMORY, metrics, linger_ms=1)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        for _ in range(50):
            group.create_task(producer.send_all(_records(20)))
    assert _written(metrics)[0] == 1000
    assert producer.outstanding_bytes == 0


async def test_sending_nothing_needs_no_broker() -> None:
    await _producer(ABSENT).send_all([])


async def test_failed_delivery_is_told_to_its_request_and_its_bytes_are_free_again() -> None:
    producer = _producer(ABSENT, linger_ms=0, delivery_timeout_ms=50)
    sending = asyncio.create_task(producer.send_all(_records(5)))
    await asyncio.sleep(0)
    assert producer.outstanding_bytes > 500
    with pytest.raises(DeliveryFailed, match=r"producer\.raw\.web/\d: "):
        await sending
    assert producer.outstanding_bytes == 0


async def test_request_that_is_given_up_stays_outstanding_until_the_broker_answers() -> None:
    metrics = Metrics("test", "1")
    producer = _producer(IN_MEMORY, metrics, linger_ms=20)
    sending = asyncio.create_task(producer.send_all(_records(5)))
    await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert producer.outstanding_bytes > 500
    assert producer.waiting_seconds > 0
    await until(lambda: not producer.outstanding_bytes)
    assert producer.waiting_seconds == 0


async def test_no_answer_at_all_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer_module, "DELIVERY_GRACE_SECONDS", -29.9)
    producer = _producer(ABSENT)
    with pytest.raises(DeliveryFailed, match="2 of 2 records have no answer"):
        await producer.send_all(_records(2))
    producer.close(0)


async def test_full_queue_makes_requests_wait_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = Metrics("test", "1")
    kafka = KafkaOptions("", properties=IN_MEMORY.properties)
    monkeypatch.setattr("streams.kafka.QUEUE_MESSAGES_MAX", 10)
    producer = _producer(kafka, metrics, linger_ms=1)
    async with asyncio.timeout(20):
        await producer.send_all(_records(200))
    for record in _records(50):
        producer.produce(record)
    producer.produce_batch(TOPIC, 0, [(b"k", b"v")] * 50)
    producer.flush(20)
    assert _written(metrics)[0] == 300


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_queue_that_stays_full_is_a_failed_delivery(monkeypatch: pytest.MonkeyPatch, asynchronous: bool) -> None:
    monkeypatch.setattr("streams.kafka.QUEUE_MESSAGES_MAX", 1)
    monkeypatch.setattr(producer_module, "QUEUE_TIMEOUT_SECONDS", 0.05)
    producer = _producer(ABSENT)
    if asynchronous:
        with pytest.raises(DeliveryFailed, match="queue stayed full"):
            await producer.send_all(_records(2))
    else:
        with pytest.raises(DeliveryFailed, match="queue stayed full"):
            producer.produce_batch(TOPIC, 0, [(b"k", b"v")] * 2)
    producer.close(0)


async def test_fatal_error_ends_the_producer() -> None:
    producer = _producer(ABSENT)
    producer.verify_usable()
    producer._on_error(KafkaError(KafkaError._ALL_BROKERS_DOWN, "all down"))
    producer.verify_usable()
    producer._on_error(KafkaError(KafkaError._FATAL, "sequence lost", fatal=True))
    for use in (producer.verify_usable, lambda: producer.flush(0.1)):
        with pytest.raises(RestartNeeded, match="sequence lost"):
            use()
    with pytest.raises(RestartNeeded, match="sequence lost"):
        await producer.send_all(_records(1))


class _Dying:
    """A client that meets a fatal error while it serves delivery reports, which are lost then."""

    def __init__(self, cause: BaseException | None) -> None:
        self.calls = 0
        self.cause = cause

    def produce(self, *_: Any, **__: Any) -> None:
        """Take it, and never answer."""

    def poll(self, _timeout_s: float) -> int:
        self.calls += 1
        if self.calls == 2:
            self._die()
        return 0

    def flush(self, _timeout_s: float) -> int:
        self._die()
        return 0

    def _die(self) -> None:
        raise SystemError("delivered returned a result with an exception set") from self.cause


FATAL = KafkaException(KafkaError(KafkaError._FATAL, "sequence lost", fatal=True))


@pytest.mark.parametrize(("cause", "told"), [(FATAL, "sequence lost"), (None, "with an exception set")])
async def test_requests_under_way_are_told_of_a_fatal_error_that_the_client_raises(
    cause: BaseException | None, told: str
) -> None:
    producer = _producer(ABSENT)
    producer._producer = _Dying(cause)
    async with asyncio.timeout(10):
        answers = await asyncio.gather(*(producer.send_all(_records(3)) for _ in range(2)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [RestartNeeded, RestartNeeded]
    assert all(told in str(answer) for answer in answers)
    assert producer.outstanding_bytes == 0
    with pytest.raises(RestartNeeded, match=told):
        producer.verify_usable()


def test_a_fatal_error_that_the_client_raises_ends_a_flush_in_words_and_no_close() -> None:
    producer = _producer(ABSENT)
    producer._producer = _Dying(FATAL)
    producer.produce(_records(1)[0])
    with pytest.raises(RestartNeeded, match="sequence lost"):
        producer.flush(10)
    producer.close(1)


def test_what_hides_no_error_of_the_client_is_raised_as_it_is() -> None:
    with pytest.raises(SystemError, match="another"), client_errors():
        raise SystemError("another")


async def test_recording_producer_keeps_what_is_acknowledged_and_fails_when_told() -> None:
    recording = RecordingProducer(CATALOGUE)
    producer: RecordProducer = recording
    producer.produce(Record(TOPIC, b"a", b"1"))
    producer.produce_batch(TOPIC, 3, [(b"b", b"2")])
    assert recording.records == []
    producer.flush(1)
    await producer.send_all([Record(TOPIC, b"c", b"3")])
    assert [(record.key, record.partition) for record in recording.records] == [
        (b"a", partition_of(b"a", 4)),
        (b"b", 3),
        (b"c", partition_of(b"c", 4)),
    ]
    recording.failure = "refused"
    producer.produce(Record(TOPIC, b"d", b"4"))
    with pytest.raises(DeliveryFailed, match="refused"):
        producer.flush(1)
    with pytest.raises(DeliveryFailed, match="refused"):
        await producer.send_all([Record(TOPIC, b"e", b"5")])
    with pytest.raises(EventError):
        producer.produce(Record(TOPIC, None, bytes(RECORD_SIZE_BYTES_MAX + 1)))
    assert len(recording.records) == 3


@pytest.mark.kafka
async def test_records_arrive_whole_in_the_partition_of_their_key(broker: str) -> None:
    kafka = KafkaOptions(broker)
    create_topics(kafka, CATALOGUE)
    producer = _producer(kafka, linger_ms=1)
    headers = (("content-type", b"application/cloudevents+json"),)
    sent = [Record(TOPIC, b"key-%d" % number, b"value-%d" % number, headers) for number in range(100)]
    await producer.send_all(sent)
    producer.close(5)
    received = _read_all(kafka, len(sent))
    assert sorted(received) == sorted(
        (partition_of(record.key or b"", 4), record.key, record.value, list(record.headers)) for record in sent
    )


def _read_all(kafka: KafkaOptions, count: int) -> list[tuple[Any, ...]]:
    consumer = Consumer(kafka.reader())
    try:
        consumer.assign([TopicPartition(TOPIC, partition, 0) for partition in range(4)])
        return [
            (message.partition(), message.key(), message.value(), message.headers())
            for message in consumer.consume(num_messages=count + 4, timeout=10)
            if message.error() is None
        ]
    finally:
        consumer.close()
