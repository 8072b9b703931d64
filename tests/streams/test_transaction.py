"""Goal: all of a transaction is seen or none of it, and one owner writes. Method: the real broker, two owners."""

import time
import uuid

import pytest
from confluent_kafka import KafkaError, KafkaException

from schemas.errors import DeliveryFailed, Fenced
from schemas.topics import Catalogue, Topic
from streams import transaction as transaction_module
from streams.bulk import read_all
from streams.kafka import MESSAGE_SIZE_BYTES_MAX, TRANSACTION_TIMEOUT_MS, KafkaOptions
from streams.transaction import TransactionalProducer

pytestmark = pytest.mark.kafka


def _owner(kafka: KafkaOptions, transactional_id: str) -> TransactionalProducer:
    owner = TransactionalProducer(kafka, transactional_id)
    owner.fence()
    return owner


def _values(kafka: KafkaOptions, catalogue: Catalogue, topic: str) -> list[bytes | None]:
    return [record.value for record in read_all(kafka, catalogue.name(topic), 2)]


@pytest.fixture
def transactional_id() -> str:
    """An id that no other test has."""
    return uuid.uuid4().hex


def test_all_topics_of_a_transaction_are_visible_together(
    kafka: KafkaOptions, catalogue: Catalogue, transactional_id: str
) -> None:
    state, interactions = catalogue.name(Topic.STATE), catalogue.name(Topic.INTERACTIONS)
    owner = _owner(kafka, transactional_id)
    owner.begin()
    owner.produce(interactions, 1, b"k", b"out", [("h", b"1")])
    owner.produce_batch(state, [(b"a", b"1", 0), (b"b", None, 0)])
    owner.produce(state, 0, b"last", b"2")
    assert _values(kafka, catalogue, Topic.INTERACTIONS) == []
    assert _values(kafka, catalogue, Topic.STATE) == []
    owner.commit()
    assert _values(kafka, catalogue, Topic.INTERACTIONS) == [b"out"]
    assert _values(kafka, catalogue, Topic.STATE) == [b"1", None, b"2"]
    assert owner.offsets == {(interactions, 1): 0, (state, 0): 2}
    assert owner.sizes == {interactions: (1, 4), state: (3, 8)}
    owner.close()


def test_offsets_and_sizes_are_those_of_the_running_transaction(
    kafka: KafkaOptions, catalogue: Catalogue, transactional_id: str
) -> None:
    state = catalogue.name(Topic.STATE)
    owner = _owner(kafka, transactional_id)
    for _ in range(2):
        owner.begin()
        owner.produce(state, 0, b"a", b"1")
        owner.commit()
    # The first transaction's marker has offset 1.
    assert owner.offsets == {(state, 0): 2}
    assert owner.sizes == {state: (1, 2)}
    owner.close()


def test_a_second_owner_aborts_what_the_first_left_open_and_fences_it(
    kafka: KafkaOptions, catalogue: Catalogue, transactional_id: str
) -> None:
    state = catalogue.name(Topic.STATE)
    first = _owner(kafka, transactional_id)
    first.begin()
    first.produce_batch(state, [(b"a", b"first", 0)])
    second = _owner(kafka, transactional_id)
    with pytest.raises(Fenced, match=f"another worker has {transactional_id} now"):
        first.commit()
    second.begin()
    second.produce_batch(state, [(b"a", b"second", 0)])
    second.commit()
    # It can't write one record more, not even in a transaction of its own.
    with pytest.raises((Fenced, DeliveryFailed)):  # noqa: PT012 - which call says it, and how, is the client's choice.
        first.begin()
        first.produce_batch(state, [(b"a", b"zombie", 0)])
        first.commit()
    assert _values(kafka, catalogue, Topic.STATE) == [b"second"]
    second.close()


def test_an_owner_that_was_fenced_closes_without_a_word(
    kafka: KafkaOptions, transactional_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Outdone:
        """A client that tells what ended it wherever it is asked, as the real one does once and then not."""

        def purge(self) -> None:
            """Nothing is queued."""

        def poll(self, timeout: float) -> None:
            """The report that had waited."""
            del timeout
            raise KafkaException(KafkaError(KafkaError.PRODUCER_FENCED))

    owner = TransactionalProducer(kafka, transactional_id)
    monkeypatch.setattr(owner, "_producer", Outdone())
    owner.close()


def test_an_owner_that_was_idle_when_the_second_came_is_fenced(
    kafka: KafkaOptions, catalogue: Catalogue, transactional_id: str
) -> None:
    first = _owner(kafka, transactional_id)
    _owner(kafka, transactional_id).close()
    with pytest.raises((Fenced, DeliveryFailed)):  # noqa: PT012 - as above.
        first.begin()
        first.produce_batch(catalogue.name(Topic.STATE), [(b"a", b"zombie", 0)])
        first.commit()
    assert _values(kafka, catalogue, Topic.STATE) == []


def test_a_record_that_the_client_refuses_fails_the_delivery(
    kafka: KafkaOptions, catalogue: Catalogue, transactional_id: str
) -> None:
    state = catalogue.name(Topic.STATE)
    owner = _owner(kafka, transactional_id)
    owner.begin()
    with pytest.raises(DeliveryFailed, match=f"produce to {state} .*too large"):
        owner.produce_batch(state, [(b"a", b"1", 0), (b"b", b"x" * (MESSAGE_SIZE_BYTES_MAX + 1), 0)])
    with pytest.raises(DeliveryFailed, match=f"produce to {state} .*too large"):
        owner.produce(state, 0, b"b", b"x" * (MESSAGE_SIZE_BYTES_MAX + 1), [])
    owner.close()
    _owner(kafka, transactional_id).close()
    assert _values(kafka, catalogue, Topic.STATE) == []


def test_a_record_that_the_broker_refuses_fails_the_commit(
    kafka: KafkaOptions, catalogue: Catalogue, transactional_id: str
) -> None:
    owner = _owner(kafka, transactional_id)
    owner.begin()
    # A compacted topic takes no record without a key. It has no report of its own: only the commit can tell.
    owner.produce_batch(catalogue.name(Topic.STATE), [(b"a", b"1", 0), (None, b"1", 1)])
    owner.flush()
    with pytest.raises(DeliveryFailed, match=rf"commit_transaction .*{catalogue.name(Topic.STATE)} \[1\]"):
        owner.commit()
    owner.close()
    _owner(kafka, transactional_id).close()
    assert _values(kafka, catalogue, Topic.STATE) == []


def test_a_commit_that_failed_holds_no_reader_back(
    kafka: KafkaOptions, catalogue: Catalogue, transactional_id: str
) -> None:
    state = catalogue.name(Topic.STATE)
    owner = _owner(kafka, transactional_id)
    owner.begin()
    owner.produce_batch(state, [(b"a", b"1", 0), (None, b"1", 0)])
    owner.produce_batch(state, [(b"a", b"1", 1)])
    with pytest.raises(DeliveryFailed):
        owner.commit()
    other = _owner(kafka, uuid.uuid4().hex)
    other.begin()
    other.produce_batch(state, [(b"b", b"other", 0), (b"b", b"other", 1)])
    other.commit()
    # Well below the time after which the broker aborts by itself.
    deadline = time.monotonic() + TRANSACTION_TIMEOUT_MS / 2000
    while _values(kafka, catalogue, Topic.STATE) != [b"other", b"other"]:
        assert time.monotonic() < deadline
    owner.close()
    other.close()


def test_a_record_whose_offset_is_wanted_and_that_the_broker_refuses_fails_the_flush(
    kafka: KafkaOptions, catalogue: Catalogue, transactional_id: str
) -> None:
    owner = _owner(kafka, transactional_id)
    owner.begin()
    owner.produce(catalogue.name(Topic.STATE), 1, None, b"1")
    with pytest.raises(DeliveryFailed, match=f"{catalogue.name(Topic.STATE)}/1"):
        owner.flush()
    owner.close()
    _owner(kafka, transactional_id).close()
    assert _values(kafka, catalogue, Topic.STATE) == []


def test_a_full_queue_is_waited_for(kafka: KafkaOptions, catalogue: Catalogue, transactional_id: str) -> None:
    small = KafkaOptions(kafka.bootstrap_servers)
    settings = small.transactional_producer(transactional_id) | {"queue.buffering.max.messages": 10}
    owner = TransactionalProducer(small, transactional_id)
    owner._producer = type(owner._producer)(settings)
    owner.fence()
    owner.begin()
    owner.produce_batch(catalogue.name(Topic.STATE), [(b"%d" % number, b"v", 0) for number in range(200)])
    for number in range(50):
        owner.produce(catalogue.name(Topic.STATE), 1, b"%d" % number, b"v", [])
    owner.commit()
    assert len(_values(kafka, catalogue, Topic.STATE)) == 250
    owner.close()


def test_a_fence_that_takes_longer_than_a_slice_goes_on_with_what_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    # A broker inside librdkafka, whose every answer takes longer than a slice.
    slow = KafkaOptions("", properties={"test.mock.num.brokers": "1", "test.mock.broker.rtt": "100"})
    monkeypatch.setattr(transaction_module, "_FENCE_SLICE_SECONDS", 0.08)
    asked: list[None] = []
    owner = TransactionalProducer(slow, "slow")
    assert owner.fence(lambda: not asked.append(None))  # type: ignore[func-returns-value]
    assert len(asked) > 2
    owner.begin()
    owner.produce("t", 0, b"k", b"v", [])
    owner.commit()
    owner.close()


def test_a_fence_that_is_not_wanted_any_more_ends_soon_and_one_without_an_answer_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Port 9 is discard: nobody listens there.
    owner = TransactionalProducer(KafkaOptions("127.0.0.1:9"), "away")
    started = time.monotonic()
    assert not owner.fence(lambda: time.monotonic() - started < 1.5)
    assert time.monotonic() - started < 10
    monkeypatch.setattr(transaction_module, "INIT_TIMEOUT_SECONDS", 0.3)
    with pytest.raises(DeliveryFailed, match="init_transactions"):
        owner.fence()
    owner.close()
