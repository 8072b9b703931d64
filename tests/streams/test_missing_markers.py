"""Goal: a transaction whose end the broker lost is ended as it was decided, before anything is read, or words are said.

Method: the real broker, with records that are open though their coordinator calls the transaction complete.
"""

import threading
import time
import uuid

import pytest
from aiokafka import errors

from schemas.errors import Fenced, OperatorNeeded
from schemas.topics import Catalogue, Partition, Topic
from streams import missing_markers
from streams.bulk import partition_range, read_all
from streams.kafka import KafkaOptions
from streams.missing_markers import Decision, judge, places_written, take_over
from streams.topics import create_topics
from streams.transaction import TransactionalProducer
from streams.transaction_admin import OpenTransaction, TransactionAdmin, TransactionState
from tests.streams.hanging import leave_hanging
from tests.streams.hurt_broker import HurtBroker

pytestmark = pytest.mark.kafka
# The more partitions there are, the longer their markers take, and the more kills right after a commit lose some.
KILLS_MAX = 12
HANGING_ENOUGH = 2


class _Owners:
    """Those who have a partition's transactional id, one after the other."""

    def __init__(self, kafka: KafkaOptions, catalogue: Catalogue) -> None:
        self.kafka = kafka
        self.catalogue = catalogue
        self.id = uuid.uuid4().hex
        self.changelog = (catalogue.name(Topic.STATE), 0)
        self.outputs = (catalogue.name(Topic.INTERACTIONS), 1)
        self.places = places_written(catalogue, *self.changelog)

    def next(self) -> TransactionalProducer:
        """One that has taken over."""
        owner = TransactionalProducer(self.kafka, self.id)
        assert take_over(self.kafka, owner, self.places)
        return owner

    def write(self, owner: TransactionalProducer, value: bytes) -> None:
        """Begin a transaction with a record on both partitions."""
        owner.begin()
        for topic, partition in (self.changelog, self.outputs):
            owner.produce(topic, partition, b"k", value)

    def hanging(self) -> list[OpenTransaction]:
        """What stands open on all partitions."""
        with TransactionAdmin(self.kafka) as admin:
            return admin.open_transactions(self.places) or []

    def hang(self, value: bytes, *places: Partition) -> None:
        """Leave a record open on both partitions, or on those that are given."""
        leave_hanging(
            self.kafka, self.id, {place: [(b"k", value)] for place in places or (self.changelog, self.outputs)}
        )

    def seen(self) -> tuple[list[bytes | None], list[bytes | None]]:
        """What committed readers see on the changelog and the outputs."""
        changelog, outputs = (
            [record.value for record in read_all(self.kafka, name, self.catalogue.partitions)]
            for name, _ in (self.changelog, self.outputs)
        )
        return changelog, outputs


@pytest.fixture
def owners(kafka: KafkaOptions, catalogue: Catalogue) -> _Owners:
    return _Owners(kafka, catalogue)


def _committed(owners: _Owners) -> None:
    first = owners.next()
    owners.write(first, b"1")
    first.commit()
    first.close()


def test_what_was_committed_and_hangs_is_seen_before_anything_is_restored(owners: _Owners) -> None:
    _committed(owners)
    owners.hang(b"2")
    assert owners.seen() == ([b"1"], [b"1"])
    second = owners.next()
    assert owners.seen() == ([b"1", b"2"], [b"1", b"2"])
    owners.write(second, b"3")
    second.commit()
    assert owners.seen() == ([b"1", b"2", b"3"], [b"1", b"2", b"3"])
    second.close()


def test_outputs_that_hang_alone_are_seen_whatever_their_successor_aborts(owners: _Owners) -> None:
    _committed(owners)
    owners.hang(b"2", owners.outputs)
    second = owners.next()
    owners.write(second, b"3")
    second.close()
    owners.next().close()
    assert owners.seen() == ([b"1"], [b"1", b"2"])


def test_what_was_aborted_and_hangs_is_never_seen(owners: _Owners) -> None:
    _committed(owners)
    # Its successor aborts what it left.
    second = owners.next()
    owners.write(second, b"2")
    second.flush()
    third = TransactionalProducer(owners.kafka, owners.id)
    third.fence()
    owners.write(third, b"3")
    third.flush()
    third._abort()
    owners.hang(b"4")
    fourth = owners.next()
    owners.write(fourth, b"5")
    fourth.commit()
    assert owners.seen() == ([b"1", b"5"], [b"1", b"5"])
    for owner in (second, third, fourth):
        owner.close()


def _forgotten(owners: _Owners) -> None:
    """Somebody takes over and writes nothing: the coordinator forgets what it had decided."""
    between = TransactionalProducer(owners.kafka, owners.id)
    between.fence()
    between.close()


def test_where_nothing_is_known_of_what_hangs_with_the_state_it_is_made_again(owners: _Owners) -> None:
    _committed(owners)
    _forgotten(owners)
    owners.hang(b"2")
    third = owners.next()
    owners.write(third, b"2")
    third.commit()
    assert owners.seen() == ([b"1", b"2"], [b"1", b"2"])
    third.close()


def test_where_nothing_is_known_of_outputs_that_hang_alone_nothing_is_written(owners: _Owners) -> None:
    _committed(owners)
    _forgotten(owners)
    owners.hang(b"2", owners.outputs)
    owners.next().close()
    assert [one.place for one in owners.hanging()] == [owners.outputs]


def test_what_was_decided_is_written_though_nobody_wants_the_partition_any_more(
    owners: _Owners, monkeypatch: pytest.MonkeyPatch
) -> None:
    _committed(owners)
    owners.hang(b"2")
    second = TransactionalProducer(owners.kafka, owners.id)
    fence, wanted = second.fence, [True]

    def fence_and_lose(_: object) -> bool:
        done = fence()
        wanted.clear()
        return done

    monkeypatch.setattr(second, "fence", fence_and_lose)
    assert not take_over(owners.kafka, second, owners.places, lambda: bool(wanted))
    assert owners.seen() == ([b"1", b"2"], [b"1", b"2"])
    second.close()


def test_a_stranger_in_the_changelog_is_waited_for_and_told_of(
    owners: _Owners, monkeypatch: pytest.MonkeyPatch
) -> None:
    _committed(owners)
    stranger = TransactionalProducer(owners.kafka, uuid.uuid4().hex)
    stranger.fence()
    stranger.begin()
    stranger.produce(*owners.changelog, b"k", b"stranger")
    stranger.flush()
    topic, partition = owners.changelog
    with monkeypatch.context() as patched:
        patched.setattr(missing_markers, "STRANGERS_SECONDS", 0.3)
        with pytest.raises(OperatorNeeded, match=f"{topic}/{partition}: .* open from offset 2 .*--start-offset 2"):
            owners.next()
    ending = threading.Timer(0.5, stranger.commit)
    ending.start()
    owners.next().close()
    ending.join()
    assert owners.seen()[0] == [b"1", b"stranger"]
    stranger.close()


def test_strangers_on_the_outputs_are_nobodys_business(owners: _Owners) -> None:
    _committed(owners)
    stranger = TransactionalProducer(owners.kafka, uuid.uuid4().hex)
    stranger.fence()
    stranger.begin()
    stranger.produce(*owners.outputs, b"k", b"stranger")
    stranger.flush()
    owners.next().close()
    stranger.commit()
    assert owners.seen() == ([b"1"], [b"1", b"stranger"])
    stranger.close()


def test_what_a_killed_owner_left_is_aborted_as_ever(owners: _Owners) -> None:
    _committed(owners)
    second = owners.next()
    owners.write(second, b"2")
    second.flush()
    owners.next().close()
    assert owners.seen() == ([b"1"], [b"1"])
    assert partition_range(owners.kafka, *owners.changelog)[1] == 4
    second.close()


def test_only_what_is_certain_is_written() -> None:
    assert judge(Decision.COMMIT, changelog_hangs=True) is Decision.COMMIT
    assert judge(Decision.COMMIT, changelog_hangs=False) is Decision.COMMIT
    assert judge(Decision.ABORT, changelog_hangs=True) is Decision.ABORT
    assert judge(Decision.UNKNOWN, changelog_hangs=True) is Decision.ABORT
    # These may have been committed with a state that goes on behind them.
    assert judge(Decision.ABORT, changelog_hangs=False) is None
    assert judge(Decision.UNKNOWN, changelog_hangs=False) is None


Answers = list[list[OpenTransaction] | Exception]


def _told(monkeypatch: pytest.MonkeyPatch, answers: Answers, write_error: Exception | None = None) -> None:
    """Have brokers answer what is open, one after the other, and the last one from then on."""

    def standing(*_: object) -> list[OpenTransaction]:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def write(*_: object, is_commit: bool) -> bool:
        assert is_commit
        if write_error is not None:
            raise write_error
        return True

    monkeypatch.setattr(TransactionAdmin, "state", lambda *_: TransactionState("CompleteCommit", 7))
    monkeypatch.setattr(TransactionAdmin, "open_transactions", standing)
    monkeypatch.setattr(TransactionAdmin, "write_markers", write)


def _open(owners: _Owners, *, sequence: int = 3) -> OpenTransaction:
    return OpenTransaction(owners.changelog, 7, 0, sequence, 0, 5)


@pytest.mark.parametrize("error", [errors.TopicAuthorizationFailedError(), errors.IncompatibleBrokerVersion()])
def test_a_broker_that_can_not_be_asked_is_taken_at_its_word(
    owners: _Owners, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    _told(monkeypatch, [error])
    owners.next().close()


def test_a_broker_that_is_not_ready_is_asked_again(owners: _Owners, monkeypatch: pytest.MonkeyPatch) -> None:
    _told(monkeypatch, [errors.LeaderNotAvailableError(), errors.KafkaConnectionError(), []])
    owners.next().close()


def test_without_the_right_to_write_what_is_missing_the_right_is_named(
    owners: _Owners, monkeypatch: pytest.MonkeyPatch
) -> None:
    _told(monkeypatch, [[_open(owners)]], errors.ClusterAuthorizationFailedError())
    with pytest.raises(OperatorNeeded, match="grant it `Alter` on the cluster"):
        owners.next()


def test_what_was_written_meanwhile_is_not_decided_on(owners: _Owners, monkeypatch: pytest.MonkeyPatch) -> None:
    _told(monkeypatch, [[_open(owners)], [_open(owners, sequence=4)]])
    with pytest.raises(Fenced, match="was written to while it was taken over"):
        owners.next()
    _told(monkeypatch, [[_open(owners)]], errors.InvalidProducerEpoch())
    with pytest.raises(Fenced, match="another worker"):
        owners.next()


def test_who_is_not_wanted_any_more_ends_within_a_second(owners: _Owners) -> None:
    away = KafkaOptions("127.0.0.1:9", properties={"log_level": "0"})
    started = time.monotonic()
    assert not take_over(
        away, TransactionalProducer(away, owners.id), owners.places, lambda: time.monotonic() < started + 0.5
    )
    assert time.monotonic() - started < 3.0


@pytest.mark.drill
@pytest.mark.crash
@pytest.mark.timeout(600)
def test_after_a_kill_of_the_broker_between_decision_and_markers_all_is_seen_once(hurt: HurtBroker) -> None:
    catalogue = Catalogue(prefix="markers.", partitions=16, channels=("web",))
    create_topics(hurt.kafka, catalogue)
    owners = _Owners(hurt.kafka, catalogue)
    places = [owners.changelog, *(place for place in owners.places if place[0] == owners.outputs[0])]
    written: list[bytes] = []
    hung = 0
    for number in range(KILLS_MAX):
        written.append(b"%d" % number)
        owner = owners.next()
        owner.begin()
        for topic, partition in places:
            owner.produce(topic, partition, b"k", written[-1])
        # The broker answers once it has decided; the markers come after that.
        owner.commit()
        hurt.broker.kill()
        owner.close()
        hurt.broker.start()
        hurt.broker.wait_ready()
        hung += bool(owners.hanging())
        owners.next().close()
        changelog, outputs = owners.seen()
        assert changelog == written
        assert sorted(map(str, outputs)) == sorted(map(str, catalogue.partitions * written))
        if hung == HANGING_ENOUGH:
            return
    pytest.skip(f"of {KILLS_MAX} kills {hung} left a transaction hanging")
