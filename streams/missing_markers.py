"""Taking a partition over, past a transaction whose end the broker decided and did not write down.

A transaction ends in two steps: its coordinator decides, then the leader of each partition writes a marker. Kafka 4.3.0
loses the second step where partitions have no leader for a moment, as when the only broker starts again after a
crash (KAFKA-20734): it takes them for deleted, and calls the transaction complete. Its records stay unseen until a
later marker of the same producer covers them, whatever that one says. A restore in between would end before them, and
what they were made from would be worked on a second time. So whoever takes a partition over asks what was decided
before it fences, and writes the markers that are missing before it reads.
"""

import time
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final, NamedTuple, TypeVar

from aiokafka.errors import InvalidProducerEpoch, KafkaError, ProducerFenced

from schemas.errors import BrokerUnreachable, Fenced, OperatorNeeded
from schemas.topics import Catalogue, Partition
from streams.kafka import TRANSACTION_TIMEOUT_MS, KafkaOptions
from streams.logs import logger
from streams.transaction import INIT_TIMEOUT_SECONDS, TransactionalProducer
from streams.transaction_admin import DENIED, UNKNOWN_TO_BROKER, OpenTransaction, TransactionAdmin

log = logger(__name__)

_Answer = TypeVar("_Answer")

# How often a coordinator or leader that is not ready is asked again.
_POLL_SECONDS: Final = 0.1
# Whoever writes to a changelog in a transaction has ended it by then, or the broker has.
STRANGERS_SECONDS: Final = TRANSACTION_TIMEOUT_MS / 1000 + 5.0
_DOCS: Final = "docs/guarantees.md"
_FENCED: Final = (InvalidProducerEpoch, ProducerFenced)
_REFUSED: Final = (*DENIED, *UNKNOWN_TO_BROKER)


class Decision(Enum):
    """What becomes of an id's last transaction once its predecessor is fenced."""

    COMMIT = "commit"
    ABORT = "abort"
    #: Nothing was written since the id was taken over the last time, or the coordinator has forgotten it.
    UNKNOWN = "unknown"


_DECISIONS: Final = {
    "PrepareCommit": Decision.COMMIT,
    "CompleteCommit": Decision.COMMIT,
    # Fencing aborts what is open.
    "Ongoing": Decision.ABORT,
    "PrepareAbort": Decision.ABORT,
    "PrepareEpochFence": Decision.ABORT,
    "CompleteAbort": Decision.ABORT,
}


class Found(NamedTuple):
    """What stood open before a predecessor was fenced, and what had been decided."""

    decision: Decision
    producer_id: int
    #: Of anybody in the changelog, of the producer id elsewhere.
    open: frozenset[OpenTransaction]


def take_over(
    kafka: KafkaOptions,
    producer: TransactionalProducer,
    places: Sequence[Partition],
    is_wanted: Callable[[], bool] = lambda: True,
) -> bool:
    """Fence whoever had the transactional id before, and have everything that it wrote committed or aborted.

    1. Ask what is open, and what the coordinator has decided.
    2. Fence.
    3. Where something is open still that was open before, write the markers that are missing. This is done even if
       nobody wants it any more: the coordinator forgets with step 2 what it had decided.

    A broker that is too old to be asked, or does not let this user ask, is taken at its word: step 2 is all.

    Args:
        kafka: The broker.
        producer: The one that takes over.
        places: The changelog's partition, to which nobody else writes, then those that the id's outputs go to.
        is_wanted: Whether to go on, as for `TransactionalProducer.fence`.

    Returns:
        Whether it was done; False once it was not wanted any more.

    Raises:
        OperatorNeeded: a stranger's transaction is open in the changelog, or this user may not write what is missing.
        BrokerUnreachable: no answer in time.
        Fenced, DeliveryFailed, NotAuthorized: as `TransactionalProducer.fence`.
    """
    transactional_id = producer.transactional_id
    # Step 1.
    with TransactionAdmin(kafka, is_wanted) as admin:
        found = _found(_Asking(admin), transactional_id, places)
    # Step 2.
    if not producer.fence(is_wanted):
        return False
    # Step 3.
    if found is not None and found.open:
        with TransactionAdmin(kafka) as admin:
            _complete(_Asking(admin), transactional_id, places, found)
        if any(one.producer_id != found.producer_id for one in found.open):
            with TransactionAdmin(kafka, is_wanted) as admin:
                _outwait_strangers(_Asking(admin), transactional_id, places[0], found.producer_id)
    return is_wanted()


def _found(asking: "_Asking", transactional_id: str, places: Sequence[Partition]) -> Found | None:
    """What is open before fencing; None where that can't be known."""
    try:
        # In this order: what is open now belongs to no transaction later than the one that the coordinator tells of,
        # if that one is complete.
        standing = asking.answer(lambda admin: admin.open_transactions(places))
        state = asking.answer(lambda admin: admin.state(transactional_id))
    except _REFUSED as error:
        log.warning("open transactions can't be seen", transactional_id=transactional_id, reason=repr(error))
        return None
    if standing is None or state is None:
        return None
    open_ = frozenset(one for one in standing if one.place == places[0] or one.producer_id == state.producer_id)
    return Found(_DECISIONS.get(state.name, Decision.UNKNOWN), state.producer_id, open_)


def _complete(asking: "_Asking", transactional_id: str, places: Sequence[Partition], found: Found) -> None:
    left = sorted({one.place for one in found.open}, key=places.index)
    standing = asking.answer(lambda admin: admin.open_transactions(left)) or []
    ours = [one for one in standing if one.producer_id == found.producer_id]
    if not found.open.issuperset(ours):
        raise Fenced(f"{transactional_id} was written to while it was taken over")
    if not ours:
        return
    decision = judge(found.decision, changelog_hangs=any(one.place == places[0] for one in ours))
    if decision is not None:
        _write(asking, transactional_id, ours, decision)
    log.warning(
        "the broker had left a transaction without its end",
        transactional_id=transactional_id,
        decided=found.decision.value, written="nothing" if decision is None else decision.value, where=_where(ours),
    )  # fmt: skip


def _outwait_strangers(asking: "_Asking", transactional_id: str, changelog: Partition, producer_id: int) -> None:
    """Wait for the end of what an operator's command has begun in the changelog, under an id of its own."""
    deadline = time.monotonic() + STRANGERS_SECONDS
    while True:
        standing = asking.answer(lambda admin: admin.open_transactions([changelog])) or []
        stranger = next((one for one in standing if one.producer_id != producer_id), None)
        if stranger is None:
            return
        if time.monotonic() > deadline:
            raise _strange(stranger, transactional_id)
        time.sleep(_POLL_SECONDS)


def judge(decision: Decision, *, changelog_hangs: bool) -> Decision | None:
    """Which markers to write; None where nothing may be written.

    After a commit, commits: every transaction that hangs was committed, since an owner ends at the first one that
    fails, and its successor comes past here. Else, if the changelog hangs, aborts: the state goes on before all that
    hangs and makes it again, so nothing is lost, whatever had been decided. If it does not hang, the state may have
    what hangs elsewhere, and then those outputs must not be aborted.
    """
    if decision is Decision.COMMIT:
        return Decision.COMMIT
    return Decision.ABORT if changelog_hangs else None


def _write(asking: "_Asking", transactional_id: str, hanging: Sequence[OpenTransaction], decision: Decision) -> None:
    try:
        asking.answer(lambda admin: admin.write_markers(hanging, is_commit=decision is Decision.COMMIT))
    except _FENCED as error:
        raise Fenced(f"another worker has {transactional_id} now") from error
    except _REFUSED as error:
        raise OperatorNeeded(
            f"the broker left a transaction of {transactional_id} without its end ({decision.value}) in "
            f"{_where(hanging)}; this user may not write it either ({error!r}): grant it `Alter` on the cluster "
            f"({_DOCS})"
        ) from error


def _where(transactions: Sequence[OpenTransaction]) -> str:
    return ", ".join(
        f"{topic}/{number} from offset {one.start_offset}" for one in transactions for topic, number in [one.place]
    )


def _strange(one: OpenTransaction, transactional_id: str) -> OperatorNeeded:
    topic, partition = one.place
    return OperatorNeeded(
        f"{topic}/{partition}: a transaction of producer {one.producer_id} is open from offset {one.start_offset} on, "
        f"though nobody but {transactional_id} writes there while workers run. Stop all of them, end it with "
        f"`kafka-transactions.sh --bootstrap-server SERVERS abort --topic {topic} --partition {partition} "
        f"--start-offset {one.start_offset}`, and start again: what it was made from is worked on once more ({_DOCS})"
    )


class _Asking:
    """Asks until there is an answer, for a bounded time, as long as that is wanted."""

    def __init__(self, admin: TransactionAdmin) -> None:
        self._admin = admin

    def answer(self, ask: Callable[[TransactionAdmin], _Answer | None]) -> _Answer | None:
        """The answer; None once it is not wanted any more."""
        deadline = time.monotonic() + INIT_TIMEOUT_SECONDS
        while True:
            try:
                return ask(self._admin)
            except (*_FENCED, *_REFUSED):
                raise
            except (KafkaError, OSError, TimeoutError) as error:
                if time.monotonic() > deadline:
                    raise BrokerUnreachable(f"open transactions can't be seen: {error!r}") from error
                time.sleep(_POLL_SECONDS)


def places_written(catalogue: Catalogue, changelog: str, partition: int) -> list[Partition]:
    """Where a partition's transactional id may write: its part of the changelog, first, and all else but raw topics."""
    raw = set(catalogue.raw_topics())
    topics = [spec for spec in catalogue.specs() if spec.name not in raw]
    # An operator's command writes to all changelogs under one of their ids.
    places = [(spec.name, number) for spec in topics for number in range(spec.partitions)]
    places.remove((changelog, partition))
    return [(changelog, partition), *places]
